package report

import (
	"fmt"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
)

var size = imaging.Size{Height: 3, Width: 3, Channels: 1}

// noisy returns images of a random pattern for each class with added noise. Parts of
// one seed have the same classes and different images.
func noisy(classes, each int, seed uint64, part string) *datasets.Dataset {
	d := &datasets.Dataset{Name: part, Size: size}
	for class := range classes {
		d.Classes = append(d.Classes, fmt.Sprint(class))
		for image := range each {
			pattern, noise := random.New(seed, class), random.New(seed, part, class, image)
			pixels := make([]uint8, size.Len())
			for i := range pixels {
				pixels[i] = uint8(pattern.IntN(128) + noise.IntN(128))
			}
			d.Images, d.Labels = append(d.Images, pixels), append(d.Labels, class)
		}
	}
	return d
}

// experiment has six training classes and four unseen ones.
func experiment() datasets.Experiment {
	return datasets.Experiment{
		Train: noisy(6, 6, 1, "train"), Validation: noisy(6, 3, 1, "validation"), Seen: noisy(6, 2, 1, "seen"),
		Unseen: noisy(4, 5, 2, "unseen"), Protocol: "Four patterns were held out.",
	}
}

func newPlan(t *testing.T, e datasets.Experiment, seed uint64) *Plan {
	t.Helper()
	p, err := NewPlan(e, seed)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newModel returns a random projection to three features.
func newModel(t *testing.T, seed uint64) *likeness.Model { return newModelOf(t, size, seed) }

func newModelOf(t *testing.T, size imaging.Size, seed uint64) *likeness.Model {
	t.Helper()
	network := backbone.Network{Name: "projection", Size: size, Blocks: []graph.Block{graph.Flatten{}, graph.Linear{Units: 3}}}
	model, err := likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: size}, seed)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func measure(t *testing.T, p *Plan) Report {
	t.Helper()
	r, err := p.Measure(newModel(t, 1), newModel(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	return r
}
