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

// Mapping says which tensors of a file become which weights of a network. As
// TOML, with our names before the equals signs and theirs after:
//
//	ignore = ["classifier", "*.extra"]   # tensors that have no place in the network
//	initial = ["linear1"]                # weights that stay as they are
//
//	[weights]
//	conv1 = "features.0"                 # a layer: all of its weights
//	conv2.weight = "features.3.weight"   # a weight
//	conv2.bias = "features.3.bias"
//	linear2 = { name = "fc", layout = "io" }
//
// A pattern of ignore or initial is a name, a layer's name such as "classifier",
// or a path.Match pattern. PyTorch's num_batches_tracked are ignored always, and
// a head's weights stay as they are where nothing is mapped to them.
type Mapping struct {
	Sources []Source
	Ignore  []string // patterns of tensors
	Initial []string // patterns of weights

	source string // the file of the mapping, for errors
}

// Source says where a weight, or all weights of a layer, come from.
type Source struct {
	Weight string // the name of a weight or of a layer of the network
	Tensor string // of a tensor, or of a layer in the file
	Layout string // of the tensor: see the package; empty is PyTorch's
}

// mappingSpec is a mapping in the form of TOML.
type mappingSpec struct {
	Ignore  []string `toml:"ignore"`
	Initial []string `toml:"initial"`
	Weights table    `toml:"weights"`
}

// table is TOML that is looked at later.
type table map[string]any

// UnmarshalTOML keeps the table, and by its being there tells the decoder that
// no key in it is unknown.
func (t *table) UnmarshalTOML(value any) error {
	content, ok := value.(map[string]any)
	if !ok {
		return errors.Errorf("found %v, expected a table", value)
	}
	*t = content
	return nil
}

// ParseMapping reads a mapping from TOML; source names the file in errors.
// Whether names and shapes are right shows only when the mapping meets a file
// and a network.
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

// collect gathers the sources of a table and of those within it: TOML takes the
// dots in conv1.weight for tables.
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

// dotted is a name of a few parts: of a key without quotes package strict takes so
// many and no more.
var dotted = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,7}$`)

// key is a weight as a key of TOML. One that TOML would take for something else,
// with its dots for tables, is in quotes, which means the same.
func (m Mapping) key(weight string) string {
	within := slices.ContainsFunc(m.Sources, func(s Source) bool {
		return strings.HasPrefix(weight, s.Weight+".") || strings.HasPrefix(s.Weight, weight+".")
	})
	if dotted.MatchString(weight) && !strings.HasSuffix(weight, ".name") && !within {
		return weight
	}
	return quote(weight)
}

// quote is a text as TOML has it, whose escapes are not those of Go.
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

// where is the mapping's file, for errors.
func (m Mapping) where() string { return cmp.Or(m.source, "mapping") }

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
