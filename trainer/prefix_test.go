package trainer_test

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// counted counts the images that are read.
type counted struct {
	datasets.Images
	reads atomic.Int64
}

func (c *counted) Read(i int, pixels []uint8) error {
	c.reads.Add(1)
	return c.Images.Read(i, pixels)
}

// Identity is that of the images, so that they are not read for it.
func (c *counted) Identity() string { return "counted" }

// deep is a network of two blocks with convolutions, of which the first can be frozen, and
// what else a frozen part may have.
func deep() backbone.Network {
	return tiny(
		graph.Residual{Body: []graph.Block{graph.Conv{Filters: 6, Kernel: 3, Padding: 1, BatchNorm: true, Activation: "relu"}}},
		graph.Conv{Filters: 8, Kernel: 3, Padding: 1, BatchNorm: true, NoBias: true, Activation: "relu", Pool: 2},
	)
}

func freeze(t *testing.T, training *trainer.Trainer, patterns ...string) {
	t.Helper()
	if err := training.Model.Weights.Freeze(patterns...); err != nil {
		t.Fatal(err)
	}
}

// The frozen first blocks are computed once for each image, and the training is the same but
// for rounding as one that computes them in each step, which augmentation that changes nothing
// makes it do.
func TestFrozenBlocksAreComputedOnce(t *testing.T) {
	for kind, loss := range map[string]objectives.Loss{
		"pairs": objectives.Contrastive{Margin: 1}, "triplets": objectives.Triplet{Margin: 0.2}, "batches": objectives.NPair{Temperature: 0.1},
	} {
		weights := [2]map[string][]float32{}
		for i, augment := range []*datasets.Augmentation{nil, {}} {
			images := &counted{Images: seen}
			training := newTrainer(t, deep())
			training.Images, training.Augment, training.Loss = images, augment, loss
			freeze(t, training, "conv1", "residual1")
			run(t, training)
			weights[i] = values(training.Model)
			if reads, once := images.reads.Load(), int64(seen.Len()+15)/16*16; (reads == once) != (augment == nil) {
				t.Errorf("%s, augmentation %v: found %d reads of %d images", kind, augment, reads, seen.Len())
			}
		}
		changed := false
		for name, want := range weights[1] {
			if name == "linear1.bias" { // which moves all embeddings alike: its gradient is rounding, and Adam divides by it
				continue
			}
			for i, v := range weights[0][name] {
				if difference := math.Abs(float64(v - want[i])); difference > 1e-4 {
					t.Errorf("%s: %s[%d]: found %v, expected %v", kind, name, i, v, want[i])
					break
				}
			}
			changed = changed || name == "conv2.weight" && !cmp.Equal(want, values(newModel(t, deep(), heads.L2{}))[name])
		}
		if !changed {
			t.Errorf("%s: nothing was trained", kind)
		}
	}
}

// A resumed training with frozen blocks has the weights of one without interruption, and
// another choice of frozen blocks is another training.
func TestFrozenBlocksResume(t *testing.T) {
	prepare := func(file string, patterns ...string) *trainer.Trainer {
		training := newTrainer(t, deep())
		training.Checkpoint = file
		freeze(t, training, patterns...)
		return training
	}
	whole := prepare("", "conv1")
	run(t, whole)
	file := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	first := prepare(file, "conv1")
	ctx, cancel := context.WithCancel(context.Background())
	first.OnStep = func(s trainer.Step) {
		if s.Number == 4 {
			cancel()
		}
	}
	if _, err := first.Run(ctx); err != nil {
		t.Fatal(err)
	}
	second := prepare(file, "conv1")
	second.Resume = true
	run(t, second)
	if diff := cmp.Diff(values(whole.Model), values(second.Model)); diff != "" {
		t.Errorf("the resumed training has other weights (-whole +resumed):\n%s", diff)
	}
	other := prepare(file, "conv1", "residual1")
	other.Resume = true
	if err := other.Check(); err == nil {
		t.Error("found no error for other frozen blocks")
	}
}

// What cannot be computed once is computed in each step: blocks that differ from step to step,
// frozen weights behind others, a network that is frozen as a whole, and blocks of a user's own.
func TestFrozenBlocksThatAreNotComputedOnce(t *testing.T) {
	for name, test := range map[string]struct {
		network  backbone.Network
		patterns []string
	}{
		"dropout first":    {backbone.Network{Size: size, Blocks: append([]graph.Block{graph.Dropout{Rate: 0.2}}, tiny().Blocks...)}, []string{"conv1"}},
		"stochastic depth": {backbone.Network{Size: size, Blocks: append([]graph.Block{graph.Residual{Body: []graph.Block{graph.Conv{Filters: 1, Kernel: 1}}, Drop: 0.5}}, tiny().Blocks...)}, []string{"residual1"}},
		"a frozen end":     {tiny(), []string{"linear1"}},
		"own statistics":   {everything(), []string{"conv1.weight"}},
		"a block of one's own": {backbone.Network{Size: size, Blocks: append([]graph.Block{own{graph.Conv{Filters: 3, Kernel: 3, Padding: 1}}}, tiny().Blocks...)},
			[]string{"conv1"}},
	} {
		images := &counted{Images: seen}
		training := newTrainer(t, test.network)
		training.Images = images
		freeze(t, training, test.patterns...)
		run(t, training)
		if reads := images.reads.Load(); reads != 2*5*2*16 {
			t.Errorf("%s: found %d reads, expected those of ten steps, 320", name, reads)
		}
	}
}

// frozenModel is a model of the network deep whose first blocks are frozen.
func frozenModel(t *testing.T) *likeness.Model {
	t.Helper()
	model := newModel(t, deep(), heads.L2{})
	if err := model.Weights.Freeze("conv1", "residual1"); err != nil {
		t.Fatal(err)
	}
	return model
}

// A prefix that was computed before gives the weights and the validation that the training computes by
// itself, bit for bit, also on a part of the images, and reads none of them again.
func TestSharedPrefix(t *testing.T) {
	var odd []int
	for i := 1; i < seen.Len(); i += 2 {
		odd = append(odd, i)
	}
	images := &counted{Images: seen}
	all, err := datasets.NewDataset("counted", images)
	if err != nil {
		t.Fatal(err)
	}
	some := all.Subset(odd)
	prefix, err := trainer.NewPrefix(context.Background(), frozenModel(t), all)
	if err != nil || prefix == nil {
		t.Fatalf("found %v, %v", prefix, err)
	}
	train := func(prefix *trainer.Prefix, prepare func(*trainer.Trainer)) (map[string][]float32, []float64) {
		t.Helper()
		training := newTrainer(t, deep())
		training.Images, training.Prefix = some, prefix
		freeze(t, training, "conv1", "residual1")
		var err error
		if training.Validate, err = trainer.Retrieval(all); err != nil {
			t.Fatal(err)
		}
		if prepare != nil {
			prepare(training)
		}
		var validated []float64
		for _, epoch := range run(t, training).Epochs {
			validated = append(validated, *epoch.Validation)
		}
		return values(training.Model), validated
	}
	want, validated := train(nil, nil)
	before := images.reads.Load()
	found, again := train(prefix, nil)
	if read := images.reads.Load() - before; read != int64(seen.Len()) {
		t.Errorf("found %d reads of images whose results are shared, expected the %d for the identity of the validation alone", read, seen.Len())
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("a shared prefix gives other weights (-own +shared):\n%s", diff)
	}
	for i := range validated {
		if math.Abs(validated[i]-again[i]) > 1e-6 {
			t.Errorf("epoch %d: found the validation %v with a shared prefix, expected %v", i+1, again[i], validated[i])
		}
	}
	// Results that do not belong to the images, the weights or the blocks are not used.
	other, err := trainer.NewPrefix(context.Background(), frozenModel(t), all.Subset([]int{0, 1, 2}))
	if err != nil {
		t.Fatal(err)
	}
	changed := frozenModel(t)
	changed.Weights.Get("conv1.weight").Value.Float32s()[0]++
	moved, err := trainer.NewPrefix(context.Background(), changed, all)
	if err != nil {
		t.Fatal(err)
	}
	for name, prefix := range map[string]*trainer.Prefix{"other images": other, "other weights": moved, "an empty one": {}} {
		if found, _ := train(prefix, nil); !cmp.Equal(want, found) {
			t.Errorf("%s: the training has other weights", name)
		}
	}
	more, _ := train(nil, func(training *trainer.Trainer) { freeze(t, training, "conv2") })
	if found, _ := train(prefix, func(training *trainer.Trainer) { freeze(t, training, "conv2") }); !cmp.Equal(more, found) {
		t.Error("more frozen blocks: the training has other weights")
	}
}

// Embeddings that begin with the results of the frozen blocks are those of the model, whatever its
// other blocks are.
func TestPrefixEmbed(t *testing.T) {
	model := frozenModel(t)
	prefix, err := trainer.NewPrefix(context.Background(), model, seen)
	if err != nil {
		t.Fatal(err)
	}
	trained := frozenModel(t)
	trained.Weights.Get("conv2.weight").Value.Float32s()[0] += 0.5
	trained.Weights.Changed()
	for name, model := range map[string]*likeness.Model{"the model": model, "one whose other blocks were trained": trained} {
		want, err := model.EmbedAll(seen, nil)
		if err != nil {
			t.Fatal(err)
		}
		found, ok, err := prefix.Embed(context.Background(), model, seen)
		if err != nil || !ok || found.Rows != want.Rows || found.Columns != want.Columns {
			t.Fatalf("%s: found %d rows of %d, %v, %v", name, found.Rows, found.Columns, ok, err)
		}
		for i, v := range found.Data {
			if math.Abs(float64(v-want.Data[i])) > 1e-5 {
				t.Fatalf("%s: element %d: found %v, expected %v", name, i, v, want.Data[i])
			}
		}
	}
	if _, ok, err := prefix.Embed(context.Background(), newModel(t, tiny(), heads.L2{}), seen); ok || err != nil {
		t.Errorf("another network: found %v, %v", ok, err)
	}
	copied, err := datasets.NewDataset("copied", &counted{Images: seen})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := prefix.Embed(context.Background(), model, copied); ok || err != nil {
		t.Errorf("images from elsewhere: found %v, %v", ok, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, ok, err := prefix.Embed(ctx, model, seen); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: found %v, %v", ok, err)
	}
	if _, err := trainer.NewPrefix(ctx, model, seen); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: found %v", err)
	}
	if prefix, err := trainer.NewPrefix(context.Background(), newModel(t, deep(), heads.L2{}), seen); prefix != nil || err != nil {
		t.Errorf("nothing frozen: found %v, %v", prefix, err)
	}
}

// A training that stops after some epochs has the weights that the whole training has then, and
// resumes only as what it is.
func TestStopAfter(t *testing.T) {
	prepare := func() *trainer.Trainer {
		training := newTrainer(t, deep())
		training.Epochs, training.Solver.Schedule = 4, "cosine"
		return training
	}
	whole := prepare()
	var second map[string][]float32
	whole.OnEpoch = func(e trainer.Epoch) {
		if e.Epoch == 2 {
			second = values(whole.Model)
		}
	}
	run(t, whole)
	file := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	short := prepare()
	short.StopAfter, short.Checkpoint = 2, file
	steps := 0
	short.OnStep = func(s trainer.Step) { steps = s.Steps }
	result := run(t, short)
	if len(result.Epochs) != 2 || result.Steps != 10 || steps != 10 || result.Stopped != "" {
		t.Errorf("found %+v and %d steps announced, expected two epochs of five steps", result, steps)
	}
	if diff := cmp.Diff(second, values(short.Model)); diff != "" {
		t.Errorf("the weights after two epochs differ (-whole +stopped):\n%s", diff)
	}
	other := prepare()
	other.Checkpoint, other.Resume = file, true
	if err := other.Check(); !errors.Is(err, trainer.ErrOtherTraining) {
		t.Errorf("resumed without StopAfter: found %v", err)
	}
	for _, wrong := range []int{-1, 5} {
		training := prepare()
		training.StopAfter = wrong
		if err := training.Check(); err == nil || !strings.Contains(err.Error(), "StopAfter") {
			t.Errorf("StopAfter %d: found %v", wrong, err)
		}
	}
}

// own is a block whose type the library does not know.
type own struct{ graph.Conv }

// An interruption while the frozen blocks are computed ends the training before its first step.
func TestInterruptedWhileFrozenBlocksAreComputed(t *testing.T) {
	images := &counted{Images: seen}
	training := newTrainer(t, deep())
	training.Images = images
	freeze(t, training, "conv1")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	result, err := training.Run(ctx)
	if err != nil || result.Stopped != trainer.Interrupted || result.Steps != 0 {
		t.Errorf("found %+v, %v, expected an interruption before the first step", result, err)
	}
	broken := newTrainer(t, deep())
	broken.Images = failing{seen}
	freeze(t, broken, "conv1")
	if _, err := broken.Run(context.Background()); err == nil {
		t.Error("found no error for an image that cannot be read")
	}
}

type failing struct{ datasets.Images }

func (failing) Read(i int, _ []uint8) error {
	if i == 20 {
		return fmt.Errorf("image %d is gone", i)
	}
	return nil
}

func (failing) Identity() string { return "failing" }

// A prefix that takes results from another one has the values that it would compute, reads the other
// images alone, and computes all for a model with other weights.
func TestExtendedPrefix(t *testing.T) {
	images := &counted{Images: seen}
	all, err := datasets.NewDataset("counted", images)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	subset := func(from, step int) *datasets.Dataset {
		var indices []int
		for i := from; i < all.Len(); i += step {
			indices = append(indices, i)
		}
		return all.Subset(indices)
	}
	some, others := subset(0, 2), subset(0, 3)
	embed := func(prefix *trainer.Prefix, model *likeness.Model) []float32 {
		t.Helper()
		embeddings, ok, err := prefix.Embed(ctx, model, others)
		if err != nil || !ok {
			t.Fatalf("found %v, %v", ok, err)
		}
		return embeddings.Data
	}
	model := frozenModel(t)
	changed := frozenModel(t)
	changed.Weights.Get("conv1.weight").Value.Float32s()[0]++
	first, err := trainer.NewPrefix(ctx, model, some)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		known   *trainer.Prefix
		model   *likeness.Model
		missing int
	}{
		"some known":    {first, model, others.Len() - subset(0, 6).Len()},
		"none known":    {nil, model, others.Len()},
		"other weights": {first, changed, others.Len()},
	} {
		whole, err := trainer.NewPrefix(ctx, test.model, others)
		if err != nil {
			t.Fatal(err)
		}
		before := images.reads.Load()
		extended, err := test.known.Extend(ctx, test.model, others)
		if err != nil {
			t.Fatal(err)
		}
		if reads := images.reads.Load() - before; reads != int64(test.missing+15)/16*16 {
			t.Errorf("%s: found %d reads for %d images", name, reads, test.missing)
		}
		if !extended.Fits(test.model) || !slices.Equal(embed(extended, test.model), embed(whole, test.model)) {
			t.Errorf("%s: found other results than those of a new prefix", name)
		}
	}
}

// The pooling after the last frozen layer belongs to the prefix, and a whole network may be one: its
// results are the embeddings, and those of a network with a layer more begin with them. The training
// is that of a prefix of its own, and a training of the head alone has none.
func TestPrefixHasThePooling(t *testing.T) {
	ctx := context.Background()
	blocks := []graph.Block{graph.Conv{Filters: 6, Kernel: 3, Padding: 1, Activation: "relu"}, graph.GlobalAveragePool{}}
	pooled := func(network backbone.Network, head heads.Head) *likeness.Model {
		model := newModel(t, network, head)
		if err := model.Weights.Freeze("conv1"); err != nil {
			t.Fatal(err)
		}
		return model
	}
	network := tiny()
	network.Blocks = blocks
	images, err := datasets.NewDataset("seen", &counted{Images: seen})
	if err != nil {
		t.Fatal(err)
	}
	images.Labels, images.Classes = seen.Labels, seen.Classes
	model := pooled(network, heads.L2{})
	prefix, err := trainer.NewPrefix(ctx, model, images)
	if err != nil || prefix == nil {
		t.Fatalf("found %v, %v", prefix, err)
	}
	want, err := model.EmbedAll(images, nil)
	if err != nil {
		t.Fatal(err)
	}
	found, ok, err := prefix.Embed(ctx, model, images)
	if err != nil || !ok || found.Rows != want.Rows || found.Columns != want.Columns {
		t.Fatalf("found %d rows of %d, %v, %v", found.Rows, found.Columns, ok, err)
	}
	for i, v := range found.Data {
		if math.Abs(float64(v-want.Data[i])) > 1e-5 {
			t.Fatalf("element %d: found %v, expected %v", i, v, want.Data[i])
		}
	}
	network.Blocks = append(slices.Clone(blocks), graph.Linear{Units: 4})
	train := func(prefix *trainer.Prefix) map[string][]float32 {
		training := newTrainer(t, network)
		training.Images, training.Prefix = images, prefix
		freeze(t, training, "conv1")
		run(t, training)
		return values(training.Model)
	}
	if !cmp.Equal(train(nil), train(prefix)) {
		t.Error("found other weights with the results of the whole network")
	}
}
