package graph

import "github.com/likeness-go/likeness/internal/random"

// Dropout sets each element to zero with probability Rate while training and
// divides the others by 1 − Rate, so that evaluation needs no change
// (Srivastava et al. 2014, in the inverted form). Each tower has a mask of its
// own, drawn from the weights' seed and the number of the run.
type Dropout struct {
	Rate float64 // in [0, 1)
}

// Kind is "dropout".
func (Dropout) Kind() string { return "dropout" }

// Apply adds the block to the graph.
func (d Dropout) Apply(b *Builder, number int, x *Node) *Node {
	b.Describe(blockName("dropout", number), d)
	if d.Rate < 0 || d.Rate >= 1 {
		b.Fail("found a rate of %v, expected 0 ≤ rate < 1", d.Rate)
	}
	if b.mode == Evaluation || d.Rate == 0 {
		return x
	}
	name := b.path(blockName("dropout", number))
	mask := dropoutMask{rate: d.Rate, runs: b.runs, seed: random.Seed(b.weights.seed, "dropout", name, b.count)}
	return b.Apply(blockName("dropout", number), x.Shape().Clone(),
		&dropout[float32]{dropoutMask: mask}, &dropout[float64]{dropoutMask: mask}, x)
}

// dropoutMask says how a mask is drawn.
type dropoutMask struct {
	rate float64
	seed uint64
	runs *runState
}

type dropout[T Float] struct {
	dropoutMask
	kept []bool // of the last forward pass
}

func (d *dropout[T]) Forward(y []T, x ...[]T) {
	d.kept = append(d.kept[:0], make([]bool, len(y))...)
	r := random.New(d.seed, d.runs.step)
	for i, v := range x[0] {
		d.kept[i] = r.Float64() >= d.rate
		y[i] = d.pass(i, v)
	}
}

func (d *dropout[T]) Backward(dx, x [][]T, y, dy []T) {
	for i, v := range dy {
		dx[0][i] = d.pass(i, v)
	}
}

func (d *dropout[T]) pass(i int, v T) T {
	if !d.kept[i] {
		return 0
	}
	return v / T(1-d.rate)
}
