package heads_test

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"log"
	"math"
	"os"
	"path/filepath"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/onnx"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
)

// logWeighted is a user-defined head: Σ exp(vⱼ)|xⱼ − yⱼ| with trainable v.
type logWeighted struct{}

func (logWeighted) Name() string { return "log-weighted" }

func (logWeighted) Paired(b *graph.Builder, x, y *graph.Node) *graph.Node {
	return b.PairedDistances(graph.Manhattan, x, y, factors(b, x))
}

func (logWeighted) Pairwise(b *graph.Builder, x, y *graph.Node) *graph.Node {
	return b.PairwiseDistances(graph.Manhattan, x, y, factors(b, x))
}

func (logWeighted) Properties() heads.Properties { return heads.Properties{Metric: true, Sums: true} }

func (h logWeighted) Distance(weights *graph.Weights) (heads.Distance, error) {
	v := weights.Get("head.log_weight")
	if v == nil {
		return nil, errors.New("the weights have no head.log_weight")
	}
	form := heads.Form{Power: 1}
	for _, x := range v.Value.Data().([]float32) {
		form.Weights = append(form.Weights, float32(math.Exp(float64(x))))
	}
	return heads.FromForm(h.Name(), form)
}

// factors is exp(v), which starts at 1.
func factors(b *graph.Builder, x *graph.Node) *graph.Node {
	return b.Node(gorgonia.Exp(b.Weight("head.log_weight", graph.Gain, graph.Constant(0), x.Shape()[1])))
}

// A user-defined head in one file: it trains under any loss that its properties allow,
// compares images, is searched in a gallery by a fast exact search, and is written as
// ONNX.
func Example_ownHead() {
	images := shades()
	network := backbone.Network{Name: "small", Size: images.Size, Blocks: []graph.Block{graph.Flatten{}, graph.Linear{Units: 4}}}
	model, err := likeness.New(network, logWeighted{}, images.Preprocessing(), 1)
	if err != nil {
		log.Fatal(err)
	}
	loss := objectives.Triplet{Margin: 1}
	training := trainer.Trainer{Model: model, Loss: loss, Images: images, Batch: 8, Solver: solver.Config{Solver: "adam", LearningRate: 1e-2}, Epochs: 2, EpochSteps: 20, Seed: 1}
	if _, err := training.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	same, err := model.Compare(gray(40), gray(45))
	if err != nil {
		log.Fatal(err)
	}
	different, err := model.Compare(gray(40), gray(200))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("images of one class are closer:", same.Distance < different.Distance)

	folder, err := os.MkdirTemp("", "own-head")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	known, err := gallery.Create(filepath.Join(folder, "shades.gallery"), model, gallery.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer known.Close()
	for class, level := range map[string]uint8{"dark": 40, "light": 200} {
		if err := known.Enroll(class, gray(level)); err != nil {
			log.Fatal(err)
		}
	}
	found, err := known.Identify(gray(190), 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the nearest class is", found.Candidates[0].Class)
	if _, err := onnx.Head(model); err != nil {
		log.Fatal(err)
	}
	// Output:
	// images of one class are closer: true
	// the nearest class is light
}

// gray is an image of one level.
func gray(level uint8) image.Image {
	picture := image.NewGray(image.Rect(0, 0, 4, 4))
	for i := range picture.Pix {
		picture.Pix[i] = level
	}
	picture.SetGray(0, 0, color.Gray{}) // a dark corner, so that it has contrast
	return picture
}

// shades are three classes of images of nearly one level.
func shades() *datasets.Dataset {
	d := &datasets.Dataset{Name: "shades", Size: imaging.Size{Height: 4, Width: 4, Channels: 1}, Classes: []string{"dark", "medium", "light"}}
	for class, level := range []uint8{40, 120, 200} {
		for i := range 4 {
			d.Images, d.Labels = append(d.Images, gray(level+5*uint8(i)).(*image.Gray).Pix), append(d.Labels, class)
		}
	}
	return d
}
