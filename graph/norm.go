package graph

import (
	"github.com/likeness-go/likeness/graph/internal/kernel"
	"gorgonia.org/tensor"
)

// The defaults of batch norm (Ioffe & Szegedy 2015), with PyTorch's values.
const (
	normEpsilon  = 1e-5 // added to the variance
	normMomentum = 0.1  // of the running statistics: new = 0.9·old + 0.1·batch
)

// BatchNorm normalizes each channel of (batch, height, width, channels), or each
// feature of (batch, features), to mean 0 and variance 1, then scales and shifts it
// (Ioffe & Szegedy 2015). In a Training graph each tower uses the statistics of its
// own batch, and a successful run updates the running statistics in the order in
// which the towers were built. In an Evaluation graph, and if the running statistics are
// frozen (Weights.Freeze, Weights.FreezeStatistics), it uses the running statistics.
//
// Its weights are "batchnormN.weight", ".bias", ".running_mean" and
// ".running_var".
type BatchNorm struct {
	Epsilon  float64 `json:",omitempty"` // added to the variance; 0 for 1e-5
	Momentum float64 `json:",omitempty"` // of the running statistics, new = (1 − momentum)·old + momentum·batch; 0 for 0.1
}

// Kind is "batchnorm".
func (BatchNorm) Kind() string { return "batchnorm" }

// Apply adds the block to the graph.
func (n BatchNorm) Apply(b *Builder, number int, x *Node) *Node {
	if n != (BatchNorm{}) { // earlier versions had no settings
		b.Describe(blockName("batchnorm", number), n)
	}
	rows, channels := b.channels(x)
	norm := b.norm(blockName("batchnorm", number), channels, n.Epsilon, n.Momentum)
	f32 := &normFunction[float32]{kernel: kernel.NewBatchNorm[float32](rows, channels, norm.epsilon), given: norm.given}
	f64 := &normFunction[float64]{kernel: kernel.NewBatchNorm[float64](rows, channels, norm.epsilon), given: norm.given}
	operands := []*Node{x, norm.gain, norm.shift}
	if norm.given {
		operands = append(operands, norm.mean, norm.variance)
	} else {
		norm.track(b, rows, f32, f64, f32.kernel, f64.kernel)
	}
	return b.Apply(blockName("batchnorm", number), x.Shape().Clone(), f32, f64, operands...)
}

type normFunction[T Float] struct {
	kernel *kernel.BatchNorm[T]
	given  bool
}

func (f *normFunction[T]) Forward(y []T, x ...[]T) {
	if f.given {
		f.kernel.Apply(y, x[0], x[1], x[2], x[3], x[4])
	} else {
		f.kernel.Forward(y, x[0], x[1], x[2])
	}
}

func (f *normFunction[T]) backwardReads(operand int) bool { return operand != result }

func (f *normFunction[T]) Backward(dx, x [][]T, y, dy []T) {
	if f.given {
		f.kernel.ApplyBackward(dx[0], dx[1], dx[2], x[0], x[1], x[3], x[4], dy)
	} else {
		f.kernel.Backward(dx[0], dx[1], dx[2], x[0], x[1], dy)
	}
}

func (f *normFunction[T]) Statistics() (mean, variance []T) { return f.kernel.Mean, f.kernel.Variance }

// normWeights are the weights of one batch norm.
type normWeights struct {
	gain, shift    *Node
	mean, variance *Node // the running statistics
	given          bool  // use the running statistics instead of the batch's
	running        [2]*Weight
	epsilon        float64
	momentum       float64
}

// norm adds the weights of a batch norm. An epsilon or a momentum of 0 is the default.
func (b *Builder) norm(name string, channels int, epsilon, momentum float64) *normWeights {
	n := &normWeights{
		epsilon:  b.positive("an epsilon", epsilon, normEpsilon),
		momentum: b.positive("a momentum", momentum, normMomentum),
	}
	if n.momentum > 1 {
		b.Fail("found a momentum of %v, expected at most 1", n.momentum)
	}
	b.Scope(name, func() *Node {
		n.gain = b.Weight("weight", Gain, Constant(1), channels)
		n.shift = b.Weight("bias", Bias, Constant(0), channels)
		n.mean = b.Weight("running_mean", Buffer, Constant(0), channels)
		n.variance = b.Weight("running_var", Buffer, Constant(1), channels)
		n.running = [2]*Weight{b.weights.Get(b.path("running_mean")), b.weights.Get(b.path("running_var"))}
		return nil
	})
	n.given = b.mode == Evaluation || n.running[0].Frozen
	return n
}

func (n *normWeights) kernelMode() kernel.Norm {
	if n.given {
		return kernel.GivenStatistics
	}
	return kernel.BatchStatistics
}

// statistics are those of the batch of the last forward pass; the variance is biased.
type statistics[T Float] interface {
	Statistics() (mean, variance []T)
}

// sharing is a kernel that can have its statistics in common with those of other parts.
type sharing interface {
	ShareStatistics(parts int, sum func(values []float64))
}

// track makes every successful run move the running statistics toward those of the
// batch, which has the given number of rows, and has them in common with other parts, see Builder.ShareNorms. The
// running variance is unbiased.
func (n *normWeights) track(b *Builder, rows int, f32 statistics[float32], f64 statistics[float64], kernels ...sharing) {
	if shared := b.norms; shared.sum != nil {
		rows *= shared.parts
		name := n.running[0].Name[:len(n.running[0].Name)-len(".running_mean")]
		b.Describe(name+" is shared by parts", shared.parts)
		for _, each := range kernels {
			each.ShareStatistics(shared.parts, func(values []float64) { shared.sum(name, values) })
		}
	}
	if rows < 2 {
		b.Fail("batch norm in training needs at least 2 values of each channel, found %d: use a larger batch or freeze the layer", rows)
	}
	unbiased := float64(rows) / float64(rows-1)
	b.runs.commit = append(b.runs.commit, func() {
		if b.Dtype() == Float32 {
			mean, variance := f32.Statistics()
			follow(n.running[0].Value, mean, 1, n.momentum)
			follow(n.running[1].Value, variance, unbiased, n.momentum)
		} else {
			mean, variance := f64.Statistics()
			follow(n.running[0].Value, mean, 1, n.momentum)
			follow(n.running[1].Value, variance, unbiased, n.momentum)
		}
	})
}

func follow[T Float](running *tensor.Dense, batch []T, scale, momentum float64) {
	data := running.Data().([]T)
	for i, v := range batch {
		data[i] += T(momentum) * (T(scale)*v - data[i])
	}
}

// Normalize scales each row of (batch, features) to Euclidean length 1. The zero
// vector is not changed, and its gradient is zero.
type Normalize struct{}

// Kind is "normalize".
func (Normalize) Kind() string { return "normalize" }

// Apply adds the block to the graph.
func (Normalize) Apply(b *Builder, number int, x *Node) *Node {
	return b.Named(blockName("normalize", number), func() *Node { return b.Normalize(x) })
}

// Normalize scales each row of x, (batch, features), to Euclidean length 1.
func (b *Builder) Normalize(x *Node) *Node {
	rows, columns := b.rows(x)
	return b.Apply("normalize", x.Shape().Clone(), newNormalize[float32](rows, columns), newNormalize[float64](rows, columns), x)
}

type normalize[T Float] struct {
	rows, columns int
	norms         []T
}

func newNormalize[T Float](rows, columns int) *normalize[T] {
	return &normalize[T]{rows, columns, make([]T, rows)}
}

func (n *normalize[T]) Forward(y []T, x ...[]T) {
	kernel.Normalize(y, n.norms, x[0], n.rows, n.columns)
}

func (n *normalize[T]) Backward(dx, x [][]T, y, dy []T) {
	kernel.NormalizeBackward(dx[0], x[0], y, n.norms, dy, n.rows, n.columns)
}
