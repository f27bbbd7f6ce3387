package onnx

import (
	"slices"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/graph"
	"github.com/pkg/errors"
)

// global appends a global average pool; the axes of the pixel remain in the file's tensor.
func (c *converter) global(b *branch) error {
	if !b.at.rows {
		b.append(layer{block: graph.GlobalAveragePool{}})
	}
	b.at.height, b.at.width, b.at.rows = 1, 1, true
	return nil
}

func (c *converter) globalAverage(o *operator, a *settings, b *branch) error {
	if b.at.layout != channelsFirst {
		return o.errorf("found the input %v, expected (batch, channels, height, width)", b.at)
	}
	return c.global(b)
}

// spatial are the axes of the pixels.
func (p position) spatial() []int {
	switch p.layout {
	case channelsLast:
		return []int{1, 2}
	case planes:
		return []int{2}
	}
	return []int{2, 3}
}

// areAxes tells whether a list has the expected axes, which may be counted from the end.
func areAxes(list []int, rank int, expected ...int) bool {
	var positive []int
	for _, axis := range list {
		if axis < 0 {
			axis += rank
		}
		positive = append(positive, axis)
	}
	slices.Sort(positive)
	return slices.Equal(positive, expected)
}

func (c *converter) reduceMean(o *operator, a *settings, b *branch) error {
	_, axes, keep, err := c.reduction(o)
	if err != nil {
		return err
	}
	a.asked = map[string]bool{"axes": true, "keepdims": true, "noop_with_empty_axes": true}
	return c.pixels(o, axes, keep, b)
}

// pixels makes a global average pool of a mean over axes.
func (c *converter) pixels(o *operator, axes []int, keep bool, b *branch) error {
	if b.at.layout == flat || !areAxes(axes, len(b.at.shape(0)), b.at.spatial()...) {
		return o.errorf("found a mean of %v over the axes %v, expected those of height and width", b.at, axes)
	}
	if err := c.global(b); err != nil {
		return err
	}
	if !keep {
		b.at.layout = flat
	}
	return nil
}

// vectors makes (batch, features) of images.
func (c *converter) vectors(o *operator, b *branch) error {
	x := b.at
	if !x.rows {
		if x.layout == channelsLast && x.height*x.width > 1 {
			return o.errorf("it flattens %v with the channels last, expected (batch, channels, height, width)", x)
		}
		b.append(layer{block: graph.Flatten{}})
	}
	b.at.channels, b.at.height, b.at.width, b.at.layout, b.at.rows = x.features(), 1, 1, flat, true
	return nil
}

func (c *converter) flatten(o *operator, a *settings, b *branch) error {
	rank := len(b.at.shape(0))
	axis := a.integer("axis", 1)
	if axis < 0 {
		axis += rank
	}
	if axis != 1 {
		return o.errorf("found axis %d, expected 1", axis)
	}
	return c.vectors(o, b)
}

func (c *converter) reshape(o *operator, a *settings, b *branch) error {
	x := b.at
	zero := a.integer("allowzero", 0)
	var target []int64
	if list, found := a.integers("shape"); found { // before operator set 5
		for _, v := range list {
			target = append(target, int64(v))
		}
	} else {
		k, err := c.value(o.operand(1))
		if err != nil {
			return errors.Wrap(err, o.String())
		}
		if k.isFloat || len(k.integers) > maxRank {
			return o.errorf("found a shape that is no short list of integers")
		}
		target = slices.Clone(k.integers)
	}
	shape := x.shape(c.batch)
	if len(target) == 1 && target[0] == -1 && x.rows {
		b.at.layout = list
		return nil
	}
	if len(target) < 2 {
		return o.errorf("found the shape %v, expected (batch, features)", target)
	}
	product, open := 1, -1
	for i, v := range target {
		if v == 0 && zero == 0 && i < len(shape) {
			v = shape[i]
			target[i] = v
		}
		switch {
		case i == 0 && (v == c.batch || v == -1 && !slices.Contains(target[1:], -1)):
			target[0] = c.batch
		case i > 0 && v == -1 && open < 0:
			open = i
		case i > 0 && v >= 1 && v <= int64(x.features()) && product*int(v) <= x.features():
			product *= int(v)
		default:
			return o.errorf("it makes %v of %v, expected the batch size and %d features", describeShape(target), x, x.features())
		}
	}
	if open > 0 {
		target[open] = int64(x.features() / product)
		product *= x.features() / product
	}
	one := func(axes ...int) bool { return target[axes[0]] == 1 && target[axes[1]] == 1 }
	switch {
	case product != x.features():
		return o.errorf("it makes %v of %v, expected %d features", describeShape(target), x, x.features())
	case slices.Equal(target, shape):
		return nil
	case len(target) == 2:
		return c.vectors(o, b)
	case len(target) == 3 && x.layout == channelsFirst && target[1] == int64(x.channels):
		b.at.layout = planes
		return nil
	case len(target) == 4 && x.layout == planes && slices.Equal(target[1:], []int64{int64(x.channels), int64(x.height), int64(x.width)}):
		b.at.layout = channelsFirst
		return nil
	case len(target) == 4 && x.rows && one(2, 3):
		b.at.layout = channelsFirst
		return nil
	case len(target) == 4 && x.rows && one(1, 2):
		b.at.layout = channelsLast
		return nil
	}
	return o.errorf("it makes %v of %v, expected (batch, features)", describeShape(target), x)
}

// gatherAll converts a Gather of all elements in their order, by which PyTorch's exporter
// writes a change of the shape after a pool (as_strided).
func (c *converter) gatherAll(o *operator, a *settings, b *branch) error {
	axis := a.integer("axis", 0)
	if b.at.layout != list || axis != 0 && axis != -1 {
		return o.errorf("found elements of %v, expected all of them", b.at)
	}
	index, err := c.valueFor(o.operand(1))
	if err != nil {
		return errors.Wrap(err, o.String())
	}
	images := c.batch
	if images == batchSize {
		images = trialBatch
	}
	ordered := !index.isFloat && len(index.shape) >= 2 && int64(index.shape[0]) == images && int64(len(index.integers)) == images*int64(b.at.channels)
	for i, v := range index.integers {
		ordered = ordered && v == int64(i)
	}
	if !ordered {
		return o.errorf("found elements of %v, expected all of them in their order", b.at)
	}
	switch rest := index.shape[1:]; {
	case len(rest) == 1:
		b.at.layout = flat
	case len(rest) == 3 && rest[1]*rest[2] == 1:
		b.at.layout = channelsFirst
	case len(rest) == 3 && rest[0]*rest[1] == 1:
		b.at.layout = channelsLast
	default:
		return o.errorf("it makes the shape %v, expected (batch, features)", index.shape)
	}
	return nil
}

func describeShape(shape []int64) string {
	var texts []string
	for _, v := range shape {
		if v == batchSize {
			texts = append(texts, "batch")
		} else {
			texts = append(texts, strconv.FormatInt(v, 10))
		}
	}
	return "(" + strings.Join(texts, ", ") + ")"
}

// squeeze removes or inserts the axes of one pixel.
func (c *converter) squeeze(o *operator, a *settings, b *branch) error {
	x := b.at
	var from *constant
	if name := o.operand(1); name != "" {
		var err error
		if from, err = c.value(name); err != nil {
			return errors.Wrap(err, o.String())
		}
	}
	axes, _, err := o.axes(a, from)
	if err != nil {
		return err
	}
	switch {
	case o.kind == "Squeeze" && x.layout != flat && x.height*x.width == 1 && areAxes(axes, len(x.shape(0)), x.spatial()...):
		return c.vectors(o, b)
	case o.kind == "Unsqueeze" && x.layout == flat && areAxes(axes, 4, 2, 3):
		b.at.layout = channelsFirst
		return nil
	case o.kind == "Unsqueeze" && x.layout == flat && areAxes(axes, 4, 1, 2):
		b.at.layout = channelsLast
		return nil
	}
	return o.errorf("found the axes %v of %v, expected those of height and width of one pixel", axes, x)
}

func (c *converter) transpose(o *operator, a *settings, b *branch) error {
	order, found := a.integers("perm")
	switch x := b.at; {
	case !found:
	case x.layout == channelsFirst && slices.Equal(order, []int{0, 2, 3, 1}):
		b.at.layout = channelsLast
		return nil
	case x.layout == channelsLast && slices.Equal(order, []int{0, 3, 1, 2}):
		b.at.layout = channelsFirst
		return nil
	}
	return o.errorf("found the order %v of the axes of %v, expected one that makes the channels the last axis or the second", order, b.at)
}
