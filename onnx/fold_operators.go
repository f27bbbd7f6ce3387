package onnx

import (
	"math"
	"slices"
)

// gather takes elements of a list, or of the first axis.
func (s *source) gather(o *operator, x, at *constant) (*constant, error) {
	a := o.settings()
	axis := a.integer("axis", 0)
	if err := a.done(); err != nil {
		return nil, err
	}
	if len(x.shape) != 1 || axis != 0 && axis != -1 || at.isFloat || x.isFloat || len(at.shape) > 1 {
		return nil, o.errorf("found axis %d of a constant of shape %v, expected the elements of a list of integers", axis, x.shape)
	}
	if err := s.spend(o, at.size()); err != nil {
		return nil, err
	}
	c := &constant{shape: at.shape}
	for _, i := range at.integers {
		if i < 0 {
			i += int64(len(x.integers))
		}
		if i < 0 || i >= int64(len(x.integers)) {
			return nil, o.errorf("found the index %d of a list of %d", i, len(x.integers))
		}
		c.integers = append(c.integers, x.integers[i])
	}
	return c, nil
}

func (s *source) concat(o *operator, x []*constant) (*constant, error) {
	a := o.settings()
	axis := a.integer("axis", 0)
	if err := a.done(); err != nil {
		return nil, err
	}
	c := &constant{isFloat: x[0].isFloat}
	for _, part := range x {
		if len(part.shape) != 1 || axis != 0 && axis != -1 || part.isFloat != c.isFloat {
			return nil, o.errorf("found axis %d of constants of shape %v, expected lists of one type", axis, part.shape)
		}
		if err := s.spend(o, part.size()); err != nil {
			return nil, err
		}
		c.integers, c.floats = append(c.integers, part.integers...), append(c.floats, part.floats...)
	}
	c.shape = []int{c.size()}
	return c, nil
}

// axes returns a list of axes from an attribute or, in later operator sets, from an input.
func (o *operator) axes(a *settings, x *constant) ([]int, bool, error) {
	list, found := a.integers("axes")
	if x == nil {
		return list, found, nil
	}
	if found || x.isFloat || len(x.shape) > 1 || len(x.integers) > maxRank {
		return nil, false, o.errorf("found axes that are no short list of integers")
	}
	for _, v := range x.integers {
		if v < -maxRank || v > maxRank {
			return nil, false, o.errorf("found axis %d", v)
		}
		list = append(list, int(v))
	}
	return list, true, nil
}

// squeeze inserts or removes axes of 1.
func (o *operator) squeeze(x []*constant) (*constant, error) {
	a := o.settings()
	var from *constant
	if len(x) > 1 {
		from = x[1]
	}
	axes, found, err := o.axes(a, from)
	if err == nil {
		err = a.done()
	}
	if err != nil {
		return nil, err
	}
	c := *x[0]
	if o.kind == "Squeeze" {
		c.shape = nil
		for i, extent := range x[0].shape {
			if remove := slices.Contains(axes, i) || slices.Contains(axes, i-len(x[0].shape)) || !found && extent == 1; !remove {
				c.shape = append(c.shape, extent)
			} else if extent != 1 {
				return nil, o.errorf("found axis %d of the shape %v", i, x[0].shape)
			}
		}
		return &c, nil
	}
	rank := len(x[0].shape) + len(axes)
	if rank > maxRank || !found {
		return nil, o.errorf("found %d dimensions", rank)
	}
	rest := x[0].shape
	c.shape = make([]int, 0, rank)
	for i := range rank {
		switch {
		case slices.Contains(axes, i) || slices.Contains(axes, i-rank):
			c.shape = append(c.shape, 1)
		case len(rest) == 0:
			return nil, o.errorf("found the axes %v for the shape %v", axes, x[0].shape)
		default:
			c.shape, rest = append(c.shape, rest[0]), rest[1:]
		}
	}
	if len(rest) > 0 {
		return nil, o.errorf("found the axes %v for the shape %v", axes, x[0].shape)
	}
	return &c, nil
}

// slice takes a part of a constant along one axis.
func (s *source) slice(o *operator, x []*constant) (*constant, error) {
	a := o.settings()
	starts, _ := a.integers("starts")
	ends, _ := a.integers("ends")
	axes, _ := a.integers("axes")
	if err := a.done(); err != nil {
		return nil, err
	}
	steps := []int{1}
	for i, list := range []*[]int{&starts, &ends, &axes, &steps} {
		if i+1 >= len(x) || x[i+1] == nil {
			continue
		}
		if len(x[i+1].integers) != 1 {
			return nil, o.errorf("found a part along %d axes, expected one", len(x[i+1].integers))
		}
		*list = []int{int(min(max(x[i+1].integers[0], math.MinInt32), math.MaxInt32))}
	}
	if len(axes) == 0 {
		axes = []int{0}
	}
	rank, step := len(x[0].shape), steps[0]
	axis := axes[0]
	if axis < 0 {
		axis += rank
	}
	if len(starts) != 1 || len(ends) != 1 || len(axes) != 1 || axis < 0 || axis >= rank || step == 0 {
		return nil, o.errorf("found a part from %v to %v along the axes %v of the shape %v by steps of %d, expected one along one axis", starts, ends, axes, x[0].shape, step)
	}
	extent := x[0].shape[axis]
	from, to := within(starts[0], extent), within(ends[0], extent)
	if step < 0 {
		from = min(from, extent-1)
		if to = ends[0]; to < 0 {
			to = max(to+extent, -1)
		}
	}
	var kept []int
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		kept = append(kept, i)
	}
	shape := slices.Clone(x[0].shape)
	shape[axis] = len(kept)
	order := make([]int, rank)
	for i := range order {
		order[i] = i
	}
	offset := 0
	if len(kept) > 0 {
		offset = kept[0]
	}
	return s.view(o, x[0], shape, order, axis, offset, step)
}

// view copies the elements of a constant: axis i of the result is axis order[i] of x, of
// which one begins at an offset and is gone through by steps.
func (s *source) view(o *operator, x *constant, shape, order []int, stepped, offset, step int) (*constant, error) {
	count := 1
	for _, extent := range shape {
		count *= extent
	}
	if err := s.spend(o, count); err != nil {
		return nil, err
	}
	rank := len(shape)
	strides, stride := make([]int, rank), 1
	for i := rank - 1; i >= 0; i-- {
		strides[i] = stride
		stride *= x.shape[i]
	}
	at := 0
	if stepped >= 0 {
		at = offset * strides[stepped]
		strides[stepped] *= step
	}
	c := &constant{shape: shape, isFloat: x.isFloat}
	index := make([]int, rank)
	for range count {
		if x.isFloat {
			c.floats = append(c.floats, x.floats[at])
		} else {
			c.integers = append(c.integers, x.integers[at])
		}
		for axis := rank - 1; axis >= 0; axis-- {
			at += strides[order[axis]]
			if index[axis]++; index[axis] < shape[axis] {
				break
			}
			at -= strides[order[axis]] * shape[axis]
			index[axis] = 0
		}
	}
	return c, nil
}

// reshaped is the shape of a constant that is reshaped.
func reshaped(o *operator, x []*constant) ([]int, error) {
	a := o.settings()
	a.integer("allowzero", 0)
	if err := a.done(); err != nil {
		return nil, err
	}
	if x[1].isFloat || len(x[1].integers) > maxRank {
		return nil, o.errorf("found a shape that is no short list of integers")
	}
	var shape []int
	open, product := -1, 1
	for i, v := range x[1].integers {
		switch {
		case v == -1 && open < 0:
			open = i
		case v < 1 || v > int64(max(1, x[0].size())):
			return nil, o.errorf("found the shape %v for %d elements", x[1].integers, x[0].size())
		default:
			product *= int(v)
		}
		if product > max(1, x[0].size()) {
			return nil, o.errorf("found the shape %v for %d elements", x[1].integers, x[0].size())
		}
		shape = append(shape, int(v))
	}
	if open >= 0 {
		shape[open] = x[0].size() / product
		product *= shape[open]
	}
	if product != x[0].size() {
		return nil, o.errorf("found the shape %v for %d elements", x[1].integers, x[0].size())
	}
	return shape, nil
}

func (s *source) transpose(o *operator, x *constant) (*constant, error) {
	a := o.settings()
	order, found := a.integers("perm")
	if err := a.done(); err != nil {
		return nil, err
	}
	rank := len(x.shape)
	if !found {
		for i := range rank {
			order = append(order, rank-1-i)
		}
	}
	if !isPermutation(order, rank) {
		return nil, o.errorf("found the order %v of %d axes", order, rank)
	}
	shape := make([]int, rank)
	for i, axis := range order {
		shape[i] = x.shape[axis]
	}
	return s.view(o, x, shape, order, -1, 0, 1)
}

func isPermutation(order []int, rank int) bool {
	sorted := slices.Sorted(slices.Values(order))
	for i, axis := range sorted {
		if i != axis {
			return false
		}
	}
	return len(order) == rank
}

func (s *source) unary(o *operator, x *constant) (*constant, error) {
	a := o.settings()
	if err := a.done(); err != nil {
		return nil, err
	}
	if !x.isFloat {
		return nil, o.errorf("found a constant of integers, expected floating-point numbers")
	}
	if err := s.spend(o, x.size()); err != nil {
		return nil, err
	}
	c := &constant{shape: x.shape, floats: make([]float32, len(x.floats)), isFloat: true}
	f := map[string]func(float64) float64{
		"Neg": func(v float64) float64 { return -v }, "Sqrt": math.Sqrt, "Exp": math.Exp, "Reciprocal": func(v float64) float64 { return 1 / v },
	}[o.kind]
	for i, v := range x.floats {
		c.floats[i] = float32(f(float64(v)))
	}
	return c, nil
}

// sequence is the value of a Range operator.
func (s *source) sequence(o *operator, x []*constant) (*constant, error) {
	a := o.settings()
	if err := a.done(); err != nil {
		return nil, err
	}
	var bounds [3]int64
	for i, c := range x {
		if c.isFloat || len(c.integers) != 1 || c.integers[0] > math.MaxInt32 || c.integers[0] < math.MinInt32 {
			return nil, o.errorf("found bounds that are not one small integer each")
		}
		bounds[i] = c.integers[0]
	}
	start, end, step := bounds[0], bounds[1], bounds[2]
	if step < 1 || start > end {
		return nil, o.errorf("found a range from %d to %d by steps of %d", start, end, step)
	}
	if err := s.spend(o, int((end-start)/step)+1); err != nil {
		return nil, err
	}
	var list []int64
	for v := start; v < end; v += step {
		list = append(list, v)
	}
	return integerList(list), nil
}

// filled is the value of a ConstantOfShape operator for a list.
func (s *source) filled(o *operator, x *constant) (*constant, error) {
	value := &constant{floats: []float32{0}, isFloat: true}
	for _, a := range o.attributes {
		if a.name == "value" && a.tensor != nil {
			value = a.tensor.decode()
		}
	}
	if x.isFloat || len(x.integers) != 1 || x.integers[0] < 0 || x.integers[0] > math.MaxInt32 || value.size() != 1 {
		return nil, o.errorf("found a shape that is not that of a list")
	}
	count := int(x.integers[0])
	if err := s.spend(o, count); err != nil {
		return nil, err
	}
	return &constant{
		shape: []int{count}, isFloat: value.isFloat, floats: slices.Repeat(value.floats, count), integers: slices.Repeat(value.integers, count),
	}, nil
}

// broadcast returns the shape of the result of an operator on two arrays: their shapes are
// aligned at the ends, and an extent of 1 is repeated.
func broadcast(x, y []int) ([]int, bool) {
	if len(x) < len(y) {
		x, y = y, x
	}
	shape := slices.Clone(x)
	for i, extent := range y {
		at := i + len(x) - len(y)
		switch {
		case shape[at] == 1:
			shape[at] = extent
		case extent != 1 && extent != shape[at]:
			return nil, false
		}
	}
	return shape, true
}

// strides are the distances of neighboring elements of an array along the axes of a shape to
// which it is broadcast.
func strides(own, shape []int) []int {
	result, stride := make([]int, len(shape)), 1
	for i := len(own) - 1; i >= 0; i-- {
		if own[i] > 1 {
			result[i+len(shape)-len(own)] = stride
		}
		stride *= own[i]
	}
	return result
}

// arithmetic computes Add, Sub, Mul and Div of two constants.
func (s *source) arithmetic(o *operator, x, y *constant) (*constant, error) {
	a := o.settings()
	if err := a.done(); err != nil {
		return nil, err
	}
	shape, fits := broadcast(x.shape, y.shape)
	if x.isFloat != y.isFloat || !fits {
		return nil, o.errorf("found constants of shape %v and %v, expected one type and shapes that fit", x.shape, y.shape)
	}
	count := 1
	for _, extent := range shape {
		if count *= extent; count > math.MaxInt32 {
			return nil, o.errorf("found constants of shape %v and %v, whose result has too many elements", x.shape, y.shape)
		}
	}
	if err := s.spend(o, count); err != nil {
		return nil, err
	}
	c := &constant{shape: shape, isFloat: x.isFloat}
	index, ofX, ofY := make([]int, len(shape)), strides(x.shape, shape), strides(y.shape, shape)
	j, k := 0, 0
	for range count {
		if x.isFloat {
			c.floats = append(c.floats, calculate(o.kind, x.floats[j], y.floats[k]))
		} else {
			if x.integers[j] == batchSize || y.integers[k] == batchSize {
				return nil, o.errorf("it computes with the batch size, expected only the extents of an image")
			}
			if o.kind == "Div" && y.integers[k] == 0 {
				return nil, o.errorf("found a division by 0")
			}
			c.integers = append(c.integers, calculate(o.kind, x.integers[j], y.integers[k]))
		}
		for axis := len(shape) - 1; axis >= 0; axis-- {
			j, k = j+ofX[axis], k+ofY[axis]
			if index[axis]++; index[axis] < shape[axis] {
				break
			}
			j, k = j-ofX[axis]*shape[axis], k-ofY[axis]*shape[axis]
			index[axis] = 0
		}
	}
	return c, nil
}

func calculate[T float32 | int64](kind string, x, y T) T {
	switch kind {
	case "Add":
		return x + y
	case "Sub":
		return x - y
	case "Mul":
		return x * y
	}
	return x / y
}
