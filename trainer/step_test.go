package trainer_test

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
)

// By default an epoch looks at as many images as there are: 288 here.
func TestEpochStepsDefault(t *testing.T) {
	for _, test := range []struct {
		objective    objectives.Loss
		batch, steps int
		images       int // in a step
	}{
		{objectives.Contrastive{Margin: 1}, 16, 9, 32},
		{objectives.Triplet{Margin: 1}, 16, 6, 48},
		{objectives.BatchHard{Margin: 1}, 32, 9, 32},
		{objectives.BatchHard{Margin: 1}, 40, 8, 40}, // 7.2, rounded up
		{objectives.Contrastive{Margin: 1}, 200, 1, 400},
	} {
		training := newTrainer(t, tiny())
		training.Loss, training.Batch, training.EpochSteps, training.Epochs = test.objective, test.batch, 0, 1
		var last trainer.Step
		training.OnStep = func(step trainer.Step) { last = step }
		run(t, training)
		if last.Number != test.steps || last.Steps != test.steps || last.Images != test.images {
			t.Errorf("%s, batch %d: found step %d of %d with %d images, expected %d of %d with %d",
				test.objective.Name(), test.batch, last.Number, last.Steps, last.Images, test.steps, test.steps, test.images)
		}
	}
}

func TestWhatIsToldOfStepsAndEpochs(t *testing.T) {
	training := newTrainer(t, tiny())
	var steps []trainer.Step
	var epochs []trainer.Epoch
	training.OnStep = func(step trainer.Step) { steps = append(steps, step) }
	training.OnEpoch = func(epoch trainer.Epoch) {
		if len(steps) != 5*epoch.Epoch {
			t.Errorf("epoch %d was told of after %d steps", epoch.Epoch, len(steps))
		}
		epochs = append(epochs, epoch)
	}
	result := run(t, training)

	var mean [2]float64
	for i, step := range steps {
		want := trainer.Step{Number: i + 1, Steps: 10, Epoch: 1 + i/5, Loss: step.Loss, Images: 32}
		if diff := cmp.Diff(want, step); diff != "" {
			t.Errorf("step (-want +found):\n%s", diff)
		}
		mean[i/5] += step.Loss / 5
	}
	if len(steps) != 10 {
		t.Errorf("found %d steps, expected 10", len(steps))
	}
	if diff := cmp.Diff(result.Epochs, epochs); diff != "" {
		t.Errorf("epochs (-in the result +told):\n%s", diff)
	}
	var seconds float64
	for i, epoch := range epochs {
		if epoch.Epoch != i+1 || math.Abs(epoch.Loss-mean[i]) > 1e-12 || epoch.LearningRate != 1e-3 || !epoch.Best || epoch.Validation != nil {
			t.Errorf("epoch %d: found %+v, expected a cost of %v, a rate of 0.001, to be the best so far, no validation", i+1, epoch, mean[i])
		}
		if !(epoch.GradientNorm > 0) || !(epoch.ImagesPerSecond > 0) || math.Abs(epoch.ImagesPerSecond*epoch.Seconds-5*32) > 1e-6 {
			t.Errorf("epoch %d: found a gradient of norm %v, %v images/s for %v s, expected 160 images", i+1, epoch.GradientNorm, epoch.ImagesPerSecond, epoch.Seconds)
		}
		seconds += epoch.Seconds
	}
	if math.Abs(result.Seconds-seconds) > 1e-9 || math.Abs(result.ImagesPerSecond*result.Seconds-10*32) > 1e-6 || result.BestEpoch != 2 {
		t.Errorf("found %v images/s for %v s, best epoch %d, expected 320 images in %v s, 2", result.ImagesPerSecond, result.Seconds, result.BestEpoch, seconds)
	}
}

// A second run goes on from the weights of the first, and a threshold of other
// weights is none.
func TestRunAgain(t *testing.T) {
	training := newTrainer(t, tiny())
	threshold := 0.5
	training.Model.Threshold = &threshold
	first := run(t, training)
	if training.Model.Threshold != nil {
		t.Errorf("found the threshold %v after training, expected none", *training.Model.Threshold)
	}
	training.Epochs = 10
	second := run(t, training)
	if first.Epochs[0].Loss <= second.Epochs[9].Loss {
		t.Errorf("mean cost: found %v in the first epoch of the first run and %v in the last of the second, expected it to fall", first.Epochs[0].Loss, second.Epochs[9].Loss)
	}
}

// trained are the weights after a training in which everything draws chance or
// adds up over threads: distortion, dropout, batch norm, a weight average.
func trained(t *testing.T, seed uint64) map[string][]float32 {
	t.Helper()
	training := newTrainer(t, everything())
	training.Seed = seed
	training.Augment = datasets.EachImage(datasets.Affine{Rotation: 10, Translation: 1, Probability: 0.5})
	training.Solver.Average = 0.9
	run(t, training)
	return values(training.Model)
}

func TestOneSeedGivesTheSameBits(t *testing.T) {
	defer graph.SetThreads(graph.Threads())
	want := trained(t, 1)
	for _, threads := range []int{1, 2, 3} {
		graph.SetThreads(threads)
		if diff := cmp.Diff(want, trained(t, 1)); diff != "" {
			t.Errorf("%d threads (-first run +this run):\n%s", threads, diff)
		}
	}
}

func TestAnotherSeedGivesOtherWeights(t *testing.T) {
	if cmp.Equal(trained(t, 1), trained(t, 2)) {
		t.Error("seeds 1 and 2 gave the same weights")
	}
}

// Each image of a pair is distorted in its own way: an image beside itself is
// at distance zero, and is so no longer when the two are distorted.
func TestAugmentDistortsEachTower(t *testing.T) {
	twins := datasets.ListedPairs([]datasets.Pair{{Left: 0, Right: 0}, {Left: 20, Right: 20}})
	for _, augment := range []*datasets.Augmentation{nil, datasets.EachImage(datasets.Affine{Translation: 1, Probability: 1})} {
		training := newTrainer(t, tiny())
		training.Sampler, training.Batch, training.Augment = twins, 2, augment
		training.OnStep = func(step trainer.Step) {
			if distorted := step.Loss > 0; distorted != (augment != nil) {
				t.Errorf("step %d, distortion %v: found cost %v", step.Number, augment, step.Loss)
			}
		}
		run(t, training)
	}
}

// A training that leaves the finite numbers stops, says what to do, and leaves
// the weights of the last step that went well: batch norm's statistics too,
// which a run of the graph moves before its cost is known.
func TestDivergenceKeepsTheLastFiniteWeights(t *testing.T) {
	for _, test := range []struct {
		name      string
		network   backbone.Network
		rate      float64
		deviation float64 // of the preprocessing
		steps     int     // that go well
		found     string
	}{
		{"a step makes weights overflow", everything(), 1e39, 1, 0, "is not finite"},
		{"a step makes the next cost overflow", tiny(), 1e30, 1, 1, "the loss is"},
		{"a step makes the next statistics overflow", everything(), 1e30, 1, 1, `weight "norm1.running_var" is not finite`},
		{"the data are infinite", everything(), 1e-3, 1e-300, 0, "the loss is NaN"},
	} {
		t.Run(test.name, func(t *testing.T) {
			training := newTrainer(t, test.network)
			training.Solver = solver.Config{Solver: "sgd", LearningRate: test.rate}
			training.Model.Preprocessing.StdDev = []float64{test.deviation}
			want, steps := values(training.Model), 0
			training.OnStep = func(trainer.Step) { want, steps = values(training.Model), steps+1 }

			_, err := training.Run(context.Background())
			if !errors.Is(err, trainer.ErrNotFinite) {
				t.Fatalf("found error %v, expected ErrNotFinite", err)
			}
			for _, part := range []string{test.found, "use a lower learning rate", "clip the gradient", "extreme values"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
			if steps != test.steps {
				t.Errorf("found %d steps before the end, expected %d", steps, test.steps)
			}
			found := values(training.Model)
			if diff := cmp.Diff(want, found); diff != "" {
				t.Errorf("weights (-after the last step +found):\n%s", diff)
			}
			for name, elements := range found {
				for _, v := range elements {
					if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
						t.Fatalf("%s holds %v", name, v)
					}
				}
			}
		})
	}
}

// probed is cross-entropy plus a weight of its own, head.probe, whose gradient
// is 1 in every step: what becomes of it tells the rate and the momentum.
type probed struct{ objectives.CrossEntropy }

func (p probed) Cost(b *graph.Builder, batch objectives.Batch) *graph.Node {
	probe := b.Weight("head.probe", graph.Bias, graph.Constant(0), 1)
	return b.Node(gorgonia.Add(p.CrossEntropy.Cost(b, batch), b.Node(gorgonia.Sum(probe))))
}

// Koch's recipe: the rate falls by a hundredth an epoch, from 0.01, and the
// momentum rises from 0.5, here by 0.01 an epoch (Koch, Zemel & Salakhutdinov
// 2015, section 3.2).
func TestKochsRecipe(t *testing.T) {
	head := heads.WeightedL1{Signed: true}
	network := tiny(graph.Activate{Function: "sigmoid"})
	training := &trainer.Trainer{
		Model: newModel(t, network, head), Loss: probed{}, Images: seen, Batch: 16,
		Solver: solver.Koch(), Epochs: 60, EpochSteps: 2, Seed: 1,
	}
	var velocity, want float64
	training.OnStep = func(step trainer.Step) {
		epoch := float64(step.Epoch - 1)
		rate, momentum := 0.01*math.Pow(0.99, epoch), min(0.5+0.01*epoch, 0.9)
		velocity = momentum*velocity - rate
		want += velocity
		found := float64(training.Model.Weights.Get("head.probe").Value.Data().([]float32)[0])
		if math.Abs(found-want) > 1e-5*math.Abs(want) {
			t.Fatalf("head.probe after step %d: found %v, expected %v", step.Number, found, want)
		}
	}
	result := run(t, training)
	for i, epoch := range result.Epochs {
		if want := 0.01 * math.Pow(0.99, float64(i)); math.Abs(epoch.LearningRate-want) > 1e-12 {
			t.Errorf("rate of epoch %d: found %v, expected %v", epoch.Epoch, epoch.LearningRate, want)
		}
	}
	if first, last := result.Epochs[0].Loss, result.Epochs[59].Loss; last >= first {
		t.Errorf("mean cost: found %v in the first epoch and %v in the last, expected it to fall", first, last)
	}
}

// classVectors is a loss with a trainable vector for each class.
type classVectors struct{ objectives.NCA }

func (classVectors) Name() string { return "class-vectors" }

func (c classVectors) Cost(b *graph.Builder, batch objectives.Batch) *graph.Node {
	features := batch.Embeddings[0].Shape()[1]
	batch.References = &objectives.References{
		Embeddings: batch.Weight(b, "vectors", graph.Kernel, graph.Normal(0, 0.1), batch.Classes, features),
		Labels:     batch.ClassLabels(b),
	}
	return c.NCA.Cost(b, batch)
}

var vectors = classVectors{objectives.NCA{Temperature: 1}}

func newLossTrainer(t *testing.T, loss objectives.Loss, checkpoint string) *trainer.Trainer {
	t.Helper()
	training := newTrainer(t, everything())
	var head heads.Head = heads.SquaredL2{}
	if loss.Check(head) != nil {
		head = heads.Cosine{}
	}
	training.Model = newModel(t, everything(), head)
	training.Loss, training.Checkpoint = loss, checkpoint
	training.Solver.Average = 0.9
	return training
}

// The trainable weights of a loss are trained and kept in checkpoints, from which
// training resumes bit for bit, and are not part of the saved model.
func TestWeightsOfALoss(t *testing.T) {
	skipOneByOne(t)
	type lossWithWeights struct {
		loss    objectives.Loss
		weights []string
		centers int
	}
	proxies := objectives.Sum{{Weight: 1, Loss: objectives.ProxyNCA{Temperature: 1}}, {Weight: 0.5, Loss: vectors}}
	tests := map[string]lossWithWeights{
		"one":          {vectors, []string{"loss.vectors"}, 1},
		"in a sum":     {objectives.Sum{{Weight: 1, Loss: objectives.BatchHard{Margin: 1}}, {Weight: 0.5, Loss: vectors}}, []string{"loss.2.vectors"}, 1},
		"two in one":   {objectives.Sum{{Weight: 1, Loss: vectors}, {Weight: 0.5, Loss: vectors}}, []string{"loss.1.vectors", "loss.2.vectors"}, 1},
		"another rate": {proxies, []string{"loss.1.vectors", "loss.2.vectors"}, 1},
		"a pointer":    {&proxies, []string{"loss.1.vectors", "loss.2.vectors"}, 1},
	}
	for _, name := range objectives.Names {
		options, err := objectives.Defaults(name, "cosine", objectives.Options{})
		if err != nil {
			t.Fatal(err)
		}
		loss, _, err := objectives.Named(name, "cosine", options)
		if _, ok := loss.(objectives.ClassVectorLoss); ok && err == nil {
			tests[name] = lossWithWeights{loss, []string{"loss.vectors"}, max(options.Centers, 1)}
		}
	}
	if len(tests) != 13 {
		t.Errorf("found %d tests, expected 5 and the 8 losses with class vectors", len(tests))
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			whole := newLossTrainer(t, test.loss, "")
			run(t, whole)
			trained := values(whole.Model)
			start := newLossTrainer(t, test.loss, "")
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if _, err := start.Run(ctx); err != nil {
				t.Fatal(err)
			}
			for _, weight := range test.weights {
				if len(trained[weight]) != 24*test.centers*8 || cmp.Equal(trained[weight], values(start.Model)[weight]) {
					t.Errorf("%s: found %d elements, expected %d vectors of 8 that training changed", weight, len(trained[weight]), 24*test.centers)
				}
			}

			path := filepath.Join(t.TempDir(), "model.safetensors")
			if err := whole.Model.Save(path); err != nil {
				t.Fatal(err)
			}
			file, err := safetensors.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, tensor := range file.Tensors {
				if strings.HasPrefix(tensor.Name, objectives.WeightPrefix) {
					t.Errorf("the model file has the weight %s of the loss", tensor.Name)
				}
			}
			loaded, err := likeness.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			want, err := whole.Model.EmbedPixels(unseen.Images[:5])
			if err != nil {
				t.Fatal(err)
			}
			found, err := loaded.EmbedPixels(unseen.Images[:5])
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, found); diff != "" {
				t.Errorf("embeddings of the loaded model (-trained +loaded):\n%s", diff)
			}
			before, err := whole.Model.Identity()
			if err != nil {
				t.Fatal(err)
			}
			if after, err := loaded.Identity(); err != nil || after != before {
				t.Errorf("identity: found %v (%v), expected %v", after, err, before)
			}

			checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
			first := newLossTrainer(t, test.loss, checkpoint)
			ctx, cancel = context.WithCancel(context.Background())
			first.OnStep = func(step trainer.Step) {
				if step.Number == 3 {
					cancel()
				}
			}
			if _, err := first.Run(ctx); err != nil {
				t.Fatal(err)
			}
			second := newLossTrainer(t, test.loss, checkpoint)
			second.Resume = true
			run(t, second)
			if diff := cmp.Diff(trained, values(second.Model)); diff != "" {
				t.Errorf("weights after resuming (-undisturbed +resumed):\n%s", diff)
			}
		})
	}
}

// The weights of a loss can have a learning rate of their own.
func TestLearningRateOfALoss(t *testing.T) {
	training, start := newLossTrainer(t, vectors, ""), newLossTrainer(t, vectors, "")
	training.Solver.Layers = []solver.Layer{{Name: "loss.*", LearningRateScale: new(float64)}}
	training.Solver.Average = 0
	run(t, training)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := start.Run(ctx); err != nil {
		t.Fatal(err)
	}
	before, after := values(start.Model), values(training.Model)
	if !cmp.Equal(before["loss.vectors"], after["loss.vectors"]) || cmp.Equal(before["linear1.weight"], after["linear1.weight"]) {
		t.Error("with a learning rate of 0 for loss.*: expected the class vectors to stay and the network to change")
	}
}

// The class vectors have the learning rate of the solver times the factor of the loss, in a
// sum too, unless a layer of the solver says otherwise, and a checkpoint records the factor.
func TestLearningRateOfClassVectors(t *testing.T) {
	moved := func(loss objectives.Loss, layers ...solver.Layer) (distance float64) {
		t.Helper()
		training := newLossTrainer(t, loss, "")
		training.Validate, training.Epochs, training.EpochSteps = nil, 1, 1
		training.Solver = solver.Config{Solver: "sgd", LearningRate: 1e-4, Layers: layers}
		start := newLossTrainer(t, loss, "")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := start.Run(ctx); err != nil {
			t.Fatal(err)
		}
		run(t, training)
		after := values(training.Model)
		for name, before := range values(start.Model) {
			if strings.HasPrefix(name, objectives.WeightPrefix) {
				for i := range before {
					distance += math.Abs(float64(after[name][i] - before[i]))
				}
			}
		}
		return distance
	}
	one, anchor := 1.0, objectives.ProxyAnchor{Margin: 0.1, Scale: 32}
	for _, loss := range []objectives.Loss{anchor, objectives.Sum{{Weight: 1, Loss: anchor}}} {
		plain := moved(loss, solver.Layer{Name: "loss.*", LearningRateScale: &one})
		if ratio := moved(loss) / plain; math.Abs(ratio-100) > 1 { // float32 weights that hardly move
			t.Errorf("%s: the vectors move %v times as far as with the solver's learning rate, expected 100 times", loss.Name(), ratio)
		}
	}
	face := objectives.CosFace{Margin: 0.35, Scale: 64}
	if found, want := moved(face), moved(face, solver.Layer{Name: "loss.*", LearningRateScale: &one}); found != want {
		t.Errorf("cosface: the vectors move by %v, expected %v, with the solver's learning rate", found, want)
	}

	checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	run(t, newLossTrainer(t, slower{anchor}, checkpoint))
	other := newLossTrainer(t, slower{anchor}, checkpoint)
	other.Resume = true
	if err := other.Check(); err != nil {
		t.Errorf("the same factor: %v", err)
	}
	other.Loss = slowest{slower{anchor}}
	if err := other.Check(); !errors.Is(err, trainer.ErrOtherTraining) || !strings.Contains(err.Error(), "learning rate of the loss") {
		t.Errorf("another factor: found %v, expected another training", err)
	}
}

// slower and slowest are one loss with different factors on the learning rate.
type (
	slower  struct{ objectives.ProxyAnchor }
	slowest struct{ slower }
)

func (slower) LearningRateScale(heads.Head) float64  { return 10 }
func (slowest) LearningRateScale(heads.Head) float64 { return 2 }

// Classes are numbered by their names, whatever these are; some may have no images. Every
// one has its vector, and that of a class without images is trained as a negative.
func TestClassVectorsOfSparseClasses(t *testing.T) {
	images := *seen
	images.Classes, images.Labels = nil, slices.Clone(seen.Labels)
	for class := range 3 * len(seen.Classes) {
		images.Classes = append(images.Classes, fmt.Sprintf("Köln/%c-%d", 'a'+class%26, class*class))
	}
	for i := range images.Labels {
		images.Labels[i] = 3*images.Labels[i] + 1
	}
	training := newLossTrainer(t, objectives.CosFace{Margin: 0.35, Scale: 64}, "")
	training.Images = &images
	run(t, training)
	if found := len(values(training.Model)["loss.vectors"]); found != 72*8 {
		t.Errorf("found %d elements of class vectors, expected 72 vectors of 8", found)
	}
}

// A checkpoint tells sums apart by the types of their losses, their parameters and
// their weights.
func TestSumsInCheckpoints(t *testing.T) {
	n, nca := objectives.NPair{Temperature: 1}, objectives.NCA{Temperature: 1}
	sum := func(weight float64, loss objectives.Loss) objectives.Sum {
		return objectives.Sum{{Weight: 1, Loss: objectives.BatchHard{Margin: 1}}, {Weight: weight, Loss: loss}}
	}
	checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	run(t, newLossTrainer(t, sum(0.5, n), checkpoint))
	for _, test := range []struct {
		loss objectives.Loss
		same bool
	}{
		{sum(0.5, n), true}, {sum(0.25, n), false}, {sum(0.5, nca), false}, {sum(0.5, objectives.NPair{Temperature: 2}), false}, {n, false},
	} {
		training := newLossTrainer(t, test.loss, checkpoint)
		training.Resume = true
		if err := training.Check(); (err == nil) != test.same {
			t.Errorf("%s: found %v, expected an error: %v", test.loss.Name(), err, !test.same)
		}
	}
}

// firstCost is the cost of the first step, and the distances before it of all
// images from one another.
func firstCost(t *testing.T, loss objectives.Loss, images datasets.Images, sampler datasets.Sampler, batch int) (cost float64, distance func(i, j int) float64) {
	t.Helper()
	training := newTrainer(t, tiny())
	training.Loss, training.Images, training.Sampler, training.Batch, training.Epochs, training.EpochSteps = loss, images, sampler, batch, 1, 1
	embeddings, err := training.Model.EmbedAll(seen, nil)
	if err != nil {
		t.Fatal(err)
	}
	between, err := heads.L2{}.Distance(nil)
	if err != nil {
		t.Fatal(err)
	}
	training.OnStep = func(step trainer.Step) { cost = step.Loss }
	run(t, training)
	return cost, func(i, j int) float64 { return between.Between(embeddings.Row(i), embeddings.Row(j)) }
}

// A batch of one group trains like any other.
func TestGroupBatches(t *testing.T) {
	grouped := *seen
	grouped.Classes = nil
	for i, name := range seen.Classes {
		grouped.Classes = append(grouped.Classes, fmt.Sprintf("%c/%s", 'A'+i%3, name))
	}
	sampler, err := datasets.GroupBatches(&grouped, 6, 4)
	if err != nil {
		t.Fatal(err)
	}
	if cost, _ := firstCost(t, objectives.NPair{Temperature: 1}, &grouped, sampler, 24); !(cost > 0) {
		t.Errorf("found the loss %v, expected one above zero", cost)
	}
}

// Listed pairs are shown as they are listed, with their labels: the cost is
// that of equation 4 of Hadsell, Chopra & LeCun 2006, worked out pair by pair.
func TestListedPairs(t *testing.T) {
	list := &datasets.PairList{Dataset: seen, Pairs: []datasets.Pair{{Left: 0, Right: 1}, {Left: 2, Right: 40, Different: true}, {Left: 90, Right: 95}}}
	const margin = 5
	cost, distance := firstCost(t, objectives.Contrastive{Margin: margin}, list.Dataset, datasets.ListedPairs(list.Pairs), 3)
	var want float64
	for _, pair := range list.Pairs {
		d := distance(pair.Left, pair.Right)
		if pair.Different {
			d = max(0, margin-d)
		}
		want += d * d / 2 / 3
	}
	if math.Abs(cost-want) > 1e-5*want {
		t.Errorf("found cost %v, expected %v", cost, want)
	}
}

func TestListedTriplets(t *testing.T) {
	list := &datasets.TripletList{Dataset: seen, Triplets: []datasets.Triplet{{Anchor: 0, Positive: 1, Negative: 50}, {Anchor: 30, Positive: 25, Negative: 2}}}
	const margin = 0.5
	cost, distance := firstCost(t, objectives.Triplet{Margin: margin}, list.Dataset, datasets.ListedTriplets(list.Triplets), 2)
	var want float64
	for _, triplet := range list.Triplets {
		want += max(0, distance(triplet.Anchor, triplet.Positive)-distance(triplet.Anchor, triplet.Negative)+margin) / 2
	}
	if math.Abs(cost-want) > 1e-5*want {
		t.Errorf("found cost %v, expected %v", cost, want)
	}
}

// A labeled batch has as many images of each class as asked for, and where
// there are too few classes for that, more images of all of them.
func TestBatchesOfFewClasses(t *testing.T) {
	for _, test := range []struct{ classes, batch, perClass, images int }{
		{24, 32, 0, 32},   // 8 classes × 4
		{24, 30, 0, 28},   // 7 × 4
		{24, 32, 2, 32},   // 16 × 2
		{3, 32, 0, 30},    // 3 × 10
		{2, 64, 8, 64},    // 2 × 32: more than there are, so that some come again
		{24, 9, 4, 8},     // 2 × 4
		{24, 144, 6, 144}, // all 24 × 6
	} {
		objective := objectives.BatchHard{Margin: 0.2}
		images := blobs(test.classes, 12, 1)
		sampler, err := datasets.DefaultSampler(datasets.Labeled, images, test.batch, test.perClass)
		if err != nil {
			t.Fatal(err)
		}
		training := newTrainer(t, tiny())
		training.Loss, training.Images, training.Sampler, training.Batch, training.Epochs, training.EpochSteps = objective, images, sampler, test.batch, 1, 1
		training.OnStep = func(step trainer.Step) {
			if step.Images != test.images {
				t.Errorf("batch of %d, %d a class, of %d classes: found %d images, expected %d", test.batch, test.perClass, test.classes, step.Images, test.images)
			}
		}
		run(t, training)
	}
}

// everyOther is a schedule of a user's own: the learning rate is zero in every other step.
type everyOther float64

func (e everyOther) LearningRate(step, total int) float64 { return float64(e) * float64(step%2) }

func TestScheduleOfOnesOwn(t *testing.T) {
	training := newTrainer(t, tiny())
	training.Schedule = everyOther(0.01)
	var moved []bool
	before := values(training.Model)
	training.OnStep = func(trainer.Step) {
		after := values(training.Model)
		moved = append(moved, !cmp.Equal(before, after))
		before = after
	}
	result := run(t, training)
	for i, found := range moved {
		if want := i%2 == 1; found != want {
			t.Errorf("step %d: weights moved %v, expected %v", i+1, found, want)
		}
	}
	if rate := result.Epochs[1].LearningRate; rate != 0.01 {
		t.Errorf("found a learning rate of %v in the last step, expected 0.01", rate)
	}

	constant, other := newTrainer(t, tiny()), newTrainer(t, tiny())
	other.Schedule = solver.Constant{Initial: 1e-3}
	run(t, constant)
	run(t, other)
	if diff := cmp.Diff(values(constant.Model), values(other.Model)); diff != "" {
		t.Error("a schedule of one's own and that of the solver with the same learning rates give different weights")
	}

	other = newTrainer(t, tiny())
	other.Schedule, other.Solver.Schedule = everyOther(1), "cosine"
	if err := other.Check(); err == nil || !strings.Contains(err.Error(), "field Schedule") {
		t.Errorf("found %v, expected an error of the field Schedule", err)
	}
}

func TestLossWithoutGradientsIsAWarning(t *testing.T) {
	for _, test := range []struct {
		slope float64
		want  int
	}{{0, 1}, {1, 0}} {
		training := newTrainer(t, tiny())
		training.Loss = constantSlope(test.slope)
		var warnings []string
		training.OnWarning = func(message string) { warnings = append(warnings, message) }
		run(t, training)
		if len(warnings) != test.want || test.want == 1 && !strings.Contains(warnings[0], "all gradients of the first 10 steps are 0") {
			t.Errorf("slope %v: found the warnings %q, expected %d", test.slope, warnings, test.want)
		}
	}
}

// constantSlope is the mean distance of the first positive, with the given derivative in
// place of 1.
type constantSlope float64

func (constantSlope) Name() string           { return "constant-slope" }
func (constantSlope) Kind() datasets.Kind    { return datasets.Labeled }
func (constantSlope) Check(heads.Head) error { return nil }

func (l constantSlope) Cost(b *graph.Builder, batch objectives.Batch) *graph.Node {
	return objectives.PerAnchor(b, l.Name(), batch, func(a objectives.Anchor) (sum, count float64) {
		p := a.Farthest(a.Positives)
		if p < 0 {
			return 0, 0
		}
		a.Slopes[p] = float64(l)
		return a.Distances[p], 1
	})
}
