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

	step        = 1e-5 // of the central difference, whose error is of order step²
	runs        = 3
	coordinates = 5
	directions  = 3
	attempts    = 8 // to find a coordinate or direction away from kinks
)

// Reporter has the methods of testing.TB that Check calls.
type Reporter interface {
	Helper()
	Error(arguments ...any)
}

// Check reports the errors of Find to a test, usually a *testing.T.
func Check(t Reporter, weights *graph.Weights, inputs map[string][]float64, build func(*graph.Builder) graph.Outputs) {
	t.Helper()
	for _, err := range Find(weights, inputs, build) {
		t.Error(err)
	}
}

// Find builds a Training graph on the weights, sets its inputs, and returns the errors of
// its gradients, none if they are correct. The weights must be Float64, and have their
// original values, up to rounding, when it returns. The gradient must agree with the
// finite difference up to Tolerance.
//
// Near a point without a derivative, such as 0 for ReLU, finite differences with
// different steps disagree; another point is then used, up to eight, after which it is an
// error.
func Find(weights *graph.Weights, inputs map[string][]float64, build func(*graph.Builder) graph.Outputs) []error {
	if weights.Dtype() != graph.Float64 {
		return []error{errors.Errorf("check gradients: found weights of %v, expected Float64: finite differences need its precision", weights.Dtype())}
	}
	program, err := graph.Build(weights, graph.Training, build)
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

// stop is the panic by which end returns to all.
type stop struct{}

// all makes every check, until one of them calls end.
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

// end adds an error after which no further check makes sense.
func (c *check) end(err error) {
	c.wrong = append(c.wrong, err)
	panic(stop{})
}

// cost runs the program as run number 0, so that the masks of dropout stay the same.
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

// repeat runs the program three times: the cost and the gradients must be finite
// and the same to the bit.
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

// agrees compares the expected derivative with the central difference of the cost
// when move shifts the weights. Where they differ it takes a smaller step, which
// crosses fewer kinks: if that agrees, the derivative is right. If the two
// differences disagree with each other as well, there is a kink.
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
			direction := make([]float64, len(gradient))
			for i := range direction {
				direction[i] = c.random.NormFloat64()
				length += direction[i] * direction[i]
			}
			along[parameter.Name()] = direction
		}
		length = math.Sqrt(length)
		for _, parameter := range c.program.Parameters() {
			direction := along[parameter.Name()]
			for i, g := range c.exact[parameter.Name()] {
				direction[i] /= length
				expected += direction[i] * g
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
