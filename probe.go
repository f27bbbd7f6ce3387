package likeness

import (
	"encoding/json"
	"image"
	"image/color"
	"math"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// ErrNoProbe is the error of ProbeDeviation for a model that was not loaded from a file
// with a probe: files of version likeness/1 have none, nor have those whose backbone has
// no float64 form (graph.ErrNoForm).
var ErrNoProbe = errors.New("no probe is stored")

// probe is what a model file says of the embedding of the probe picture. It was
// computed in float64 by portable code, so that it is the same whichever
// processor wrote the file. That of a quantized model was computed in integers.
type probe struct {
	Embedding []float32 `json:"embedding"`
	// Tolerance is how far a value may be off, as a part of the largest; 0 for a quantized model.
	Tolerance float64 `json:"tolerance"`
}

// probeTolerance leaves room for the rounding of float32 through deep networks:
// the zoo's differ by up to 2e-6 of the largest value, in any instruction set and
// by any algorithm. An operation that is wrong is far beyond it.
const probeTolerance = 1e-3

// ProbeDeviation embeds a generated image, the probe, and compares the result with the
// embedding that the model's file stores. It returns the largest difference of an
// element, relative to the largest element, and the tolerance, which is 0 for a quantized model. A larger deviation, or
// NaN, means that the model does not compute here what it computed where it was saved.
// The error wraps ErrNoProbe if there is no stored embedding.
func (m *Model) ProbeDeviation() (deviation, tolerance float64, err error) {
	if err := m.check(); err != nil {
		return 0, 0, errors.Wrap(err, "probe")
	}
	if m.probe == nil {
		return 0, 0, errors.WithStack(ErrNoProbe)
	}
	embeddings, err := m.Embed(probePicture(m.Preprocessing))
	if err != nil {
		return 0, 0, errors.Wrap(err, "probe")
	}
	found, expected := embeddings[0], m.probe.Embedding
	if len(found) != len(expected) {
		return 0, 0, errors.Errorf("probe: found an embedding of %d values, expected %d", len(found), len(expected))
	}
	var largest float64
	for i, v := range expected {
		largest = max(largest, math.Abs(float64(v)))
		deviation = max(deviation, math.Abs(float64(found[i])-float64(v))) // NaN stays NaN
	}
	if largest > 0 {
		deviation /= largest
	}
	return deviation, m.probe.Tolerance, nil
}

// newProbe is nil where the backbone has no form in float64: graph.ErrNoForm.
func (m *Model) newProbe() (*probe, error) {
	if m.Quantized != nil {
		rows, err := m.Quantized.Embed([][]uint8{m.Preprocessing.Pixels(probePicture(m.Preprocessing))})
		if err != nil {
			return nil, errors.Wrap(err, "the embedding of the probe picture")
		}
		return &probe{Embedding: rows[0]}, nil
	}
	program, err := graph.Build(m.Weights.Convert(graph.Float64), graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		return graph.Outputs{"embeddings": m.embed(b, 1)}
	})
	if errors.Is(err, graph.ErrNoForm) {
		return nil, nil
	}
	if err != nil {
		return nil, errors.Wrap(err, "the embedding of the probe picture, in float64")
	}
	defer program.Close()
	pixels := m.Preprocessing.Pixels(probePicture(m.Preprocessing))
	input := make([]float32, len(pixels))
	m.Preprocessing.Normalize(input, pixels)
	if err := program.Set("images", input); err != nil {
		return nil, err
	}
	if err := program.Run(); err != nil {
		return nil, errors.Wrap(err, "the embedding of the probe picture, in float64")
	}
	embedding, err := program.Float32s("embeddings")
	if err != nil {
		return nil, err
	}
	if i, found := notFinite(embedding); found {
		return nil, errors.Errorf("the embedding of the probe picture: value %d is %v, expected a finite number: the weights or the preprocessing are extreme", i, embedding[i])
	}
	return &probe{Embedding: embedding, Tolerance: probeTolerance}, nil
}

// parseProbe reads what a file stores, of a quantized model with a tolerance of 0.
func parseProbe(text string, exact bool) (*probe, error) {
	p := new(probe)
	if err := json.Unmarshal([]byte(text), p); err != nil {
		return nil, err
	}
	if exact && (p.Tolerance != 0 || len(p.Embedding) == 0) {
		return nil, errors.Errorf("found a tolerance of %v and %d values, expected 0 and more than 0", p.Tolerance, len(p.Embedding))
	}
	if !exact && !(p.Tolerance > 0) || len(p.Embedding) == 0 {
		return nil, errors.Errorf("found a tolerance of %v and %d values, expected more than 0 of both", p.Tolerance, len(p.Embedding))
	}
	return p, nil
}

// probePicture is a ring and a bar in ink of many shades, on paper of as many,
// of the size of the model's input and of the polarity that the model reads, so
// that a crop finds its ink. It is drawn in whole numbers, which no processor
// rounds.
func probePicture(p imaging.Preprocessing) image.Image {
	gray := func(x, y, channel int) uint8 {
		if channel == 1 {
			x, y = p.Size.Width-1-x, p.Size.Height-1-y
		}
		shade := 90 * x / max(1, p.Size.Width-1)
		if channel == 2 {
			shade = 90 - shade
		}
		if inked(p.Size, x, y) {
			shade = 160 + 95*y/max(1, p.Size.Height-1)
		}
		if p.Invert {
			shade = 255 - shade
		}
		return uint8(shade)
	}
	bounds := image.Rect(0, 0, p.Size.Width, p.Size.Height)
	grays, colors := image.NewGray(bounds), image.NewRGBA(bounds)
	for y := range p.Size.Height {
		for x := range p.Size.Width {
			grays.SetGray(x, y, color.Gray{Y: gray(x, y, 0)})
			colors.SetRGBA(x, y, color.RGBA{R: gray(x, y, 0), G: gray(x, y, 1), B: gray(x, y, 2), A: 255})
		}
	}
	if p.Size.Channels == 1 {
		return grays
	}
	return colors
}

// inked reports whether a pixel is in the ring or in the bar, in half pixels from the
// center.
func inked(size imaging.Size, x, y int) bool {
	side := min(size.Height, size.Width)
	right, down := 2*x-size.Width+1, 2*y-size.Height+1
	square := 100 * (right*right + down*down)
	ring := 25*side*side <= square && square <= 64*side*side
	bar := 8*max(down, -down) <= side && right <= 0
	return ring || bar
}
