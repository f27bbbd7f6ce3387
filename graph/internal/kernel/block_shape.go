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
	Epsilon              float64 // of the batch norm, above 0
	Activation           Activation
	PoolSize, PoolStride int  // of the max pool; 0 for none
	Evaluation           bool // Backward will not be called, and nothing is kept for it
}

// BlockWeights are a block's weights, or their gradients; nil where absent.
type BlockWeights[T Float] struct {
	Weight         []T // (filters, channels, kernel height, kernel width)
	Bias           []T // (filters)
	Gain, Shift    []T // (filters) of the batch norm
	Mean, Variance []T // (filters) for GivenStatistics; they have no gradients
	Slope          []T // (filters) or (1), for PReLU
}

// pooled says whether the block has a max pool.
func (s BlockShape) pooled() bool { return s.PoolSize != 0 || s.PoolStride != 0 }

// pool returns the shape of the max pool; without one, of windows of one.
func (s BlockShape) pool() PoolShape {
	height, width := s.Conv.Output()
	p := PoolShape{s.Conv.Batch, height, width, s.Conv.Filters, s.PoolSize, s.PoolStride}
	if !s.pooled() {
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
		return errors.Wrap(err, "max pool after the convolution")
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
