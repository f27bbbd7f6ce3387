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

// Errors that Step and Restore wrap.
var (
	ErrNoGradient = errors.New("no gradient")
	ErrNotFinite  = errors.New("a gradient or a weight is not finite")
	ErrChanged    = errors.New("the parameters differ from those of the earlier steps")
)

// Parameter is a weight with the gradient of the last run. Value and Grad
// return contiguous row-major *tensor.Dense of one shape and one dtype, Float32
// or Float64.
type Parameter interface {
	gorgonia.ValueGrad

	// Name is the unique name of the parameter, such as "conv1.weight".
	Name() string

	// Decays reports whether L2 and weight decay apply: true for convolution
	// kernels and fully connected weights, false for biases and for the parameters
	// of a normalization.
	Decays() bool
}

// Solver updates weights from their gradients. The elements given to Step are Parameters.
// Without L2 and weight decay they need no method Decays, so a *gorgonia.Node suffices.
// All steps must have the parameters of the first step in the same order.
type Solver interface {
	gorgonia.Solver

	// SetLearningRate sets the learning rate from the next step on.
	SetLearningRate(rate float64)

	// Progress describes the steps taken.
	Progress() Progress

	// State copies the variables of the solver, from which it can be restored.
	State() State

	// Restore continues from the State of a solver with the same settings, bit for
	// bit. After an error nothing has changed.
	Restore(state State) error
}

// Progress describes the steps that a solver has taken.
type Progress struct {
	Steps        int     // steps taken, including those before a Restore
	LearningRate float64 // the learning rate, before a layer's LearningRateScale
	GradientNorm float64 // Euclidean norm over all gradients of the last step, before clipping; 0 before the first
}

// parameter is the solver's record of a Parameter.
type parameter struct {
	name    string
	shape   tensor.Shape
	dtype   tensor.Dtype
	setting setting
	moments []*tensor.Dense // one for each of the rule's kinds

	weight, gradient *tensor.Dense // of the current step
}

// newParameters makes the records of the elements of the model in the first step.
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

// settingOf returns the settings of a parameter.
func settingOf(name string, element gorgonia.ValueGrad, defaults setting, layers []Layer) (setting, error) {
	s := defaults.in(layers, name)
	if s.l2 == 0 && s.weightDecay == 0 {
		return s, nil
	}
	decaying, ok := element.(interface{ Decays() bool })
	if !ok {
		return s, errors.Errorf("found a %T, expected a Parameter: l2 and weight decay need its method Decays", element)
	}
	if !decaying.Decays() {
		s.l2, s.weightDecay = 0, 0
	}
	return s, nil
}

// bind sets the weight and the gradient of the current step.
func (p *parameter) bind(element gorgonia.ValueGrad) error {
	if named, ok := element.(gorgonia.Namer); !ok {
		return errors.Wrapf(ErrChanged, "found a %T without a name", element)
	} else if named.Name() != p.name {
		return errors.Wrapf(ErrChanged, "found the parameter %q instead", named.Name())
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

// fits compares shapes strictly: for Shape.Eq, (n, 1) and (n) are equal.
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

// dense returns the value as a tensor whose memory is one slice of floats, or an error.
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

// Layer has the settings of the parameters whose names it matches. A nil setting is that
// of the solver. If several Layers match a parameter, the first one applies. If a Layer
// matches no parameter, the first step returns an error; see MatchLayers.
type Layer struct {
	// Name is the name of a parameter ("conv1.weight"), the name of a layer ("conv1",
	// which does not match "conv10.weight"), or a pattern of path.Match ("conv[12].*",
	// "*.bias").
	Name string `toml:"name"`

	LearningRateScale *float64 `toml:"rate_scale" json:"RateScale"` // factor on the solver's learning rate, in [0, ∞)
	Momentum          *float64 `toml:"momentum"`                    // as SGD.Momentum; not for Adam
	L2                *float64 `toml:"l2"`                          // as SGD.L2 and Adam.L2
	WeightDecay       *float64 `toml:"weight_decay"`                // as Adam.WeightDecay; not for SGD
}

// setting has the settings of one parameter.
type setting struct {
	rateScale, momentum, l2, weightDecay float64
}

// in returns the setting with the overrides of the first matching layer.
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

// matches requires a valid pattern, which check ensures.
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

// checkLayers also returns an error if a field is set that the solver does not use.
func checkLayers(layers []Layer, unused string, field func(Layer) *float64) error {
	for _, layer := range layers {
		if err := layer.check(); err != nil {
			return err
		}
		if value := field(layer); value != nil {
			return errors.Errorf("layer %q: %s: found %v, expected none: this solver does not use it", layer.Name, unused, *value)
		}
	}
	return nil
}

// MatchLayers returns an error if a layer matches none of the parameters of the given
// names, so that a misspelled name is not ignored. The first step checks this, too;
// a training calls MatchLayers before it starts.
func MatchLayers(layers []Layer, names []string) error {
	for _, layer := range layers {
		matches := false
		for _, name := range names {
			matches = matches || layer.matches(name)
		}
		if !matches {
			return errors.Errorf("layer %q: matches no parameter, expected one of %q", layer.Name, names)
		}
	}
	return nil
}
