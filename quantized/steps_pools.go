package quantized

import (
	"math"
	"math/bits"

	"github.com/likeness-go/likeness/internal/integer"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// maxPoolStep is a max pool of bytes.
type maxPoolStep struct {
	base
	pool   integer.Pool
	kernel *integer.MaxPool
}

func (s *maxPoolStep) fields(*plan) []field { return nil }

func (s *maxPoolStep) prepare(p *plan) (err error) {
	v := p.values[s.in[0]]
	p.values[s.out].zero = v.zero
	s.kernel, err = integer.NewMaxPool(v.shape(), s.pool)
	return err
}

func (s *maxPoolStep) run(_ *plan, m *memory) {
	s.kernel.Forward(m.bytes[s.out], m.bytes[s.in[0]], m.images)
}

// averageStep is the sum of each window, with a factor and a term for each channel: an average
// pool, a batch norm that follows no convolution, or a scale.
type averageStep struct {
	base
	window, stride int
	factor, addend string  // weights; "" for 1 and 0
	norm           string  // prefix of the weights of a batch norm; "" for none
	epsilon        float64 // of the batch norm

	factors
	term   []int64 // of each channel, in units of the factors
	limits limits
}

func (s *averageStep) fields(p *plan) []field {
	channels := p.values[s.in[0]].channels
	return append(s.factors.fields(s.name, channels), field{s.name + ".term", []int{channels}, &s.term}, field{s.name + ".limits", []int{3}, (*[]int32)(&s.limits)})
}

func (s *averageStep) prepare(p *plan) error {
	for c, t := range s.term {
		if t < -1<<60 || t > 1<<60 {
			return errors.Errorf("the term of channel %d is %d, expected a magnitude of at most 2⁶⁰", c, t)
		}
	}
	if err := s.factors.check(); err != nil {
		return err
	}
	p.values[s.out].zero = s.limits[0]
	return s.limits.check(p.values[s.out].largest())
}

func (s *averageStep) run(p *plan, m *memory) {
	v, w := p.values[s.in[0]], p.values[s.out]
	if v.kind == words { // vectors
		for i, x := range m.words[s.in[0]] {
			m.words[s.out][i] = uint16(s.result(int64(x)-int64(v.zero), i%v.channels))
		}
		return
	}
	parallel.For(m.images*w.height, func(i int) {
		x, row := m.bytes[s.in[0]][i/w.height*v.len():][:v.len()], i%w.height
		y := m.bytes[s.out][i*w.width*w.channels:][:w.width*w.channels]
		for column := range w.width {
			for c := range v.channels {
				sum := -int64(v.zero) * int64(s.window*s.window)
				for i := range s.window {
					at := ((row*s.stride+i)*v.width+column*s.stride)*v.channels + c
					for j := range s.window {
						sum += int64(x[at+j*v.channels])
					}
				}
				y[column*v.channels+c] = uint8(s.result(sum, c))
			}
		}
	})
}

func (s *averageStep) result(sum int64, c int) int64 {
	return s.limits.clamp(scaled(sum*int64(s.multiplier[c])+s.term[c], 1, s.shift[0]))
}

// sumStep is the sum of all pixels of each channel, without their zero point.
type sumStep struct {
	base
	kernel *integer.AveragePool
}

func (s *sumStep) fields(*plan) []field { return nil }

func (s *sumStep) prepare(p *plan) (err error) {
	v := p.values[s.in[0]]
	s.kernel, err = integer.NewAveragePool(v.shape(), v.height, v.width, 1, uint8(v.zero), nil)
	return err
}

func (s *sumStep) run(_ *plan, m *memory) {
	sums := make([]int32, len(m.sums[s.out]))
	s.kernel.Sums(sums, m.bytes[s.in[0]], m.images)
	for i, sum := range sums {
		m.sums[s.out][i] = int64(sum)
	}
}

// gemStep is generalized-mean pooling: powers by a table, their sum over the pixels, and the
// root by a table of numbers with gemDigits binary digits.
type gemStep struct {
	base
	epsilon  float64
	exponent string // weight

	power  []int32 // (256)
	root   []int32 // (gemRoots), words
	limits limits
}

const (
	gemDigits = 9
	gemBits   = 40 // of a sum
	gemRoots  = (gemBits - gemDigits + 2) << (gemDigits - 1)
	maxPower  = 1 << 24
)

// gemIndex is the place of a sum in the table of roots: its exponent and its first digits.
func gemIndex(sum uint64) int {
	exponent := max(0, bits.Len64(sum)-gemDigits)
	return exponent<<(gemDigits-1) + int(sum>>exponent)
}

// gemNumber is the middle of the sums with an index.
func gemNumber(index int) float64 {
	exponent := max(0, index>>(gemDigits-1)-1)
	digits := index - exponent<<(gemDigits-1)
	if exponent == 0 {
		return float64(digits)
	}
	return math.Ldexp(float64(digits)+0.5, exponent)
}

func (s *gemStep) fields(*plan) []field {
	return []field{{s.name + ".power", []int{256}, &s.power}, {s.name + ".root", []int{gemRoots}, &s.root}, {s.name + ".limits", []int{3}, (*[]int32)(&s.limits)}}
}

func (s *gemStep) prepare(p *plan) error {
	for i, v := range s.power {
		if v < 0 || v > maxPower {
			return errors.Errorf("power %d is %d, expected 0 to %d", i, v, maxPower)
		}
	}
	for i, v := range s.root {
		if v < 0 || v > mostWord {
			return errors.Errorf("root %d is %d, expected 0 to %d", i, v, mostWord)
		}
	}
	v := p.values[s.in[0]]
	if v.height*v.width > 1<<(gemBits-25) {
		return errors.Errorf("found an image of %d×%d, expected at most %d pixels", v.height, v.width, 1<<(gemBits-25))
	}
	p.values[s.out].zero = s.limits[0]
	return s.limits.check(mostWord)
}

func (s *gemStep) run(p *plan, m *memory) {
	v := p.values[s.in[0]]
	parallel.For(m.images, func(image int) {
		x, totals := m.bytes[s.in[0]][image*v.len():][:v.len()], make([]uint64, v.channels)
		for i := 0; i < len(x); i += v.channels {
			for c, a := range x[i:][:v.channels] {
				totals[c] += uint64(s.power[a])
			}
		}
		for c, total := range totals {
			m.words[s.out][image*v.channels+c] = uint16(s.root[gemIndex(total)])
		}
	})
}

// normalizeStep scales a vector to length 2^unitBits: the square root is the largest integer that
// is not larger, and quotients are rounded to the nearest integer.
type normalizeStep struct{ base }

const (
	unitBits = 24
	rootBits = 16 // twice the binary places of the root
)

func (s *normalizeStep) fields(*plan) []field { return nil }

func (s *normalizeStep) prepare(p *plan) error {
	if n := p.values[s.out].channels; n > 1<<14 {
		return errors.Errorf("found a vector of %d numbers, expected at most %d", n, 1<<14)
	}
	return nil
}

func (s *normalizeStep) run(p *plan, m *memory) {
	v := p.values[s.in[0]]
	x := make([]int64, v.channels)
	for image := range m.images {
		var squares uint64
		for i := range x {
			if v.kind == words {
				x[i] = int64(m.words[s.in[0]][image*v.channels+i])
			} else {
				x[i] = int64(m.bytes[s.in[0]][image*v.channels+i])
			}
			x[i] -= int64(v.zero)
			squares += uint64(x[i] * x[i])
		}
		length := squareRoot(squares << rootBits) // in units of 2^(-rootBits/2)
		for i, x := range x {
			var y int64
			if length > 0 {
				y = int64((magnitude(x)<<(unitBits+rootBits/2) + length/2) / length)
			}
			if x < 0 {
				y = -y
			}
			m.sums[s.out][image*v.channels+i] = y
		}
	}
}

// squareRoot returns the largest integer whose square is at most x, by Newton's method.
func squareRoot(x uint64) uint64 {
	if x == 0 {
		return 0
	}
	r := uint64(1) << ((bits.Len64(x) + 1) / 2) // not less than the root
	for {
		next := (r + x/r) / 2
		if next >= r {
			return r
		}
		r = next
	}
}
