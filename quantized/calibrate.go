package quantized

import (
	"context"
	"fmt"
	"math"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// statistics are those of a value of the network in float32 over the images of a calibration.
type statistics struct {
	min, max  float64
	mean      []float64 // of each channel
	low, high float64   // the range that is quantized
	counts    []float64 // of a histogram from min to max
}

// bins is the number of those of a histogram.
const bins = 2048

// calibration has the statistics of values by their indices; nil for values that the network in
// float32 does not have.
type calibration []*statistics

// calibrate runs the network in float32 on images twice: for the extremes and means of all
// values, and for the histograms of those that need a range.
func (p *plan) calibrate(weights *graph.Weights, preprocessing imaging.Preprocessing, images [][]uint8, progress func(done, total int)) (calibration, error) {
	// All values of a batch are in memory.
	batch := min(len(images), 8)
	if p.size.Len() > 128*128*3 {
		batch = min(batch, 2)
	}
	program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		nodes, outputs := make([]*graph.Node, len(p.values)), graph.Outputs{}
		for i, v := range p.values {
			switch {
			case i == 0:
				nodes[i] = b.Input("images", batch, v.height, v.width, v.channels)
			case v.draw != nil:
				nodes[i] = v.draw(b, nodes)
				if nodes[i].Shape().TotalSize() != batch*v.len() {
					b.Fail("value %s: found the shape %v, expected %d×%d×%d", v.name, nodes[i].Shape(), v.height, v.width, v.channels)
				}
				outputs[outputName(i)] = nodes[i]
			}
		}
		return outputs
	})
	if err != nil {
		return nil, err
	}
	defer program.Close()
	c := make(calibration, len(p.values))
	for i, v := range p.values {
		if i > 0 && (v.draw != nil || v.derive != nil) {
			c[i] = &statistics{min: math.Inf(1), max: math.Inf(-1), mean: make([]float64, v.channels)}
		}
	}
	src := source{weights: weights}
	inputs := make([]float32, batch*p.size.Len())
	for pass := range 2 {
		for from := 0; from < len(images); from += batch {
			// The last batch begins earlier, and what it has twice counts once.
			start := max(0, min(from, len(images)-batch))
			for i := range batch {
				preprocessing.Normalize(inputs[i*p.size.Len():][:p.size.Len()], images[start+i])
			}
			if err := program.Set("images", inputs); err != nil {
				return nil, err
			}
			if err := program.Run(); err != nil {
				return nil, err
			}
			values := make([][]float32, len(p.values))
			for i, v := range p.values {
				if i > 0 && v.draw != nil {
					if values[i], err = program.Float32s(outputName(i)); err != nil {
						return nil, err
					}
				}
			}
			for i, v := range p.values {
				if v.derive == nil {
					continue
				}
				for image := range batch {
					x := p.values[v.derivedOf].of(values[v.derivedOf], image)
					wide := make([]float64, len(x))
					for j := range x {
						wide[j] = float64(x[j])
					}
					for _, y := range v.derive(&src, wide) {
						values[i] = append(values[i], float32(y))
					}
				}
			}
			if src.err != nil {
				return nil, src.err
			}
			if err := parallel.Each(context.Background(), 0, len(p.values), func(i int) error {
				if c[i] == nil {
					return nil
				}
				return c[i].add(p.values[i], values[i][(from-start)*p.values[i].len():], pass)
			}); err != nil {
				return nil, err
			}
			if progress != nil {
				progress(pass*len(images)+min(from+batch, len(images)), 2*len(images))
			}
		}
	}
	for i, s := range c {
		if s == nil {
			continue
		}
		for j := range s.mean {
			s.mean[j] /= float64(len(images) * p.values[i].height * p.values[i].width)
		}
		if p.values[i].calibrated {
			s.choose(p.values[i].largest())
		}
	}
	return c, nil
}

func outputName(i int) string { return fmt.Sprint("value", i) }

// of is the value of one image of a batch.
func (v *value) of(batch []float32, image int) []float32 { return batch[image*v.len():][:v.len()] }

// add adds values of some images.
func (s *statistics) add(v *value, values []float32, pass int) error {
	if pass == 0 {
		for i, x := range values {
			y := float64(x)
			if y-y != 0 {
				return errors.Errorf("value %s: found %v in float32, expected finite numbers", v.name, x)
			}
			s.min, s.max = min(s.min, y), max(s.max, y)
			s.mean[i%v.channels] += y
		}
		return nil
	}
	if !v.calibrated || s.min >= s.max {
		return nil
	}
	if s.counts == nil {
		s.counts = make([]float64, bins)
	}
	factor := bins / (s.max - s.min)
	for _, x := range values {
		s.counts[min(int((float64(x)-s.min)*factor), bins-1)]++
	}
	return nil
}

// choose chooses the range with the least squared error of numbers of the histogram when they are
// rounded to levels, among parts of the range from the smallest to the largest number.
func (s *statistics) choose(most int32) {
	s.low, s.high = min(s.min, 0), max(s.max, 0)
	if s.counts == nil {
		return
	}
	if most > mostByte { // rounding is far below what limits would change
		return
	}
	width := (s.max - s.min) / bins
	cost := func(low, high float64) (sum float64) {
		step := (high - low) / float64(most)
		for i, n := range s.counts {
			if n == 0 {
				continue
			}
			x := s.min + (float64(i)+0.5)*width
			if d := max(low-x, x-high); d > 0 {
				sum += n * d * d
			} else if x != 0 {
				sum += n * step * step / 12
			}
		}
		return sum
	}
	const steps = 40
	bestLow, bestHigh := s.low, s.high
	best := cost(s.low, s.high)
	// The ends are chosen in turn.
	for range 2 {
		for i := 1; i <= steps; i++ {
			share := 1 - 0.8*float64(i)/steps
			if c := cost(bestLow, share*s.high); c < best {
				best, bestHigh = c, share*s.high
			}
		}
		for i := 1; i <= steps; i++ {
			share := 1 - 0.8*float64(i)/steps
			if c := cost(share*s.low, bestHigh); c < best {
				best, bestLow = c, share*s.low
			}
		}
	}
	s.low, s.high = bestLow, bestHigh
}
