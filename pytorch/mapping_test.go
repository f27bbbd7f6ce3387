package pytorch_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/pytorch"
)

// Names with dots are read with quotes and without, and what is written is read
// again.
func TestParseMapping(t *testing.T) {
	const text = `ignore = ["classifier", "*.extra"]
initial = ["linear1"]

[weights]
batchnorm1 = "features.1"
conv1.weight = "features.0.weight"
"conv1.bias" = "features.0.bias"
linear2 = { name = "fc", layout = "io" }
residual1.shortcut.conv1.weight = { name = "down" }
`
	want := pytorch.Mapping{
		Ignore: []string{"classifier", "*.extra"}, Initial: []string{"linear1"},
		Sources: []pytorch.Source{
			{Weight: "batchnorm1", Tensor: "features.1"},
			{Weight: "conv1.weight", Tensor: "features.0.weight"},
			{Weight: "conv1.bias", Tensor: "features.0.bias"},
			{Weight: "linear2", Tensor: "fc", Layout: "io"},
			{Weight: "residual1.shortcut.conv1.weight", Tensor: "down"},
		},
	}
	for _, text := range []string{text, want.TOML()} {
		found, err := pytorch.ParseMapping(text, "mapping.toml")
		if err != nil {
			t.Fatal(err)
		}
		byName := cmpopts.SortSlices(func(a, b pytorch.Source) bool { return a.Weight < b.Weight })
		if diff := cmp.Diff(want, found, byName, cmpopts.IgnoreUnexported(pytorch.Mapping{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestParseMappingErrors(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"syntax":         {"= 3\n", "line 1"},
		"table":          {"[weight]\n", `did you mean "weights"?`},
		"no table":       {"weights = 3\n", "expected a table"},
		"number":         {"[weights]\nconv1 = 3\n", "conv1: found 3, expected a name in quotes"},
		"unknown key":    {"[weights]\nconv1 = { name = \"0\", layuot = \"io\" }\n", `conv1: unknown key "layuot": did you mean "layout"?`},
		"unknown layout": {"[weights]\nconv1 = { name = \"0\", layout = \"ohiw\" }\n", `conv1: unknown layout "ohiw": did you mean "ohwi"?`},
		"no text":        {"[weights]\nconv1 = { name = \"0\", layout = 3 }\n", `unknown layout "3"`},
	} {
		_, err := pytorch.ParseMapping(test.text, "mapping.toml")
		expectError(t, name, err, "mapping.toml: ", test.want)
	}
}
