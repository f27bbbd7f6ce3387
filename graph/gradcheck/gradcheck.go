// Package gradcheck compares the gradients of a graph with finite differences.
//
// It is for tests, and for a program that examines itself. A check builds a training graph in float64, runs it three
// times, because several faults of expression graphs show from the second run
// on, and compares the gradients with central differences along random
// directions and along five coordinates of every learned weight.
package gradcheck

import (
	"math"
	"math/rand/v2"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

const (
	// Tolerance is the largest allowed difference between the gradient and the
	// finite difference, relative to the largest gradient of the weight.
	Tolerance = 1e-6

	step        = 1e-5 // of the finite difference; its error is of order step²
	runs        = 3
	coordinates = 5
	directions  = 3
	attempts    = 8 // at finding a coordinate or direction away from a kink
)

// test is what Check needs of a testing.TB.
type test interface {
	Helper()
	Error(arguments ...any)
}

// Check is Find for a test, which fails where a gradient is wrong.
func Check(t test, weights *graph.Weights, inputs map[string][]float64, draw func(*graph.Builder) graph.Outputs) {
	t.Helper()
	for _, err := range Find(weights, inputs, draw) {
		t.Error(err)
	}
}

// Find builds a Training graph on the weights with draw, sets the inputs and
// returns what is wrong with the gradients. The weights must be Float64. To
// check a gradient by an input, make it a weight. Points too near a kink, where
// two finite differences disagree with each other, are drawn anew; it is an
// error if none is found.
func Find(weights *graph.Weights, inputs map[string][]float64, draw func(*graph.Builder) graph.Outputs) []error {
	program, err := graph.Build(weights, graph.Training, draw)
	if err != nil {
		return []error{err}
	}
	defer program.Close()
	for name, values := range inputs {
		if err := program.Set(name, values); err != nil {
			return []error{err}
		}
	}
	c := &check{program: program, random: random.New(1, "gradcheck")}
	c.all()
	return c.wrong
}

type check struct {
	program *graph.Program
	random  *rand.Rand
	exact   map[string][]float64 // gradients by name
	largest float64              // gradient of all
	wrong   []error
}

// stop unwinds to all, when it makes no sense to go on.
type stop struct{}

// all makes every check, up to one that ends them.
func (c *check) all() {
	defer func() {
		if cause := recover(); cause != nil && cause != (stop{}) {
			panic(cause)
		}
	}()
	c.repeat()
	for _, parameter := range c.program.Parameters() {
		c.coordinates(parameter)
	}
	for range directions {
		c.direction()
	}
}

func (c *check) errorf(format string, arguments ...any) {
	c.wrong = append(c.wrong, errors.Errorf(format, arguments...))
}

// end adds an error and ends the check.
func (c *check) end(err error) {
	c.wrong = append(c.wrong, err)
	panic(stop{})
}

// cost runs the program as the run of number 0, so that dropout's masks stay.
func (c *check) cost() float64 {
	c.program.SetStep(0)
	if err := c.program.Run(); err != nil {
		c.end(err)
	}
	cost, err := c.program.Scalar(graph.Cost)
	if err != nil {
		c.end(err)
	}
	return cost
}

// repeat runs the program three times: cost and gradients must be the same to
// the bit, and finite.
func (c *check) repeat() {
	var first float64
	for run := range runs {
		cost := c.cost()
		if run == 0 {
			first, c.exact = cost, map[string][]float64{}
		}
		if cost != first || math.IsNaN(cost) || math.IsInf(cost, 0) {
			c.end(errors.Errorf("run %d: cost %v, the first was %v", run+1, cost, first))
		}
		for _, parameter := range c.program.Parameters() {
			gradient, err := parameter.Elements()
			if err != nil {
				c.end(err)
			}
			if run == 0 {
				c.exact[parameter.Name()] = gradient
			}
			for i, g := range gradient {
				c.largest = max(c.largest, math.Abs(g))
				if g != c.exact[parameter.Name()][i] || math.IsNaN(g) || math.IsInf(g, 0) {
					c.end(errors.Errorf("run %d: gradient of %s[%d] is %v, it was %v in the first run", run+1, parameter.Name(), i, g, c.exact[parameter.Name()][i]))
				}
			}
		}
	}
}

// agrees compares the expected slope with the central difference of the cost
// when move shifts the weights. Where they differ it takes a narrower
// difference, which steps over fewer kinks: if that agrees, the slope is right;
// if the two disagree with each other too, the point says nothing.
func (c *check) agrees(expected, tolerance float64, move func(scale float64)) (found float64, ok, kink bool) {
	difference := func(h float64) float64 {
		move(h)
		up := c.cost()
		move(-2 * h)
		down := c.cost()
		move(h)
		return (up - down) / (2 * h)
	}
	wide := difference(step)
	if math.Abs(wide-expected) <= tolerance {
		return wide, true, false
	}
	narrow := difference(step / 10)
	return narrow, math.Abs(narrow-expected) <= tolerance, math.Abs(wide-narrow) > tolerance
}

func (c *check) coordinates(parameter *graph.Parameter) {
	data := parameter.Value().Data().([]float64)
	gradient := c.exact[parameter.Name()]
	scale := max(1e-3, 1e-4*c.largest)
	for _, g := range gradient {
		scale = max(scale, math.Abs(g))
	}
	for range min(coordinates, len(data)) {
		kink := true
		for attempt := 0; kink && attempt < attempts; attempt++ {
			i := c.random.IntN(len(data))
			var slope float64
			var ok bool
			slope, ok, kink = c.agrees(gradient[i], Tolerance*scale, func(h float64) { data[i] += h })
			if ok {
				kink = false
			} else if !kink {
				c.errorf("gradient of %s[%d]: found %.10g, the finite difference is %.10g", parameter.Name(), i, gradient[i], slope)
			}
		}
		if kink {
			c.errorf("gradient of %s: no coordinate away from a kink in %d attempts", parameter.Name(), attempts)
		}
	}
}

// direction checks all weights at once along a random direction.
func (c *check) direction() {
	for range attempts {
		var expected, length float64
		along := map[string][]float64{}
		for _, parameter := range c.program.Parameters() {
			gradient := c.exact[parameter.Name()]
			way := make([]float64, len(gradient))
			for i := range way {
				way[i] = c.random.NormFloat64()
				length += way[i] * way[i]
			}
			along[parameter.Name()] = way
		}
		length = math.Sqrt(length)
		for _, parameter := range c.program.Parameters() {
			way := along[parameter.Name()]
			for i, g := range c.exact[parameter.Name()] {
				way[i] /= length
				expected += way[i] * g
			}
		}
		slope, ok, kink := c.agrees(expected, Tolerance*max(c.largest, 1e-3), func(h float64) {
			for _, parameter := range c.program.Parameters() {
				data := parameter.Value().Data().([]float64)
				for i, w := range along[parameter.Name()] {
					data[i] += h * w
				}
			}
		})
		if kink && !ok {
			continue
		}
		if !ok {
			c.errorf("gradient along a random direction: found %.10g, the finite difference is %.10g", expected, slope)
		}
		return
	}
	c.errorf("no direction away from a kink in %d attempts", attempts)
}
