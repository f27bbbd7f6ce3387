package quantized

import (
	"math"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/integer"
	"github.com/pkg/errors"
)

// Options are the options of Quantize. The zero value is useful.
type Options struct {
	// OnProgress, unless it is nil, is called with the number of images that are done; each is read
	// twice.
	OnProgress func(done, total int)
}

// Quantize makes the integer network of a network with weights in float32, for images of a
// preprocessing. images are (height, width, channels) bytes each, as Preprocessing.Pixels returns
// them, of the kind that the network will embed; a few hundred suffice. The ranges of all
// activations are those of these images. The error wraps ErrUnsupported for a block that has no
// integer form, which it names. The result does not depend on the number of threads.
func Quantize(network backbone.Network, weights *graph.Weights, preprocessing imaging.Preprocessing, images [][]uint8, o Options) (*Network, error) {
	n, err := quantize(network, weights, preprocessing, images, o)
	return n, errors.Wrap(err, "quantize")
}

func quantize(network backbone.Network, weights *graph.Weights, preprocessing imaging.Preprocessing, images [][]uint8, o Options) (*Network, error) {
	if err := preprocessing.Validate(); err != nil {
		return nil, err
	}
	switch {
	case weights == nil || weights.Dtype() != graph.Float32:
		return nil, errors.New("found no weights of float32")
	case preprocessing.Size != network.Size:
		return nil, errors.Errorf("the network takes images of %v, the preprocessing makes %v", network.Size, preprocessing.Size)
	case len(images) == 0:
		return nil, errors.New("found no images, expected some for the ranges of the activations")
	}
	for i, image := range images {
		if len(image) != network.Size.Len() {
			return nil, errors.Errorf("image %d has %d values, expected %d for %v", i, len(image), network.Size.Len(), network.Size)
		}
	}
	p, err := newPlan(network)
	if err != nil {
		return nil, err
	}
	found, err := p.calibrate(weights, preprocessing, images, o.OnProgress)
	if err != nil {
		return nil, err
	}
	q := &quantizer{
		plan: p, source: source{weights: weights}, preprocessing: preprocessing, calibration: found,
		scale: make([]float64, len(p.values)), sumScale: make([][]float64, len(p.values)),
	}
	for _, s := range p.steps {
		if err := s.quantize(q); err != nil {
			return nil, errors.WithMessagef(err, "block %s", s.at().name)
		}
		if q.err != nil {
			return nil, errors.WithMessagef(q.err, "block %s", s.at().name)
		}
		if err := s.prepare(p); err != nil {
			return nil, errors.WithMessagef(err, "block %s", s.at().name)
		}
	}
	return p.network()
}

// source has the weights of the network in float32. The first error is kept.
type source struct {
	weights *graph.Weights
	err     error
}

// get returns a weight of a number of elements, zeros if there is none.
func (s *source) get(name string, n int) []float64 {
	values := make([]float64, n)
	weight := s.weights.Get(name)
	if weight == nil || weight.Value.Size() != n {
		if s.err == nil {
			s.err = errors.Errorf("found no weight %q of %d elements", name, n)
		}
		return values
	}
	for i, v := range weight.Value.Float32s() {
		values[i] = float64(v)
	}
	return values
}

// linearWeights are the names of the weights of a convolution or a fully connected layer.
type linearWeights struct {
	weight, bias string // bias is empty for none
	norms        []normWeights
}

// normWeights is a batch norm of the results.
type normWeights struct {
	prefix  string
	epsilon float64
}

// factors are the factor and the term of each channel.
func (n normWeights) factors(s *source, channels int) (factor, term []float64) {
	factor, term = s.get(n.prefix+".weight", channels), s.get(n.prefix+".bias", channels)
	mean, variance := s.get(n.prefix+".running_mean", channels), s.get(n.prefix+".running_var", channels)
	for c := range factor {
		factor[c] /= math.Sqrt(variance[c] + n.epsilon)
		term[c] -= mean[c] * factor[c]
	}
	return factor, term
}

// folded returns the weights (outputs, patch) and the biases with the batch norms in them.
func (l linearWeights) folded(s *source, outputs, patch int) (weight, bias []float64) {
	weight, bias = s.get(l.weight, outputs*patch), make([]float64, outputs)
	if l.bias != "" {
		bias = s.get(l.bias, outputs)
	}
	for _, norm := range l.norms {
		factor, term := norm.factors(s, outputs)
		for o := range outputs {
			bias[o] = bias[o]*factor[o] + term[o]
			for i := range patch {
				weight[o*patch+i] *= factor[o]
			}
		}
	}
	return weight, bias
}

// apply computes a fully connected layer in float64.
func (l linearWeights) apply(s *source, x []float64, outputs int) []float64 {
	weight, y := l.folded(s, outputs, len(x))
	for o := range y {
		for i, v := range x {
			y[o] += weight[o*len(x)+i] * v
		}
	}
	return y
}

// quantizer is the state of Quantize.
type quantizer struct {
	*plan
	source
	preprocessing imaging.Preprocessing
	calibration   calibration
	scale         []float64   // of bytes and words
	sumScale      [][]float64 // of sums, of each channel
}

// quantized sets the scale of a value from its range, but at least the given one, and returns its
// limits.
func (q *quantizer) quantized(out int, b bounds, least float64) limits {
	v, s := q.values[out], q.calibration[out]
	low, high := min(s.low, 0), max(s.high, 0)
	if b.rectified {
		low = 0
	}
	if !(high > low) {
		high = low + 1 // all numbers are 0
	}
	most := float64(v.largest())
	q.scale[out] = max((high-low)/most, least)
	v.zero = int32(math.RoundToEven(-low / q.scale[out]))
	l := limits{v.zero, 0, v.largest()}
	if b.rectified {
		l[1] = v.zero
	}
	if b.upper > 0 {
		l[2] = int32(min(most, float64(v.zero)+math.RoundToEven(b.upper/q.scale[out])))
	}
	return l
}

// round is the number of a value that is nearest to x.
func (l limits) round(x, scale float64) int32 {
	return int32(min(max(float64(l[0])+math.RoundToEven(x/scale), float64(l[1])), float64(l[2])))
}

// rounded are the weights (outputs, patch) of a layer rounded to 8 bits, with one scale for each
// output, and the biases in units of the products, of which magnitudes are below 2^bits. mean is the
// mean of each input: the mean of what rounding changes is subtracted from the biases.
func (q *quantizer) rounded(weight, bias, mean []float64, input float64, bits int) (rounded []int8, scale, biases []float64) {
	outputs, patch := len(bias), len(weight)/len(bias)
	rounded, scale, biases = make([]int8, len(weight)), make([]float64, outputs), make([]float64, outputs)
	for o := range outputs {
		row := weight[o*patch:][:patch]
		var largest float64
		for _, w := range row {
			largest = max(largest, math.Abs(w))
		}
		s := max(largest/127, math.Ldexp(math.Abs(bias[o])/input, -bits))
		if s == 0 {
			s = 1
		}
		var change float64
		for i, w := range row {
			r := math.RoundToEven(w / s)
			rounded[o*patch+i] = int8(r)
			change += (r*s - w) * mean[i]
		}
		scale[o], biases[o] = s, math.RoundToEven((bias[o]-change)/(s*input))
	}
	return rounded, scale, biases
}

// means are the means of the inputs of a filter: of each channel of its group.
func (q *quantizer) means(x int) []float64 {
	if s := q.calibration[x]; s != nil {
		return s.mean
	}
	return make([]float64, q.values[x].channels) // pixels: their mean is near zero
}

func (s *inputStep) quantize(q *quantizer) error {
	channels := q.size.Channels
	pixels, values := make([]uint8, 256*channels), make([]float32, 256*channels)
	low, high := 0.0, 0.0
	for i := range pixels {
		pixels[i] = uint8(i / channels)
	}
	q.preprocessing.Normalize(values, pixels)
	for _, v := range values {
		if v-v != 0 {
			return errors.New("the preprocessing makes numbers that are not finite")
		}
		low, high = min(low, float64(v)), max(high, float64(v))
	}
	scale := (high - low) / mostByte
	if scale == 0 {
		scale = 1
	}
	q.scale[s.out] = scale
	s.limits = limits{int32(math.RoundToEven(-low / scale)), 0, mostByte}
	s.table = make([]uint8, 256*channels)
	for i, v := range values {
		s.table[i%channels*256+i/channels] = uint8(s.limits.round(float64(v), scale))
	}
	return nil
}

func (s *convStep) quantize(q *quantizer) error {
	patch, channels := s.patch(), s.shape.Input.Channels/max(s.shape.Groups, 1)
	weight, bias := s.weights.folded(&q.source, s.shape.Filters, patch)
	if q.err != nil {
		return q.err
	}
	input := q.scale[s.in[0]]
	s.weight, s.bias, s.scale = nil, nil, nil
	means, window := q.means(s.in[0]), s.shape.KernelHeight*s.shape.KernelWidth
	perGroup := s.shape.Filters / max(s.shape.Groups, 1)
	var slopes []float64
	if s.bounds.slope != "" {
		slopes = q.get(s.bounds.slope, s.shape.Filters)
		s.negative = nil
	}
	units := make([]float64, s.shape.Filters) // of the sums
	var least float64
	if len(s.in) > 1 {
		least = q.scale[s.in[1]] / integer.MaxAddendScale
	}
	for f := range s.shape.Filters {
		mean := make([]float64, patch)
		for i := range mean {
			mean[i] = means[f/perGroup*channels+i/window]
		}
		rounded, scale, biases := q.rounded(weight[f*patch:][:patch], bias[f:f+1], mean, input, 28)
		s.weight = append(s.weight, rounded...)
		s.bias = append(s.bias, int32(biases[0]))
		units[f] = scale[0] * input
		factor := 1.0
		if slopes != nil {
			factor = max(1, math.Abs(slopes[f]))
		}
		// Results as fine as this have all that there is in the sums.
		least = max(least, units[f]*factor/integer.MaxSumScale)
	}
	s.limits = q.quantized(s.out, s.bounds, least)
	for f, unit := range units {
		ratio := unit / q.scale[s.out]
		s.scale = append(s.scale, limited(ratio, integer.MaxSumScale))
		if slopes != nil {
			s.negative = append(s.negative, limited(ratio*slopes[f], integer.MaxSumScale))
		}
	}
	if len(s.in) > 1 {
		s.addend = []float32{limited(q.scale[s.in[1]]/q.scale[s.out], integer.MaxAddendScale)}
	}
	return nil
}

// limited is x in float32, of which rounding may not exceed a limit.
func limited(x, most float64) float32 { return float32(min(max(x, -most), most)) }

func (s *linearStep) quantize(q *quantizer) error {
	weight, bias := s.weights.folded(&q.source, s.units, s.inputs)
	if q.err != nil {
		return q.err
	}
	input := q.scale[s.in[0]]
	rounded, scale, biases := q.rounded(weight, bias, q.means(s.in[0]), input, 48)
	s.weight, s.bias = rounded, make([]int64, s.units)
	for u, b := range biases {
		s.bias[u], scale[u] = int64(b), scale[u]*input
	}
	q.sumScale[s.out] = scale
	return nil
}

func (s *requantizeStep) quantize(q *quantizer) error {
	s.limits = q.quantized(s.out, s.bounds, 0)
	channels := q.values[s.out].channels
	ratios := make([]float64, channels)
	for c := range ratios {
		ratios[c] = q.sumScale[s.in[0]][c] / q.scale[s.out]
	}
	if s.bounds.slope != "" {
		for c, slope := range q.get(s.bounds.slope, channels) {
			ratios = append(ratios, slope*ratios[c])
		}
	}
	s.factors = factorsOf(ratios)
	s.multiplier, s.negative = s.multiplier[:channels:channels], s.multiplier[channels:]
	return nil
}

func (s *tableStep) quantize(q *quantizer) error {
	in, rows := q.values[s.in[0]], s.rows(q.plan)
	s.limits = q.quantized(s.out, bounds{}, 0)
	slopes := []float64{0}
	if s.slope != "" {
		slopes = q.get(s.slope, rows)
	}
	s.table, s.wide = nil, nil
	for _, slope := range slopes {
		for i := range in.largest() + 1 {
			x := float64(i-in.zero) * q.scale[s.in[0]]
			y := x
			if s.slope == "" {
				y = s.function(x)
			} else if x < 0 {
				y = slope * x
			}
			number := s.limits.round(y, q.scale[s.out])
			if in.kind == words {
				s.wide = append(s.wide, number)
			} else {
				s.table = append(s.table, uint8(number))
			}
		}
	}
	return nil
}

func (s *addStep) quantize(q *quantizer) error {
	s.limits = q.quantized(s.out, s.bounds, 0)
	ratios := []float64{q.scale[s.in[0]] / q.scale[s.out], q.scale[s.in[1]] / q.scale[s.out]}
	if q.values[s.out].kind == words {
		s.factors = factorsOf(ratios)
	} else {
		s.scale = []float32{float32(ratios[0]), float32(ratios[1])}
	}
	return nil
}

func (s *maxPoolStep) quantize(q *quantizer) error { return s.same(q) }
func (s *flattenStep) quantize(q *quantizer) error { return s.same(q) }

// same gives the result the scale of the input.
func (b *base) same(q *quantizer) error {
	q.scale[b.out] = q.scale[b.in[0]]
	return nil
}

func (s *averageStep) quantize(q *quantizer) error {
	channels := q.values[s.out].channels
	s.limits = q.quantized(s.out, bounds{}, 0)
	factor, term := make([]float64, channels), make([]float64, channels)
	for c := range factor {
		factor[c] = 1
	}
	if s.norm != "" {
		factor, term = normWeights{s.norm, s.epsilon}.factors(&q.source, channels)
	}
	if s.factor != "" {
		factor = q.get(s.factor, channels)
	}
	if s.addend != "" {
		term = q.get(s.addend, channels)
	}
	for c := range factor {
		factor[c] *= q.scale[s.in[0]] / q.scale[s.out] / float64(s.window*s.window)
	}
	s.factors = factorsOf(factor)
	const most = 40 // so that terms fit
	if s.shift[0] > most {
		for c, m := range s.multiplier {
			s.multiplier[c] = int32(scaled(int64(m), 1, s.shift[0]-most))
		}
		s.shift[0] = most
	}
	s.term = make([]int64, channels)
	for c, t := range term {
		s.term[c] = int64(min(max(math.RoundToEven(math.Ldexp(t/q.scale[s.out], int(s.shift[0]))), -1<<60), 1<<60))
	}
	return nil
}

func (s *sumStep) quantize(q *quantizer) error {
	v := q.values[s.in[0]]
	q.sumScale[s.out] = make([]float64, v.channels)
	for c := range v.channels {
		q.sumScale[s.out][c] = q.scale[s.in[0]] / float64(v.height*v.width)
	}
	return nil
}

func (s *gemStep) quantize(q *quantizer) error {
	v := q.values[s.in[0]]
	p := q.get(s.exponent, 1)[0]
	if !(p > 0) {
		return errors.Errorf("found the exponent %v, expected a number above 0", p)
	}
	s.limits = q.quantized(s.out, bounds{}, 0)
	number := func(i int32) float64 { return max(float64(i-v.zero)*q.scale[s.in[0]], s.epsilon) }
	largest := number(mostByte)
	s.power, s.root = make([]int32, 256), make([]int32, gemRoots)
	for i := range s.power {
		s.power[i] = int32(math.RoundToEven(maxPower * math.Pow(number(int32(i))/largest, p)))
	}
	for i := range s.root {
		mean := gemNumber(i) / (maxPower * float64(v.height*v.width))
		s.root[i] = s.limits.round(largest*math.Pow(mean, 1/p), q.scale[s.out])
	}
	return nil
}

func (s *gateStep) quantize(q *quantizer) error {
	s.limits = q.quantized(s.out, bounds{}, 0)
	s.scale = []float32{float32(q.scale[s.in[0]] * q.scale[s.in[1]] / q.scale[s.out])}
	return nil
}

func (s *normalizeStep) quantize(q *quantizer) error {
	q.sumScale[s.out] = make([]float64, q.values[s.out].channels)
	for c := range q.sumScale[s.out] {
		q.sumScale[s.out][c] = math.Ldexp(1, -unitBits)
	}
	return nil
}

func (s *outputStep) quantize(q *quantizer) error {
	s.scale = q.sumScale[s.in[0]]
	if s.scale == nil {
		s.scale = make([]float64, q.values[s.in[0]].channels)
		for i := range s.scale {
			s.scale[i] = q.scale[s.in[0]]
		}
	}
	return nil
}

// functions are the activations without weights, in float64.
var functions = map[string]func(float64) float64{
	"relu":        func(x float64) float64 { return max(x, 0) },
	"relu6":       func(x float64) float64 { return min(max(x, 0), 6) },
	"sigmoid":     sigmoid,
	"tanh":        math.Tanh,
	"silu":        func(x float64) float64 { return x * sigmoid(x) },
	"gelu":        func(x float64) float64 { return x * math.Erfc(-x/math.Sqrt2) / 2 },
	"hardsigmoid": hardSigmoid,
	"hardswish":   func(x float64) float64 { return x * hardSigmoid(x) },
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func hardSigmoid(x float64) float64 { return min(max(x+3, 0), 6) / 6 }
