package onnx

import (
	"fmt"
	"math"

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

// Head returns the distance of a trained model: embeddings left and right (batch,
// features) to the distance (batch) of each row of left from the same row of right. It is
// made from the form of the head's distance; a head without one is an error. A model that
// was trained with a cross-entropy has a second output, the probability (batch) that the
// two are of the same class, σ(bias − distance).
func Head(m *likeness.Model) (*Model, error) {
	features, err := features(m)
	if err != nil {
		return nil, err
	}
	distance, err := heads.DistanceOf(m.Head, m.Weights)
	if err != nil {
		return nil, errors.Wrap(err, "onnx")
	}
	properties, err := describe(m)
	if err != nil {
		return nil, err
	}
	form, known := distance.Form()
	if !known {
		return nil, errors.Errorf("onnx: the head %s, of type %T, has no form: only a head whose Distance is made by heads.FromForm can be written", heads.Identifier(m.Head), m.Head)
	}
	b := newBuilder(m.Weights)
	b.distance(form)
	shape := extents(features)
	inputs := []Value{
		{Name: Left, Shape: shape, Doc: "Embeddings, as the network gives them."},
		{Name: Right, Shape: shape, Doc: "As many embeddings to compare them with."},
	}
	outputs := []Value{{Name: Distance, Shape: extents(), Doc: describeDistance(m)}}
	if m.Weights.Get(biasName) != nil {
		logit := b.apply("Sub", "logit", []string{b.weight(biasName), Distance})
		b.apply("Sigmoid", Probability, []string{logit})
		outputs = append(outputs, Value{Name: Probability, Shape: extents(), Doc: "The probability that the two are of one class."})
	}
	written, err := b.model(m.Head.Name(), inputs, outputs, properties)
	return written, errors.Wrap(err, "onnx")
}

func describeDistance(m *likeness.Model) string {
	text := fmt.Sprintf("The distance %s of each row of left from the same row of right: the smaller, the more alike.", m.Head.Name())
	if m.Threshold != nil {
		text += fmt.Sprintf(" Up to %v two images count as the same.", *m.Threshold)
	}
	return text
}

// distance adds the output Distance by its formula. All are sums over differences,
// so that equal embeddings are at distance zero exactly.
func (b *builder) distance(form heads.Form) {
	switch {
	case form.Normalize:
		b.cosine(form)
	case form.Weights == nil && form.Power == 2 && form.Root:
		b.reduce("ReduceL2", "length", b.difference(Left, Right))
		form.Scale, form.Root = math.Sqrt(form.Scale), false
	case form.Weights == nil && form.Power == 2:
		b.reduce("ReduceSumSquare", "sum", b.difference(Left, Right))
	case form.Weights == nil:
		b.reduce("ReduceL1", "sum", b.difference(Left, Right))
	default:
		terms := b.difference(Left, Right)
		if form.Power == 1 {
			terms = b.apply("Abs", "terms", []string{terms})
		} else {
			terms = b.apply("Mul", "terms", []string{terms, terms})
		}
		factors := b.constant("head.factors", []int{len(form.Weights)}, form.Weights)
		b.reduce("ReduceSum", "sum", b.apply("Mul", "weighted", []string{terms, factors}))
	}
	if form.Scale != 1 && !form.Normalize {
		b.apply("Mul", "scaled", []string{b.last(), b.constant("head.scale", []int{1}, []float32{float32(form.Scale)})})
	}
	if form.Root {
		b.apply("Sqrt", "root", []string{b.last()})
	}
	b.end(Distance)
}

func (b *builder) difference(x, y string) string {
	return b.apply("Sub", "difference", []string{x, y})
}

// reduce applies an operator to the features, (batch, features) to (batch).
func (b *builder) reduce(operator, name, x string) string {
	return b.apply(operator, name, []string{x, b.lastAxis()}, integer("keepdims", 0))
}

// cosine is Scale·‖x̂ − ŷ‖² of unit vectors, and 2·Scale where one of the two is the
// zero vector: see heads.Form. The largest element of a unit vector is at least
// 1/√features.
func (b *builder) cosine(form heads.Form) {
	var units, largest [2]string
	for i, side := range []string{Left, Right} {
		units[i] = b.normalize(side+"_unit", value{name: side}).name
		largest[i] = b.reduce("ReduceMax", side+"_unit_largest_element", b.apply("Abs", side+"_unit_elements", []string{units[i]}))
	}
	scaled := b.apply("Mul", "scaled", []string{
		b.reduce("ReduceSumSquare", "chord", b.difference(units[0], units[1])),
		b.constant("head.scale", []int{1}, []float32{float32(form.Scale)}),
	})
	present := b.apply("Greater", "present", []string{
		b.apply("Min", "smaller", []string{largest[0], largest[1]}),
		b.constant("zero", []int{1}, []float32{0}),
	})
	b.apply("Where", "cosine", []string{present, scaled, b.constant("of_zero", []int{1}, []float32{float32(2 * form.Scale)})})
}
