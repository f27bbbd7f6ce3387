package trainer_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
)

var size = imaging.Size{Height: 8, Width: 8, Channels: 1}

// blobs is a task that takes learning: the upper half of an image shows the two
// blobs of its class, moved by up to a pixel to either side, and the lower half
// shows two blobs anywhere, which are brighter. What sets classes apart is the
// same in every class, so that it helps with unseen ones.
func blobs(classes, each int, seed uint64) *datasets.Dataset {
	d := &datasets.Dataset{Name: "blobs", Size: size}
	for class := range classes {
		d.Classes = append(d.Classes, fmt.Sprint(class))
		template := random.New(seed, "template", class)
		var rows, columns [2]int
		for i := range rows {
			rows[i], columns[i] = template.IntN(4), 1+template.IntN(6)
		}
		for image := range each {
			r := random.New(seed, "image", class, image)
			pixels := make([]uint8, size.Len())
			for i := range pixels {
				pixels[i] = uint8(r.IntN(40))
			}
			shift := r.IntN(3) - 1
			for i := range rows {
				pixels[8*rows[i]+columns[i]+shift] = 160
				pixels[32+r.IntN(32)] = 255
			}
			d.Images = append(d.Images, pixels)
			d.Labels = append(d.Labels, class)
		}
	}
	return d
}

// seen and unseen have no class in common.
var seen, unseen = blobs(24, 12, 1), blobs(12, 6, 2)

// tiny is a convolution and a matrix, which begins so small that no distance is beyond
// the margins.
func tiny(more ...graph.Block) backbone.Network {
	blocks := []graph.Block{graph.Conv{Filters: 6, Kernel: 3, Padding: 1, Activation: "relu", Pool: 2}}
	blocks = append(append(blocks, more...), graph.Flatten{}, graph.Linear{Units: 8, Weight: graph.Normal(0, 0.03)})
	return backbone.Network{Name: "tiny", Size: size, Blocks: blocks}
}

// everything is tiny with all that has a state or draws chance: batch norm and
// dropout.
func everything() backbone.Network {
	network := tiny(graph.Dropout{Rate: 0.2})
	conv := network.Blocks[0].(graph.Conv)
	conv.BatchNorm = true
	network.Blocks[0] = conv
	return network
}

func newModel(t testing.TB, network backbone.Network, head heads.Head) *likeness.Model {
	t.Helper()
	model, err := likeness.New(network, head, seen.Preprocessing(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// newTrainer trains for two epochs of five steps on 16 balanced pairs each.
func newTrainer(t testing.TB, network backbone.Network) *trainer.Trainer {
	t.Helper()
	return &trainer.Trainer{
		Model: newModel(t, network, heads.L2{}), Loss: objectives.Contrastive{Margin: 1}, Images: seen, Batch: 16,
		Solver: solver.Config{Solver: "adam", LearningRate: 1e-3}, Epochs: 2, EpochSteps: 5, Seed: 1,
	}
}

func run(t testing.TB, training *trainer.Trainer) trainer.Result {
	t.Helper()
	result, err := training.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// values are all weights, statistics included, by name.
func values(model *likeness.Model) map[string][]float32 {
	elements := map[string][]float32{}
	for _, weight := range model.Weights.All() {
		elements[weight.Name] = append([]float32(nil), weight.Value.Data().([]float32)...)
	}
	return elements
}

// auc is the probability that a pair of one class of the images is closer than
// a pair of two, over all pairs.
func auc(t testing.TB, model *likeness.Model, images *datasets.Dataset) float64 {
	t.Helper()
	embeddings, err := model.EmbedAll(images, nil)
	if err != nil {
		t.Fatal(err)
	}
	distance, err := model.Head.Distance(model.Weights)
	if err != nil {
		t.Fatal(err)
	}
	var same, different []float64
	for i, label := range images.Labels {
		for j := range i {
			d := distance.Between(embeddings.Row(i), embeddings.Row(j))
			if label == images.Labels[j] {
				same = append(same, d)
			} else {
				different = append(different, d)
			}
		}
	}
	slices.Sort(different)
	var wins float64
	for _, s := range same {
		first, _ := slices.BinarySearch(different, s)
		beyond, _ := slices.BinarySearch(different, math.Nextafter(s, math.Inf(1)))
		wins += float64(len(different)-beyond) + 0.5*float64(beyond-first)
	}
	return wins / float64(len(same)*len(different))
}

// No test leaves a goroutine behind.
func TestMain(m *testing.M) { testutil.CheckGoroutines(m) }

// skipOneByOne skips a test with -short that trains many networks one after the other: others
// show the same goroutines to the race detector, which makes building a graph slow.
func skipOneByOne(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("trains networks one after the other, which shows nothing of goroutines")
	}
}
