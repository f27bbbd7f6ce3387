package pytorch_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/pytorch"
)

// The published weights have the normalization of their training.
func TestPreprocessing(t *testing.T) {
	size := imaging.Size{Height: 224, Width: 224, Channels: 3}
	for name, want := range map[string]imaging.Preprocessing{
		"resnet18":           {Size: size, Mean: []float64{0.485, 0.456, 0.406}, StdDev: []float64{0.229, 0.224, 0.225}},
		"convnext-tiny":      {Size: size, Mean: []float64{0.485, 0.456, 0.406}, StdDev: []float64{0.229, 0.224, 0.225}},
		"efficientnet-lite0": {Size: size, Mean: []float64{127. / 255, 127. / 255, 127. / 255}, StdDev: []float64{128. / 255, 128. / 255, 128. / 255}},
	} {
		found, known := pytorch.Preprocessing(name)
		if diff := cmp.Diff(want, found); diff != "" || !known || found.Validate() != nil {
			t.Errorf("%s: known %v (-want +got):\n%s", name, known, diff)
		}
	}
	if found, known := pytorch.Preprocessing("conv4"); known {
		t.Errorf("conv4: found %+v, expected none", found)
	}
}
