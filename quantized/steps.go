package quantized

import (
	"math"
	"math/bits"
	"slices"

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

	products []int32 // scratch memory of fully connected layers
}

// eachVector calls work for parts of an array of the vectors of some images, in parallel where there are many
// elements: for elements [first, last), which are those of the channels from a channel on.
func eachVector(images, channels int, work func(first, last, channel int)) {
	const most = 1 << 10 // elements of a part
	if images*channels <= most {
		for image := range images {
			work(image*channels, (image+1)*channels, 0)
		}
		return
	}
	parts := (channels + most - 1) / most
	parallel.For(images*parts, func(i int) {
		image, part := i/parts*channels, i%parts
		from, until := part*channels/parts, (part+1)*channels/parts
		work(image+from, image+until, from)
	})
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
	if x == int64(int32(x)) { // the product fits in 64 bits
		product := x * int64(m)
		sign := product >> 63
		y := min(((product^sign)-sign+1<<((s-1)&63))>>(s&63), 1<<60)
		return (y ^ sign) - sign
	}
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
	// Threads divide the rows of a few large images.
	const least = 16 << 10 // bytes of a part
	parts, size := 1, p.size.Len()
	if m.images < 4*parallel.Threads() {
		parts = max(1, min(p.size.Height, 4*parallel.Threads(), size/least))
	}
	parallel.For(m.images*parts, func(i int) {
		image, row := i/parts, p.size.Width*p.size.Channels
		first, last := i%parts*p.size.Height/parts*row, (i%parts+1)*p.size.Height/parts*row
		integer.LookupPixels(m.bytes[s.out][image*size:][first:last], m.pixels[image][first:last], s.table, p.size.Channels)
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

// flattened returns the image that is flattened to a value which nothing else reads.
func (p *plan) flattened(x int) (image int, ok bool) {
	readers := 0
	for _, s := range p.steps {
		if slices.Contains(s.at().in, x) {
			readers++
		}
		if f, is := s.(*flattenStep); is && f.out == x {
			image, ok = f.in[0], true
		}
	}
	return image, ok && readers == 1
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
		m.result[image] = make([]float32, v.channels)
	}
	eachVector(m.images, v.channels, func(first, last, channel int) {
		scale, row := s.scale[channel:][:last-first], m.result[first/v.channels][channel:][:last-first]
		switch v.kind {
		case bytes:
			for i, x := range m.bytes[s.in[0]][first:last] {
				row[i] = float32(float64(int64(x)-int64(v.zero)) * scale[i])
			}
		case words:
			for i, x := range m.words[s.in[0]][first:last] {
				row[i] = float32(float64(int64(x)-int64(v.zero)) * scale[i])
			}
		default:
			for i, x := range m.sums[s.in[0]][first:last] {
				row[i] = float32(float64(x) * scale[i])
			}
		}
	})
}
