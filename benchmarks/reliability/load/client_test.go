package load

import (
	"bytes"
	"image/png"
	"math/rand/v2"
	"testing"
)

func TestDrawing(t *testing.T) {
	var files [3][]byte
	for i, number := range []int{7, 7, 8} {
		var err error
		if files[i], err = drawing(number); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) || bytes.Equal(files[0], files[2]) {
		t.Error("expected the same number alone to give the same drawing")
	}
	if img, err := png.Decode(bytes.NewReader(files[0])); err != nil || img.Bounds().Dx() != side {
		t.Errorf("found %v, %v", img, err)
	}
}

func TestMixture(t *testing.T) {
	sum := 0
	for _, k := range mixture {
		sum += k.share
	}
	if sum != 100 {
		t.Errorf("the shares add up to %d, want 100", sum)
	}
	for _, enrolled := range []int{0, 1, maxExamples} {
		c := &client{chance: rand.New(rand.NewPCG(1, 2)), enrolled: enrolled}
		asked := map[string]int{}
		for range 2000 {
			asked[c.next().name]++
		}
		for _, k := range mixture {
			ofClass := k.name == "identify" || k.name == "verify" || k.name == "forget"
			allowed := !(enrolled == 0 && ofClass || enrolled == maxExamples && k.name == "enroll")
			if (asked[k.name] > 0) != allowed {
				t.Errorf("%d enrolled: asked %d times to %s", enrolled, asked[k.name], k.name)
			}
		}
	}
}
