package explain

import (
	"fmt"
	"math"

	"github.com/likeness-go/likeness/graph"
	"github.com/pkg/errors"
)

// pool makes a vector of a feature map of (places, channels), and divides it over the places.
type pool struct {
	places, channels int
	divide           func(features []float64) parts
}

// parts are the shares of the places in a pooled vector. They add up to sum.
type parts struct {
	sum []float64
	// product is the product of the share of a place with a vector as long as sum.
	product func(place int, vector []float64) float64
}

// layer is a layer after the pooling.
type layer interface {
	// at returns the layer's result for x, and its linear part there: what a change of x along
	// a share of it adds to the result, while norms and variances are those of x.
	at(x []float64) ([]float64, linearMap)
}

// linearMap multiplies by a matrix, and by its transpose.
type linearMap struct {
	forward, adjoint func(x []float64) []float64
}

// reader makes layers of blocks with the weights of a model.
type reader struct {
	weights *graph.Weights
	scope   string         // prefix of the names of weights
	numbers map[string]int // of the blocks of each kind so far
}

// skip counts blocks that come before.
func (r *reader) skip(blocks []graph.Block) {
	for _, block := range blocks {
		r.numbers[block.Kind()]++
	}
}

// name is that of the next block of a kind, as in the names of its weights.
func (r *reader) name(block graph.Block) string {
	r.numbers[block.Kind()]++
	return fmt.Sprintf("%s%s%d", r.scope, block.Kind(), r.numbers[block.Kind()])
}

// values are the elements of a weight.
func (r *reader) values(name string) ([]float64, error) {
	weight := r.weights.Get(name)
	if weight == nil || weight.Value == nil {
		return nil, errors.Errorf("found no weight %q in the model", name)
	}
	switch data := weight.Value.Data().(type) {
	case []float64:
		return append([]float64(nil), data...), nil
	case []float32:
		return widened(data), nil
	}
	return nil, errors.Errorf("weight %q: found elements of type %v, expected float32 or float64", name, weight.Value.Dtype())
}

func widened(data []float32) []float64 {
	all := make([]float64, len(data))
	for i, v := range data {
		all[i] = float64(v)
	}
	return all
}

// pool returns the pooling of a block.
func (r *reader) pool(block graph.Block, places, channels int) (pool, error) {
	name := r.name(block)
	p := pool{places: places, channels: channels}
	switch b := block.(type) {
	case graph.GlobalAveragePool:
		p.divide = p.average
	case graph.Flatten:
		p.divide = p.flatten
	case graph.GeM:
		weight, err := r.values(name + ".weight")
		if err != nil {
			return p, err
		}
		epsilon := b.Epsilon
		if epsilon == 0 {
			epsilon = 1e-6 // the default of graph.GeM
		}
		p.divide = func(features []float64) parts { return p.generalizedMean(features, weight[0], epsilon) }
	}
	return p, nil
}

func (p pool) average(features []float64) parts {
	all := parts{sum: make([]float64, p.channels)}
	for i, v := range features {
		all.sum[i%p.channels] += v
	}
	for c := range all.sum {
		all.sum[c] /= float64(p.places)
	}
	all.product = func(place int, vector []float64) float64 {
		return dot(features[place*p.channels:][:p.channels], vector) / float64(p.places)
	}
	return all
}

// flatten has the order of graph.Flatten: channels, then places.
func (p pool) flatten(features []float64) parts {
	all := parts{sum: make([]float64, len(features))}
	for i, v := range features {
		all.sum[i%p.channels*p.places+i/p.channels] = v
	}
	all.product = func(place int, vector []float64) float64 {
		sum := 0.0
		for c, v := range features[place*p.channels:][:p.channels] {
			sum += v * vector[c*p.places+place]
		}
		return sum
	}
	return all
}

// generalizedMean divides the mean of each channel in proportion to the terms of its places. The
// terms are relative to the largest value of the channel, so that large exponents do not overflow.
func (p pool) generalizedMean(features []float64, exponent, epsilon float64) parts {
	largest, sums := make([]float64, p.channels), make([]float64, p.channels)
	for i, v := range features {
		c := i % p.channels
		largest[c] = max(largest[c], v, epsilon)
	}
	shares := make([]float64, len(features))
	for i, v := range features {
		c := i % p.channels
		shares[i] = math.Pow(max(v, epsilon)/largest[c], exponent)
		sums[c] += shares[i]
	}
	all := parts{sum: make([]float64, p.channels)}
	for c, sum := range sums {
		all.sum[c] = largest[c] * math.Pow(sum/float64(p.places), 1/exponent)
	}
	for i := range shares {
		c := i % p.channels
		shares[i] *= all.sum[c] / sums[c]
	}
	all.product = func(place int, vector []float64) float64 {
		return dot(shares[place*p.channels:][:p.channels], vector)
	}
	return all
}

// layers returns the layers of blocks after the pooling, or why they are not linear.
func (r *reader) layers(blocks []graph.Block) ([]layer, error) {
	var all []layer
	for _, block := range blocks {
		if block == nil {
			return nil, errors.New("found a block that is nil")
		}
		name := r.name(block)
		found, err := r.layer(block, name)
		if err != nil {
			return nil, err
		}
		if found != nil {
			all = append(all, found)
		}
	}
	return all, nil
}

// layer returns the layer of a block, nil for the identity.
func (r *reader) layer(block graph.Block, name string) (layer, error) {
	switch b := block.(type) {
	case graph.Dropout: // nothing in evaluation
		return nil, nil
	case graph.Activate:
		if b.Function != "" {
			return nil, notLinear(name, b.Function)
		}
		return nil, nil
	case graph.Linear:
		if b.Activation != "" {
			return nil, notLinear(name, b.Activation)
		}
		return r.linear(b, name)
	case graph.BatchNorm:
		return r.batchNorm(b, name)
	case graph.Scale:
		factors, err := r.values(name + ".weight")
		return channelwise{factors: factors}, err
	case graph.Normalize:
		return normalize{}, nil
	case graph.LayerNorm:
		return r.layerNorm(b, name)
	case graph.Residual:
		if b.Activation != "" {
			return nil, notLinear(name, b.Activation)
		}
		body := reader{r.weights, name + ".", map[string]int{}}
		shortcut := reader{r.weights, name + ".shortcut.", map[string]int{}}
		var sum residual
		var err error
		if sum.body, err = body.layers(b.Body); err != nil {
			return nil, err
		}
		sum.shortcut, err = shortcut.layers(b.Shortcut)
		return sum, err
	}
	return nil, errors.Wrapf(ErrUnsupported, "found the block %s, a %T, after the last feature map, expected linear layers", name, block)
}

// notLinear is the error for an activation.
func notLinear(name, activation string) error {
	return errors.Wrapf(ErrUnsupported, "block %s has the activation %s after the last feature map, which is not linear, so that the embedding is not a sum over places; expected linear layers without activation", name, activation)
}

// linear is y = Wx + b.
type linear struct {
	weight [][]float64 // rows
	bias   []float64   // nil for none
	inputs int
}

func (r *reader) linear(b graph.Linear, name string) (layer, error) {
	weight, err := r.values(name + ".weight")
	if err != nil {
		return nil, err
	}
	l := linear{inputs: len(weight) / b.Units}
	for u := range b.Units {
		l.weight = append(l.weight, weight[u*l.inputs:(u+1)*l.inputs])
	}
	if !b.NoBias {
		l.bias, err = r.values(name + ".bias")
	}
	return l, err
}

func (l linear) at(x []float64) ([]float64, linearMap) {
	y := l.forward(x)
	for u := range l.bias {
		y[u] += l.bias[u]
	}
	return y, linearMap{l.forward, l.adjoint}
}

func (l linear) forward(x []float64) []float64 {
	y := make([]float64, len(l.weight))
	for u, row := range l.weight {
		y[u] = dot(row, x)
	}
	return y
}

func (l linear) adjoint(y []float64) []float64 {
	x := make([]float64, l.inputs)
	for u, row := range l.weight {
		for i, w := range row {
			x[i] += w * y[u]
		}
	}
	return x
}

// channelwise is y = factors·x + shifts.
type channelwise struct {
	factors, shifts []float64 // shifts may be nil
}

// batchNorm is batch norm with its running statistics.
func (r *reader) batchNorm(b graph.BatchNorm, name string) (layer, error) {
	var values [4][]float64
	for i, part := range []string{".weight", ".bias", ".running_mean", ".running_var"} {
		var err error
		if values[i], err = r.values(name + part); err != nil {
			return nil, err
		}
	}
	epsilon := b.Epsilon
	if epsilon == 0 {
		epsilon = 1e-5 // the default of graph.BatchNorm
	}
	norm := channelwise{values[0], values[1]}
	for i := range norm.factors {
		norm.factors[i] /= math.Sqrt(values[3][i] + epsilon)
		norm.shifts[i] -= values[2][i] * norm.factors[i]
	}
	return norm, nil
}

func (l channelwise) at(x []float64) ([]float64, linearMap) {
	y := l.times(x)
	for i := range l.shifts {
		y[i] += l.shifts[i]
	}
	return y, linearMap{l.times, l.times}
}

func (l channelwise) times(x []float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = l.factors[i] * v
	}
	return y
}

// normalize is graph.Normalize.
type normalize struct{}

func (normalize) at(x []float64) ([]float64, linearMap) {
	norm := math.Sqrt(dot(x, x))
	if norm == 0 {
		norm = 1
	}
	divide := func(x []float64) []float64 {
		y := make([]float64, len(x))
		for i, v := range x {
			y[i] = v / norm
		}
		return y
	}
	return divide(x), linearMap{divide, divide}
}

// layerNorm is graph.LayerNorm.
type layerNorm struct {
	weight, bias []float64
	epsilon      float64
}

func (r *reader) layerNorm(b graph.LayerNorm, name string) (layer, error) {
	l := layerNorm{epsilon: b.Epsilon}
	if l.epsilon == 0 {
		l.epsilon = 1e-6 // the default of graph.LayerNorm
	}
	var err error
	if l.weight, err = r.values(name + ".weight"); err != nil {
		return nil, err
	}
	l.bias, err = r.values(name + ".bias")
	return l, err
}

func (l layerNorm) at(x []float64) ([]float64, linearMap) {
	centered := center(x)
	deviation := math.Sqrt(dot(centered, centered)/float64(len(x)) + l.epsilon)
	scaled := func(x []float64) []float64 {
		y := make([]float64, len(x))
		for i, v := range x {
			y[i] = v * l.weight[i] / deviation
		}
		return y
	}
	// To subtract the mean is a symmetric matrix.
	linear := linearMap{
		forward: func(x []float64) []float64 { return scaled(center(x)) },
		adjoint: func(y []float64) []float64 { return center(scaled(y)) },
	}
	y := linear.forward(x)
	for i := range y {
		y[i] += l.bias[i]
	}
	return y, linear
}

// center subtracts the mean.
func center(x []float64) []float64 {
	mean := 0.0
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = v - mean
	}
	return y
}

// residual is the sum of two lists of layers.
type residual struct{ body, shortcut []layer }

func (l residual) at(x []float64) ([]float64, linearMap) {
	body, first := chain(l.body, x)
	shortcut, second := chain(l.shortcut, x)
	return plus(body, shortcut), linearMap{
		forward: func(x []float64) []float64 { return plus(first.forward(x), second.forward(x)) },
		adjoint: func(y []float64) []float64 { return plus(first.adjoint(y), second.adjoint(y)) },
	}
}

// chain is the layers one after the other.
func chain(layers []layer, x []float64) ([]float64, linearMap) {
	maps := make([]linearMap, len(layers))
	for i, layer := range layers {
		x, maps[i] = layer.at(x)
	}
	return x, linearMap{
		forward: func(x []float64) []float64 {
			for _, m := range maps {
				x = m.forward(x)
			}
			return x
		},
		adjoint: func(y []float64) []float64 {
			for i := len(maps) - 1; i >= 0; i-- {
				y = maps[i].adjoint(y)
			}
			return y
		},
	}
}

func plus(x, y []float64) []float64 {
	sum := make([]float64, len(x))
	for i, v := range x {
		sum[i] = v + y[i]
	}
	return sum
}

func dot(x, y []float64) float64 {
	sum := 0.0
	for i, v := range x {
		sum += v * y[i]
	}
	return sum
}
