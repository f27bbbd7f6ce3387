package graph

import (
	"fmt"

	"github.com/likeness-go/likeness/graph/internal/kernel"
	"github.com/pkg/errors"
)

// Precision is the format of the factors of products in a Training graph. Weights, activations,
// gradients, sums and statistics are those of the graph in any case.
type Precision int

const (
	// SinglePrecision is float32, or float64 in graphs of float64.
	SinglePrecision Precision = iota
	// BFloat16 rounds the factors of a float32 graph's convolutions and fully connected layers to
	// bfloat16 (8 bits of precision) in the forward pass and in gradients, and adds up their products in float32. It does so
	// in the layers for which a processor that multiplies pairs of such numbers needs fewer cycles
	// than the fastest algorithm in float32: those that Winograd's algorithms or the Fourier
	// transform do not compute, such as 1×1 and strided convolutions. Depthwise and grouped
	// convolutions, and those of one channel, are not among them. Which layers they are depends on
	// their shapes alone. On other processors the same factors are multiplied as float32
	// numbers, with the same result up to the order of the sums, and no faster.
	BFloat16
)

// precisionNames are the names of the values.
var precisionNames = []string{"float32", "bfloat16"}

// String returns the name, float32 or bfloat16.
func (p Precision) String() string {
	if p < 0 || int(p) >= len(precisionNames) {
		return fmt.Sprintf("Precision(%d)", int(p))
	}
	return precisionNames[p]
}

// ParsePrecision returns the precision with a name; the empty name is float32.
func ParsePrecision(name string) (Precision, error) {
	for i, known := range precisionNames {
		if name == known || name == "" {
			return Precision(i), nil
		}
	}
	return 0, errors.Errorf("found %q, expected float32 or bfloat16", name)
}

// Faster reports whether this processor computes with the precision faster than in float32. Of
// BFloat16 that is a property of the processor, not measured: those of AMD from Zen 4 on.
func (p Precision) Faster() bool { return p == BFloat16 && kernel.PairsAreFaster() }

// Arithmetic is the function of this name, for Training graphs of the precision: with BFloat16 also how
// its factors are multiplied.
func (p Precision) Arithmetic() string {
	if p == BFloat16 {
		return Arithmetic() + ", bfloat16 " + kernel.BFloat16Arithmetic()
	}
	return Arithmetic()
}

// SetPrecision sets the precision of the blocks that are added from now on. Evaluation graphs
// compute in float32 or float64 in any case.
func (b *Builder) SetPrecision(p Precision) {
	if p != SinglePrecision && p != BFloat16 {
		b.Fail("found %v, expected float32 or bfloat16", p)
	}
	b.precision = p
}

// Work counts the products of the forward pass of a graph's convolutions and fully connected layers.
type Work struct {
	Direct  float64 // of direct algorithms
	Fastest float64 // of the fastest algorithms for float32 that this module has, with vectors of 16 numbers
	// Rounded is the number of products of factors that are rounded to bfloat16, which Direct and
	// Fastest include. With twice as many of them in a cycle, the layers take Fastest − Rounded/2 in place of
	// Fastest.
	Rounded float64
}

func (w *Work) add(other kernel.Work) {
	w.Direct, w.Fastest, w.Rounded = w.Direct+other.Direct, w.Fastest+other.Fastest, w.Rounded+other.Rounded
}

// Work returns the products of the graph.
func (p *Program) Work() Work {
	if p == nil {
		return Work{}
	}
	return p.work
}

// SetPairs makes graphs with BFloat16 that are built later multiply pairs of bfloat16 numbers, or
// not, also where that is slower; without an instruction for it, in plain Go. The default is to do so
// on processors on which it is faster, unless the environment variable LIKENESS_PAIRS is on or
// off.
func SetPairs(on bool) { kernel.SetPairs(on) }

// roundsFactors reports whether blocks round factors to bfloat16.
func (b *Builder) roundsFactors() bool { return b.mode == Training && b.precision == BFloat16 }
