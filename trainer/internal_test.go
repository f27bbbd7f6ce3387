package trainer

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
)

func allocate() *examples { return &examples{labels: make([]float32, 1)} }

// Examples come in order, an error comes in its place and is the last.
func TestPipelineEndsWithAnError(t *testing.T) {
	broken := errors.New("broken")
	var steps []int
	p := prepare(t.Context(), 3, 100, allocate, func(step int, e *examples) error {
		if steps = append(steps, step); step == 6 {
			return broken
		}
		e.labels[0] = float32(step)
		return nil
	})
	for step := 3; step < 6; step++ {
		next := p.next()
		if next.err != nil || next.examples.labels[0] != float32(step) {
			t.Errorf("step %d: found %+v", step, next)
		}
		p.recycle(next)
	}
	if next := p.next(); next.err != broken {
		t.Errorf("found %+v, want the error", next)
	}
	if next, more := <-p.ready; more {
		t.Errorf("found %+v after the error", next)
	}
	if len(steps) != 4 {
		t.Errorf("found the steps %v prepared, want 3 to 6", steps)
	}
}

// When the context ends, no further step is prepared, though somebody takes what is
// ready.
func TestPipelineEndsWithTheContext(t *testing.T) {
	for taken := range 4 {
		ctx, cancel := context.WithCancel(t.Context())
		prepared := make(chan int, 100)
		p := prepare(ctx, 0, 100, allocate, func(step int, _ *examples) error {
			prepared <- step
			return nil
		})
		for range taken {
			p.next()
		}
		for range taken + ahead + 1 { // until it waits for somebody to take more
			<-prepared
		}
		cancel()
		p.drain()
		if len(prepared) > 0 {
			t.Errorf("%d taken: %d more steps were prepared after the end", taken, len(prepared))
		}
	}
}

// A panic there would end the process.
func TestPipelineMakesErrorsOfPanics(t *testing.T) {
	p := prepare(t.Context(), 0, 2, allocate, func(int, *examples) error { panic("broken") })
	if next := p.next(); next.err == nil || next.err.Error() != "drawing the examples panics: broken" {
		t.Errorf("found %+v", next)
	}
	if next, more := <-p.ready; more {
		t.Errorf("found %+v after the error", next)
	}
}

// A field that only one version knows must be off; null and 0 of a field that both
// know are two settings.
func TestSameSettings(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{`{"a":1}`, `{"a":1}`, true}, {`{"a":1}`, `{"a":2}`, false}, {`{"a":1}`, `{"a":1,"b":0,"c":null,"d":[],"e":"","f":false,"g":{"h":0}}`, true},
		{`{"a":1}`, `{"a":1,"b":2}`, false}, {`{"a":1,"b":[1]}`, `{"a":1}`, false}, {`{"a":null}`, `{"a":0}`, false}, {`{"a":0}`, `{"a":null}`, false},
		{`[{"a":1}]`, `[{"a":1,"b":0}]`, true}, {`[1,2]`, `[1]`, false}, {`18446744073709551615`, `18446744073709551614`, false},
		{"listed pairs", "listed pairs", true}, {"listed pairs", "random pairs", false}, {"1 2", "1 3", false}, {"", "0", false}, {`{"a":1}`, `[1]`, false},
	} {
		if sameSettings(test.a, test.b) != test.same || sameSettings(test.b, test.a) != test.same {
			t.Errorf("%s and %s: expected %v", test.a, test.b, test.same)
		}
	}
}

// checkpointed is a training of a few weights that has taken no step, and its
// checkpoint.
func checkpointed(t testing.TB) (*run, []byte) {
	t.Helper()
	images := &datasets.Dataset{Name: "two", Size: imaging.Size{Height: 16, Width: 16, Channels: 1}, Classes: []string{"a", "b"}}
	for i := range 8 {
		images.Images = append(images.Images, bytes.Repeat([]uint8{uint8(i)}, images.Size.Len()))
		images.Labels = append(images.Labels, i%2)
	}
	model, err := likeness.New(backbone.Conv4(images.Size, 64, true), heads.L2{}, images.Preprocessing(), 0)
	if err != nil {
		t.Fatal(err)
	}
	loss := objectives.Contrastive{Margin: 1}
	training := &Trainer{
		Model: model, Loss: loss, Images: images, Batch: 4, Epochs: 5,
		Solver:     solver.Config{Solver: "adam", LearningRate: 1e-3, Schedule: "cosine", Average: 0.9},
		Checkpoint: filepath.Join(t.TempDir(), "checkpoint.safetensors"),
	}
	r, err := training.start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.program.Close() })
	if r.settings, err = r.identity(); err != nil {
		t.Fatal(err)
	}
	if err := r.save(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(training.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	return r, content
}

// Whatever the bytes, a checkpoint is refused or leads to a place that the training
// has, whose weights are written as they were read.
func FuzzRestore(f *testing.F) {
	r, content := checkpointed(f)
	f.Add(content)
	f.Fuzz(func(t *testing.T, content []byte) {
		var file safetensors.File
		var found *progress
		var err error
		testutil.LimitAllocations(t, 64*len(content)+4<<20, func() {
			if file, err = safetensors.Read(bytes.NewReader(content), int64(len(content)), "fuzz"); err == nil {
				if err = file.Seal(); err == nil { // or nearly all would end at the checksum
					found, err = r.restore(file)
				}
			}
		})
		if err != nil {
			return
		}
		total := r.Epochs * r.epochSteps
		if here := found.place; here.Steps < 0 || here.Steps > total || here.Done < 0 || here.Done > r.epochSteps || here.BestEpoch < 0 || here.BestEpoch > len(here.Epochs) {
			t.Errorf("found the place %+v of %d steps", here, total)
		}
	})
}

// A place that the training does not have would be gone on from as if it had: steps
// without data, or none.
func TestRestoreRefusesPlacesThatAreNot(t *testing.T) {
	r, content := checkpointed(t)
	for name, place := range map[string]string{
		"a negative step":      `{"steps":-1,"done":-1}`,
		"a step too many":      `{"steps":11,"done":11}`,
		"steps without epochs": `{"steps":4,"done":0}`,
		"an epoch of nothing":  `{"steps":0,"epochs":[{"epoch":1}]}`,
		"the best of none":     `{"best_epoch":1}`,
	} {
		file, err := safetensors.Read(bytes.NewReader(content), int64(len(content)), "checkpoint")
		if err != nil {
			t.Fatal(err)
		}
		file.Metadata[placeKey] = place
		if err := file.Seal(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.restore(file); err == nil || !strings.Contains(err.Error(), "field likeness.place") {
			t.Errorf("%s: found error %v", name, err)
		}
	}
}

// A tensor of no elements is no weight, and no moment of one.
func TestRestoreRefusesTensorsOfNothing(t *testing.T) {
	r, content := checkpointed(t)
	for _, part := range []string{weightsPart, bestPart, solverPart, averagePart} {
		file, err := safetensors.Read(bytes.NewReader(content), int64(len(content)), "checkpoint")
		if err != nil {
			t.Fatal(err)
		}
		file.Tensors = append(file.Tensors, safetensors.Tensor{Name: part + "more", Shape: []int{0}, Data: []float32{}})
		if err := file.Seal(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.restore(file); err == nil || errors.Is(err, safetensors.ErrChecksum) {
			t.Errorf("%s: found no error", part)
		}
	}
}

// A checkpoint whose checksum is right and whose contents are not those of the training,
// as of a program that writes such files itself, is refused by what is wrong with it.
func TestRestoreRefusesOtherContents(t *testing.T) {
	r, content := checkpointed(t)
	change := func(key, value string) func(*safetensors.File) {
		return func(f *safetensors.File) { f.Metadata[key] = value }
	}
	// tensors changes the tensors of a part, beginning with copies of the weights where the
	// part has none.
	tensors := func(part string, change func(all []safetensors.Tensor) []safetensors.Tensor) func(*safetensors.File) {
		return func(f *safetensors.File) {
			var own, others, copies []safetensors.Tensor
			for _, t := range f.Tensors {
				if strings.HasPrefix(t.Name, part) {
					own = append(own, t)
				} else {
					others = append(others, t)
				}
				if name, found := strings.CutPrefix(t.Name, weightsPart); found {
					t.Name, t.Data = part+name, slices.Clone(t.Data.([]float32))
					copies = append(copies, t)
				}
			}
			if own == nil {
				own = copies
			}
			f.Tensors = append(others, change(own)...)
		}
	}
	fewer := func(all []safetensors.Tensor) []safetensors.Tensor { return all[1:] }
	renamed := func(all []safetensors.Tensor) []safetensors.Tensor { all[0].Name += "x"; return all }
	flat := func(all []safetensors.Tensor) []safetensors.Tensor {
		all[0].Shape = []int{1, len(all[0].Data.([]float32))}
		return all
	}
	infinite := func(all []safetensors.Tensor) []safetensors.Tensor {
		values := slices.Clone(all[0].Data.([]float32))
		values[0] = float32(math.Inf(1))
		all[0].Data = values
		return all
	}
	for _, test := range []struct {
		name   string
		change func(*safetensors.File)
		want   string
		other  bool // ErrOtherTraining
	}{
		{"settings that are no JSON", change(settingsKey, "{"), "field " + settingsKey + ": ", false},
		{"no settings", change(settingsKey, "null"), "field " + settingsKey + ": found none", false},
		{"a place that is no JSON", change(placeKey, "{"), "field " + placeKey + ": ", false},
		{"epochs too many", change(placeKey, `{"steps":0,"done":0,"epochs":[{},{},{},{},{},{}]}`), "field " + placeKey + ": found 6 epochs, expected at most 5", false},
		{"a tensor of no part", func(f *safetensors.File) { f.Tensors[0].Name = "junk/x" }, `tensor "junk/x" belongs to no part`, false},
		{"too few weights", tensors(weightsPart, fewer), "weights: found ", true},
		{"a weight of another name", tensors(weightsPart, renamed), "weights: found no weight ", true},
		{"a weight of another shape", tensors(weightsPart, flat), "weights: weight ", true},
		{"an infinite weight", tensors(weightsPart, infinite), "found a value that is not finite", false},
		{"too few best weights", tensors(bestPart, fewer), "best weights: found ", true},
		{"an infinite best weight", tensors(bestPart, infinite), "best weight ", false},
		{"a moment of another name", tensors(solverPart, renamed), "solver", false},
		{"an average of another name", tensors(averagePart, renamed), "average", false},
	} {
		file, err := safetensors.Read(bytes.NewReader(content), int64(len(content)), "checkpoint")
		if err != nil {
			t.Fatal(err)
		}
		test.change(&file)
		if err := file.Seal(); err != nil {
			t.Fatal(err)
		}
		found, err := r.restore(file)
		if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, ErrOtherTraining) != test.other {
			t.Errorf("%s: found %+v, error %v; expected one with %q that is ErrOtherTraining: %v", test.name, found, err, test.want, test.other)
		}
	}
}
