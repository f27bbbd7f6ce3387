package pytorch

import (
	"fmt"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/pkg/errors"
)

// Derive finds the mapping that leaves no doubt: by name, where every weight of
// the model has a tensor of its own name, or by order, where the file is of a
// torch.nn.Sequential whose layers are those of the network one by one, with the
// same weights in the same shapes. Everything else is an error that says where
// the two part; then Skeleton is what to begin a mapping from.
func (f *File) Derive(model *likeness.Model) (Mapping, error) {
	if err := f.check(model); err != nil {
		return Mapping{}, err
	}
	if m, ok := f.byName(model); ok {
		return m, nil
	}
	m, err := f.byOrder(model)
	return m, errors.Wrapf(err, "%s: the mapping is in doubt: write one", f.path)
}

func (f *File) byName(model *likeness.Model) (Mapping, bool) {
	var m Mapping
	for _, l := range layersOfWeights(model.Weights) {
		for suffix := range l.shapes {
			if f.find(l.name+"."+suffix) == nil {
				return Mapping{}, false
			}
		}
		m.Sources = append(m.Sources, Source{Weight: l.name, Tensor: l.name})
	}
	return m, true
}

func (f *File) byOrder(model *likeness.Model) (Mapping, error) {
	network, ok := model.Backbone.(backbone.Network)
	if !ok {
		return Mapping{}, errors.Errorf("the backbone is of type %T, whose layers have no known order", model.Backbone)
	}
	theirs, err := f.numbered()
	if err != nil {
		return Mapping{}, err
	}
	ours, err := inOrder(network, model.Weights)
	if err != nil {
		return Mapping{}, err
	}
	var m Mapping
	for i := range min(len(ours), len(theirs)) {
		if !ours[i].resembles(theirs[i]) {
			return Mapping{}, errors.Errorf("layer %d: found %v, expected one as %v", i+1, theirs[i], ours[i])
		}
		m.Sources = append(m.Sources, Source{Weight: ours[i].name, Tensor: theirs[i].name})
	}
	switch {
	case len(theirs) > len(ours):
		return Mapping{}, errors.Errorf("found %d layers, expected %d: there is none in the network for %v", len(theirs), len(ours), theirs[len(ours)])
	case len(theirs) < len(ours):
		return Mapping{}, errors.Errorf("found %d layers, expected %d: there is none for %v", len(theirs), len(ours), ours[len(theirs)])
	}
	return m, nil
}

// Skeleton is a mapping to be filled in, as TOML with the layers of the model
// and, in comments, the tensors of the file. It is empty where there is no model
// or no file.
func (f *File) Skeleton(model *likeness.Model) string {
	if f.check(model) != nil {
		return ""
	}
	var text strings.Builder
	fmt.Fprintf(&text, "# Which tensors of %s become which weights of the network.\n\n", f.path)
	text.WriteString("ignore = []  # tensors that have no place in the network, such as \"classifier\"\n")
	text.WriteString("initial = [] # weights that stay as they are, such as \"linear1\"\n\n")
	text.WriteString("# A line for a layer maps all of its weights: conv1 = \"features.0\". A line for a\n")
	text.WriteString("# weight maps it alone: conv1.bias = \"features.0.bias\".\n[weights]\n")
	for _, l := range layersOfWeights(model.Weights) {
		fmt.Fprintf(&text, "%s = \"\" # %s\n", l.name, l.weights())
	}
	text.WriteString("\n# The tensors:\n")
	for _, name := range f.names() {
		fmt.Fprintf(&text, "#   %s %v\n", name, show(f.find(name).Shape))
	}
	return text.String()
}
