package pytorch

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// File contains the tensors of a file of weights.
type File struct {
	path    string
	tensors []safetensors.Tensor // sorted by name; Data may be a *view, too
}

// Open reads the file of weights at path, whose format it recognizes by the content:
// safetensors, of float32, float64, float16, bfloat16 or int64, or what torch.save writes
// for a state dict, as described in the package documentation.
func Open(path string) (*File, error) {
	tensors, err := readTensors(path)
	if err != nil {
		return nil, errors.Wrap(err, "read weights")
	}
	return &File{path: path, tensors: tensors}, nil
}

// check returns an error if the file or the model is nil.
func (f *File) check(model *likeness.Model) error {
	switch {
	case f == nil:
		return errors.New("found a nil file, expected one that Open returned")
	case model == nil || model.Weights == nil:
		return errors.Errorf("%s: found no model, expected one from likeness.New or likeness.Load", f.path)
	}
	return errors.Wrap(model.CheckFloat(), f.path)
}

// counter is the name of the number of batches that PyTorch's batch norm stores beside
// its weights. It is not used here.
const counter = "num_batches_tracked"

func isCounter(name string) bool { return name == counter || strings.HasSuffix(name, "."+counter) }

// names returns the names of the tensors, except counters.
func (f *File) names() []string {
	var names []string
	for _, t := range f.tensors {
		if !isCounter(t.Name) {
			names = append(names, t.Name)
		}
	}
	return names
}

// find returns the tensor of a name, or nil.
func (f *File) find(name string) *safetensors.Tensor {
	for i := range f.tensors {
		if f.tensors[i].Name == name {
			return &f.tensors[i]
		}
	}
	return nil
}

// elements returns the elements of a tensor as float32. An element that is NaN or
// infinite, also after the conversion, is an error.
func elements(t *safetensors.Tensor) ([]float32, error) {
	var narrow []float32
	switch data := t.Data.(type) {
	case []float32:
		narrow = data
	case []float64:
		narrow = make([]float32, len(data))
		for i, v := range data {
			narrow[i] = float32(v)
		}
	case *view:
		return data.float32s()
	default:
		return nil, errors.Errorf("found elements of type %T, expected floating point", t.Data)
	}
	for i, v := range narrow {
		if v-v != 0 {
			return nil, notFinite(i, v)
		}
	}
	return narrow, nil
}

func notFinite(i int, value float32) error {
	return errors.Errorf("value %d is %v, expected a number that is finite as float32", i, value)
}

// show formats a shape for errors, such as (64, 3, 5, 5).
func show(shape []int) string { return fmt.Sprint(tensor.Shape(shape)) }

// layer contains the weights of one prefix, such as "conv1.weight" and "conv1.bias".
type layer struct {
	name   string
	shapes map[string][]int // by suffix: weight, bias, running_mean, running_var
}

// cut splits a name at its last dot.
func cut(name string) (layer, suffix string) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}

// layersOf collects layers from named shapes, in the order of their first weights.
func layersOf(names []string, shape func(name string) []int) []layer {
	var layers []layer
	at := map[string]int{}
	for _, name := range names {
		prefix, suffix := cut(name)
		if _, known := at[prefix]; !known {
			at[prefix] = len(layers)
			layers = append(layers, layer{prefix, map[string][]int{}})
		}
		layers[at[prefix]].shapes[suffix] = shape(name)
	}
	return layers
}

// String is a text such as "conv1: bias (8), weight (8, 1, 3, 3)".
func (l layer) String() string { return l.name + ": " + l.weights() }

func (l layer) weights() string {
	var texts []string
	for suffix, shape := range l.shapes {
		texts = append(texts, suffix+" "+show(shape))
	}
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}

// resembles reports whether the layers have the same weights in the same shapes. A
// PReLU with one slope resembles a PReLU with one for each channel.
func (l layer) resembles(theirs layer) bool {
	if len(l.shapes) != len(theirs.shapes) {
		return false
	}
	for suffix, shape := range l.shapes {
		found, known := theirs.shapes[suffix]
		oneSlope := isSlope(l.name+"."+suffix) && slices.Equal(found, []int{1})
		if !known || !slices.Equal(shape, found) && !oneSlope {
			return false
		}
	}
	return true
}

// layersOfWeights returns the layers that have weights, except those of the head.
func layersOfWeights(weights *graph.Weights) []layer {
	var names []string
	for _, weight := range weights.All() {
		if !strings.HasPrefix(weight.Name, "head.") {
			names = append(names, weight.Name)
		}
	}
	return layersOf(names, func(name string) []int { return weights.Get(name).Value.Shape() })
}

// inOrder returns these layers in the order in which they process images. The order in
// which their weights are created differs: those of batch norm precede those of its
// convolution. It is an error if a residual block has no single order.
func inOrder(network backbone.Network, weights *graph.Weights) ([]layer, error) {
	var ordered []layer
	all := layersOfWeights(weights)
	add := func(name string) {
		if i := slices.IndexFunc(all, func(l layer) bool { return l.name == name }); i >= 0 {
			ordered = append(ordered, all[i])
		}
	}
	numbers := map[string]int{}
	for _, block := range network.Blocks {
		kind := block.Kind()
		numbers[kind]++
		number := strconv.Itoa(numbers[kind])
		if kind == (graph.Residual{}).Kind() {
			return nil, errors.Errorf("%s%s is a residual block, whose layers have no single order", kind, number)
		}
		add(kind + number)
		if kind == (graph.Conv{}).Kind() {
			add("norm" + number)
		}
		add(kind + number + "_prelu")
	}
	return ordered, nil
}

// numbered returns the layers of the file in the order of their numbers. Their names
// must be those of one torch.nn.Sequential, or of one within another: common words,
// then numbers, such as "features.0" and "features.10".
func (f *File) numbered() ([]layer, error) {
	layers := layersOf(f.names(), func(name string) []int { return f.find(name).Shape })
	numbers := map[string][]int{}
	var words string
	for i, l := range layers {
		own, places, ok := placesIn(l.name)
		if i == 0 {
			words = own
		}
		if !ok || own != words {
			return nil, errors.Errorf("%q is not a name within one torch.nn.Sequential", cmp.Or(l.name, slices.Min(slices.Collect(maps.Keys(l.shapes)))))
		}
		numbers[l.name] = places
	}
	slices.SortFunc(layers, func(a, b layer) int {
		return cmp.Or(slices.Compare(numbers[a.name], numbers[b.name]), cmp.Compare(a.name, b.name))
	})
	return layers, nil
}

// placesIn splits the name of a layer into words and the numbers after them.
func placesIn(name string) (words string, places []int, ok bool) {
	parts := strings.Split(name, ".")
	for i, part := range parts {
		place, err := strconv.Atoi(part)
		if err != nil && len(places) > 0 || err == nil && place < 0 {
			return "", nil, false
		}
		if err != nil {
			words = strings.Join(parts[:i+1], ".")
			continue
		}
		places = append(places, place)
	}
	return words, places, len(places) > 0
}
