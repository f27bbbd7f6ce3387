package quantized

import (
	"github.com/likeness-go/likeness/internal/integer"
	"github.com/pkg/errors"
)

// requantizeStep maps sums to words.
type requantizeStep struct {
	base
	bounds bounds

	factors          // of each channel
	negative []int32 // multipliers of negative sums, with a slope
	limits   limits
}

func (s *requantizeStep) fields(p *plan) []field {
	channels := p.values[s.in[0]].channels
	fields := append(s.factors.fields(s.name, channels), field{s.name + ".limits", []int{3}, (*[]int32)(&s.limits)})
	if s.bounds.slope != "" {
		fields = append(fields, field{s.name + ".negative", []int{channels}, &s.negative})
	}
	return fields
}

func (s *requantizeStep) prepare(p *plan) error {
	if err := s.factors.check(); err != nil {
		return err
	}
	p.values[s.out].zero = s.limits[0]
	return s.limits.check(p.values[s.out].largest())
}

func (s *requantizeStep) run(_ *plan, m *memory) {
	shift := s.shift[0]
	eachVector(m.images, len(s.multiplier), func(first, last, channel int) {
		y, factors := m.words[s.out][first:last], s.multiplier[channel:][:last-first]
		for i, x := range m.sums[s.in[0]][first:last] {
			factor := factors[i]
			if x < 0 && len(s.negative) > 0 {
				factor = s.negative[channel+i]
			}
			y[i] = uint16(s.limits.clamp(scaled(x, factor, shift)))
		}
	})
}

// tableStep is an activation function: a table of bytes, or of words up to mostIndex.
type tableStep struct {
	base
	function func(float64) float64
	slope    string // weight of a PReLU, of which there is a row for each channel

	table  []uint8 // (1, 256), or a row for each channel, for bytes
	wide   []int32 // (1, mostIndex+1), likewise, for words
	limits limits
}

// rows is the number of rows of the table.
func (s *tableStep) rows(p *plan) int {
	if s.slope == "" {
		return 1
	}
	return p.values[s.in[0]].channels
}

func (s *tableStep) fields(p *plan) []field {
	table := field{s.name + ".table", []int{s.rows(p), mostByte + 1}, &s.table}
	if p.values[s.in[0]].kind == words {
		table = field{s.name + ".table", []int{s.rows(p), mostIndex + 1}, &s.wide}
	}
	return []field{table, {s.name + ".limits", []int{3}, (*[]int32)(&s.limits)}}
}

func (s *tableStep) prepare(p *plan) error {
	most := p.values[s.out].largest()
	for i, v := range s.wide {
		if v < 0 || v > most {
			return errors.Errorf("entry %d of the table is %d, expected 0 to %d", i, v, most)
		}
	}
	p.values[s.out].zero = s.limits[0]
	return s.limits.check(most)
}

func (s *tableStep) run(p *plan, m *memory) {
	rows := s.rows(p)
	switch from, to := p.values[s.in[0]].kind, p.values[s.out].kind; {
	case from == words:
		eachVector(m.images, p.values[s.in[0]].channels, func(first, last, channel int) {
			step := 0 // from the table of a channel to that of the next
			if rows > 1 {
				step = mostIndex + 1
			}
			at := channel * step
			x := m.words[s.in[0]][first:last]
			if to == words {
				y := m.words[s.out][first:last]
				for i, v := range x {
					y[i] = uint16(s.wide[at+int(v)])
					at += step
				}
				return
			}
			y := m.bytes[s.out][first:last]
			for i, v := range x {
				y[i] = uint8(s.wide[at+int(v)])
				at += step
			}
		})
	case rows == 1:
		integer.Lookup(m.bytes[s.out], m.bytes[s.in[0]], s.table)
	default:
		y := m.bytes[s.out]
		for i, x := range m.bytes[s.in[0]] {
			y[i] = s.table[i%rows<<8|int(x)]
		}
	}
}

// addStep is the sum of a residual block whose body does not end in a convolution.
type addStep struct {
	base
	bounds bounds

	scale   []float32 // two, for bytes
	factors           // two, for words
	limits  limits

	kernel *integer.Add
}

func (s *addStep) fields(p *plan) []field {
	l := field{s.name + ".limits", []int{3}, (*[]int32)(&s.limits)}
	if p.values[s.out].kind == words {
		return append(s.factors.fields(s.name, 2), l)
	}
	return []field{{s.name + ".scale", []int{2}, &s.scale}, l}
}

func (s *addStep) prepare(p *plan) (err error) {
	p.values[s.out].zero = s.limits[0]
	if p.values[s.out].kind == words {
		if err := s.factors.check(); err != nil {
			return err
		}
		return s.limits.check(p.values[s.out].largest())
	}
	if err := s.limits.check(mostByte); err != nil {
		return err
	}
	s.kernel, err = integer.NewAdd(uint8(p.values[s.in[0]].zero), integer.Requantize{
		Scale: s.scale[:1], Zero: uint8(s.limits[0]), Low: uint8(s.limits[1]), High: uint8(s.limits[2]),
		Addend: &integer.Addend{Zero: uint8(p.values[s.in[1]].zero), Scale: s.scale[1]},
	})
	return err
}

func (s *addStep) run(p *plan, m *memory) {
	if p.values[s.out].kind == bytes {
		s.kernel.Forward(m.bytes[s.out], m.bytes[s.in[0]], m.bytes[s.in[1]])
		return
	}
	a, b, y := m.words[s.in[0]], m.words[s.in[1]], m.words[s.out]
	zeroA, zeroB := int64(p.values[s.in[0]].zero), int64(p.values[s.in[1]].zero)
	for i := range y {
		sum := (int64(a[i])-zeroA)*int64(s.multiplier[0]) + (int64(b[i])-zeroB)*int64(s.multiplier[1])
		y[i] = uint16(s.limits.clamp(scaled(sum, 1, s.shift[0])))
	}
}

// gateStep multiplies the channels of an image by the bytes of a vector.
type gateStep struct {
	base
	scale  []float32 // one
	limits limits

	kernel *integer.Multiply
}

func (s *gateStep) fields(*plan) []field {
	return []field{{s.name + ".scale", []int{1}, &s.scale}, {s.name + ".limits", []int{3}, (*[]int32)(&s.limits)}}
}

func (s *gateStep) prepare(p *plan) (err error) {
	if err := s.limits.check(mostByte); err != nil {
		return err
	}
	p.values[s.out].zero = s.limits[0]
	s.kernel, err = integer.NewMultiply(uint8(p.values[s.in[0]].zero), uint8(p.values[s.in[1]].zero),
		integer.Requantize{Scale: s.scale, Zero: uint8(s.limits[0]), Low: uint8(s.limits[1]), High: uint8(s.limits[2])})
	return err
}

func (s *gateStep) run(p *plan, m *memory) {
	v := p.values[s.out]
	s.kernel.Forward(m.bytes[s.out], m.bytes[s.in[0]], m.bytes[s.in[1]], v.height*v.width, v.channels, m.images)
}
