package onnx

import (
	"fmt"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// The names of the head's inputs and outputs.
const (
	Left        = "left"        // (batch, features)
	Right       = "right"       // (batch, features)
	Distance    = "distance"    // (batch)
	Probability = "probability" // (batch)
)

// biasName is where a cross-entropy keeps what it learns, see
// objectives.CrossEntropy.
const biasName = "head.bias"

// Head is the distance of a trained model: embeddings left and right (batch,
// features) to the distance (batch) of each row from its twin. A model that was
// trained with a cross-entropy has a second output, the probability (batch) that
// the two are of one class, σ(bias − distance).
func Head(m *likeness.Model) (*Model, error) {
	features, err := features(m)
	if err != nil {
		return nil, err
	}
	learned, err := heads.DistanceOf(m.Head, m.Weights)
	if err != nil {
		return nil, errors.Wrap(err, "onnx")
	}
	properties, err := describe(m)
	if err != nil {
		return nil, err
	}
	d := draw(m.Weights)
	d.distance(m.Head, learned.Weights)
	shape := extents(features)
	inputs := []Value{
		{Name: Left, Shape: shape, Doc: "Embeddings, as the network gives them."},
		{Name: Right, Shape: shape, Doc: "As many embeddings to compare them with."},
	}
	outputs := []Value{{Name: Distance, Shape: extents(), Doc: describeDistance(m)}}
	if m.Weights.Get(biasName) != nil {
		logit := d.apply("Sub", "logit", []string{d.weight(biasName), Distance})
		d.apply("Sigmoid", Probability, []string{logit})
		outputs = append(outputs, Value{Name: Probability, Shape: extents(), Doc: "The probability that the two are of one class."})
	}
	written, err := d.model(m.Head.Name(), inputs, outputs, properties)
	return written, errors.Wrap(err, "onnx")
}

func describeDistance(m *likeness.Model) string {
	text := fmt.Sprintf("The distance %s of each row of left from the same row of right: the smaller, the more alike.", m.Head.Name())
	if m.Threshold != nil {
		text += fmt.Sprintf(" Up to %v two images count as the same.", *m.Threshold)
	}
	return text
}

// distance draws the output Distance, with the factors that a weighted head has
// learned. All are sums over differences, so that equal embeddings are at
// distance zero exactly.
func (d *drawing) distance(head heads.Head, factors []float32) {
	reduce := func(operator, name, x string) string {
		return d.apply(operator, name, []string{x, d.lastAxis()}, integer("keepdims", 0))
	}
	builtin, _ := heads.Builtin(head) // nil for one of the user's own
	if _, ok := builtin.(heads.Cosine); ok {
		d.cosine(reduce)
		return
	}
	difference := d.apply("Sub", "difference", []string{Left, Right})
	switch builtin.(type) {
	case heads.L2:
		reduce("ReduceL2", Distance, difference)
	case heads.SquaredL2:
		reduce("ReduceSumSquare", Distance, difference)
	case heads.L1:
		reduce("ReduceL1", Distance, difference)
	case heads.WeightedL1:
		weighted := d.apply("Mul", "weighted", []string{
			d.apply("Abs", "magnitude", []string{difference}),
			d.constant("head.factors", []int{len(factors)}, factors),
		})
		reduce("ReduceSum", Distance, weighted)
	default:
		d.fail("the head is of type %T: only those of package heads can be written", head)
	}
}

// cosine is ½‖x̂ − ŷ‖² of unit vectors, and 1 where one of the two is the zero
// vector: see heads.Cosine. The largest element of a unit vector is at least
// 1/√features.
func (d *drawing) cosine(reduce func(operator, name, x string) string) {
	var units, largest [2]string
	for i, side := range []string{Left, Right} {
		units[i] = d.normalize(side+"_unit", value{name: side}).name
		largest[i] = reduce("ReduceMax", side+"_unit_largest_element", d.apply("Abs", side+"_unit_elements", []string{units[i]}))
	}
	difference := d.apply("Sub", "difference", []string{units[0], units[1]})
	half := d.apply("Mul", "half", []string{
		reduce("ReduceSumSquare", "chord", difference),
		d.constant("one_half", []int{1}, []float32{0.5}),
	})
	present := d.apply("Greater", "present", []string{
		d.apply("Min", "least", []string{largest[0], largest[1]}),
		d.constant("zero", []int{1}, []float32{0}),
	})
	d.apply("Where", Distance, []string{present, half, d.constant("one", []int{1}, []float32{1})})
}
