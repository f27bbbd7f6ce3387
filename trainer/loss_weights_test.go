package trainer_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
)

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
	training.Model = newModel(t, everything(), heads.SquaredL2{})
	training.Loss, training.Checkpoint = loss, checkpoint
	training.Solver.Average = 0.9
	return training
}

// The trainable weights of a loss are trained and kept in checkpoints, from which
// training resumes bit for bit, and are not part of the saved model.
func TestWeightsOfALoss(t *testing.T) {
	for name, test := range map[string]struct {
		loss    objectives.Loss
		weights []string
	}{
		"one":        {vectors, []string{"loss.vectors"}},
		"in a sum":   {objectives.Sum{{Weight: 1, Loss: objectives.BatchHard{Margin: 1}}, {Weight: 0.5, Loss: vectors}}, []string{"loss.2.vectors"}},
		"two in one": {objectives.Sum{{Weight: 1, Loss: vectors}, {Weight: 0.5, Loss: vectors}}, []string{"loss.1.vectors", "loss.2.vectors"}},
	} {
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
				if len(trained[weight]) != 24*8 || cmp.Equal(trained[weight], values(start.Model)[weight]) {
					t.Errorf("%s: found %d elements, expected 24 vectors of 8 that training changed", weight, len(trained[weight]))
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
