package graph

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/likeness-go/likeness/graph/internal/kernel"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Role is the purpose of a weight; solvers and penalties treat roles differently.
type Role int

const (
	Kernel Role = iota // convolution and fully connected weights, to which weight decay applies
	Bias               // added to a channel or a feature
	Gain               // multiplies a channel: batch norm's scale, PReLU's slope
	Buffer             // batch norm's running mean and variance, which are not trained by gradients
)

// Weight is a named tensor of a network in PyTorch's layout: a convolution is (out, in,
// height, width), a fully connected layer (out, in) with its inputs in
// channel-height-width order.
type Weight struct {
	Name   string
	Role   Role
	Value  *tensor.Dense
	Frozen bool // not changed by training
}

// String is the name of the role in lower case.
func (r Role) String() string {
	switch r {
	case Kernel:
		return "kernel"
	case Bias:
		return "bias"
	case Gain:
		return "gain"
	case Buffer:
		return "buffer"
	}
	return "unknown role"
}

// Trainable reports whether training changes the weight by its gradient.
func (w *Weight) Trainable() bool { return w != nil && w.Role != Buffer && !w.Frozen }

// Weights are the named weights of a network. They outlive the graphs that are
// built on them: a training graph, an evaluation graph and graphs of other batch
// sizes use the same tensors.
//
// A weight is created when a graph first uses it. Its initial value depends only on the
// seed and its name, not on the order of building.
type Weights struct {
	dtype  tensor.Dtype
	seed   uint64
	zero   bool     // new weights are zero
	names  []string // in the order of creation
	byName map[string]*Weight

	changes atomic.Uint64 // how often elements may have changed, see Changed
}

// NewWeights returns an empty set of weights with the given element type, Float32 or
// Float64, and random seed. With another type Add and Build return an error, as they do
// for nil and for the zero Weights.
func NewWeights(dtype tensor.Dtype, seed uint64) *Weights {
	return &Weights{dtype: dtype, seed: seed, byName: map[string]*Weight{}}
}

// NewZeroWeights is NewWeights whose weights are all zero, whatever their initializers: for
// weights that are then set, as from a file, and for shapes. Drawing random numbers takes
// a large part of the time in which a network is built. Reseed ends this.
func NewZeroWeights(dtype tensor.Dtype) *Weights {
	return &Weights{dtype: dtype, zero: true, byName: map[string]*Weight{}}
}

// Reseed makes weights that are created from now on begin with the values that they have
// in NewWeights of the seed. It does nothing to nil.
func (w *Weights) Reseed(seed uint64) {
	if w != nil {
		w.seed, w.zero = seed, false
	}
}

// Dtype returns the element type of the weights and of every graph built on them.
func (w *Weights) Dtype() tensor.Dtype {
	if w == nil {
		return tensor.Dtype{}
	}
	return w.dtype
}

// check returns an error for weights that no graph can be built on.
func (w *Weights) check() error {
	switch {
	case w == nil || w.byName == nil:
		return errors.New("found nil or zero weights, expected those of NewWeights")
	case w.dtype != Float32 && w.dtype != Float64:
		return errors.New("found weights of another element type, expected Float32 or Float64")
	}
	return nil
}

// Changed tells the programs of an evaluation that elements of weights were changed. They keep
// weights in a form of their own, and look for changes whenever Get, All, Parameter.Value or the
// run of a training program may have caused some. Code that keeps a Weight, and changes its
// elements between two runs without any of these, calls Changed. Without it, a change of at
// least 4096 neighboring elements is noticed at once, and any other within 256 runs.
func (w *Weights) Changed() {
	if w != nil {
		w.changes.Add(1)
	}
}

// version is the number of changes.
func (w *Weights) version() uint64 { return w.changes.Load() }

// Get returns the weight of a name; nil if there is none.
func (w *Weights) Get(name string) *Weight {
	if w == nil {
		return nil
	}
	w.Changed()
	return w.byName[name]
}

// All lists the weights in the order in which they were created.
func (w *Weights) All() []*Weight {
	if w == nil {
		return nil
	}
	w.Changed()
	all := make([]*Weight, len(w.names))
	for i, name := range w.names {
		all[i] = w.byName[name]
	}
	return all
}

// Count returns the number of parameters: the elements of all weights except buffers.
func (w *Weights) Count() int {
	count := 0
	for _, weight := range w.All() {
		if weight.Role != Buffer {
			count += weight.Value.Size()
		}
	}
	return count
}

// elements is the number of elements of all weights, including buffers.
func (w *Weights) elements() int {
	elements := 0
	for _, weight := range w.byName {
		elements += weight.Value.Size()
	}
	return elements
}

// Add adds a weight of known value, for example one read from a file. The elements
// are copied and converted to the element type of the set.
func (w *Weights) Add(name string, role Role, shape []int, elements []float64) error {
	if err := w.check(); err != nil {
		return errors.Wrapf(err, "weight %q", name)
	}
	if w.byName[name] != nil {
		return errors.Errorf("weight %q exists already", name)
	}
	if len(shape) > 0 && !extents(shape) {
		return errors.Errorf("weight %q: found shape %v, expected extents of at least 1", name, shape)
	}
	if size := tensor.Shape(shape).TotalSize(); size != len(elements) {
		return errors.Errorf("weight %q: found %d elements, expected %d for shape %v", name, len(elements), size, shape)
	}
	store(w.add(name, role, shape).Value, elements)
	return nil
}

func (w *Weights) add(name string, role Role, shape tensor.Shape) *Weight {
	weight := &Weight{Name: name, Role: role, Value: tensor.New(tensor.Of(w.dtype), tensor.WithShape(shape...))}
	w.names = append(w.names, name)
	w.byName[name] = weight
	return weight
}

// forget removes all weights except the given number of first ones.
func (w *Weights) forget(first int) {
	for _, name := range w.names[first:] {
		delete(w.byName, name)
	}
	w.names = w.names[:first]
}

// NotFinite returns the name of the first weight with an element that is NaN or infinite,
// or "" if there is none.
func (w *Weights) NotFinite() string {
	for _, weight := range w.All() {
		narrow := weight.Value.Dtype() == Float32
		if narrow && !kernel.Finite(weight.Value.Float32s()) || !narrow && !kernel.Finite(weight.Value.Float64s()) {
			return weight.Name
		}
	}
	return ""
}

// Freeze excludes the weights whose names match one of the patterns from training. A
// pattern is the name of a weight, the name of a block such as "conv1", or a pattern of
// path.Match such as "conv[12].*". The name of a block, and a pattern that matches all
// its weights, also match its batch norm with the running statistics ("norm1.*") and its
// PReLU ("conv1_prelu.*"). It is an error if a pattern matches nothing; then nothing is
// frozen. Graphs built later treat frozen weights as constants. A model file does not
// record what is frozen.
func (w *Weights) Freeze(patterns ...string) error {
	var frozen []*Weight
	for _, pattern := range patterns {
		found := false
		for _, weight := range w.All() {
			matches, err := path.Match(pattern, weight.Name)
			if err != nil {
				return errors.Wrapf(err, "freeze %q", pattern)
			}
			if matches || hasPrefix(weight.Name, pattern) || w.belongs(weight.Name, pattern) {
				frozen, found = append(frozen, weight), true
			}
		}
		if !found && w == nil {
			return errors.Errorf("freeze %q: the weights are nil", pattern)
		}
		if !found {
			return errors.Errorf("freeze %q: no weight has such a name; there are %v", pattern, w.names)
		}
	}
	for _, weight := range frozen {
		weight.Frozen = true
	}
	return nil
}

// FreezeStatistics keeps batch norms in evaluation mode while training: graphs built later
// normalize by the running statistics and do not update them, but the gain and the shift are
// trained. It is the usual way to fine-tune a pretrained network in metric learning, where
// the batches are small or have few classes, so that their statistics differ from those of
// the data (Musgrave, Belongie & Lim 2020). The patterns are those of Freeze, for names of
// running statistics or of blocks such as "conv1" or "batchnorm1"; without patterns all batch
// norms are meant.
// It is an error if a pattern matches no batch norm, or if there is none; then nothing is
// frozen. A model file does not record what is frozen.
func (w *Weights) FreezeStatistics(patterns ...string) error {
	all := len(patterns) == 0
	if all {
		patterns = []string{""}
	}
	var frozen []*Weight
	for _, pattern := range patterns {
		found := false
		for _, weight := range w.All() {
			if !strings.HasSuffix(weight.Name, ".running_mean") && !strings.HasSuffix(weight.Name, ".running_var") || weight.Role != Buffer {
				continue
			}
			matches, err := path.Match(pattern, weight.Name)
			if err != nil {
				return errors.Wrapf(err, "freeze statistics %q", pattern)
			}
			if all || matches || hasPrefix(weight.Name, pattern) || w.belongs(weight.Name, pattern) {
				frozen, found = append(frozen, weight), true
			}
		}
		if !found && all {
			return errors.New("freeze statistics: the network has no batch norm")
		}
		if !found {
			return errors.Errorf("freeze statistics %q: no batch norm has such a name", pattern)
		}
	}
	for _, weight := range frozen {
		weight.Frozen = true
	}
	return nil
}

// belongs reports whether a weight is part of the batch norm or the PReLU of a convolution
// block that the pattern names: "norm1.weight" and "conv1_prelu.weight" belong to
// "conv1".
func (w *Weights) belongs(name, pattern string) bool {
	end := max(0, strings.LastIndex(name, "."))
	start := strings.LastIndex(name[:end], ".") + 1
	scope, layer := name[:start], name[start:end]
	block, slope := strings.CutSuffix(layer, "_prelu")
	if number, norm := strings.CutPrefix(layer, "norm"); norm {
		block = "conv" + number
	} else if !slope {
		return false
	}
	if w.byName[scope+block+".weight"] == nil {
		return false
	}
	matches, _ := path.Match(pattern, scope+block+".")
	return matches || pattern == scope+block
}

// hasPrefix reports whether the weight belongs to the block, as "conv1.weight" does to
// "conv1".
func hasPrefix(name, block string) bool {
	return len(name) > len(block) && name[:len(block)] == block && name[len(block)] == '.'
}

// Weight adds a named weight of the current scope to the graph. The first use creates the
// weight; later uses, in this graph or another, get the same tensor. Using one name with
// different shapes or roles is an error.
//
// Each use in a graph is a separate leaf node over that tensor with a separate gradient.
// Parameter adds these gradients in place on all threads, which is faster than Gorgonia's
// addition of nodes.
func (b *Builder) Weight(name string, role Role, initializer Initializer, shape ...int) *Node {
	name = b.path(name)
	if !initializer.valid() {
		b.Fail("weight %q: found initializer %q, expected he, xavier, normal or constant", name, initializer.Scheme)
	}
	elements := b.bounded(fmt.Sprintf("weight %q", name), shape, MaxParameters)
	weight := b.weights.Get(name)
	if weight == nil {
		if others := b.weights.elements(); elements > MaxParameters-others {
			b.Fail("weight %q: %d elements and the %d of the weights before it are too many, expected at most %d", name, elements, others, MaxParameters)
		}
		weight = b.weights.add(name, role, shape)
		if !b.weights.zero {
			fanIn, fanOut := fans(shape)
			initializer.set(weight.Value, random.New(b.weights.seed, "weight", name), fanIn, fanOut)
		}
	}
	if !weight.Value.Shape().Eq(shape) {
		b.Fail("weight %q: found shape %v, expected %v", name, weight.Value.Shape(), tensor.Shape(shape))
	}
	if weight.Role != role {
		b.Fail("weight %q: found the role of a %v, expected %v", name, weight.Role, role)
	}
	uses := b.uses[name]
	if len(uses) > 0 && (b.mode == Evaluation || !weight.Trainable()) {
		return uses[0]
	}
	leaf := "weight:" + name
	if len(uses) > 0 {
		leaf += fmt.Sprintf(" use %d", len(uses)+1)
	}
	node := gorgonia.NewTensor(b.graph, b.Dtype(), len(shape),
		gorgonia.WithShape(shape...), gorgonia.WithName(leaf), gorgonia.WithValue(weight.Value))
	b.uses[name] = append(uses, node)
	b.leaves[node] = name
	if len(uses) == 0 {
		b.order = append(b.order, name)
	}
	b.requires[node] = weight.Trainable()
	return node
}

// WeightNode is a weight with its node in the graph being built.
type WeightNode struct {
	*Weight
	Node *Node
}

// WeightNodes lists the trainable weights that the graph uses so far, in the order
// of their first use.
func (b *Builder) WeightNodes() []WeightNode {
	var nodes []WeightNode
	for _, name := range b.order {
		if weight := b.weights.Get(name); weight.Trainable() {
			nodes = append(nodes, WeightNode{weight, b.uses[name][0]})
		}
	}
	return nodes
}

// fans returns the numbers of inputs and outputs of one unit of a weight in the
// canonical layout.
func fans(shape []int) (in, out int) {
	if len(shape) == 1 {
		return shape[0], shape[0]
	}
	window := 1
	for _, extent := range shape[2:] {
		window *= extent
	}
	return shape[1] * window, shape[0] * window
}

// extents reports whether a shape has at least one extent and all are positive.
func extents(shape tensor.Shape) bool { return len(shape) > 0 && slices.Min(shape) > 0 }

// Clone copies the weights and their values; nil stays nil.
func (w *Weights) Clone() *Weights { return w.Convert(w.Dtype()) }

// Convert copies the weights into another element type; nil stays nil. For a type
// other than Float32 and Float64 nothing is copied; see NewWeights.
func (w *Weights) Convert(dtype tensor.Dtype) *Weights {
	if w == nil {
		return nil
	}
	other := NewWeights(dtype, w.seed)
	if other.check() != nil {
		return other
	}
	for _, weight := range w.All() {
		converted := other.add(weight.Name, weight.Role, weight.Value.Shape())
		converted.Frozen = weight.Frozen
		copyValue(converted.Value, weight.Value)
	}
	return other
}

// CopyFrom overwrites the values with those of the weights of the same names. It is
// an error if the names or a shape differ; then nothing is changed.
func (w *Weights) CopyFrom(source *Weights) error {
	if w == nil || source == nil {
		return errors.New("copy weights: found nil, expected two Weights")
	}
	for _, weight := range w.All() {
		other := source.Get(weight.Name)
		if other == nil {
			return errors.Errorf("weight %q is missing", weight.Name)
		}
		if !other.Value.Shape().Eq(weight.Value.Shape()) {
			return errors.Errorf("weight %q: found shape %v, expected %v", weight.Name, other.Value.Shape(), weight.Value.Shape())
		}
	}
	for _, other := range source.All() {
		if w.Get(other.Name) == nil {
			return errors.Errorf("weight %q is not part of the network", other.Name)
		}
	}
	for _, weight := range w.All() {
		copyValue(weight.Value, source.Get(weight.Name).Value)
	}
	return nil
}

// copyValue writes dst = src, on all threads if the element types are equal, because
// the trainer copies all weights before each step.
func copyValue(dst, src *tensor.Dense) {
	switch narrow := src.Dtype() == Float32; {
	case src.Dtype() != dst.Dtype() && narrow:
		store(dst, src.Float32s())
	case src.Dtype() != dst.Dtype():
		store(dst, src.Float64s())
	case narrow:
		kernel.Copy(dst.Float32s(), src.Float32s())
	default:
		kernel.Copy(dst.Float64s(), src.Float64s())
	}
}

// Initializer is the distribution of a weight's initial values. The zero value is
// the default of the weight: He for kernels, zero for biases.
type Initializer struct {
	Scheme string  `toml:"scheme,omitempty" json:"scheme,omitempty"`       // "", "he", "xavier", "normal" or "constant"
	Mean   float64 `toml:"mean,omitempty" json:"mean,omitempty"`           // of "normal"; the value of "constant"
	StdDev float64 `toml:"deviation,omitempty" json:"deviation,omitempty"` // of "normal"
}

// Normal returns a normal distribution, as in Koch, Zemel & Salakhutdinov 2015.
func Normal(mean, stdDev float64) Initializer {
	return Initializer{Scheme: "normal", Mean: mean, StdDev: stdDev}
}

// Constant returns an initializer that sets every element to one value.
func Constant(value float64) Initializer { return Initializer{Scheme: "constant", Mean: value} }

// or returns the default if the scheme is empty.
func (i Initializer) or(byDefault Initializer) Initializer {
	if i.Scheme == "" {
		return byDefault
	}
	return i
}

// He is the normal distribution N(0, 2/fan_in), which keeps the variance of
// activations through ReLU layers (He et al. 2015, equation 10).
var He = Initializer{Scheme: "he"}

// Xavier is the uniform distribution U(−a, a) with a = √(6/(fan_in + fan_out)), for
// sigmoid and tanh layers (Glorot & Bengio 2010, equation 16).
var Xavier = Initializer{Scheme: "xavier"}

// set sets the elements of a weight with the given fans.
func (i Initializer) set(weight *tensor.Dense, r *rand.Rand, fanIn, fanOut int) {
	if weight.Dtype() == Float32 {
		data := weight.Float32s()
		for k := range data {
			data[k] = float32(i.value(r, fanIn, fanOut))
		}
		return
	}
	data := weight.Float64s()
	for k := range data {
		data[k] = i.value(r, fanIn, fanOut)
	}
}

// value draws an element.
func (i Initializer) value(r *rand.Rand, fanIn, fanOut int) float64 {
	switch i.Scheme {
	case "he":
		return r.NormFloat64() * math.Sqrt(2/float64(fanIn))
	case "xavier":
		return (2*r.Float64() - 1) * math.Sqrt(6/float64(fanIn+fanOut))
	case "normal":
		return i.Mean + i.StdDev*r.NormFloat64()
	}
	return i.Mean
}

// valid reports whether the scheme is known.
func (i Initializer) valid() bool {
	switch i.Scheme {
	case "", "he", "xavier", "normal", "constant":
		return true
	}
	return false
}
