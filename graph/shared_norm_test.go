package graph_test

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/likeness-go/likeness/graph"
)

// normed has each kind of batch norm: in blocks with and without a pool, whose convolution is stored or computed again,
// in a depthwise convolution, in both branches of a residual block, and by itself.
var normed = []graph.Block{
	graph.Conv{Filters: 4, Kernel: 3, Padding: 1, BatchNorm: true, Activation: "relu", Pool: 2},
	graph.Conv{Filters: 8, Kernel: 3, Padding: 1, BatchNorm: true, Activation: "gelu"},
	graph.Residual{
		Body: []graph.Block{
			graph.Conv{Filters: 8, Kernel: 3, Padding: 1, Groups: 8, BatchNorm: true, Activation: "prelu"},
			graph.Conv{Filters: 8, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true},
		},
		Shortcut:   []graph.Block{graph.Conv{Filters: 8, Kernel: 1, BatchNorm: true}},
		Activation: "relu",
	},
	graph.Conv{Filters: 5, Kernel: 3, BatchNorm: true, Activation: "relu", Pool: 2},
	graph.Flatten{}, graph.BatchNorm{}, graph.Linear{Units: 3}, graph.BatchNorm{Epsilon: 1e-3, Momentum: 0.3},
}

// meeting adds values of parts up when all have come.
type meeting struct {
	parts   int
	mutex   sync.Mutex
	changed *sync.Cond
	name    string
	sums    []float64
	come    int
	left    int
	places  []string // of all meetings
	stopped bool
}

func newMeeting(parts int) *meeting {
	m := &meeting{parts: parts}
	m.changed = sync.NewCond(&m.mutex)
	return m
}

func (m *meeting) sum(name string, values []float64) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	wait := func(condition func() bool) {
		for !condition() {
			if m.stopped {
				panic("stopped")
			}
			m.changed.Wait()
		}
	}
	wait(func() bool { return m.left == 0 })
	if m.come == 0 {
		m.name, m.sums = name, make([]float64, len(values))
		m.places = append(m.places, name)
	}
	if name != m.name {
		panic(fmt.Sprintf("one part is at the norm %s and another at %s", m.name, name))
	}
	for i, v := range values {
		m.sums[i] += v
	}
	if m.come++; m.come == m.parts {
		m.come, m.left = 0, m.parts
		m.changed.Broadcast()
	}
	wait(func() bool { return m.left > 0 })
	copy(values, m.sums)
	if m.left--; m.left == 0 {
		m.changed.Broadcast()
	}
}

// inParts is a batch in parts with shared norms, each with a graph and with equal weights of its own.
type inParts struct {
	meeting  *meeting
	weights  []*graph.Weights
	programs []*graph.Program
}

const sharedBatch, sharedSide = 8, 8

func newInParts(t testing.TB, parts int) *inParts {
	t.Helper()
	p := &inParts{meeting: newMeeting(parts)}
	batch := sharedBatch / parts
	for part := range parts {
		weights := graph.NewWeights(graph.Float64, 3)
		program := build(t, weights, graph.Training, func(b *graph.Builder) graph.Outputs {
			if parts > 1 {
				b.ShareNorms(parts, p.meeting.sum)
			}
			y := b.Sequence(normed, b.Input("x", batch, sharedSide, sharedSide, 2))
			return graph.Outputs{graph.Cost: sumOfSquares(b, y, b.Input("factors", batch, 3))}
		})
		images := normal(sharedBatch*sharedSide*sharedSide*2, "images")
		for i := range images {
			images[i] += 3 // a mean that is not zero
		}
		factors := normal(sharedBatch*3, "factors")
		set(t, program, values{"x": images[part*len(images)/parts:][:len(images)/parts], "factors": factors[part*len(factors)/parts:][:len(factors)/parts]})
		p.weights, p.programs = append(p.weights, weights), append(p.programs, program)
	}
	return p
}

// run runs all graphs at once and returns the sum of their costs.
func (p *inParts) run(t testing.TB) (cost float64) {
	t.Helper()
	var all sync.WaitGroup
	failures := make([]error, len(p.programs))
	for i, program := range p.programs {
		all.Go(func() { failures[i] = program.Run() })
	}
	all.Wait()
	for i, err := range failures {
		if err != nil {
			t.Fatal(err)
		}
		one, err := p.programs[i].Scalar(graph.Cost)
		if err != nil {
			t.Fatal(err)
		}
		cost += one
	}
	return cost
}

// gradients are the sums of those of all parts.
func (p *inParts) gradients(t testing.TB) values {
	t.Helper()
	sums := gradients(t, p.programs[0])
	for _, program := range p.programs[1:] {
		for name, elements := range gradients(t, program) {
			for i, v := range elements {
				sums[name][i] += v
			}
		}
	}
	return sums
}

// In float64, parts that share their norms have the cost, the gradients and the running statistics of the whole batch to
// 1e-10, and without sharing they differ by far more.
func TestSharedNormsAreThoseOfTheWholeBatch(t *testing.T) {
	whole := newInParts(t, 1)
	cost := whole.run(t)
	for _, parts := range []int{2, 4} {
		p := newInParts(t, parts)
		if found := p.run(t); math.Abs(found-cost) > 1e-10*cost {
			t.Errorf("%d parts: found the cost %v, expected %v", parts, found, cost)
		}
		expectNear(t, fmt.Sprint(parts, " parts: gradients"), p.gradients(t), whole.gradients(t), 1e-10)
		for _, weights := range p.weights {
			expectNear(t, fmt.Sprint(parts, " parts: weights"), weightValues(weights), weightValues(whole.weights[0]), 1e-10)
		}
		if norms := 8; len(p.meeting.places) != 2*norms {
			t.Errorf("%d parts: they met at %v, expected each of %d norms twice", parts, p.meeting.places, norms)
		}
	}
	alone := newInParts(t, 2)
	alone.meeting.parts = 1 // each meets itself: other statistics
	if found := alone.run(t); math.Abs(found-cost) < 1e-3*cost {
		t.Errorf("parts with statistics of their own have the cost %v of the whole batch, so the test shows nothing", found)
	}
}

// The gradients with shared norms are those of finite differences.
func TestGradientsOfSharedNorms(t *testing.T) {
	p := newInParts(t, 2)
	p.run(t)
	const step = 1e-5
	for name, elements := range p.gradients(t) {
		for i := 0; i < len(elements); i += max(1, len(elements)/3) {
			var costs [2]float64
			for side, h := range []float64{step, -step} {
				for _, weights := range p.weights {
					weights.Get(name).Value.Float64s()[i] += h
				}
				costs[side] = p.run(t)
				for _, weights := range p.weights {
					weights.Get(name).Value.Float64s()[i] -= h
				}
			}
			want := (costs[0] - costs[1]) / (2 * step)
			if difference := math.Abs(elements[i] - want); difference > 1e-5*max(1, math.Abs(want)) {
				t.Errorf("element %d of %s: found the gradient %v, expected %v", i, name, elements[i], want)
			}
		}
	}
}

// A panic of the function that adds up ends the run with an error, and the next run is as any other.
func TestSharedNormThatFails(t *testing.T) {
	p := newInParts(t, 2)
	p.meeting.stopped = true
	if err := p.programs[0].Run(); err == nil || !strings.Contains(err.Error(), "stopped") {
		t.Errorf("found the error %v, expected that of the function", err)
	}
	p.meeting = newMeeting(2)
	for _, parts := range []int{0, -1} {
		if _, err := graph.Build(graph.NewWeights(graph.Float64, 1), graph.Training, func(b *graph.Builder) graph.Outputs {
			b.ShareNorms(parts, p.meeting.sum)
			return nil
		}); err == nil || !strings.Contains(err.Error(), "expected at least 1") {
			t.Errorf("%d parts: found the error %v", parts, err)
		}
	}
}
