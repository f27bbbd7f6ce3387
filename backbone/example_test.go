package backbone_test

import (
	"fmt"

	"github.com/likeness-go/likeness/backbone"
)

func ExampleNamed() {
	network, err := backbone.Named("koch", backbone.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	shape, err := backbone.ShapeOf(network)
	fmt.Println(network.Input(), "images give", shape.Features, "features from", shape.Parameters, "parameters", err)
	// Output: 105x105x1 images give 4096 features from 38947648 parameters <nil>
}

func ExampleParse() {
	network, err := backbone.Parse(`
name = "tiny"
input = { height = 28, width = 28, channels = 1 }

[[block]]
kind = "conv"
filters = 8
kernel = 5
activation = "relu"
pool = 2

[[block]]
kind = "globalaveragepool"
`, "tiny.toml")
	if err != nil {
		fmt.Println(err)
		return
	}
	shape, _ := backbone.ShapeOf(network)
	fmt.Println(network.Name, shape.Features, shape.Parameters)
	// Output: tiny 8 208
}
