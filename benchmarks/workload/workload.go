package workload

import (
	"slices"
	"strings"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
)

// Workload is a network and what is measured with it: a training step or embedding.
type Workload struct {
	Name    string // in flags and files
	Title   string // in tables
	Network backbone.Network
	Count   int           // number of pairs, triplets or images in a batch
	Loss    *Loss         // nil for embedding
	Solver  solver.Config // the zero value for embedding
	Deep    bool          // rounding errors grow from layer to layer and from step to step, so agreement is less close
}

// Loss is an objective with its head, in the JSON form that peers read.
type Loss struct {
	Objective string  `json:"objective"`
	Head      string  `json:"head"`
	Margin    float64 `json:"margin"`
	Scale     float64 `json:"scale"`
	Classes   int     `json:"classes"` // number of classes in a batch, with Count/Classes images each
	Towers    int     `json:"towers"`  // number of embeddings that are compared: 2 for pairs, 3 for triplets, 1 for batches
}

// All returns the workloads in the order of the tables. Options of a loss that are zero
// have the default of the library.
func All() []Workload {
	digits := imaging.Size{Height: 28, Width: 28, Channels: 1}
	conv4, normed := backbone.Conv4(digits, 64, false), backbone.Conv4(digits, 64, true)
	contrastive := &Loss{Objective: "contrastive", Head: "l2", Margin: 1, Towers: 2}
	// With these small learning rates, rounding errors do not grow within the steps that are
	// compared: the first steps of Adam depend only on the signs of the gradients, however
	// small those are.
	adam := solver.Config{Solver: "adam", LearningRate: 3e-5}
	momentum := func(rate float64) solver.Config {
		return solver.Config{Solver: "sgd", LearningRate: rate, Momentum: 0.9}
	}
	photographs := imaging.Size{Height: 224, Width: 224, Channels: 3}
	resnet18, resnet50 := backbone.ResNet(photographs, [4]int{2, 2, 2, 2}, false), backbone.ResNet(photographs, [4]int{3, 4, 6, 3}, true)
	mobilenet, lite := backbone.MobileNetV2(photographs), backbone.EfficientNetLite0(photographs)
	hard := &Loss{Objective: "batch-hard", Head: "l2", Margin: 0.2, Classes: 4, Towers: 1}
	return []Workload{
		{
			Name: "conv4", Title: "Conv4-64, 28×28, 128 pairs, contrastive, Adam",
			Network: conv4, Count: 128, Loss: contrastive, Solver: adam,
		},
		{
			Name: "conv4-norm", Title: "Conv4-64 with batch norm, 28×28, 128 pairs, contrastive, Adam",
			Network: normed, Count: 128, Loss: contrastive, Solver: adam,
		},
		{
			Name: "hoffer", Title: "Hoffer's CIFAR network without dropout, 32×32×3, 64 triplets, softmax ratio, momentum",
			Network: withoutDropout(backbone.HofferCIFAR()), Count: 64,
			Loss:   &Loss{Objective: "triplet-ratio", Head: "l2", Scale: 1, Towers: 3},
			Solver: momentum(1e-3),
		},
		{
			Name: "koch", Title: "Koch's network, 105×105, 16 pairs, cross-entropy of weighted L1, momentum",
			Network: backbone.Koch(), Count: 16,
			Loss:   &Loss{Objective: "cross-entropy", Head: "signed-weighted-l1", Towers: 2},
			Solver: momentum(1e-4),
		},
		{
			Name: "batch-hard", Title: "Conv4-64, 28×28, 20 classes of 10 images, batch-hard triplets, Adam",
			Network: conv4, Count: 200,
			Loss:   &Loss{Objective: "batch-hard", Head: "l2", Margin: 0.2, Classes: 20, Towers: 1},
			Solver: adam,
		},
		{Name: "embed-conv4", Title: "Conv4-64 with batch norm, 28×28, embed 256 images", Network: normed, Count: 256},
		{Name: "embed-koch", Title: "Koch's network, 105×105, embed 256 images", Network: backbone.Koch(), Count: 256},
		{Name: "embed-conv4-one", Title: "Conv4-64 with batch norm, 28×28, embed one image", Network: normed, Count: 1},
		{Name: "embed-koch-one", Title: "Koch's network, 105×105, embed one image", Network: backbone.Koch(), Count: 1},
		{
			Name: "resnet18", Title: "ResNet-18, 224×224×3, 16 images of 4 classes, batch-hard triplets, momentum",
			Network: resnet18, Count: 16, Loss: hard, Solver: momentum(1e-6), Deep: true,
		},
		{
			Name: "mobilenet-v2", Title: "MobileNet-V2, 224×224×3, 16 images of 4 classes, batch-hard triplets, momentum",
			Network: mobilenet, Count: 16, Loss: hard, Solver: momentum(1e-6), Deep: true,
		},
		{Name: "embed-resnet18", Title: "ResNet-18, 224×224×3, embed 16 images", Network: resnet18, Count: 16, Deep: true},
		{Name: "embed-resnet50", Title: "ResNet-50, 224×224×3, embed 16 images", Network: resnet50, Count: 16, Deep: true},
		{Name: "embed-mobilenet-v2", Title: "MobileNet-V2, 224×224×3, embed 16 images", Network: mobilenet, Count: 16, Deep: true},
		{Name: "embed-lite0", Title: "EfficientNet-Lite0, 224×224×3, embed 16 images", Network: lite, Count: 16, Deep: true},
		{Name: "embed-resnet18-one", Title: "ResNet-18, 224×224×3, embed one image", Network: resnet18, Count: 1, Deep: true},
		{Name: "embed-resnet50-one", Title: "ResNet-50, 224×224×3, embed one image", Network: resnet50, Count: 1, Deep: true},
		{Name: "embed-mobilenet-v2-one", Title: "MobileNet-V2, 224×224×3, embed one image", Network: mobilenet, Count: 1, Deep: true},
		{Name: "embed-lite0-one", Title: "EfficientNet-Lite0, 224×224×3, embed one image", Network: lite, Count: 1, Deep: true},
	}
}

// Int8 returns the workloads of embedding that are measured in integers of 8 bits, too: one image and 16.
func Int8() []Workload {
	var all []Workload
	for _, w := range All() {
		switch w.Name {
		case "embed-conv4", "embed-koch":
			w.Name, w.Title, w.Count = w.Name+"-16", strings.Replace(w.Title, "256 images", "16 images", 1), 16
		case "embed-conv4-one", "embed-koch-one", "embed-resnet18", "embed-resnet50", "embed-lite0", "embed-resnet18-one", "embed-resnet50-one", "embed-lite0-one":
		default:
			continue
		}
		all = append(all, w)
	}
	return all
}

// Named returns the workload of that name.
func Named(name string) (Workload, error) {
	var names []string
	for _, w := range append(All(), Int8()...) {
		names = append(names, w.Name)
		if w.Name == name {
			return w, nil
		}
	}
	return Workload{}, errors.Errorf("found the workload %q, expected one of %s", name, strings.Join(names, ", "))
}

// Images returns the number of images that one step processes.
func (w Workload) Images() int {
	if w.Loss == nil {
		return w.Count
	}
	return w.Count * w.Loss.Towers
}

// withoutDropout removes the dropout layers, whose random masks would differ between
// frameworks.
func withoutDropout(n backbone.Network) backbone.Network {
	n.Blocks = slices.DeleteFunc(slices.Clone(n.Blocks), func(b graph.Block) bool { return b.Kind() == "dropout" })
	return n
}

// PairCounts are the batch sizes, in pairs, at which the first workload is also measured.
var PairCounts = []int{16, 32, 64, 128, 256, 512}

// ThreadCounts returns the numbers of threads at which it is measured: the powers of two
// below the maximum, and the maximum.
func ThreadCounts(maximum int) []int {
	var counts []int
	for n := 1; n < maximum; n *= 2 {
		counts = append(counts, n)
	}
	return append(counts, maximum)
}
