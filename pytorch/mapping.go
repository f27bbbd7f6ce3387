package pytorch

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/likeness-go/likeness/internal/nearest"
	"github.com/likeness-go/likeness/internal/strict"
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
			return "", nearest.Unknown("key", key, []string{"layout", "name"})
		}
	}
	if table["layout"] == nil {
		return "", nil
	}
	layout, _ := table["layout"].(string)
	if _, known := layouts[layout]; !known {
		return "", nearest.Unknown("layout", fmt.Sprint(table["layout"]), slices.Sorted(maps.Keys(layouts)))
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
