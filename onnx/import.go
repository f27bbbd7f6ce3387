package onnx

import (
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/pkg/errors"
)

// ImportOptions say what a file leaves open. The zero value suits a file of Network.
type ImportOptions struct {
	// Cut is the tensor, or the node, at which the network ends, such as the one before a
	// classifier; "" for the output of the file.
	Cut string

	// Preprocessing is that of the images, on which the network was trained. A size of zero
	// is that of the file; another must agree with the file's and is needed where that
	// leaves height and width open. A file of Network has its own preprocessing, and only a
	// size may be given.
	Preprocessing imaging.Preprocessing

	// Head is the distance of embeddings; nil for that of a file of Network, or heads.L2.
	Head heads.Head

	// Seed is the random seed of the weights of the head, if it has any.
	Seed uint64
}

// Imported is a network that was read from a file.
type Imported struct {
	// Model is complete: its backbone is a backbone.Network.
	Model *likeness.Model

	// Classifier is the tensor before the last layer if that looks like a classifier: a
	// fully connected layer without an activation, in a file that is not of Network. As
	// ImportOptions.Cut it leaves the classifier out. It is "" if there is none.
	Classifier string

	// Classes is the number of outputs of that layer.
	Classes int
}

// Import reads the convolutional network of an ONNX file. See the documentation of the
// package for the operators that it knows. Errors name the node.
func Import(path string, o ImportOptions) (*Imported, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, errors.Wrap(err, "import ONNX file")
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > math.MaxInt32 {
		return nil, errors.Errorf("import %s: found %d bytes, a protocol buffer holds at most %d", path, info.Size(), math.MaxInt32)
	}
	data, err := io.ReadAll(io.LimitReader(file, math.MaxInt32))
	if err != nil {
		return nil, errors.Wrapf(err, "import %s", path)
	}
	return Read(data, path, o)
}

// Read is Import for the content of a file in memory; errors begin with source, and the name
// of the network is made from it.
func Read(data []byte, source string, o ImportOptions) (*Imported, error) {
	imported, err := read(data, source, o)
	return imported, errors.Wrapf(err, "import %s", source)
}

func read(data []byte, source string, o ImportOptions) (*Imported, error) {
	network, own, err := parse(data, o)
	if kind := safetensors.KindOf(data[:min(len(data), safetensors.KindLength)]); err != nil && len(data) > 0 && kind != "" && kind != safetensors.KindONNX {
		return nil, errors.Errorf("found %s, expected a network in ONNX format", kind)
	}
	if err != nil {
		return nil, err
	}
	if own == nil {
		network.Name = strings.TrimSuffix(filepath.Base(source), filepath.Ext(source))
	}
	return network.imported(o, own)
}

// parse reads the blocks and weights of a file, without building a graph of them.
func parse(data []byte, o ImportOptions) (*converted, *origin, error) {
	file, err := decodeModel(data)
	if err != nil {
		return nil, nil, err
	}
	if file.operators < 7 {
		return nil, nil, errors.Errorf("found version %d of the operator set, expected at least 7", file.operators)
	}
	own, err := file.own(o)
	if err != nil {
		return nil, nil, err
	}
	network, err := file.convert(o, own)
	if err != nil {
		return nil, nil, err
	}
	network.Name = file.name
	return network, own, nil
}

// origin is what a file of Network says of its model.
type origin struct {
	preprocessing imaging.Preprocessing
	head          string
	threshold     *float64
}

// own returns what a file of Network says of its model, or nil for other files.
func (c *content) own(o ImportOptions) (*origin, error) {
	text, found := c.metadata["likeness.preprocessing"]
	if !found || c.producer != producer {
		return nil, nil
	}
	result := &origin{head: c.metadata["likeness.head"]}
	if err := json.Unmarshal([]byte(text), &result.preprocessing); err != nil {
		return nil, errors.Wrap(err, "metadata likeness.preprocessing")
	}
	if err := result.preprocessing.Validate(); err != nil {
		return nil, errors.Wrap(err, "metadata likeness.preprocessing")
	}
	if p := o.Preprocessing; p.Invert || p.Crop != nil || p.ShorterSide != 0 || len(p.Mean)+len(p.StdDev) > 0 {
		return nil, errors.New("the preprocessing is part of this file, expected no other (--invert, --mean, --std, --shorter-side)")
	}
	if text, found := c.metadata["likeness.threshold"]; found {
		threshold, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(threshold) {
			return nil, errors.Errorf("metadata likeness.threshold: found %q, expected a number", text)
		}
		result.threshold = &threshold
	}
	return result, nil
}

// converted is a network with its weights, before it is a model.
type converted struct {
	backbone.Network
	weights map[string]layerWeight
	last    layer
	values  int // of all tensors for one image
}

// convert makes blocks of the graph.
func (c *content) convert(o ImportOptions, own *origin) (*converted, error) {
	s, err := newSource(c, o.Cut)
	if err != nil {
		return nil, err
	}
	limit := s.budget
	inputs := map[string]bool{}
	for _, in := range c.inputs {
		inputs[in.name] = true
	}
	for _, prepare := range []func() error{func() error { return s.arrange(inputs) }, s.dropIdentities, func() error { return s.arrangeAgain(inputs) }} {
		if err := prepare(); err != nil {
			return nil, err
		}
	}
	s.fuse()
	if err := s.arrangeAgain(inputs); err != nil {
		return nil, err
	}
	in, err := s.imageInput(c.inputs)
	if err != nil {
		return nil, err
	}
	w := &converter{source: s, batch: batchSize}
	w.connect()
	at, size, err := w.begin(in, o.Preprocessing.Size)
	if err != nil {
		return nil, err
	}
	if len(in.dimensions) > 0 && in.dimensions[0] > 0 {
		w.batch = int64(in.dimensions[0])
	}
	w.shapes[at.tensor] = at.shape(w.batch)
	if own != nil {
		if at, err = w.skipPreprocessing(own.preprocessing, at); err != nil {
			return nil, err
		}
	}
	end, err := w.follow(branch{at: at}, 0)
	switch {
	case err != nil:
		return nil, err
	case end.join != nil:
		return nil, end.join.errorf("it joins branches that do not begin at one tensor: only sequences with residual blocks and squeeze-and-excite can be read")
	case end.at.pads != [4]int{}:
		return nil, errors.Errorf("the output %v is the result of a Pad", end.at)
	case !end.at.rows && end.at.height*end.at.width > 1:
		return nil, errors.Errorf("the output is %v, expected (batch, features): name a tensor after a pool or a flatten (--cut)", end.at)
	case !end.at.rows:
		end.layers = append(end.layers, layer{block: graph.Flatten{}})
	case len(end.layers) == 0:
		return nil, errors.Errorf("found no layer before the output %v", end.at)
	}
	result := &converted{weights: map[string]layerWeight{}, last: end.layers[len(end.layers)-1], values: w.values}
	result.Size = size
	result.Blocks = assemble(end.layers, "", result.weights)
	return result, result.checkWeights(limit)
}

// checkWeights refuses weights that are not finite, and so many that they cannot all be in
// the file: tensors that are used by many nodes become as many weights.
func (c *converted) checkWeights(limit int) error {
	for name, w := range c.weights {
		if limit -= len(w.values); limit < 0 {
			return errors.New("the network has many times as many weights as the file, because nodes share them")
		}
		for i, v := range w.values {
			if v-v != 0 {
				return errors.Errorf("weight %s: value %d is %v, expected a number that is finite as float32", name, i, v)
			}
		}
	}
	return nil
}

// arrangeAgain is arrange after nodes have been replaced.
func (s *source) arrangeAgain(inputs map[string]bool) error {
	if s.by[s.output] == nil {
		return errors.Errorf("the output %q is not computed by a layer", s.output)
	}
	return s.arrange(inputs)
}

// imageInput returns the one input on which the output depends.
func (s *source) imageInput(all []input) (input, error) {
	used := map[string]bool{}
	for _, o := range s.nodes {
		for _, name := range o.inputs {
			used[name] = true
		}
	}
	var found []input
	var names []string
	for _, in := range all {
		// Files of format 3 and before list the constants as inputs, too.
		if used[in.name] && s.arrays[in.name] == nil {
			found = append(found, in)
			names = append(names, in.name)
		}
	}
	if len(found) != 1 {
		return input{}, errors.Errorf("the output depends on the inputs %q, expected one, the images", names)
	}
	in := found[0]
	if t := in.elementType; t != typeFloat32 && t != typeFloat64 && t != typeFloat16 {
		return in, errors.Errorf("input %q is of type %s, expected a floating-point type", in.name, typeName(t))
	}
	if in.known && len(in.dimensions) != 4 {
		return in, errors.Errorf("input %q has the shape %v, expected (batch, channels, height, width)", in.name, in.dimensions)
	}
	if !in.known {
		in.dimensions = make([]int, 4)
	}
	return in, nil
}

// begin is the position of the images. A network that transposes them first gets them with
// the channels last.
func (c *converter) begin(in input, given imaging.Size) (position, imaging.Size, error) {
	at := position{tensor: in.name}
	d := in.dimensions
	size := imaging.Size{Channels: d[1], Height: d[2], Width: d[3]}
	users := c.users[in.name]
	if len(users) > 0 && !slices.ContainsFunc(users, func(o *operator) bool {
		order, _ := o.settings().integers("perm")
		return o.kind != "Transpose" || !slices.Equal(order, []int{0, 3, 1, 2})
	}) {
		at.layout = channelsLast
		size = imaging.Size{Height: d[1], Width: d[2], Channels: d[3]}
	}
	for _, extent := range []struct {
		name         string
		found, given *int
	}{{"height", &size.Height, &given.Height}, {"width", &size.Width, &given.Width}, {"channels", &size.Channels, &given.Channels}} {
		switch {
		case *extent.found == 0 && *extent.given == 0:
			return at, size, errors.Errorf("input %q has no fixed %s: name the size of the images (--size)", in.name, extent.name)
		case *extent.found == 0:
			*extent.found = *extent.given
		case *extent.given != 0 && *extent.given != *extent.found:
			return at, size, errors.Errorf("input %q has %s %d, found a size of %v (--size)", in.name, extent.name, *extent.found, given)
		}
	}
	if err := size.Validate(); err != nil {
		return at, size, errors.Wrapf(err, "input %q", in.name)
	}
	if size.Width > imaging.MaxPixels/size.Height {
		return at, size, errors.Errorf("input %q: found %v pixels, expected at most %d", in.name, size, imaging.MaxPixels)
	}
	at.channels, at.height, at.width = size.Channels, size.Height, size.Width
	return at, size, nil
}

// skipPreprocessing passes over the two nodes that Network writes for the preprocessing.
func (c *converter) skipPreprocessing(p imaging.Preprocessing, at position) (position, error) {
	if p.Size != (imaging.Size{Height: at.height, Width: at.width, Channels: at.channels}) {
		return at, errors.Errorf("metadata likeness.preprocessing: found the size %v, expected that of the input %v", p.Size, at)
	}
	factors, summands := normalization(p)
	for i, values := range [][]float32{factors, summands} {
		users := c.users[at.tensor]
		kind := []string{"Mul", "Add"}[i]
		if len(users) != 1 || users[0].kind != kind || users[0].operand(0) != at.tensor {
			return at, errors.Errorf("found no %s of %v, expected the preprocessing that the metadata describe", kind, at)
		}
		found, err := c.perChannel(users[0], users[0].operand(1), at)
		if err != nil {
			return at, err
		}
		if !slices.Equal(found, values) {
			return at, users[0].errorf("found %v, expected %v, the preprocessing that the metadata describe", found, values)
		}
		at.tensor = users[0].outputs[0]
	}
	return at, nil
}

// imported makes a model.
func (c *converted) imported(o ImportOptions, own *origin) (*Imported, error) {
	preprocessing, head := o.Preprocessing, o.Head
	preprocessing.Size = c.Size
	if own != nil {
		preprocessing = own.preprocessing
	}
	if head == nil && own != nil {
		var err error
		if head, err = heads.Named(own.head); err != nil {
			return nil, errors.Wrap(err, "metadata likeness.head: name another head (--head)")
		}
	}
	if head == nil {
		head = heads.L2{}
	}
	m, err := likeness.New(c.Network, head, preprocessing, o.Seed)
	if err != nil {
		return nil, err
	}
	for _, weight := range m.Weights.All() {
		if strings.HasPrefix(weight.Name, "head.") {
			if o.Head == nil {
				return nil, errors.Errorf("the head %s has weights, which are not in the file of the network: name the head (--head), and it gets new ones", head.Name())
			}
			continue
		}
		w, found := c.weights[weight.Name]
		if !found || !slices.Equal([]int(weight.Value.Shape()), w.shape) {
			return nil, errors.Errorf("weight %s: found the shape %v, expected %v", weight.Name, w.shape, weight.Value.Shape())
		}
		copy(weight.Value.Data().([]float32), w.values)
		delete(c.weights, weight.Name)
	}
	for name := range c.weights {
		return nil, errors.Errorf("the network has no weight %s", name)
	}
	result := &Imported{Model: m}
	if own != nil {
		if o.Cut == "" && (o.Head == nil || heads.Identifier(o.Head) == own.head) {
			m.Threshold = own.threshold
		}
	} else if l, ok := c.last.block.(graph.Linear); ok && l.Activation == "" {
		result.Classifier, result.Classes = c.last.input.tensor, l.Units
	}
	return result, nil
}
