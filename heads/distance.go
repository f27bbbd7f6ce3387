package heads

import "math"

// Distance is a head outside graphs: its name, what it has learned, and the
// function that both define. It keeps no link to the weights it came from.
type Distance struct {
	Head string // the head's name
	// Weights are, for a head that learns, the factors wⱼ of each feature; nil
	// for the others.
	Weights []float32
	// Between is the distance of two embeddings of equal length, computed in
	// float64. It is NaN where the lengths differ from each other or from that
	// of Weights.
	Between func(x, y []float32) float64

	builtin Head // what Builtin returns
}

// Builtin is the head of this package whose distance it is; nil where it is the
// distance of a head of the user's own. The field Head is for people: two heads
// may have one name.
func (d Distance) Builtin() Head { return d.builtin }

// sum adds term(j, xⱼ, yⱼ) over all j.
func sum(x, y []float32, term func(j int, x, y float64) float64) float64 {
	if len(x) != len(y) {
		return math.NaN()
	}
	var total float64
	for j := range x {
		total += term(j, float64(x[j]), float64(y[j]))
	}
	return total
}
