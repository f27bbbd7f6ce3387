package trainer_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
	"go.uber.org/goleak"
	"gorgonia.org/gorgonia"
)

// A training that cannot be is refused, with the field and what was expected,
// and the weights are as they were.
func TestRunRefuses(t *testing.T) {
	listed := datasets.ListedPairs([]datasets.Pair{{Left: 0, Right: 1}, {Left: 0, Right: 999}})
	wide := blobs(2, 2, 1)
	wide.Size = imaging.Size{Height: 4, Width: 16, Channels: 1}
	for _, test := range []struct {
		spoil func(*trainer.Trainer)
		want  string
	}{
		{func(t *trainer.Trainer) { t.Model = nil }, "field Model is missing"},
		{func(t *trainer.Trainer) { t.Loss = nil }, "field Loss is missing"},
		{func(t *trainer.Trainer) { t.Images = nil }, "field Images is missing"},
		{func(t *trainer.Trainer) { t.Epochs = 0 }, "field Epochs: found 0, expected at least 1"},
		{func(t *trainer.Trainer) { t.EpochSteps = -1 }, "field EpochSteps: found -1"},
		{func(t *trainer.Trainer) { t.Precision = 2 }, "field Precision: found Precision(2), expected SinglePrecision or BFloat16"},
		{func(t *trainer.Trainer) { t.Patience = -1 }, "field Patience: found -1"},
		{func(t *trainer.Trainer) { t.Patience = 1 }, "field Patience: found no Validation"},
		{func(t *trainer.Trainer) { t.Augment = datasets.EachImage(datasets.Affine{Probability: 2}) }, "field Augment"},
		{func(t *trainer.Trainer) { t.Model.Preprocessing.StdDev = []float64{0} }, "field Model: preprocessing: deviation is [0]"},
		{func(t *trainer.Trainer) { t.Model.Preprocessing.Mean = []float64{math.NaN()} }, "field Model: preprocessing: mean is [NaN]"},
		{func(t *trainer.Trainer) { t.Solver.Solver = "sdg" }, "sdg"},
		{func(t *trainer.Trainer) { t.Solver.LearningRate = 0 }, "rate"},
		{func(t *trainer.Trainer) { t.Penalties = []objectives.WeightPenalty{{Pattern: "conv9", Lambda: 1}} }, "conv9"},
		{func(t *trainer.Trainer) { t.Loss = objectives.Contrastive{} }, "margin"},
		{func(t *trainer.Trainer) { t.Model.Head = heads.SquaredL2{} }, "squared-l2"},
		{func(t *trainer.Trainer) { t.Loss, t.Sampler = objectives.Triplet{Margin: 1}, listed }, "field Sampler: it draws pairs, but the loss triplet needs triplets"},
		{func(t *trainer.Trainer) { t.Loss, t.Sampler = objectives.BatchHard{Margin: 1}, listed }, "field Sampler: it draws pairs, but the loss batch-hard needs labeled images"},
		{func(t *trainer.Trainer) { t.Sampler = datasets.ListedTriplets(make([]datasets.Triplet, 1)) }, "field Sampler: it draws triplets, but the loss contrastive needs pairs"},
		{func(t *trainer.Trainer) { t.Batch = 0 }, "field Batch: found 0, expected at least 1"},
		{func(t *trainer.Trainer) { t.Sampler = listed }, "999"},
		{func(t *trainer.Trainer) { t.Sampler = datasets.ListedPairs(nil) }, "field Sampler: listed pairs 0 of digest e3b0c44298fc1c14: it draws nothing for a Batch of 16"},
		{func(t *trainer.Trainer) { t.Images = (*datasets.Dataset)(nil) }, "field Images: the dataset is nil"},
		{func(t *trainer.Trainer) { t.Images = &datasets.Dataset{Size: size} }, "field Images: a dataset without images"},
		{func(t *trainer.Trainer) { t.Images = wide }, "expected (batch, 8, 8, 1)"},
	} {
		training := newTrainer(t, tiny())
		model := training.Model
		before := values(model)
		test.spoil(training)
		_, err := training.Run(context.Background())
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("found error %v, expected one with %q", err, test.want)
		}
		if diff := cmp.Diff(before, values(model)); diff != "" {
			t.Errorf("%s: weights (-before +after):\n%s", test.want, diff)
		}
	}
}

// drawing is a sampler that draws what its fields say.
type drawing struct {
	kind  datasets.Kind
	first datasets.Tuples
	later *datasets.Tuples // after the first step and the check before it; nil: as in it
	drawn *atomic.Int64
}

func (d drawing) Kind() datasets.Kind { return d.kind }
func (drawing) Identity() string      { return "drawing" }

func (d drawing) Sample(*rand.Rand, int) datasets.Tuples {
	if d.drawn.Add(1) > 2 && d.later != nil {
		return *d.later
	}
	return d.first
}

// unlabeled has an image without a class.
type unlabeled struct{ *datasets.Dataset }

func (u unlabeled) Label(i int) int {
	if i == 3 {
		return -1
	}
	return u.Dataset.Label(i)
}

// A sampler of a user's own that draws another number or form of examples than it should
// is refused, before the first step or at the step in which it does.
func TestSamplersThatDrawWrong(t *testing.T) {
	pair := func(n int) datasets.Tuples {
		return datasets.Tuples{Indices: [][]int{make([]int, n), make([]int, n)}, Different: make([]bool, n)}
	}
	three, fewer, halves, unmarked := pair(2), pair(1), pair(2), pair(2)
	three.Indices = append(three.Indices, make([]int, 2))
	halves.Indices[1] = halves.Indices[1][:1]
	unmarked.Different = nil
	for _, test := range []struct {
		name    string
		sampler drawing
		steps   int
		want    string
	}{
		{"three images to a pair", drawing{first: three}, 0, "field Sampler: drawing: found 3 lists of indices, expected 2 for pairs"},
		{"lists of two lengths", drawing{first: halves}, 0, "field Sampler: drawing: found 1 examples, expected 2 as in the first step"},
		{"no marks", drawing{first: unmarked}, 0, "field Sampler: drawing: found 0 values of Different for 2 pairs"},
		{"fewer later", drawing{first: pair(2), later: &fewer}, 1, "epoch 1, step 2: field Sampler: drawing: found 1 examples, expected 2 as in the first step"},
		{"an image without a class", drawing{kind: datasets.Labeled, first: datasets.Tuples{Indices: [][]int{{0, 1, 2, 3}}}}, 0, "epoch 1, step 1: field Sampler: drawing: image 3"},
	} {
		training := newTrainer(t, tiny())
		test.sampler.drawn = new(atomic.Int64)
		training.Sampler = test.sampler
		if test.sampler.kind == datasets.Labeled {
			training.Loss, training.Images = objectives.BatchAll{Margin: 1}, unlabeled{seen}
		}
		result, err := training.Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), test.want) || result.Steps != test.steps {
			t.Errorf("%s: found %d steps, error %v; expected %d and an error with %q", test.name, result.Steps, err, test.steps, test.want)
		}
	}
}

// What Run would find wrong at its first step Check finds before it, so that
// nothing is made ready in vain.
func TestCheckKnowsTheLayers(t *testing.T) {
	training := newTrainer(t, tiny())
	training.Solver.Layers = []solver.Layer{{Name: "conv1"}, {Name: "*.bias"}}
	if err := training.Check(); err != nil {
		t.Error(err)
	}
	training.Solver.Layers = append(training.Solver.Layers, solver.Layer{Name: "conv9"})
	want := `layer "conv9": matches no parameter, expected one of ["conv1.weight" "conv1.bias" "linear1.weight" "linear1.bias"]`
	if err := training.Check(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("found error %v, expected one with %s", err, want)
	}
}

// Images that leave nothing to draw are refused before the first step.
func TestDefaultSamplerRefuses(t *testing.T) {
	contrastive, triplet, hard := objectives.Contrastive{Margin: 1}, objectives.Triplet{Margin: 1}, objectives.BatchHard{Margin: 1}
	unlabeled := blobs(2, 2, 1)
	unlabeled.Labels = nil
	mislabeled := blobs(2, 2, 1)
	mislabeled.Labels[0] = 7
	for _, test := range []struct {
		loss   objectives.Loss
		images *datasets.Dataset
		batch  int
		want   string
		is     error
	}{
		{contrastive, blobs(1, 8, 1), 2, "one class", datasets.ErrTooFew},
		{triplet, blobs(8, 1, 1), 2, "one image in each", datasets.ErrTooFew},
		{hard, blobs(8, 1, 1), 32, `draw examples for the loss "batch-hard"`, datasets.ErrTooFew},
		{hard, blobs(1, 8, 1), 32, `draw examples for the loss "batch-hard"`, datasets.ErrTooFew},
		{hard, unlabeled, 32, `draw examples for the loss "batch-hard"`, datasets.ErrUnlabeled},
		{contrastive, unlabeled, 32, `draw examples for the loss "contrastive"`, datasets.ErrUnlabeled},
		{hard, mislabeled, 32, "image 0 has label 7", nil},
		{hard, seen, 7, "a batch of 7 images with 4 of each class has 1, expected at least 2 classes: use a larger batch", nil},
		{neither{}, seen, 32, "field Loss: neither: found the kind 9 of examples", nil},
	} {
		training := newTrainer(t, tiny())
		training.Loss, training.Images, training.Batch = test.loss, test.images, test.batch
		err := training.Check()
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("found error %v, expected one with %q", err, test.want)
		}
		if test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("error %v is not %v", err, test.is)
		}
	}
}

// neither is a loss of no kind.
type neither struct{}

func (neither) Name() string                                      { return "neither" }
func (neither) Kind() datasets.Kind                               { return 9 }
func (neither) Check(_ heads.Head) error                          { return nil }
func (neither) Cost(*graph.Builder, objectives.Batch) *graph.Node { return nil }

func TestValidationRefuses(t *testing.T) {
	if _, err := trainer.OneShot(seen, 25, 10, 1); !errors.Is(err, datasets.ErrTooFew) {
		t.Errorf("25 ways of 24 classes: found %v, expected ErrTooFew", err)
	}
	if _, err := trainer.OneShot(seen, 5, 0, 1); err == nil {
		t.Error("no episodes: found no error")
	}
	if _, err := trainer.Verification(blobs(1, 5, 1), 10, 1); !errors.Is(err, datasets.ErrTooFew) {
		t.Errorf("pairs of one class: found %v, expected ErrTooFew", err)
	}
	if _, err := trainer.Verification(seen, 1, 1); err == nil {
		t.Error("one pair: found no error")
	}
	for _, pair := range []datasets.Pair{{Left: -1}, {Right: seen.Len()}} {
		validate := trainer.VerificationOf(seen, []datasets.Pair{{Left: 0, Right: 20, Different: true}, pair})
		if _, err := validate.Measure(newModel(t, tiny(), heads.L2{})); err == nil || !strings.Contains(err.Error(), "pair 1 is of the images") {
			t.Errorf("pair %v: found error %v", pair, err)
		}
	}
}

// panicking is a user-defined Validation and Loss.
type panicking struct {
	objectives.Contrastive
	identity, check, name bool
}

func (p panicking) Identity() string {
	if p.identity {
		panic("broken")
	}
	return "panicking"
}

func (p panicking) Measure(*likeness.Model) (float64, error) { panic("broken") }

func (p panicking) Check(heads.Head) error {
	if p.check {
		panic("broken")
	}
	return nil
}

func (p panicking) Name() string {
	if p.name {
		panic("broken")
	}
	return "panicking"
}

// A panic of what is not this package's own is an error, and the weights are those of
// the last step: as many as the result says, of a training that nothing disturbed.
func TestPanicsAreErrors(t *testing.T) {
	undisturbed := func(steps int) map[string][]float32 {
		training := newTrainer(t, everything())
		training.Solver.Average = 0.5
		if steps == 0 {
			return values(training.Model)
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var reached map[string][]float32
		training.OnStep = func(step trainer.Step) {
			if step.Number == steps {
				reached = values(training.Model)
				cancel()
			}
		}
		if _, err := training.Run(ctx); err != nil {
			t.Fatal(err)
		}
		return reached
	}
	for _, test := range []struct {
		spoil func(*trainer.Trainer)
		want  string
		steps int
	}{
		{func(t *trainer.Trainer) { t.Validate = trainer.ValidationFunc("x", nil) }, `validation "x": the function is nil, expected`, 5},
		{func(t *trainer.Trainer) { t.Validate = trainer.VerificationOf(nil, nil) }, "found no images to validate on", 5},
		{func(t *trainer.Trainer) {
			t.Validate = trainer.ValidationFunc("x", func(*likeness.Model) (float64, error) { panic("broken") })
		}, "the function of the validation panics: broken", 5},
		{func(t *trainer.Trainer) { t.Validate = panicking{} }, "field Validate: its method Measure panics: broken", 5},
		{func(t *trainer.Trainer) { t.Validate = panicking{identity: true} }, "field Validate: its method Identity panics: broken", 0},
		{func(t *trainer.Trainer) { t.Validate = (*panicking)(nil) }, "field Validate: its method Identity panics: ", 0},
		{func(t *trainer.Trainer) { t.Loss = (*objectives.Contrastive)(nil) }, "field Loss: the method Check of a nil *objectives.Contrastive panics", 0},
		{func(t *trainer.Trainer) { t.Loss = panicking{check: true} }, "field Loss: the method Check of trainer_test.panicking panics: broken", 0},
		{func(t *trainer.Trainer) {
			t.Loss, t.Checkpoint = panicking{Contrastive: objectives.Contrastive{Margin: 1}, name: true}, "unused"
		}, "panic: broken (trainer_test.go:243)", 0},
		{func(t *trainer.Trainer) {
			t.Checkpoint, t.Validate = "unused", trainer.ValidationFunc("", func(*likeness.Model) (float64, error) { return 0, nil })
		}, "field Validate: its Identity is empty, so a checkpoint could not tell it from others", 0},
		{func(t *trainer.Trainer) { t.OnStep = panicAt[trainer.Step](3) }, "OnStep panics: broken", 3},
		{func(t *trainer.Trainer) { t.OnEpoch = panicAt[trainer.Epoch](2) }, "OnEpoch panics: broken", 10},
	} {
		training := newTrainer(t, everything())
		training.Solver.Average = 0.5
		test.spoil(training)
		result, err := training.Run(context.Background())
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("found error %v, expected one with %q", err, test.want)
		}
		if test.steps != result.Steps {
			t.Errorf("%s: found %d steps, expected %d", test.want, result.Steps, test.steps)
		}
		if diff := cmp.Diff(undisturbed(result.Steps), values(training.Model)); diff != "" {
			t.Errorf("%s: weights after %d steps (-undisturbed +found):\n%s", test.want, result.Steps, diff)
		}
		if err := training.Check(); test.steps == 0 && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("Check: found error %v, expected one with %q", err, test.want)
		}
	}
}

// panicAt is a callback that panics when it is called for the nth time.
func panicAt[T any](n int) func(T) {
	return func(T) {
		if n--; n == 0 {
			panic("broken")
		}
	}
}

// history are the weights before the first step and after each.
func history(t *testing.T) []map[string][]float32 {
	t.Helper()
	training := newTrainer(t, everything())
	weights := []map[string][]float32{values(training.Model)}
	training.OnStep = func(trainer.Step) { weights = append(weights, values(training.Model)) }
	run(t, training)
	return weights
}

// Whenever the context ends, the weights are those of the last whole step.
func TestInterruptedBetweenSteps(t *testing.T) {
	weights := history(t)
	for last := range 10 {
		ctx, cancel := context.WithCancel(context.Background())
		training := newTrainer(t, everything())
		training.OnStep = func(step trainer.Step) {
			if step.Number == last {
				cancel()
			}
		}
		if last == 0 {
			cancel()
		}
		result, err := training.Run(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if result.Stopped != trainer.Interrupted {
			t.Errorf("interrupted in step %d: found %q, expected %q", last, result.Stopped, trainer.Interrupted)
		}
		if epochs := (last + 4) / 5; len(result.Epochs) != epochs || result.BestEpoch != epochs {
			t.Errorf("interrupted in step %d: found %d epochs, the best %d, expected %d", last, len(result.Epochs), result.BestEpoch, epochs)
		}
		if diff := cmp.Diff(weights[last], values(training.Model)); diff != "" {
			t.Errorf("interrupted in step %d (-the weights after it +found):\n%s", last, diff)
		}
	}
}

// The same where the end comes from another goroutine, at any moment.
func TestInterruptedAnywhere(t *testing.T) {
	weights := history(t)
	trials := 18
	if testutil.Long() {
		trials = 50
	}
	for trial := range trials {
		ctx, cancel := context.WithCancel(context.Background())
		training := newTrainer(t, everything())
		steps := 0
		training.OnStep = func(step trainer.Step) {
			if steps = step.Number; steps == 1+trial%9 {
				go cancel()
			}
		}
		result, err := training.Run(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if whole := result.Stopped == ""; whole != (steps == 10) && result.Stopped != trainer.Interrupted {
			t.Errorf("found %q after %d of 10 steps", result.Stopped, steps)
		}
		if diff := cmp.Diff(weights[steps], values(training.Model)); diff != "" {
			t.Errorf("interrupted after %d steps (-the weights after them +found):\n%s", steps, diff)
		}
	}
}

// However a run ends, nothing of it goes on: neither what prepares its inputs nor
// what runs its graph.
func TestRunLeavesNoGoroutine(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, training *trainer.Trainer){
		"by itself": func(t *testing.T, training *trainer.Trainer) { run(t, training) },
		"by its context": func(t *testing.T, training *trainer.Trainer) {
			ctx, cancel := context.WithCancel(t.Context())
			training.OnStep = func(trainer.Step) { cancel() }
			if result, err := training.Run(ctx); err != nil || result.Stopped != trainer.Interrupted {
				t.Errorf("found %+v, %v", result, err)
			}
		},
		"by a context that has ended": func(t *testing.T, training *trainer.Trainer) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if result, err := training.Run(ctx); err != nil || result.Stopped != trainer.Interrupted {
				t.Errorf("found %+v, %v", result, err)
			}
		},
		"by weights that are not finite": func(t *testing.T, training *trainer.Trainer) {
			training.Solver.LearningRate = 1e39
			if _, err := training.Run(t.Context()); !errors.Is(err, trainer.ErrNotFinite) {
				t.Errorf("found %v", err)
			}
		},
		"by an augmentation that cannot be": func(t *testing.T, training *trainer.Trainer) {
			training.Augment = &datasets.Augmentation{Image: datasets.Distortion{Affine: datasets.Affine{Rotation: -1}}}
			if _, err := training.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "Augment") {
				t.Errorf("found %v", err)
			}
		},
		"by a validation that fails": func(t *testing.T, training *trainer.Trainer) {
			broken := errors.New("broken")
			training.Validate = trainer.ValidationFunc("broken", func(*likeness.Model) (float64, error) { return 0, broken })
			if _, err := training.Run(t.Context()); !errors.Is(err, broken) {
				t.Errorf("found %v", err)
			}
		},
		"by a panic of the caller's": func(t *testing.T, training *trainer.Trainer) {
			training.OnStep = func(trainer.Step) { panic("of the caller's") }
			if _, err := training.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "OnStep panics: of the caller's") {
				t.Errorf("found %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t, testutil.SharedGoroutines(), goleak.IgnoreCurrent())
			training := newTrainer(t, tiny())
			training.Augment = datasets.EachImage(datasets.KochAffine())
			end(t, training)
		})
	}
}

// misshaped is a loss of a user's own that adds values of different shapes.
type misshaped struct{ objectives.Contrastive }

func (misshaped) Name() string { return "misshaped" }

func (misshaped) Cost(b *graph.Builder, batch objectives.Batch) *graph.Node {
	return b.Node(gorgonia.Add(batch.Embeddings[0], batch.Labels))
}

// An error while a loss is built names the loss.
func TestErrorNamesLoss(t *testing.T) {
	training := newTrainer(t, everything())
	training.Loss = misshaped{objectives.Contrastive{Margin: 1}}
	if err := training.Check(); err == nil || !strings.Contains(err.Error(), "loss misshaped: ") {
		t.Errorf("found error %v, expected one with %q", err, "loss misshaped: ")
	}
}

// Images that were not inverted as the model expects are refused: training on them would
// give a model of other images.
func TestRefusesImagesOfOtherPreprocessing(t *testing.T) {
	training := newTrainer(t, everything())
	training.Model.Preprocessing.Invert = true
	if err := training.Check(); err == nil || !strings.Contains(err.Error(), "field Images: the images were opened with Invert false and no Crop, expected Invert true and no Crop") {
		t.Errorf("found error %v, expected one about Invert", err)
	}
	training.Model.Preprocessing.Invert, training.Model.Preprocessing.Crop = false, &imaging.Crop{Margin: 2}
	if err := training.Check(); err == nil || !strings.Contains(err.Error(), "no Crop, expected Invert false and Crop {Margin:2") {
		t.Errorf("found error %v, expected one about Crop", err)
	}
}
