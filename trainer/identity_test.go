package trainer_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
)

// ownHead scales the distance by a constant of its graph.
type ownHead struct {
	heads.L2
	name  string
	scale float64
}

func (h ownHead) Name() string { return h.name }

func (h ownHead) Paired(b *graph.Builder, x, y *graph.Node) *graph.Node {
	return b.Node(gorgonia.HadamardProd(b.Constant(h.scale), h.L2.Paired(b, x, y)))
}

// ownBackbone is a user-defined backbone type, built of blocks and a Function.
type ownBackbone struct {
	activation string
	slope      float32
}

func (ownBackbone) Input() imaging.Size { return size }

func (o ownBackbone) Embed(b *graph.Builder, images *graph.Node) *graph.Node {
	x := b.Sequence([]graph.Block{graph.Conv{Filters: 4, Kernel: 3, Activation: o.activation}, graph.Flatten{}}, images)
	x = b.Apply("stretch", x.Shape(), &stretch{o.slope}, nil, x)
	return b.Sequence([]graph.Block{graph.Linear{Units: 8}}, x)
}

// stretch multiplies by a slope that its node does not show.
type stretch struct{ slope float32 }

func (s *stretch) Forward(y []float32, x ...[]float32) {
	for i, v := range x[0] {
		y[i] = s.slope * v
	}
}

func (s *stretch) Backward(dx, x [][]float32, y, dy []float32) {
	for i, v := range dy {
		dx[0][i] = s.slope * v
	}
}

// ownObjective is Contrastive under a name of its own.
type ownObjective struct{ margin float64 }

func (ownObjective) Name() string           { return "own" }
func (ownObjective) Check(heads.Head) error { return nil }
func (ownObjective) Kind() datasets.Kind    { return datasets.Pairs }
func (o ownObjective) Cost(b *graph.Builder, batch objectives.Batch) *graph.Node {
	return objectives.Contrastive{Margin: o.margin}.Cost(b, batch)
}

func pairList(different func(i int) bool) []datasets.Pair {
	var list []datasets.Pair
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 64 {
		list = append(list, datasets.Pair{Left: r.IntN(seen.Len()), Right: r.IntN(seen.Len()), Different: different(i)})
	}
	return list
}

// A checkpoint is resumed by a training that is set up anew in the same way, and by
// none that would have come to other weights.
func TestResumeRefusesWhateverDecidesTheWeights(t *testing.T) {
	skipOneByOne(t)
	with := func(change func(*trainer.Trainer)) func() *trainer.Trainer {
		return func() *trainer.Trainer {
			training := newTrainer(t, tiny())
			change(training)
			return training
		}
	}
	model := func(b backbone.Backbone, head heads.Head) func() *trainer.Trainer {
		return with(func(tr *trainer.Trainer) {
			var err error
			if tr.Model, err = likeness.New(b, head, seen.Preprocessing(), 1); err != nil {
				t.Fatal(err)
			}
		})
	}
	block := func(activation string) func() *trainer.Trainer {
		network := tiny()
		conv := network.Blocks[0].(graph.Conv)
		conv.Activation = activation
		network.Blocks[0] = conv
		return model(network, heads.L2{})
	}
	listed := func(different func(i int) bool) func() *trainer.Trainer {
		return with(func(tr *trainer.Trainer) { tr.Sampler = datasets.ListedPairs(pairList(different)) })
	}
	batch := func(perClass int, groups bool) func() *trainer.Trainer {
		return with(func(tr *trainer.Trainer) {
			objective := objectives.BatchContrastive{Margin: 1}
			tr.Loss = objective
			draw := datasets.ClassBatches
			if groups {
				draw = datasets.GroupBatches
			}
			var err error
			if tr.Sampler, err = draw(seen, 16/perClass, perClass); err != nil {
				t.Fatal(err)
			}
		})
	}
	validated := func(pairs int, seed uint64) func() *trainer.Trainer {
		return with(func(tr *trainer.Trainer) {
			var err error
			if tr.Validate, err = trainer.Verification(unseen, pairs, seed); err != nil {
				t.Fatal(err)
			}
		})
	}
	oneShot := func(way int) func() *trainer.Trainer {
		return with(func(tr *trainer.Trainer) {
			var err error
			if tr.Validate, err = trainer.OneShot(unseen, way, 20, 1); err != nil {
				t.Fatal(err)
			}
		})
	}
	objective := func(o objectives.Loss) func() *trainer.Trainer {
		return with(func(tr *trainer.Trainer) { tr.Loss = o })
	}
	layer := func(scale *float64) func() *trainer.Trainer {
		return with(func(tr *trainer.Trainer) {
			tr.Solver.Layers = []solver.Layer{{Name: "conv1", LearningRateScale: scale}}
		})
	}
	frozen := with(func(tr *trainer.Trainer) {
		if err := tr.Model.Weights.Freeze("conv1"); err != nil {
			t.Fatal(err)
		}
	})
	statistics := func(freeze bool) func() *trainer.Trainer {
		return func() *trainer.Trainer {
			training := newTrainer(t, everything())
			if freeze {
				if err := training.Model.Weights.FreezeStatistics(); err != nil {
					t.Fatal(err)
				}
			}
			return training
		}
	}
	for name, test := range map[string]struct {
		wrote, resumes func() *trainer.Trainer
		want           string
	}{
		"activation":          {block("relu"), block("tanh"), "backbone, block[0], "},
		"flipped labels":      {listed(func(i int) bool { return i%2 == 0 }), listed(func(i int) bool { return i%2 == 1 }), "examples: found listed pairs"},
		"one flipped label":   {listed(func(i int) bool { return i%2 == 0 }), listed(func(i int) bool { return i%2 == 0 && i > 0 }), "examples: found listed pairs"},
		"groups":              {batch(4, false), batch(4, true), "examples: found batches of 4 images of 4 classes, any classes"},
		"images of a class":   {batch(4, false), batch(2, false), "examples: found batches of 4 images"},
		"validation pairs":    {validated(100, 1), validated(200, 1), "validation: found area"},
		"validation seed":     {validated(100, 1), validated(100, 2), "validation: found area"},
		"kind of validation":  {validated(100, 1), oneShot(5), "validation: found area"},
		"one-shot ways":       {oneShot(5), oneShot(4), "validation: found 5-way"},
		"no validation":       {validated(100, 1), with(func(*trainer.Trainer) {}), "validation: found area"},
		"frozen before":       {frozen, with(func(*trainer.Trainer) {}), "frozen weights: found"},
		"frozen statistics":   {statistics(true), statistics(false), "frozen weights: found norm1.running_mean norm1.running_var"},
		"own head's constant": {model(tiny(), ownHead{name: "own", scale: 1}), model(tiny(), ownHead{name: "own", scale: 2}), "graph: found"},
		"head of one name":    {model(tiny(), heads.L2{}), model(tiny(), ownHead{name: "l2", scale: 2}), "graph: found none, expected"},
		"own backbone":        {model(ownBackbone{"relu", 1}, heads.L2{}), model(ownBackbone{"tanh", 1}, heads.L2{}), "graph: found"},
		"own function":        {model(ownBackbone{"relu", 1}, heads.L2{}), model(ownBackbone{"relu", 2}, heads.L2{}), "graph: found"},
		"a factor of 0":       {layer(nil), layer(new(float64)), "solver, Layers[0], RateScale: found none, expected 0"},
		"no factor of 0":      {layer(new(float64)), layer(nil), "solver, Layers[0], RateScale: found 0, expected none"},
		"own schedule":        {with(func(t *trainer.Trainer) { t.Schedule = everyOther(0.01) }), with(func(t *trainer.Trainer) { t.Schedule = everyOther(0.02) }), "learning rates: found digest"},
		"no own schedule":     {with(func(t *trainer.Trainer) { t.Schedule = everyOther(0.01) }), with(func(*trainer.Trainer) {}), "learning rates: found digest"},
		"own objective":       {objective(ownObjective{1}), objective(ownObjective{2}), "graph: found"},
	} {
		t.Run(name, func(t *testing.T) {
			checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
			first := test.wrote()
			first.Checkpoint = checkpoint
			ctx, cancel := context.WithCancel(context.Background())
			first.OnStep = func(trainer.Step) { cancel() }
			if _, err := first.Run(ctx); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(checkpoint)
			if err != nil {
				t.Fatal(err)
			}
			other := test.resumes()
			other.Checkpoint, other.Resume = checkpoint, true
			weights := values(other.Model)
			if err := other.Check(); !errors.Is(err, trainer.ErrOtherTraining) {
				t.Errorf("Check: found %v, expected ErrOtherTraining", err)
			}
			result, err := other.Run(context.Background())
			if !errors.Is(err, trainer.ErrOtherTraining) || result.Steps != 0 {
				t.Errorf("found %v after %d steps, expected ErrOtherTraining after none", err, result.Steps)
			}
			expectMessage(t, name, err, test.want)
			if diff := cmp.Diff(weights, values(other.Model)); diff != "" {
				t.Errorf("the weights have changed:\n%s", diff)
			}
			if after, err := os.ReadFile(checkpoint); err != nil || string(after) != string(before) {
				t.Errorf("the checkpoint has changed (%v)", err)
			}
			same := test.wrote()
			same.Checkpoint, same.Resume = checkpoint, true
			same.OnWarning = func(message string) { t.Errorf("found the warning %q", message) }
			if err := same.Check(); err != nil {
				t.Errorf("Check of the same training: %v", err)
			}
			if result := run(t, same); result.Steps != 10 {
				t.Errorf("the same training: found %d steps, expected 10", result.Steps)
			}
		})
	}
}

// Other instructions or algorithms round otherwise, and a resumed training says so.
func TestResumeWarnsOfOtherArithmetic(t *testing.T) {
	checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	first := newTrainer(t, tiny())
	first.Checkpoint = checkpoint
	run(t, first)
	graph.SetWinograd(false)
	defer graph.SetWinograd(true)
	second := newTrainer(t, tiny())
	second.Checkpoint, second.Resume = checkpoint, true
	var warnings []string
	second.OnWarning = func(message string) { warnings = append(warnings, message) }
	run(t, second)
	// The next resumption warns as well: the training has had both.
	third := newTrainer(t, tiny())
	third.Checkpoint, third.Resume = checkpoint, true
	third.OnWarning = func(message string) { warnings = append(warnings, message) }
	run(t, third)
	if len(warnings) != 2 || !strings.Contains(warnings[1], "Winograd on") || !strings.Contains(warnings[1], "Winograd off") {
		t.Fatalf("found the warnings %q, expected one of each resumption", warnings)
	}
	if warnings = warnings[:1]; len(warnings) != 1 || !strings.Contains(warnings[0], "Winograd on") || !strings.Contains(warnings[0], "Winograd off") || !strings.Contains(warnings[0], "not bit for bit") {
		t.Errorf("found the warnings %q", warnings)
	}
}

// Run and Check report what is missing; they do not panic.
func TestNothingToTrain(t *testing.T) {
	var none *trainer.Trainer
	if _, err := none.Run(context.Background()); err == nil {
		t.Error("Run of no Trainer: found no error")
	}
	if err := none.Check(); err == nil {
		t.Error("Check of no Trainer: found no error")
	}
	//lint:ignore SA1012 what a nil context does is what is tested
	if _, err := newTrainer(t, tiny()).Run(nil); err == nil {
		t.Error("Run without a context: found no error")
	}
	for _, model := range []*likeness.Model{nil, {}} {
		training := newTrainer(t, tiny())
		training.Model = model
		if _, err := training.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "field Model") {
			t.Errorf("found %v, expected an error of the field Model", err)
		}
	}
}

// A checkpoint with a changed bit is refused.
func TestResumeRefusesADamagedCheckpoint(t *testing.T) {
	checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	first := newTrainer(t, tiny())
	first.Checkpoint = checkpoint
	run(t, first)
	content, err := os.ReadFile(checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)-100] ^= 4
	if err := os.WriteFile(checkpoint, content, 0o666); err != nil {
		t.Fatal(err)
	}
	second := newTrainer(t, tiny())
	second.Checkpoint, second.Resume = checkpoint, true
	_, err = second.Run(context.Background())
	expectMessage(t, "a changed bit", err, "damaged")
}
