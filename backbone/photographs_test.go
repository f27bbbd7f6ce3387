package backbone_test

import (
	"strings"
	"testing"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
)

// The numbers of parameters are those of torchvision 0.29's networks without their last
// layer, and for EfficientNet-Lite0 those of efficientnet-lite-pytorch. Every weight has a
// published name, and no two have the same one.
func TestPublishedNetworks(t *testing.T) {
	small := imaging.Size{Height: 64, Width: 64, Channels: 3}
	for name, want := range map[string]backbone.Shape{
		"resnet18":           {Features: 512, Parameters: 11176512},
		"resnet34":           {Features: 512, Parameters: 21284672},
		"resnet50":           {Features: 2048, Parameters: 23508032},
		"mobilenet-v2":       {Features: 1280, Parameters: 2223872},
		"efficientnet-lite0": {Features: 1280, Parameters: 3371008},
		"efficientnet-b0":    {Features: 1280, Parameters: 4007548},
		"convnext-tiny":      {Features: 768, Parameters: 27820128},
	} {
		network, err := backbone.Named(name, backbone.Options{Size: small})
		if err != nil {
			t.Fatal(err)
		}
		shape, err := backbone.ShapeOf(network)
		if err != nil || shape != want {
			t.Errorf("%s: found %+v (%v), expected %+v", name, shape, err, want)
		}
		names, err := backbone.PublishedNames(name)
		if err != nil {
			t.Fatal(err)
		}
		weights := graph.NewZeroWeights(graph.Float32)
		program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
			return graph.Outputs{"y": network.Embed(b, b.Input("x", 1, small.Height, small.Width, small.Channels))}
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := program.Close(); err != nil {
			t.Fatal(err)
		}
		used := map[string]bool{}
		for _, weight := range weights.All() {
			layer, suffix := weight.Name[:strings.LastIndexByte(weight.Name, '.')], weight.Name[strings.LastIndexByte(weight.Name, '.'):]
			published := names[weight.Name]
			if published == "" && names[layer] != "" {
				published = names[layer] + suffix
			}
			if published == "" || used[published] {
				t.Errorf("%s: the weight %s has the published name %q, expected one of its own", name, weight.Name, published)
			}
			used[published] = true
		}
	}
	if names, err := backbone.PublishedNames("conv4"); err == nil || !strings.Contains(err.Error(), "no published weights") {
		t.Errorf("conv4: found %d names (%v)", len(names), err)
	}
}

// The pooling and the layer of features are options, and the size is that of the weights
// unless another is given.
func TestEndsOfPublishedNetworks(t *testing.T) {
	network, err := backbone.Named("resnet18", backbone.Options{Pooling: "gem", Features: 7})
	if err != nil {
		t.Fatal(err)
	}
	last := network.Blocks[len(network.Blocks)-2:]
	if last[0] != graph.Block(graph.GeM{}) || last[1] != graph.Block(graph.Linear{Units: 7}) || network.Size != (imaging.Size{Height: 224, Width: 224, Channels: 3}) {
		t.Errorf("found the last blocks %+v and the size %v", last, network.Size)
	}
	for want, o := range map[string]backbone.Options{
		`unknown pooling "gme". There are average, gem`: {Pooling: "gme"},
		"has no option width":                           {Width: 3},
	} {
		if _, err := backbone.Named("resnet18", o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: found error %v, expected %q", o, err, want)
		}
	}
	if _, err := backbone.Named("conv4", backbone.Options{Pooling: "gem"}); err == nil || !strings.Contains(err.Error(), "has no option pooling") {
		t.Errorf("conv4: found error %v", err)
	}
}
