package main

import (
	"fmt"
	"path/filepath"

	"github.com/likeness-go/likeness/benchmarks/workload"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// stock is a training step with the contrastive loss in the operations of Gorgonia itself,
// restricted to those that are correct: convolution and max pooling over (batch, channels,
// height, width), and sums over one axis at a time.
type stock struct {
	machine     gorgonia.VM
	solver      gorgonia.Solver
	left, right *gorgonia.Node // images
	same        *gorgonia.Node // 1 where the pair is of one class, else 0
	different   *gorgonia.Node // 1 − same
	weights     gorgonia.Nodes
	cost        gorgonia.Value
	inputs      safetensors.File
	steps       int // number of steps done
}

// newStock builds the workload from its files. Its network must consist of convolutions,
// begin with one channel and end with one pixel.
func newStock(w workload.Workload, folder string) (*stock, error) {
	weights, err := safetensors.ReadFile(filepath.Join(folder, workload.ModelFile))
	if err != nil {
		return nil, err
	}
	s := &stock{solver: gorgonia.NewAdamSolver(gorgonia.WithLearnRate(w.Solver.LearningRate))}
	if s.inputs, err = safetensors.ReadFile(filepath.Join(folder, workload.InputsFile)); err != nil {
		return nil, err
	}
	g := gorgonia.NewGraph()
	size := w.Network.Size
	input := func(name string, shape ...int) *gorgonia.Node {
		return gorgonia.NewTensor(g, tensor.Float32, len(shape), gorgonia.WithName(name), gorgonia.WithShape(shape...))
	}
	s.left = input("left", w.Count, size.Channels, size.Height, size.Width)
	s.right = input("right", w.Count, size.Channels, size.Height, size.Width)
	s.same, s.different = input("same", w.Count), input("different", w.Count)
	left, right := s.left, s.right
	for i, block := range w.Network.Blocks {
		conv, ok := block.(graph.Conv)
		if !ok {
			continue // flatten, which changes nothing for one pixel
		}
		layer := stockLayer{Conv: conv}
		if layer.weight, err = s.weight(g, weights, fmt.Sprintf("conv%d.weight", i+1)); err != nil {
			return nil, err
		}
		if layer.bias, err = s.weight(g, weights, fmt.Sprintf("conv%d.bias", i+1), 1, conv.Filters, 1, 1); err != nil {
			return nil, err
		}
		left, right = layer.apply(left), layer.apply(right)
	}
	cost := s.contrastive(left, right, w.Loss.Margin)
	gorgonia.Read(cost, &s.cost)
	if _, err := gorgonia.Grad(cost, s.weights...); err != nil {
		return nil, errors.WithStack(err)
	}
	s.machine = gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(s.weights...))
	return s, nil
}

// weight returns a node with the tensor of that name in the file, reshaped if a shape is
// given.
func (s *stock) weight(g *gorgonia.ExprGraph, file safetensors.File, name string, shape ...int) (*gorgonia.Node, error) {
	t, ok := file.Tensor(name)
	if !ok {
		return nil, errors.Errorf("the model file has no weight %q", name)
	}
	if len(shape) == 0 {
		shape = t.Shape
	}
	value := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(t.Data))
	node := gorgonia.NewTensor(g, tensor.Float32, len(shape), gorgonia.WithName(name), gorgonia.WithShape(shape...), gorgonia.WithValue(value))
	s.weights = append(s.weights, node)
	return node, nil
}

// stockLayer is a convolution block.
type stockLayer struct {
	graph.Conv
	weight, bias *gorgonia.Node
}

func (l stockLayer) apply(x *gorgonia.Node) *gorgonia.Node {
	square := func(side int) []int { return []int{side, side} }
	x = gorgonia.Must(gorgonia.Conv2d(x, l.weight, tensor.Shape(square(l.Kernel)), square(l.Padding), square(1), square(1)))
	x = gorgonia.Must(gorgonia.BroadcastAdd(x, l.bias, nil, []byte{0, 2, 3}))
	x = gorgonia.Must(gorgonia.Rectify(x))
	return gorgonia.Must(gorgonia.MaxPool2D(x, tensor.Shape(square(l.Pool)), square(0), square(l.Pool)))
}

// contrastive returns the mean of same·½D² + different·½max(0, margin − D)² over the pairs
// (Hadsell, Chopra & LeCun 2006, equation 4).
func (s *stock) contrastive(left, right *gorgonia.Node, margin float64) *gorgonia.Node {
	squares := gorgonia.Must(gorgonia.Square(gorgonia.Must(gorgonia.Sub(left, right))))
	for axis := 3; axis > 0; axis-- {
		squares = gorgonia.Must(gorgonia.Sum(squares, axis))
	}
	distances := gorgonia.Must(gorgonia.Sqrt(squares))
	gap := gorgonia.Must(gorgonia.Rectify(gorgonia.Must(gorgonia.Sub(gorgonia.NewConstant(float32(margin)), distances))))
	pull := gorgonia.Must(gorgonia.HadamardProd(s.same, squares))
	push := gorgonia.Must(gorgonia.HadamardProd(s.different, gorgonia.Must(gorgonia.Square(gap))))
	mean := gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Add(pull, push))))
	return gorgonia.Must(gorgonia.Mul(mean, gorgonia.NewConstant(float32(0.5))))
}

// set sets the inputs to the next batch.
func (s *stock) set() error {
	batch := s.steps % batches
	s.steps++
	labels, ok := s.inputs.Tensor(fmt.Sprint(batch, " labels"))
	if !ok {
		return errors.Errorf("the inputs file has no labels of batch %d", batch)
	}
	different := labels.Data.([]float32)
	same := make([]float32, len(different))
	for i, d := range different {
		same[i] = 1 - d
	}
	for _, input := range []struct {
		node *gorgonia.Node
		data any
	}{{s.same, same}, {s.different, different}, {s.left, s.images(batch, 0)}, {s.right, s.images(batch, 1)}} {
		value := tensor.New(tensor.WithShape(input.node.Shape()...), tensor.WithBacking(input.data))
		if err := gorgonia.Let(input.node, value); err != nil {
			return errors.WithStack(err)
		}
	}
	return nil
}

func (s *stock) images(batch, tower int) any {
	t, _ := s.inputs.Tensor(fmt.Sprintf("%d images %d", batch, tower))
	return t.Data
}

// Do runs one step and returns its loss.
func (s *stock) Do() (loss float64, err error) {
	if err := s.set(); err != nil {
		return 0, err
	}
	s.machine.Reset()
	if err := s.machine.RunAll(); err != nil {
		return 0, errors.WithStack(err)
	}
	loss = float64(s.cost.Data().(float32))
	return loss, errors.WithStack(s.solver.Step(gorgonia.NodesToValueGrads(s.weights)))
}

// Close releases the graph.
func (s *stock) Close() error { return s.machine.Close() }
