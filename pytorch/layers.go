package pytorch

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/pkg/errors"
)

// layer is weights of one prefix, such as "conv1.weight" and "conv1.bias".
type layer struct {
	name   string
	shapes map[string][]int // by suffix: weight, bias, running_mean, running_var
}

// cut divides a name at its last dot.
func cut(name string) (layer, suffix string) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}

// layersOf gathers layers from named shapes, in the order of their first weights.
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

// String is such as "conv1: bias (8), weight (8, 1, 3, 3)".
func (l layer) String() string { return l.name + ": " + l.weights() }

func (l layer) weights() string {
	var texts []string
	for suffix, shape := range l.shapes {
		texts = append(texts, suffix+" "+show(shape))
	}
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}

// resembles says whether the layers have the same weights in the same shapes,
// but for a PReLU of one slope.
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

// layersOfWeights are the layers that have weights, but a head's.
func layersOfWeights(weights *graph.Weights) []layer {
	var names []string
	for _, weight := range weights.All() {
		if !strings.HasPrefix(weight.Name, "head.") {
			names = append(names, weight.Name)
		}
	}
	return layersOf(names, func(name string) []int { return weights.Get(name).Value.Shape() })
}

// inOrder are these layers in the order in which images go through them, which
// is not that in which their weights come into being: batch norm's do before its
// convolution's. It is an error where a residual block leaves no one order.
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
			return nil, errors.Errorf("%s%s is a residual block, whose layers have no one order", kind, number)
		}
		add(kind + number)
		if kind == (graph.Conv{}).Kind() {
			add("norm" + number)
		}
		add(kind + number + "_prelu")
	}
	return ordered, nil
}

// numbered are the file's layers in the order of their numbers. Their names must
// be those of a torch.nn.Sequential, or of one within another: common words, then
// numbers, such as "features.0" and "features.10".
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
			return nil, errors.Errorf("%q is no name within one torch.nn.Sequential", cmp.Or(l.name, slices.Min(slices.Collect(maps.Keys(l.shapes)))))
		}
		numbers[l.name] = places
	}
	slices.SortFunc(layers, func(a, b layer) int {
		return cmp.Or(slices.Compare(numbers[a.name], numbers[b.name]), cmp.Compare(a.name, b.name))
	})
	return layers, nil
}

// placesIn divides a layer's name into words and the numbers after them.
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
