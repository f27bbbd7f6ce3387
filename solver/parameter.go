package solver

import (
	"slices"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/likeness-go/likeness/internal/vector"
)

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
