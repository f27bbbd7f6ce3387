package pytorch

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/internal/strict"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// Mapping assigns tensors of a file to weights of a network. In TOML, the names of the
// network are before the equals signs and those of the file after them:
//
//	ignore = ["classifier", "*.extra"]   # tensors that the network does not use
//	initial = ["linear1"]                # weights that keep their initial values
//
//	[weights]
//	conv1 = "features.0"                 # a layer: all of its weights
//	conv2.weight = "features.3.weight"   # a weight
//	conv2.bias = "features.3.bias"
//	linear2 = { name = "fc", layout = "io" }
//
// A pattern of ignore or initial is a name, a layer's name such as "classifier",
// or a pattern of path.Match. PyTorch's num_batches_tracked are always ignored, and the
// weights of the head keep their values if no tensor is mapped to them.
type Mapping struct {
	Sources []Source
	Ignore  []string // patterns of tensors
	Initial []string // patterns of weights

	source string // the file of the mapping, for errors
}

// Source assigns a tensor to a weight, or the tensors of a layer to those of a layer.
type Source struct {
	Weight string // the name of a weight or of a layer of the network
	Tensor string // the name of a tensor or of a layer of the file
	Layout string // of the tensor, see the package documentation; empty for PyTorch's
}

// mappingSpec is a mapping in the form of TOML.
type mappingSpec struct {
	Ignore  []string `toml:"ignore"`
	Initial []string `toml:"initial"`
	Weights table    `toml:"weights"`
}

// table is a TOML table whose keys are interpreted later.
type table map[string]any

// UnmarshalTOML stores the table. Because the method exists, the decoder reports no key
// of the table as unknown.
func (t *table) UnmarshalTOML(value any) error {
	content, ok := value.(map[string]any)
	if !ok {
		return errors.Errorf("found %v, expected a table", value)
	}
	*t = content
	return nil
}

// ParseMapping reads a mapping from TOML; source names the file in errors.
// Names and shapes are checked when the mapping is used with a file and a network.
func ParseMapping(text, source string) (Mapping, error) {
	var spec mappingSpec
	if err := strict.Decode(text, source, &spec); err != nil {
		return Mapping{}, err
	}
	m := Mapping{Ignore: spec.Ignore, Initial: spec.Initial, source: source}
	if err := m.collect("", spec.Weights); err != nil {
		return Mapping{}, errors.Wrap(err, source)
	}
	known := map[string]bool{}
	for _, s := range m.Sources {
		if known[s.Weight] { // as "a.b" and as a.b
			return Mapping{}, errors.Errorf("%s: weights: found %q twice", source, s.Weight)
		}
		known[s.Weight] = true
	}
	return m, nil
}

// collect collects the sources of a table and of the tables in it: in TOML, the dots of
// conv1.weight denote tables.
func (m *Mapping) collect(prefix string, table map[string]any) error {
	for _, key := range slices.Sorted(maps.Keys(table)) {
		name := prefix + key
		switch value := table[key].(type) {
		case string:
			m.Sources = append(m.Sources, Source{Weight: name, Tensor: value})
		case map[string]any:
			theirs, isSource := value["name"].(string)
			if !isSource {
				if err := m.collect(name+".", value); err != nil {
					return err
				}
				continue
			}
			layout, err := layoutOf(value)
			if err != nil {
				return errors.Wrapf(err, "weights: %s", name)
			}
			m.Sources = append(m.Sources, Source{Weight: name, Tensor: theirs, Layout: layout})
		default:
			return errors.Errorf("weights: %s: found %v, expected a name in quotes, or { name = \"…\", layout = \"…\" }", name, value)
		}
	}
	return nil
}

// layoutOf reads { name = …, layout = … }.
func layoutOf(table map[string]any) (string, error) {
	for key := range table {
		if key != "name" && key != "layout" {
			return "", wording.Unknown("key", key, []string{"layout", "name"})
		}
	}
	if table["layout"] == nil {
		return "", nil
	}
	layout, _ := table["layout"].(string)
	if _, known := layouts[layout]; !known {
		return "", wording.Unknown("layout", fmt.Sprint(table["layout"]), slices.Sorted(maps.Keys(layouts)))
	}
	return layout, nil
}

// TOML writes the mapping as ParseMapping reads it.
func (m Mapping) TOML() string {
	var text strings.Builder
	list := func(key string, patterns []string) {
		if len(patterns) > 0 {
			quoted := make([]string, len(patterns))
			for i, pattern := range patterns {
				quoted[i] = quote(pattern)
			}
			fmt.Fprintf(&text, "%s = [%s]\n", key, strings.Join(quoted, ", "))
		}
	}
	list("ignore", m.Ignore)
	list("initial", m.Initial)
	if text.Len() > 0 {
		text.WriteByte('\n')
	}
	text.WriteString("[weights]\n")
	for _, s := range m.Sources {
		if s.Layout == "" {
			fmt.Fprintf(&text, "%s = %s\n", m.key(s.Weight), quote(s.Tensor))
		} else {
			fmt.Fprintf(&text, "%s = { name = %s, layout = %s }\n", m.key(s.Weight), quote(s.Tensor), quote(s.Layout))
		}
	}
	return text.String()
}

// dotted is a name with at most as many parts as package strict accepts in a key
// without quotes.
var dotted = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,7}$`)

// key formats the name of a weight as a key of TOML, in quotes if necessary.
func (m Mapping) key(weight string) string {
	within := slices.ContainsFunc(m.Sources, func(s Source) bool {
		return strings.HasPrefix(weight, s.Weight+".") || strings.HasPrefix(s.Weight, weight+".")
	})
	if dotted.MatchString(weight) && !strings.HasSuffix(weight, ".name") && !within {
		return weight
	}
	return quote(weight)
}

// quote formats a text in TOML, whose escapes differ from those of Go.
func quote(text string) string {
	var quoted strings.Builder
	quoted.WriteByte('"')
	for _, letter := range text {
		switch {
		case letter == '"' || letter == '\\':
			quoted.WriteRune('\\')
			quoted.WriteRune(letter)
		case unicode.IsControl(letter):
			fmt.Fprintf(&quoted, `\u%04x`, letter)
		default:
			quoted.WriteRune(letter)
		}
	}
	quoted.WriteByte('"')
	return quoted.String()
}

// where returns the file of the mapping, for errors.
func (m Mapping) where() string { return cmp.Or(m.source, "mapping") }

// Derive returns a mapping where it is unambiguous: by name, if every weight of the model
// has a tensor of its own name; by published names, if the network is one of
// backbone.PublishedNames and the file has them; or by order, if the file is that of a
// torch.nn.Sequential with the layers of the network in the same order, with the same
// weights in the same shapes. Otherwise the error names the first difference; then use
// Skeleton to begin a mapping.
//
// By published names, a layer that the published network lacks, such as one that reduces
// the embedding dimension, keeps its initial weights, and a classifier that the network
// lacks is ignored: tensors of fc, classifier and _fc.
func (f *File) Derive(model *likeness.Model) (Mapping, error) {
	if err := f.check(model); err != nil {
		return Mapping{}, err
	}
	if m, ok := f.byName(model); ok {
		return m, nil
	}
	if m, ok, err := f.byPublishedNames(model); ok || err != nil {
		return m, errors.Wrapf(err, "%s: the mapping is in doubt: write one", f.path)
	}
	m, err := f.byOrder(model)
	if network, ok := model.Backbone.(backbone.Network); ok && err != nil {
		if _, unpublished := publishedNames(network.Name); unpublished == nil {
			err = errors.WithMessagef(err, "the file has none of the names that published weights of %s have", network.Name)
		}
	}
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

// publishedNames is a variable for tests.
var publishedNames = backbone.PublishedNames

// classifiers are the layers at the end of published networks, for the classes of
// ImageNet, which networks of embeddings lack.
var classifiers = []string{"fc", "classifier", "_fc"}

// byPublishedNames maps the layers of a published network. It reports false if the network
// is another one, or if the file has none of the names.
func (f *File) byPublishedNames(model *likeness.Model) (m Mapping, ok bool, err error) {
	network, isNetwork := model.Backbone.(backbone.Network)
	if !isNetwork {
		return Mapping{}, false, nil
	}
	published, err := publishedNames(network.Name)
	if err != nil {
		return Mapping{}, false, nil // another network
	}
	mapped, missing := map[string]bool{}, ""
	for _, l := range layersOfWeights(model.Weights) {
		theirs, known := published[l.name]
		if known {
			m.Sources = append(m.Sources, Source{Weight: l.name, Tensor: theirs})
		}
		for _, suffix := range slices.Sorted(maps.Keys(l.shapes)) {
			weight := l.name + "." + suffix
			tensor, alone := published[weight]
			switch {
			case alone:
				m.Sources = append(m.Sources, Source{Weight: weight, Tensor: tensor})
			case known:
				tensor = theirs + "." + suffix
			default:
				m.Initial = append(m.Initial, weight)
				continue
			}
			if mapped[tensor] = f.find(tensor) != nil; !mapped[tensor] {
				missing = cmp.Or(missing, tensor)
			}
		}
	}
	if !slices.Contains(slices.Collect(maps.Values(mapped)), true) {
		return Mapping{}, false, nil
	}
	if missing != "" {
		return Mapping{}, false, errors.Errorf("found no tensor %q, which published weights of %s have", missing, network.Name)
	}
	for _, name := range f.names() {
		first, _, _ := strings.Cut(name, ".")
		layer, _ := cut(name)
		if !mapped[name] && slices.Contains(classifiers, first) && !slices.Contains(m.Ignore, layer) {
			m.Ignore = append(m.Ignore, layer)
		}
	}
	return m, true, nil
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
		return Mapping{}, errors.Errorf("found %d layers, expected %d: the network has none for %v", len(theirs), len(ours), theirs[len(ours)])
	case len(theirs) < len(ours):
		return Mapping{}, errors.Errorf("found %d layers, expected %d: the file has none for %v", len(theirs), len(ours), ours[len(theirs)])
	}
	return m, nil
}

// Skeleton returns a template of a mapping as TOML, with the layers of the model and, in
// comments, the tensors of the file. It is empty if the model or the file is nil.
func (f *File) Skeleton(model *likeness.Model) string {
	if f.check(model) != nil {
		return ""
	}
	var text strings.Builder
	fmt.Fprintf(&text, "# Which tensors of %s become which weights of the network.\n\n", f.path)
	text.WriteString("ignore = []  # tensors that the network does not use, such as \"classifier\"\n")
	text.WriteString("initial = [] # weights that keep their initial values, such as \"linear1\"\n\n")
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
