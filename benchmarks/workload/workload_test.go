package workload

import (
	"context"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/trainer"
)

// narrow returns the workload with few images and a network of few channels.
func narrow(w Workload) Workload {
	w.Network = w.Network.Narrow(16)
	if w.Network.Size.Height > 200 {
		w.Network.Size.Height, w.Network.Size.Width = 40, 40
	}
	w.Count = min(w.Count, 4)
	if w.Loss != nil && w.Loss.Classes > 0 {
		loss := *w.Loss
		loss.Classes, w.Loss = 2, &loss
	}
	return w
}

// Every workload is found by its name and runs.
func TestAll(t *testing.T) {
	for _, w := range All() {
		t.Run(w.Name, func(t *testing.T) {
			found, err := Named(w.Name)
			if err != nil {
				t.Fatal(err)
			}
			if found.Title != w.Title {
				t.Errorf("Named(%q): found %q, expected %q", w.Name, found.Title, w.Title)
			}
			step, err := narrow(w).Prepare(2)
			if err != nil {
				t.Fatal(err)
			}
			defer step.Close()
			for range 3 {
				loss, err := step.Do()
				if err != nil {
					t.Fatal(err)
				}
				if trains := w.Loss != nil; trains != (loss > 0) || math.IsInf(loss, 0) {
					t.Errorf("found the loss %v", loss)
				}
			}
		})
	}
}

func TestNamedUnknown(t *testing.T) {
	if w, err := Named("sleep"); err == nil {
		t.Errorf("found %q, expected an error", w.Title)
	}
}

// The exported inputs are those of training, and the exported weights the initial ones.
func TestExportTraining(t *testing.T) {
	w := narrow(All()[0])
	training, err := w.Training(2)
	if err != nil {
		t.Fatal(err)
	}
	defer training.Close()
	folder := t.TempDir()
	if err := training.Export(folder); err != nil {
		t.Fatal(err)
	}
	inputs, err := safetensors.ReadFile(filepath.Join(folder, InputsFile))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"loss":{"objective":"contrastive","head":"l2","margin":1,"scale":0,"classes":0,"towers":2},` +
		`"solver":{"name":"adam","learning_rate":0.00003,"momentum":0},"batches":2}`
	if diff := cmp.Diff(want, inputs.Metadata["workload"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, tensor := range []safetensors.Tensor{
		{Name: "1 images 1", Shape: []int{4, 28, 28, 1}, Data: training.batches[1]["images 1"]},
		{Name: "0 labels", Shape: []int{4}, Data: []float32{0, 1, 0, 1}},
	} {
		found, _ := inputs.Tensor(tensor.Name)
		if diff := cmp.Diff(tensor, found); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	saved, err := likeness.Load(filepath.Join(folder, ModelFile))
	if err != nil {
		t.Fatal(err)
	}
	const name = "conv1.weight"
	if diff := cmp.Diff(training.model.Weights.Get(name).Value.Data(), saved.Weights.Get(name).Value.Data()); diff != "" {
		t.Errorf("%s (-model +file):\n%s", name, diff)
	}
}

// The exported embeddings have the shape of the exported images.
func TestExportEmbedding(t *testing.T) {
	w := Workload{Name: "flat", Network: backbone.Network{
		Name: "flat", Size: imaging.Size{Height: 4, Width: 6, Channels: 3}, Blocks: []graph.Block{graph.Flatten{}},
	}, Count: 2}
	embedding, err := w.Embedding()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := embedding.Export(folder); err != nil {
		t.Fatal(err)
	}
	inputs, err := safetensors.ReadFile(filepath.Join(folder, InputsFile))
	if err != nil {
		t.Fatal(err)
	}
	images, _ := inputs.Tensor("0 images 0")
	if diff := cmp.Diff([]int{2, 4, 6, 3}, images.Shape); diff != "" {
		t.Errorf("the images' shape (-want +got):\n%s", diff)
	}
	embeddings, _ := inputs.Tensor("embeddings")
	if found := len(embeddings.Data.([]float32)); found != 2*4*6*3 {
		t.Errorf("found %d features, expected %d", found, 2*4*6*3)
	}
}

// The inputs differ between batches and towers, and are bytes divided by 255.
func TestInputs(t *testing.T) {
	w := narrow(All()[0])
	batches := w.batches(2)
	if cmp.Equal(batches[0]["images 0"], batches[1]["images 0"]) {
		t.Error("two batches have the same images")
	}
	if cmp.Equal(batches[0]["images 0"], batches[0]["images 1"]) {
		t.Error("two towers have the same images")
	}
	for _, v := range batches[0]["images 0"] {
		if v*255 != float32(math.Round(float64(v*255))) || v < 0 || v > 1 {
			t.Fatalf("found the pixel %v, expected a byte divided by 255", v)
		}
	}
	w.Loss = &Loss{Classes: 2}
	if diff := cmp.Diff([]float32{0, 0, 1, 1}, w.labels()); diff != "" {
		t.Errorf("the labels of a batch (-want +got):\n%s", diff)
	}
}

func TestStream(t *testing.T) {
	stream, err := narrow(All()[0]).Stream()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if loss, err := stream.Do(); err != nil || loss <= 0 {
			t.Errorf("found the loss %v and error %v", loss, err)
		}
	}
	if err := stream.Close(); err != nil {
		t.Error(err)
	}
}

// A step that the trainer began before Close stopped it must not wait for Do, which is not called again.
func TestStreamEndsAStepAfterClose(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ended := make(chan struct{})
	go func() {
		(&Stream{proceed: make(chan struct{}), costs: make(chan float64)}).onStep(ctx)(trainer.Step{})
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the step waits for a reader of its loss")
	}
}

func TestThreadCounts(t *testing.T) {
	for maximum, want := range map[int][]int{1: {1}, 2: {1, 2}, 3: {1, 2, 3}, 8: {1, 2, 4, 8}} {
		if diff := cmp.Diff(want, ThreadCounts(maximum)); diff != "" {
			t.Errorf("up to %d threads (-want +got):\n%s", maximum, diff)
		}
	}
}
