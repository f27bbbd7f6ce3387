package solver

import (
	"math"
	"path"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// What a caller of Step or Restore may want to tell apart.
var (
	ErrNoGradient = errors.New("no gradient")
	ErrNotFinite  = errors.New("gradient is not finite")
	ErrChanged    = errors.New("not the parameters of the earlier steps")
)

// Parameter is a weight with the gradient of the last run. Value and Grad
// return contiguous row-major *tensor.Dense of one shape and one dtype, Float32
// or Float64.
type Parameter interface {
	gorgonia.ValueGrad

	// Name tells the parameter from all others of the model, as
	// "conv1.weight".
	Name() string

	// Decays says whether L2 and weight decay apply: true for convolution
	// kernels and fully connected matrices, false for biases and for the
	// parameters of a normalisation, which have no scale to shrink.
	Decays() bool
}

// Solver takes steps from gradients to the next weights. The elements given to
// Step are Parameters; where nothing decays, Decays may be missing, so that a
// *gorgonia.Node does too. The first step fixes which parameters there are and
// their order.
type Solver interface {
	gorgonia.Solver

	// SetRate sets the learning rate from the next step on.
	SetLearningRate(rate float64)

	// Progress tells of the steps taken.
	Progress() Progress

	// State copies what the solver remembers, to go on from later.
	State() State

	// Restore makes the solver go on from a state of a solver with the same
	// settings, bit for bit. After an error nothing has changed.
	Restore(state State) error
}

// Progress tells how far a solver has come.
type Progress struct {
	Steps        int     // steps taken, with those before a Restore
	LearningRate float64 // the learning rate, before a layer's RateScale
	GradientNorm float64 // Euclidean norm over all gradients of the last step, before clipping; 0 before the first
}

// parameter is a solver's view of one Parameter.
type parameter struct {
	name    string
	shape   tensor.Shape
	dtype   tensor.Dtype
	setting setting
	moments []*tensor.Dense // one for each of the rule's kinds

	weight, gradient *tensor.Dense // of the present step
}

// newParameters views the elements of the model for the first time.
func newParameters(model []gorgonia.ValueGrad, defaults setting, layers []Layer) ([]*parameter, error) {
	if len(model) == 0 {
		return nil, errors.New("found no parameters, expected at least one")
	}
	parameters := make([]*parameter, len(model))
	names := make([]string, len(model))
	for i, element := range model {
		named, ok := element.(gorgonia.Namer)
		if !ok {
			return nil, errors.Errorf("parameter %d: found a %T without a name, expected a Parameter", i, element)
		}
		p := &parameter{name: named.Name()}
		if slices.Contains(names[:i], p.name) {
			return nil, errors.Errorf("parameter %q: found twice, expected names to differ", p.name)
		}
		value, err := dense(element.Value())
		if err != nil {
			return nil, errors.Wrapf(err, "parameter %q: value", p.name)
		}
		p.shape, p.dtype = value.Shape().Clone(), value.Dtype()
		if p.setting, err = settingOf(p.name, element, defaults, layers); err != nil {
			return nil, errors.Wrapf(err, "parameter %q", p.name)
		}
		parameters[i], names[i] = p, p.name
	}
	return parameters, MatchLayers(layers, names)
}

// settingOf is how the parameter is to be treated.
func settingOf(name string, element gorgonia.ValueGrad, defaults setting, layers []Layer) (setting, error) {
	s := defaults.in(layers, name)
	if s.l2 == 0 && s.weightDecay == 0 {
		return s, nil
	}
	decaying, ok := element.(interface{ Decays() bool })
	if !ok {
		return s, errors.Errorf("found a %T, expected a Parameter: l2 and weight decay ask it whether it Decays", element)
	}
	if !decaying.Decays() {
		s.l2, s.weightDecay = 0, 0
	}
	return s, nil
}

// bind takes the weight and the gradient of the present step.
func (p *parameter) bind(element gorgonia.ValueGrad) error {
	if named, ok := element.(gorgonia.Namer); !ok {
		return errors.Wrapf(ErrChanged, "found a %T without a name in its place", element)
	} else if named.Name() != p.name {
		return errors.Wrapf(ErrChanged, "found %q in its place", named.Name())
	}
	value, err := dense(element.Value())
	if err != nil {
		return errors.Wrap(err, "value")
	}
	if !p.fits(value) {
		return errors.Wrapf(ErrChanged, "found %v %v, expected %v %v", value.Dtype(), value.Shape(), p.dtype, p.shape)
	}
	slope, err := element.Grad()
	if err != nil {
		return errors.Wrap(ErrNoGradient, err.Error())
	}
	if slope == nil {
		return ErrNoGradient
	}
	gradient, err := dense(slope)
	if err != nil {
		return errors.Wrap(err, "gradient")
	}
	if !p.fits(gradient) {
		return errors.Errorf("gradient: found %v %v, expected %v %v as the value", gradient.Dtype(), gradient.Shape(), p.dtype, p.shape)
	}
	p.weight, p.gradient = value, gradient
	return nil
}

// fits is strict where Shape.Eq takes (n, 1) and (n) for one shape.
func (p *parameter) fits(d *tensor.Dense) bool {
	return d.Dtype() == p.dtype && slices.Equal(d.Shape(), p.shape)
}

// sumOfSquares of the elements [from, to).
func sumOfSquares(t *tensor.Dense, from, to int) float64 {
	if t.Dtype() == tensor.Float32 {
		return vector.For[float32]().SquaredNorm(t.Float32s()[from:to])
	}
	return vector.For[float64]().SquaredNorm(t.Float64s()[from:to])
}

// dense refuses what cannot be gone through as one slice of floats.
func dense(value gorgonia.Value) (*tensor.Dense, error) {
	d, ok := value.(*tensor.Dense)
	if !ok || d == nil {
		return nil, errors.Errorf("found %T, expected a *tensor.Dense", value)
	}
	if d.Dtype() != tensor.Float32 && d.Dtype() != tensor.Float64 {
		return nil, errors.Errorf("found dtype %v, expected float32 or float64", d.Dtype())
	}
	if d.RequiresIterator() || d.DataOrder().IsColMajor() {
		return nil, errors.Errorf("found a view, a transpose or column-major memory (%v), expected contiguous row-major memory", d.DataOrder())
	}
	return d, nil
}

// Layer gives the parameters it matches settings of their own. What is nil is
// as in the solver. The first Layer that matches a parameter counts, and a
// Layer that matches none is an error of the first step; see MatchLayers.
type Layer struct {
	// Name is a parameter's name ("conv1.weight"), the layer it lies in
	// ("conv1", which is not "conv10.weight"), or a pattern for path.Match
	// ("conv[12].*", "*.bias").
	Name string `toml:"name"`

	LearningRateScale *float64 `toml:"rate_scale" json:"RateScale"` // factor on the solver's rate, in [0, ∞)
	Momentum          *float64 `toml:"momentum"`                    // as SGD.Momentum; not for Adam
	L2                *float64 `toml:"l2"`                          // as SGD.L2 and Adam.L2
	WeightDecay       *float64 `toml:"weight_decay"`                // as Adam.WeightDecay; not for SGD
}

// setting is how one parameter is treated.
type setting struct {
	rateScale, momentum, l2, weightDecay float64
}

// in is the setting with what the first matching layer overrides.
func (s setting) in(layers []Layer, name string) setting {
	for _, layer := range layers {
		if layer.matches(name) {
			override(&s.rateScale, layer.LearningRateScale)
			override(&s.momentum, layer.Momentum)
			override(&s.l2, layer.L2)
			override(&s.weightDecay, layer.WeightDecay)
			break
		}
	}
	return s
}

func override(field *float64, value *float64) {
	if value != nil {
		*field = *value
	}
}

// matches assumes a well-formed pattern, which check has made sure of.
func (l Layer) matches(name string) bool {
	matched, _ := path.Match(l.Name, name)
	return matched || strings.HasPrefix(name, l.Name+".")
}

func (l Layer) check() error {
	if _, err := path.Match(l.Name, ""); err != nil || l.Name == "" {
		return errors.Errorf("layer: name: found %q, expected a parameter's name, a layer's or a pattern", l.Name)
	}
	bounds := []bound{
		{"rate_scale", valueOf(l.LearningRateScale), 0, math.Inf(1)},
		{"momentum", valueOf(l.Momentum), 0, 1},
		{"l2", valueOf(l.L2), 0, math.Inf(1)},
		{"weight_decay", valueOf(l.WeightDecay), 0, math.Inf(1)},
	}
	return errors.Wrapf(within(bounds...), "layer %q", l.Name)
}

func valueOf(pointer *float64) float64 {
	if pointer == nil {
		return 0
	}
	return *pointer
}

// checkLayers also refuses the field that the solver has no use for.
func checkLayers(layers []Layer, unused string, field func(Layer) *float64) error {
	for _, layer := range layers {
		if err := layer.check(); err != nil {
			return err
		}
		if value := field(layer); value != nil {
			return errors.Errorf("layer %q: %s: found %v, expected none: this solver has no use for it", layer.Name, unused, *value)
		}
	}
	return nil
}

// MatchLayers keeps a misspelt name from being passed over in silence: it is an
// error when a layer matches none of the parameters, given by their names. The
// first step sees to it too; a training asks before it begins.
func MatchLayers(layers []Layer, names []string) error {
	for _, layer := range layers {
		matches := false
		for _, name := range names {
			matches = matches || layer.matches(name)
		}
		if !matches {
			return errors.Errorf("layer %q: found no parameter of that name, expected one of %q", layer.Name, names)
		}
	}
	return nil
}
