package onnx_test

import (
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/onnx"
)

// Whatever the network, what is written of it is read as a protocol buffer of ONNX,
// and calculates what the model does.
func FuzzNetwork(f *testing.F) {
	for kind := range byte(blockKinds) {
		f.Add([]byte{0, 7, kind, 3}, uint8(6), uint8(5), true, "a name")
	}
	f.Add([]byte{0, 255, 1, 255, 2, 255, 3, 255}, uint8(3), uint8(3), false, "\xff\x00")
	f.Fuzz(func(t *testing.T, choices []byte, height, width uint8, color bool, name string) {
		size := imaging.Size{Height: int(height % 12), Width: int(width % 12), Channels: 1}
		if color {
			size.Channels = 3
		}
		network := backbone.Network{Name: name, Size: size}
		for i := 0; i+1 < min(len(choices), 12); i += 2 {
			network.Blocks = append(network.Blocks, fuzzedBlock(choices[i], int(choices[i+1])))
		}
		network.Blocks = append(network.Blocks, graph.Flatten{}, graph.Linear{Units: 2})
		model, err := likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: size}, 1)
		if err != nil {
			return // blocks that do not fit together
		}
		gradcheck.Perturb(model.Weights, "fuzz")
		expectSameEmbeddings(t, model)
		expectSameImport(t, model)
		written, err := onnx.Network(model)
		if err != nil {
			t.Fatal(err)
		}
		if found := decode(t, written); len(found.outputs) != 1 || len(found.inputs) != 1 || len(found.nodes) == 0 {
			t.Errorf("found the inputs %q, the outputs %q and %d nodes", found.inputs, found.outputs, len(found.nodes))
		}
	})
}

const blockKinds = 8

// fuzzedBlock is a block by a number of its kind and one that its fields are cut out
// of.
func fuzzedBlock(kind byte, fields int) graph.Block {
	activation := []string{"", "relu", "prelu", "sigmoid", "tanh"}[fields%5]
	switch kind % blockKinds {
	case 0:
		return graph.Conv{Filters: 1 + fields%3, Kernel: 1 + fields/3%3, Stride: fields / 9 % 3, Padding: fields / 27 % 3, BatchNorm: fields%2 == 0, Activation: activation, Pool: fields / 81 % 3}
	case 1:
		return graph.MaxPool{Size: 1 + fields%3, Stride: fields / 3 % 3}
	case 2:
		return graph.AveragePool{Size: 1 + fields%3, Stride: fields / 3 % 3, Trainable: fields/9%2 == 0}
	case 3:
		return graph.BatchNorm{}
	case 4:
		return graph.Activate{Function: activation}
	case 5:
		return graph.GlobalAveragePool{}
	case 6:
		return graph.Linear{Units: 1 + fields%4, NoBias: fields%2 == 0, Activation: activation}
	}
	return graph.Residual{Body: []graph.Block{graph.Conv{Filters: 1 + fields%3, Kernel: 3, Padding: 1}}, Activation: activation}
}
