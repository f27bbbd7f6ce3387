package objectives

import (
	"math"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// Prototypical asks each image for its class among all classes of the batch,
// each of which is the mean of its images, its prototype:
//
//	L = −log( exp(−d(a,own)/τ) / Σ_c exp(−d(a,c)/τ) )
//
// τ = Temperature, d(a,c) the distance of a from the prototype of c, and the
// mean over the images whose class has another. An image's own class is the
// mean of its other images. Source: Snell, Swersky & Zemel 2017, equation 2,
// whose head is squared-l2 and whose τ is 1; they draw the images of the
// prototypes and the queries apart, here every image is each of the two.
//
// The distance from a mean follows from the distances from its images S,
//
//	d(a, mean of S) = Σₛ D(a,s)/|S| − Σₛₜ D(s,t)/(2|S|²)
//
// which is exact for squared-l2, and for cosine, where D is half the squared
// distance of the unit vectors. Other heads have no such mean.
type Prototypical struct {
	Temperature float64 // above 0; 1 in the paper
}

// Name is "prototypical".
func (Prototypical) Name() string { return "prototypical" }

// Check implements Objective.
func (p Prototypical) Check(head heads.Head) error {
	if !propertiesOf(head).Means {
		return errors.Errorf("%s with %s: the distance from a mean does not follow from such distances: use squared-l2 or cosine", p.Name(), heads.Identifier(head))
	}
	return checkTemperature(p, p.Temperature)
}

// BatchCost implements BatchObjective.
func (p Prototypical) BatchCost(b *graph.Builder, distances, labels *graph.Node) *graph.Node {
	e := expression{b}
	e.batch(p, distances, labels)
	e.must(checkTemperature(p, p.Temperature))
	return e.scalar(e.Apply(p.Name(), tensor.Shape{1},
		&prototypical[float32]{temperature: p.Temperature}, &prototypical[float64]{temperature: p.Temperature}, distances, labels))
}

// prototypical finds the gradient in the same pass as the loss.
type prototypical[T graph.Float] struct {
	temperature float64
	slopes      []float64 // (batch, batch): of the mean loss by the distances
}

func (f *prototypical[T]) Forward(y []T, x ...[]T) {
	m := newMeans(widen(x[0]), widen(x[1]))
	f.slopes = make([]float64, len(x[0]))
	var sum, count float64
	for i, own := range m.class {
		for j := range m.class {
			if i != j {
				sum += 0 * m.distance(i, j) // one that is not finite shows in the cost
			}
		}
		if len(m.members) > 1 && len(m.members[own]) > 1 {
			count++
		}
	}
	for i, own := range m.class {
		if len(m.members) < 2 || len(m.members[own]) < 2 {
			continue
		}
		d := make([]float64, len(m.members))
		nearest := math.Inf(1)
		for c := range d {
			d[c] = m.from(i, c)
			nearest = min(nearest, d[c])
		}
		var total float64
		for _, v := range d {
			total += math.Exp((nearest - v) / f.temperature)
		}
		sum += (d[own]-nearest)/f.temperature + math.Log(total)
		for c, v := range d {
			slope := -math.Exp((nearest-v)/f.temperature) / total
			if c == own {
				slope++
			}
			m.add(f.slopes, i, c, slope/f.temperature/count)
		}
	}
	y[0] = T(sum / max(count, 1))
}

func (f *prototypical[T]) Backward(dx, _ [][]T, _, dy []T) {
	for i, slope := range f.slopes {
		dx[0][i] = T(slope * float64(dy[0]))
	}
	clear(dx[1])
}
