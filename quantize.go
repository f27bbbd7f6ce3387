package likeness

import (
	"math"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/quantized"
	"github.com/pkg/errors"
)

// ErrQuantized is the error for a quantized model where a network in float32 is needed.
var ErrQuantized = errors.New("the model is quantized: give the model in float32 that it was made from")

// CheckFloat returns an error that wraps ErrQuantized for a quantized model: it cannot be
// trained, adapted, explained, exported or quantized again.
func (m *Model) CheckFloat() error {
	if m != nil && m.Quantized != nil {
		return errors.WithStack(ErrQuantized)
	}
	return nil
}

// Quantize returns a new model whose network computes in integers of 8 bits, see package
// quantized, with the same head and preprocessing. images are of the kind that it will embed; a few
// hundred suffice. The ranges of the activations are those of these images.
//
// The threshold of the new model is the distance within which as many pairs of the images lie as
// within that of the given model, so that it decides alike; where none or all pairs lie within it, it
// stays the same. The quantized model is another model: it has another identity, and galleries of
// the given model refuse it.
//
// The backbone must be a backbone.Network. A block that has no integer form is an error that wraps
// quantized.ErrUnsupported. The given model does not change.
func (m *Model) Quantize(images Images, o quantized.Options) (q *Model, err error) {
	defer func() {
		if caught(recover(), &err); err != nil {
			q, err = nil, errors.WithMessage(err, "quantize")
		}
	}()
	if err := m.check(); err != nil {
		return nil, err
	}
	if err := m.CheckFloat(); err != nil {
		return nil, err
	}
	network, ok := m.Backbone.(backbone.Network)
	if !ok {
		return nil, errors.Errorf("found a backbone of type %T, expected a backbone.Network, whose blocks are known", m.Backbone)
	}
	if images == nil || images.Len() < 1 {
		return nil, errors.New("found no images, expected some for the ranges of the activations")
	}
	pixels := make([][]uint8, images.Len())
	for i := range pixels {
		pixels[i] = make([]uint8, m.Preprocessing.Size.Len())
	}
	if err := readAll(images, 0, pixels); err != nil {
		return nil, err
	}
	integers, err := quantized.Quantize(network, m.Weights, m.Preprocessing, pixels, o)
	if err != nil {
		return nil, err
	}
	if q, err = build(network, m.Head, m.Preprocessing, graph.NewWeights(graph.Float32, 0), integers); err != nil {
		return nil, err
	}
	if err := q.copyHead(m); err != nil {
		return nil, err
	}
	if m.Threshold != nil {
		threshold, err := m.thresholdOf(q, pixels)
		if err != nil {
			return nil, errors.WithMessage(err, "threshold")
		}
		q.Threshold = &threshold
	}
	return q, nil
}

// headPrefix begins the names of the weights of a head, and of the bias of its probability.
const headPrefix = "head."

// copyHead copies the weights of the head from another model.
func (m *Model) copyHead(from *Model) error {
	for _, weight := range from.weights() {
		if !strings.HasPrefix(weight.Name, headPrefix) {
			continue
		}
		values := weight.Value.Float32s()
		if own := m.Weights.Get(weight.Name); own != nil {
			copy(own.Value.Float32s(), values)
			continue
		}
		wide := make([]float64, len(values))
		for i, v := range values {
			wide[i] = float64(v)
		}
		if err := m.Weights.Add(weight.Name, weight.Role, weight.Value.Shape(), wide); err != nil {
			return err
		}
	}
	return nil
}

// maxThresholdImages limits the images whose pairs give the threshold of a quantized model.
const maxThresholdImages = 512

// thresholdOf is the threshold of q: the distance within which as many pairs of images lie as
// within the threshold of m by m.
func (m *Model) thresholdOf(q *Model, pixels [][]uint8) (float64, error) {
	pixels = pixels[:min(len(pixels), maxThresholdImages)]
	before, err := m.pairDistances(pixels)
	if err != nil {
		return 0, err
	}
	after, err := q.pairDistances(pixels)
	if err != nil {
		return 0, err
	}
	within, _ := slices.BinarySearchFunc(before, *m.Threshold, func(distance, threshold float64) int {
		if distance <= threshold {
			return -1
		}
		return 1
	})
	if within == 0 || within == len(after) {
		return *m.Threshold, nil
	}
	// Between two distances the threshold divides the gap as it did before.
	gap := before[within] - before[within-1]
	share := (*m.Threshold - before[within-1]) / gap
	return after[within-1] + share*(after[within]-after[within-1]), nil
}

// pairDistances are the distances of all pairs of images in ascending order.
func (m *Model) pairDistances(pixels [][]uint8) ([]float64, error) {
	rows, err := m.embedPixels(pixels)
	if err != nil {
		return nil, err
	}
	distance, err := heads.DistanceOf(m.Head, m.Weights)
	if err != nil {
		return nil, err
	}
	var distances []float64
	for i := range rows {
		for j := range i {
			d := distance.Between(rows[i], rows[j])
			if math.IsNaN(d) {
				return nil, errors.Errorf("the distance of the images %d and %d is NaN, expected a number", j, i)
			}
			distances = append(distances, d)
		}
	}
	slices.Sort(distances)
	return distances, nil
}

// checkQuantized returns an error if the network in integers does not fit the model.
func (m *Model) checkQuantized() error {
	if m.Quantized == nil {
		return nil
	}
	if m.Quantized.Features() == 0 {
		return errors.New("field Quantized: found a network without steps, expected one of Quantize or Load")
	}
	if size := m.Quantized.Size(); size != m.Preprocessing.Size {
		return errors.Errorf("field Quantized: the network takes images of %v, the preprocessing makes %v", size, m.Preprocessing.Size)
	}
	return nil
}

// isHead reports whether a tensor of the file of a quantized model is a weight of the head.
func isHead(t safetensors.Tensor) bool { return strings.HasPrefix(t.Name, headPrefix) }

// ofWeights are the tensors of the weights: of a quantized model those of the head.
func (m *Model) ofWeights(tensors []safetensors.Tensor) []safetensors.Tensor {
	if m.Quantized == nil {
		return tensors
	}
	return slices.DeleteFunc(slices.Clone(tensors), func(t safetensors.Tensor) bool { return !isHead(t) })
}

// integersOf is the network in integers of a file.
func integersOf(network backbone.Backbone, tensors []safetensors.Tensor) (*quantized.Network, error) {
	blocks, ok := network.(backbone.Network)
	if !ok {
		return nil, errors.Errorf("found a backbone of type %T, expected a backbone.Network in a file of %s", network, QuantizedFormat)
	}
	var parameters []quantized.Parameter
	for _, t := range tensors {
		switch {
		case isHead(t):
		case t.Half:
			return nil, errors.Errorf("array %q: found half precision, expected another type in a file of %s", t.Name, QuantizedFormat)
		default:
			parameters = append(parameters, quantized.Parameter{Name: t.Name, Shape: t.Shape, Data: t.Data})
		}
	}
	return quantized.New(blocks, parameters)
}
