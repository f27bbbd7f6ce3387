package solver

import (
	"maps"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// State contains the variables of a solver or an average as named tensors for a
// checkpoint: "step" (one int64), "rate" (the learning rate, one float64), and for
// each moment of each parameter a tensor of the parameter's shape and element type,
// such as "velocity/conv1.weight".
type State map[string]*tensor.Dense

const stepKey, rateKey = "step", "rate"

func momentKey(kind, parameter string) string { return kind + "/" + parameter }

// clone copies the tensors.
func (s State) clone() State {
	copied := make(State, len(s))
	for key, value := range s {
		copied[key] = value.Clone().(*tensor.Dense)
	}
	return copied
}

// steps reads "step".
func (s State) steps() (int, error) {
	value := s[stepKey]
	if value == nil || value.Dtype() != tensor.Int64 || value.Size() != 1 || value.Int64s()[0] < 0 {
		return 0, errors.Errorf("%q: found %v, expected one int64 of at least 0", stepKey, value)
	}
	return int(value.Int64s()[0]), nil
}

func (s State) setSteps(steps int) {
	s[stepKey] = tensor.New(tensor.WithShape(1), tensor.WithBacking([]int64{int64(steps)}))
}

func (c *core) state(rate float64) State {
	state := c.moments.clone()
	state.setSteps(c.steps)
	state[rateKey] = tensor.New(tensor.WithShape(1), tensor.WithBacking([]float64{rate}))
	return state
}

// restore returns the learning rate. The moments are matched with the parameters in
// the next step, which has them.
func (c *core) restore(state State, kinds []string) (rate float64, err error) {
	steps, err := state.steps()
	if err != nil {
		return 0, errors.Wrap(err, "restore solver")
	}
	held := state[rateKey]
	if held == nil || held.Dtype() != tensor.Float64 || held.Size() != 1 {
		return 0, errors.Errorf("restore solver: %q: found %v, expected one float64", rateKey, held)
	}
	moments := State{}
	for key, value := range state {
		if key == stepKey || key == rateKey {
			continue
		}
		kind, _, _ := strings.Cut(key, "/")
		if !slices.Contains(kinds, kind) {
			return 0, errors.Errorf("restore solver: found %q, expected moments of the kinds %q: is it the state of another solver?", key, kinds)
		}
		if _, err := dense(value); err != nil {
			return 0, errors.Wrapf(err, "restore solver: %q", key)
		}
		moments[key] = value
	}
	c.steps, c.norm, c.parameters, c.moments = steps, 0, nil, moments.clone()
	return held.Float64s()[0], nil
}

// attachMoments sets the moments of each parameter: zeros, or those of a restored
// state, which must have moments of exactly these parameters.
func attachMoments(parameters []*parameter, kinds []string, restored State) (State, error) {
	moments := make(State, len(parameters)*len(kinds))
	for _, p := range parameters {
		for _, kind := range kinds {
			key := momentKey(kind, p.name)
			moment := restored[key]
			if len(restored) == 0 {
				moment = tensor.New(tensor.Of(p.dtype), tensor.WithShape(p.shape...))
			}
			if moment == nil {
				return nil, errors.Wrapf(ErrChanged, "restored state: found no %q", key)
			}
			if !p.fits(moment) {
				return nil, errors.Wrapf(ErrChanged, "restored state: %q: found %v %v, expected %v %v",
					key, moment.Dtype(), moment.Shape(), p.dtype, p.shape)
			}
			moments[key] = moment
			p.moments = append(p.moments, moment)
		}
	}
	for key := range restored {
		if moments[key] == nil {
			return nil, errors.Wrapf(ErrChanged, "restored state: found %q, which belongs to no parameter", key)
		}
	}
	return moments, nil
}

// Average is the exponential moving average of named tensors: of a network's
// weights, and of batch norm's running statistics with them (Polyak & Juditsky
// 1992; with the warm-up of TensorFlow's ExponentialMovingAverage). The first
// update copies the values w. Update number t = 1, 2, … after it computes
//
//	a ← d·a + (1−d)·w,    d = min(Decay, (1+t)/(10+t))
type Average struct {
	Decay float64 // in [0, 1)

	updates    int
	averages   []averaged // by name; nil before the first update
	evaluating bool

	chunks     chunks
	rest       float64 // 1 − d of the current update
	blendChunk func(worker, i int)
}

// averaged is the average of one tensor and, during a call, the tensor.
type averaged struct {
	name          string
	value, weight *tensor.Dense
	backup        *tensor.Dense // of the tensor during Evaluate; nil before the first
}

// Update adds the current values to the averages. Names, shapes and element types must
// be those of the first update; otherwise the error is ErrChanged. After an error
// nothing has changed.
func (a *Average) Update(weights map[string]*tensor.Dense) error {
	if a == nil {
		return errors.Wrap(errNil, "update average")
	}
	if err := within(bound{"average", a.Decay, 0, 1}); err != nil {
		return err
	}
	if err := a.bind(weights); err != nil {
		return errors.Wrap(err, "update average")
	}
	t := float64(a.updates)
	a.rest = 1 - min(a.Decay, (1+t)/(10+t))
	a.chunks.run(a.blendChunk)
	a.updates++
	return nil
}

// Evaluate replaces the values of the tensors by the averages while evaluate runs, and
// restores them afterwards, also after an error or a panic. Meanwhile Update and
// Evaluate return errors.
func (a *Average) Evaluate(weights map[string]*tensor.Dense, evaluate func() error) error {
	if a == nil || evaluate == nil {
		return errors.New("evaluate average: found nil, expected an average and a function")
	}
	if a.updates == 0 {
		return errors.New("evaluate average: found no update, expected at least one before Evaluate")
	}
	if err := a.bind(weights); err != nil {
		return errors.Wrap(err, "evaluate average")
	}
	a.evaluating = true
	for i := range a.averages {
		a.averages[i].swapIn()
	}
	defer func() {
		for i := range a.averages {
			a.averages[i].swapOut()
		}
		a.evaluating = false
	}()
	return evaluate()
}

// State copies the averages ("average/conv1.weight") and the number of updates
// ("step").
func (a *Average) State() State {
	if a == nil {
		return nil
	}
	state := State{}
	state.setSteps(a.updates)
	for _, each := range a.averages {
		state[momentKey("average", each.name)] = each.value.Clone().(*tensor.Dense)
	}
	return state
}

// Restore continues from a State. After an error nothing has changed.
func (a *Average) Restore(state State) error {
	if a == nil {
		return errors.Wrap(errNil, "restore average")
	}
	if a.evaluating {
		return errors.New("restore average: an evaluation is running")
	}
	updates, err := state.steps()
	if err != nil {
		return errors.Wrap(err, "restore average")
	}
	var averages []averaged
	for _, key := range slices.Sorted(maps.Keys(state)) {
		if key == stepKey {
			continue
		}
		name, ok := strings.CutPrefix(key, momentKey("average", ""))
		if !ok {
			return errors.Errorf("restore average: found %q, expected names that begin with \"average/\"", key)
		}
		if _, err := dense(state[key]); err != nil {
			return errors.Wrapf(err, "restore average: %q", key)
		}
		averages = append(averages, averaged{name: name, value: state[key].Clone().(*tensor.Dense)})
	}
	if (updates > 0) != (len(averages) > 0) {
		return errors.Errorf("restore average: found %d averages after %d updates", len(averages), updates)
	}
	a.updates = updates
	a.adopt(averages)
	return nil
}

// bind finds the tensor of each average; the first call determines which there are.
func (a *Average) bind(weights map[string]*tensor.Dense) error {
	if a.evaluating {
		return errors.New("an evaluation is running")
	}
	if a.averages == nil {
		averages, err := newAverages(weights)
		if err != nil {
			return err
		}
		a.adopt(averages)
	}
	if len(weights) != len(a.averages) {
		return errors.Wrapf(ErrChanged, "found %d tensors, expected %d", len(weights), len(a.averages))
	}
	for i := range a.averages {
		each := &a.averages[i]
		weight := weights[each.name]
		if weight == nil {
			return errors.Wrapf(ErrChanged, "found no tensor %q", each.name)
		}
		if _, err := dense(weight); err != nil {
			return errors.Wrapf(err, "tensor %q", each.name)
		}
		if weight.Dtype() != each.value.Dtype() || !slices.Equal(weight.Shape(), each.value.Shape()) {
			return errors.Wrapf(ErrChanged, "tensor %q: found %v %v, expected %v %v", each.name,
				weight.Dtype(), weight.Shape(), each.value.Dtype(), each.value.Shape())
		}
		each.weight = weight
	}
	return nil
}

func newAverages(weights map[string]*tensor.Dense) ([]averaged, error) {
	if len(weights) == 0 {
		return nil, errors.New("found no tensors, expected at least one")
	}
	var averages []averaged
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		if _, err := dense(weights[name]); err != nil {
			return nil, errors.Wrapf(err, "tensor %q", name)
		}
		averages = append(averages, averaged{name: name, value: weights[name].Clone().(*tensor.Dense)})
	}
	return averages, nil
}

// adopt sets the averages and divides the work on them into chunks.
func (a *Average) adopt(averages []averaged) {
	a.averages = averages
	sizes := make([]int, len(averages))
	for i, each := range averages {
		sizes[i] = each.value.Shape().TotalSize()
	}
	a.chunks.divide(sizes)
	a.blendChunk = func(_, i int) {
		chunk := a.chunks.all[i]
		a.averages[chunk.item].blend(chunk.from, chunk.to, a.rest)
	}
}

// blend adds a fraction of the difference, so that an average that equals its weight
// does not change.
func (each *averaged) blend(from, to int, rest float64) {
	if each.value.Dtype() == tensor.Float32 {
		average := each.value.Float32s()[from:to]
		vector.For[float32]().AddDifference(average, each.weight.Float32s()[from:to], average, float32(rest))
		return
	}
	average := each.value.Float64s()[from:to]
	vector.For[float64]().AddDifference(average, each.weight.Float64s()[from:to], average, rest)
}

func (each *averaged) swapIn() {
	if each.backup == nil {
		each.backup = each.weight.Clone().(*tensor.Dense)
	}
	copyElements(each.backup, each.weight)
	copyElements(each.weight, each.value)
}

func (each *averaged) swapOut() { copyElements(each.weight, each.backup) }

// copyElements between contiguous tensors of one dtype and size.
func copyElements(to, from *tensor.Dense) {
	if to.Dtype() == tensor.Float32 {
		copy(to.Float32s(), from.Float32s())
		return
	}
	copy(to.Float64s(), from.Float64s())
}
