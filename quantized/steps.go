package quantized

import (
	"math"
	"math/bits"

	"github.com/likeness-go/likeness/internal/integer"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

const (
	mostByte = 1<<8 - 1
	mostWord = 1<<16 - 1
	// mostIndex is the largest word that is the index of a table.
	mostIndex = 1<<12 - 1
)

// step computes one value from others.
type step interface {
	at() *base
	// fields are the parameters, as a file has them.
	fields(p *plan) []field
	// quantize sets the parameters and the scales of the result.
	quantize(q *quantizer) error
	// prepare checks the parameters, which may come from a file that others wrote, and sets the
	// zero point of the result.
	prepare(p *plan) error
	// run computes the value for all images of the memory.
	run(p *plan, m *memory)
}

// base is what all steps have.
type base struct {
	name string
	in   []int // the values that are read
	out  int   // the value that is written
}

func (b *base) at() *base { return b }

// field is one array of parameters.
type field struct {
	name  string
	shape []int
	data  any // *[]int8, *[]uint8, *[]int32, *[]int64, *[]float32 or *[]float64
}

// memory has the values of some images, by their indices; each in the array of its kind, one image
// after the other.
type memory struct {
	images int
	pixels [][]uint8
	bytes  [][]uint8
	words  [][]uint16
	sums   [][]int64
	result [][]float32
}

// limits are the zero point, the least and the largest number of a result.
type limits []int32

func (l limits) check(most int32) error {
	if zero, low, high := l[0], l[1], l[2]; zero < 0 || zero > most || low < 0 || low > high || high > most {
		return errors.Errorf("found the zero point %d and the limits %d and %d, expected numbers from 0 to %d, the limits in ascending order", zero, low, high, most)
	}
	return nil
}

// clamp adds the zero point and limits the result.
func (l limits) clamp(y int64) int64 { return min(max(int64(l[0])+y, int64(l[1])), int64(l[2])) }

// scaled returns x·m/2ˢ rounded to the nearest integer, halves away from zero, for s from 1 to
// maxShift. Its magnitude is at most 2⁶⁰.
func scaled(x int64, m, s int32) int64 {
	high, low := bits.Mul64(magnitude(x), magnitude(int64(m)))
	low, carry := bits.Add64(low, 1<<(s-1), 0)
	high += carry
	y := low>>s | high<<(64-s)
	if high>>s != 0 || y > 1<<60 {
		y = 1 << 60
	}
	if (x < 0) != (m < 0) {
		return -int64(y)
	}
	return int64(y)
}

func magnitude(x int64) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}

const maxShift = 62

// factors are numbers multiplier/2^shift, with one shift for all.
type factors struct {
	multiplier []int32
	shift      []int32 // one element
}

func (f *factors) fields(name string, n int) []field {
	return []field{{name + ".multiplier", []int{n}, &f.multiplier}, {name + ".shift", []int{1}, &f.shift}}
}

func (f *factors) check() error {
	if s := f.shift[0]; s < 1 || s > maxShift {
		return errors.Errorf("found the shift %d, expected 1 to %d", s, maxShift)
	}
	return nil
}

// factorsOf returns the factors nearest to numbers.
func factorsOf(numbers []float64) factors {
	var largest float64
	for _, x := range numbers {
		largest = max(largest, math.Abs(x))
	}
	_, exponent := math.Frexp(largest) // largest < 2^exponent
	s := min(max(31-exponent, 1), maxShift)
	f := factors{shift: []int32{int32(s)}}
	for _, x := range numbers {
		f.multiplier = append(f.multiplier, int32(min(max(math.RoundToEven(math.Ldexp(x, s)), -math.MaxInt32), math.MaxInt32)))
	}
	return f
}

// inputStep maps pixels to bytes by a table of each channel, which normalizes them.
type inputStep struct {
	base
	table  []uint8 // (channels, 256)
	limits limits
}

func (s *inputStep) fields(p *plan) []field {
	return []field{{"input.table", []int{p.size.Channels, 256}, &s.table}, {"input.limits", []int{3}, (*[]int32)(&s.limits)}}
}

func (s *inputStep) prepare(p *plan) error {
	p.values[s.out].zero = s.limits[0]
	return s.limits.check(mostByte)
}

func (s *inputStep) run(p *plan, m *memory) {
	// Threads divide the rows of a few images.
	parts, size := 1, p.size.Len()
	if m.images < 4*parallel.Threads() {
		parts = min(p.size.Height, 4*parallel.Threads())
	}
	parallel.For(m.images*parts, func(i int) {
		image, row := i/parts, p.size.Width*p.size.Channels
		first, last := i%parts*p.size.Height/parts*row, (i%parts+1)*p.size.Height/parts*row
		x, y := m.pixels[image][first:last], m.bytes[s.out][image*size:][first:last]
		if p.size.Channels == 1 {
			table := (*[256]uint8)(s.table)
			for i, v := range x {
				y[i] = table[v]
			}
			return
		}
		red, green, blue := (*[256]uint8)(s.table), (*[256]uint8)(s.table[256:]), (*[256]uint8)(s.table[512:])
		for i := 0; i+2 < len(y); i += 3 {
			y[i], y[i+1], y[i+2] = red[x[i]], green[x[i+1]], blue[x[i+2]]
		}
	})
}

// flattenStep orders an image as PyTorch does, channels first.
type flattenStep struct{ base }

func (s *flattenStep) fields(*plan) []field { return nil }

func (s *flattenStep) prepare(p *plan) error {
	p.values[s.out].zero = p.values[s.in[0]].zero
	return nil
}

func (s *flattenStep) run(p *plan, m *memory) {
	integer.Flatten(m.bytes[s.out], m.bytes[s.in[0]], p.values[s.in[0]].shape(), m.images)
}

// outputStep multiplies the numbers of the last value by their scales, in float64.
type outputStep struct {
	base
	scale []float64
}

func (s *outputStep) fields(p *plan) []field {
	return []field{{"output.scale", []int{p.values[s.in[0]].channels}, &s.scale}}
}

func (s *outputStep) prepare(*plan) error {
	for i, v := range s.scale {
		if !(v > 0) || v > math.MaxFloat32 {
			return errors.Errorf("scale %d is %v, expected a positive number of float32", i, v)
		}
	}
	return nil
}

func (s *outputStep) run(p *plan, m *memory) {
	v := p.values[s.in[0]]
	m.result = make([][]float32, m.images)
	for image := range m.result {
		row := make([]float32, v.channels)
		for c := range row {
			var x int64
			switch i := image*v.channels + c; v.kind {
			case bytes:
				x = int64(m.bytes[s.in[0]][i]) - int64(v.zero)
			case words:
				x = int64(m.words[s.in[0]][i]) - int64(v.zero)
			default:
				x = m.sums[s.in[0]][i]
			}
			row[c] = float32(float64(x) * s.scale[c])
		}
		m.result[image] = row
	}
}
