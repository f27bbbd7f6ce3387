package kernel

import "github.com/pkg/errors"

// Norm says what a block normalises its convolution by.
type Norm int

const (
	NoNorm          Norm = iota
	BatchStatistics      // of the batch itself, as in training
	GivenStatistics      // BlockWeights' Mean and Variance, as in evaluation and in frozen layers
)

// BlockShape is the shape of a block: convolution, batch norm, activation and
// max pool, in this order.
type BlockShape struct {
	Conv                 ConvShape
	Norm                 Norm
	Epsilon              float64 // of the batch norm
	Activation           Activation
	PoolSize, PoolStride int  // of the max pool; 0 for none
	Evaluation           bool // Backward will not be called, so nothing is kept for it
}

// BlockWeights are a block's weights, or their gradients; nil where absent.
type BlockWeights[T Float] struct {
	Weight         []T // (filters, channels, kernel height, kernel width)
	Bias           []T // (filters)
	Gain, Shift    []T // (filters) of the batch norm
	Mean, Variance []T // (filters) for GivenStatistics; they have no gradients
	Slope          []T // (filters) or (1), for PReLU
}

// pool returns the shape of the max pool; without one, of windows of one.
func (s BlockShape) pool() PoolShape {
	height, width := s.Conv.Output()
	p := PoolShape{s.Conv.Batch, height, width, s.Conv.Filters, s.PoolSize, s.PoolStride}
	if s.PoolSize == 0 {
		p.Size, p.Stride = 1, 1
	}
	return p
}

// Output returns the height and width of the result.
func (s BlockShape) Output() (height, width int) { return s.pool().Output() }

// Validate says what is wrong with a shape.
func (s BlockShape) Validate() error {
	if err := s.Conv.Validate(); err != nil {
		return errors.Wrap(err, "convolution")
	}
	if err := s.pool().Validate(); err != nil {
		return errors.Wrap(err, "max pool")
	}
	if s.Norm < NoNorm || s.Norm > GivenStatistics {
		return errors.Errorf("unknown norm %d", s.Norm)
	}
	if s.Activation < Identity || s.Activation > Tanh {
		return errors.Errorf("unknown activation %d", s.Activation)
	}
	if s.Norm != NoNorm && !(s.Epsilon > 0) {
		return errors.Errorf("batch norm's epsilon is %g, it must be above 0", s.Epsilon)
	}
	return nil
}

// Block is the composition of a network's block. At most one Backward follows
// each Forward.
type Block[T Float] struct {
	shape     BlockShape
	conv      *Conv[T]
	norm      *BatchNorm[T]
	pool      *MaxPool[T]
	convolved []T // result of the convolution
	active    []T // result of the activation
}

// NewBlock returns the block of a valid shape.
func NewBlock[T Float](s BlockShape) *Block[T] {
	mustBeValid(s.Validate())
	n := s.Conv.outputs()
	return &Block[T]{
		shape: s, conv: NewConv[T](s.Conv), norm: NewBatchNorm[T](n/s.Conv.Filters, s.Conv.Filters, s.Epsilon),
		pool: NewMaxPool[T](s.pool()), convolved: make([]T, n), active: make([]T, n),
	}
}

// Statistics returns the mean and the biased variance (filters) that the last
// Forward with BatchStatistics normalised by.
func (k *Block[T]) Statistics() (mean, variance []T) { return k.norm.Mean, k.norm.Variance }

// Forward writes y (batch, output height, output width, filters).
func (k *Block[T]) Forward(y, x []T, w BlockWeights[T]) {
	k.conv.Forward(k.convolved, x, w.Weight, w.Bias)
	switch k.shape.Norm {
	case BatchStatistics:
		k.norm.Forward(k.active, k.convolved, w.Gain, w.Shift)
	case GivenStatistics:
		k.norm.Apply(k.active, k.convolved, w.Gain, w.Shift, w.Mean, w.Variance)
	case NoNorm:
		copy(k.active, k.convolved)
	}
	Activate(k.shape.Activation, k.active, k.active, w.Slope, k.shape.Conv.Filters)
	k.pool.Forward(y, k.active)
}

// Backward writes the gradients dx and dw that are not nil, given what the last
// Forward was given and the gradient dy of its result.
func (k *Block[T]) Backward(dx []T, dw BlockWeights[T], x []T, w BlockWeights[T], dy []T) {
	normalised, gradient := make([]T, len(k.convolved)), make([]T, len(k.convolved))
	switch k.shape.Norm {
	case BatchStatistics:
		k.norm.Apply(normalised, k.convolved, w.Gain, w.Shift, k.norm.Mean, k.norm.Variance)
	case GivenStatistics:
		k.norm.Apply(normalised, k.convolved, w.Gain, w.Shift, w.Mean, w.Variance)
	case NoNorm:
		copy(normalised, k.convolved)
	}
	k.pool.Backward(gradient, dy)
	ActivateBackward(k.shape.Activation, gradient, dw.Slope, normalised, k.active, gradient, w.Slope, k.shape.Conv.Filters)
	switch k.shape.Norm {
	case BatchStatistics:
		k.norm.Backward(gradient, dw.Gain, dw.Shift, k.convolved, w.Gain, gradient)
	case GivenStatistics:
		k.norm.ApplyBackward(gradient, dw.Gain, dw.Shift, k.convolved, w.Gain, w.Mean, w.Variance, gradient)
	}
	k.conv.Backward(dx, dw.Weight, dw.Bias, x, w.Weight, gradient)
}
