package trainer_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/likeness-go/likeness/collective"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/trainer"
)

// inParts is a training in parts with all that differs between ranks: batch norm, dropout, augmentation,
// validation and a moving average.
func inParts(t testing.TB, loss objectives.Loss, parts int) *trainer.Trainer {
	t.Helper()
	training := newTrainer(t, everything())
	training.Loss, training.Parts, training.Solver.Average = loss, parts, 0.9
	if loss.Kind() == datasets.Labeled {
		training.Model = newModel(t, everything(), heads.Cosine{})
	}
	training.Augment = &datasets.Augmentation{Image: datasets.Distortion{Affine: datasets.Affine{Rotation: 10, Probability: 0.5}}}
	validation, err := trainer.Verification(unseen, 40, 1)
	if err != nil {
		t.Fatal(err)
	}
	training.Validate = validation
	return training
}

// train trains on several ranks in this process and returns the weights, which must be equal on all.
func train(t testing.TB, ranks int, training func(c *collective.Communicator) *trainer.Trainer) map[string][]float32 {
	t.Helper()
	all := make([]map[string][]float32, ranks)
	for rank, err := range collective.Local(ranks, func(c *collective.Communicator) error {
		one := training(c)
		one.Communicator = c
		_, err := one.Run(context.Background())
		all[c.Rank()] = values(one.Model)
		return err
	}) {
		if err != nil {
			t.Fatalf("rank %d of %d: %v", rank, ranks, err)
		}
		if !reflect.DeepEqual(all[rank], all[0]) {
			t.Fatalf("rank %d of %d has other weights than rank 0", rank, ranks)
		}
	}
	return all[0]
}

// The weights are the same on 1, 2 and 4 ranks, also if the training is resumed on another number.
func TestPartsGiveOneResultOnAnyRanks(t *testing.T) {
	for _, loss := range []objectives.Loss{
		objectives.Contrastive{Margin: 1}, objectives.NPair{Temperature: 0.1},
		objectives.CrossBatchMemory{Loss: objectives.NPair{Temperature: 0.1}, Size: 40},
	} {
		t.Run(loss.Name(), func(t *testing.T) {
			want := train(t, 1, func(*collective.Communicator) *trainer.Trainer { return inParts(t, loss, 4) })
			for _, ranks := range []int{2, 4} {
				if found := train(t, ranks, func(*collective.Communicator) *trainer.Trainer { return inParts(t, loss, 4) }); !reflect.DeepEqual(found, want) {
					t.Errorf("%d ranks give other weights than one", ranks)
				}
			}
			checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
			begin := func(c *collective.Communicator) *trainer.Trainer {
				training := inParts(t, loss, 4)
				training.Checkpoint, training.Resume = checkpoint, true
				return training
			}
			stoppedAt(t, 4, 7, begin)
			stoppedAt(t, 1, 8, begin)
			if found := train(t, 2, begin); !reflect.DeepEqual(found, want) {
				t.Error("a training that was resumed on other numbers of ranks gives other weights")
			}
		})
	}
}

// synchronized is a training in parts whose batch norms, in a residual block and by themselves, are those of the whole batch.
func synchronized(t testing.TB, parts int) *trainer.Trainer {
	t.Helper()
	conv := graph.Conv{Filters: 6, Kernel: 3, Padding: 1, BatchNorm: true, Activation: "relu"}
	network := tiny(graph.Residual{Body: []graph.Block{conv, conv}, Shortcut: []graph.Block{graph.Conv{Filters: 6, Kernel: 1, BatchNorm: true}}, Activation: "relu"})
	network.Blocks = append(network.Blocks, graph.BatchNorm{})
	training := newTrainer(t, network)
	// One tower: the towers of pairs in one part have statistics of their own.
	training.Model, training.Loss = newModel(t, network, heads.Cosine{}), objectives.NPair{Temperature: 0.1}
	training.Parts, training.SyncBatchNorm = parts, true
	training.Solver.Solver, training.Solver.LearningRate, training.Epochs = "sgd", 0.01, 1
	return training
}

// Synchronized batch norm gives one result on any number of ranks, also if the training is stopped and resumed, and
// that of the whole batch in one part but for rounding.
func TestSyncBatchNorm(t *testing.T) {
	want := train(t, 1, func(*collective.Communicator) *trainer.Trainer { return synchronized(t, 8) })
	for _, ranks := range []int{2, 4, 8} {
		if found := train(t, ranks, func(*collective.Communicator) *trainer.Trainer { return synchronized(t, 8) }); !reflect.DeepEqual(found, want) {
			t.Errorf("%d ranks give other weights than one", ranks)
		}
	}
	checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	begin := func(*collective.Communicator) *trainer.Trainer {
		training := synchronized(t, 8)
		training.Checkpoint, training.Resume = checkpoint, true
		return training
	}
	stoppedAt(t, 4, 3, begin)
	other := begin(nil)
	other.SyncBatchNorm = false
	if _, err := other.Run(context.Background()); !errors.Is(err, trainer.ErrOtherTraining) || !strings.Contains(err.Error(), "batch norm") {
		t.Errorf("found the error %v, expected that of a training with another batch norm", err)
	}
	if found := train(t, 2, begin); !reflect.DeepEqual(found, want) {
		t.Error("a training that was resumed on another number of ranks gives other weights")
	}
	whole := synchronized(t, 1)
	run(t, whole)
	apart := synchronized(t, 8)
	apart.SyncBatchNorm = false
	run(t, apart)
	distance := func(a, b map[string][]float32) (largest float64) {
		for name, elements := range a {
			for i, v := range elements {
				largest = max(largest, math.Abs(float64(v-b[name][i]))/max(1, math.Abs(float64(v))))
			}
		}
		return largest
	}
	if found, others := distance(values(whole.Model), want), distance(values(whole.Model), values(apart.Model)); found > 1e-4 || others < 100*found {
		t.Errorf("the weights differ from those of one part by %v, expected at most 1e-4, and without synchronization by %v", found, others)
	}
}

// stoppedAt trains until a step, in which the last rank is told to stop.
func stoppedAt(t *testing.T, ranks, step int, training func(c *collective.Communicator) *trainer.Trainer) {
	t.Helper()
	for rank, err := range collective.Local(ranks, func(c *collective.Communicator) error {
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		one := training(c)
		one.Communicator = c
		one.OnStep = func(s trainer.Step) {
			if s.Number == step && c.Rank() == c.Size()-1 {
				stop()
			}
		}
		result, err := one.Run(ctx)
		if err == nil && (result.Stopped != trainer.Interrupted || result.Steps != step) {
			err = fmt.Errorf("stopped %q after step %d, expected %q after step %d", result.Stopped, result.Steps, trainer.Interrupted, step)
		}
		return err
	}) {
		if err != nil {
			t.Fatalf("rank %d: %v", rank, err)
		}
	}
}

// Without batch norm and dropout, parts change nothing but rounding.
func TestPartsComputeTheGradientOfTheWholeBatch(t *testing.T) {
	for _, loss := range []objectives.Loss{
		objectives.Contrastive{Margin: 1}, objectives.CrossEntropy{}, objectives.Triplet{Margin: 0.2}, objectives.BatchHard{Margin: 0.2}, objectives.NPair{Temperature: 0.1},
		objectives.ProxyAnchor{Margin: 0.1, Scale: 8},
	} {
		var all [2]map[string][]float32
		for i, parts := range []int{1, 4} {
			training := newTrainer(t, tiny())
			training.Loss, training.Parts, training.Solver.Solver, training.Solver.LearningRate = loss, parts, "sgd", 0.05
			switch loss.(type) {
			case objectives.CrossEntropy:
				training.Model = newModel(t, tiny(), heads.WeightedL1{})
			case objectives.NPair, objectives.ProxyAnchor:
				training.Model = newModel(t, tiny(), heads.Cosine{})
			}
			before := values(training.Model)
			run(t, training)
			all[i] = values(training.Model)
			if reflect.DeepEqual(before, all[i]) {
				t.Errorf("%s in %d parts: the training changes nothing", loss.Name(), parts)
			}
		}
		for name, want := range all[0] {
			for i, found := range all[1][name] {
				if difference := math.Abs(float64(found - want[i])); difference > 1e-5 {
					t.Errorf("%s: element %d of %s is %v in 4 parts and %v in one", loss.Name(), i, name, found, want[i])
					break
				}
			}
		}
	}
}

// Each rank reads the images of its own parts only, each image of a step once over all ranks.
func TestRanksReadTheirOwnImages(t *testing.T) {
	var reads [2]atomic.Int64
	train(t, 2, func(c *collective.Communicator) *trainer.Trainer {
		training := newTrainer(t, tiny())
		training.Parts, training.Epochs = 2, 1
		training.Images = readCounter{training.Images.(*datasets.Dataset), &reads[c.Rank()]}
		return training
	})
	for rank := range reads {
		if found := reads[rank].Load(); found != 5*16 { // steps of 16 pairs, half of which belong to the rank
			t.Errorf("rank %d read %d images, expected 80", rank, found)
		}
	}
}

type readCounter struct {
	*datasets.Dataset
	reads *atomic.Int64
}

func (c readCounter) Read(i int, pixels []uint8) error {
	c.reads.Add(1)
	return c.Dataset.Read(i, pixels)
}

// An image that one rank cannot read ends all ranks with an error that names it.
func TestFailingRankEndsTheTraining(t *testing.T) {
	for _, sync := range []bool{false, true} {
		failOneRank(t, sync)
	}
}

func failOneRank(t *testing.T, sync bool) {
	t.Helper()
	for rank, err := range collective.Local(4, func(c *collective.Communicator) error {
		training := newTrainer(t, everything())
		training.Parts, training.Communicator, training.SyncBatchNorm = 4, c, sync
		training.Images = brokenDisk{training.Images.(*datasets.Dataset), c.Rank() == 3}
		_, err := training.Run(context.Background())
		return err
	}) {
		if err == nil || !strings.Contains(err.Error(), "disk failure") || rank != 3 && !strings.Contains(err.Error(), "rank 3") {
			t.Errorf("rank %d: found the error %v, expected that of rank 3", rank, err)
		}
	}
}

type brokenDisk struct {
	*datasets.Dataset
	fails bool
}

func (f brokenDisk) Read(i int, pixels []uint8) error {
	if f.fails {
		return errors.New("disk failure")
	}
	return f.Dataset.Read(i, pixels)
}

// What cannot be computed in parts is refused, with the reason.
func TestPartsRefuse(t *testing.T) {
	for want, change := range map[string]func(*trainer.Trainer){
		"expected at least 0":              func(training *trainer.Trainer) { training.Parts = -1 },
		"choose another Batch, such as 18": func(training *trainer.Trainer) { training.Parts = 3 },
		"found 1, expected none with Parts": func(training *trainer.Trainer) {
			training.Penalties = []objectives.WeightPenalty{{Pattern: "*", Lambda: 1}}
		},
		"one of 16 parts": func(training *trainer.Trainer) {
			network := tiny()
			network.Blocks = append(network.Blocks, graph.BatchNorm{}) // which needs two values
			training.Model, training.Loss = newModel(t, network, heads.Cosine{}), objectives.NPair{Temperature: 0.1}
			training.Parts = 16
		},
	} {
		training := newTrainer(t, tiny())
		training.Parts = 4
		change(training)
		if _, err := training.Run(context.Background()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found the error %v, expected %q", err, want)
		}
	}
	for ranks, want := range map[int]string{2: "such as 8", 3: "such as 12"} {
		parts := map[int]int{2: 6, 3: 4}[ranks]
		for rank, err := range collective.Local(ranks, func(c *collective.Communicator) error {
			training := newTrainer(t, tiny())
			training.Parts, training.Communicator = parts, c
			_, err := training.Run(context.Background())
			return err
		}) {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("rank %d of %d with %d parts: found the error %v, expected %q", rank, ranks, parts, err, want)
			}
		}
	}
}

// A checkpoint of other parts is of another training, and one part is recorded as none.
func TestPartsAreRecorded(t *testing.T) {
	checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	begin := func(parts int) *trainer.Trainer {
		training := newTrainer(t, tiny())
		training.Parts, training.Checkpoint, training.Resume = parts, checkpoint, true
		return training
	}
	run(t, begin(0))
	run(t, begin(1))
	if _, err := begin(2).Run(context.Background()); !errors.Is(err, trainer.ErrOtherTraining) || !strings.Contains(err.Error(), "parts of a batch") {
		t.Errorf("found the error %v, expected that the parts differ", err)
	}
	if err := os.Remove(checkpoint); err != nil {
		t.Fatal(err)
	}
	run(t, begin(2))
	run(t, begin(2))
}

// Ranks compute frozen layers together, each for some of the images.
func TestRanksShareFrozenLayers(t *testing.T) {
	var reads [3]atomic.Int64
	training := func(c *collective.Communicator) *trainer.Trainer {
		training := newTrainer(t, tiny())
		if err := training.Model.Weights.Freeze("conv1"); err != nil {
			t.Fatal(err)
		}
		training.Parts = 8
		training.Images = readCounter{training.Images.(*datasets.Dataset), &reads[c.Rank()]}
		return training
	}
	want := train(t, 1, training)
	all := reads[0].Swap(0)
	if found := train(t, 2, training); !reflect.DeepEqual(found, want) {
		t.Error("two ranks give other weights than one")
	}
	for rank := range 2 {
		if found := reads[rank].Load(); found > all/2+16 || found == 0 { // batches of 16
			t.Errorf("rank %d reads %d images, one rank alone %d, expected about half of them", rank, found, all)
		}
	}
}
