package pytorch_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/pytorch"
)

// Whatever the text, ParseMapping gives an error or a mapping that TOML writes so
// that it is read as it was.
func FuzzParseMapping(f *testing.F) {
	f.Add("ignore = [\"classifier\", \"*.extra\"]\ninitial = [\"linear1\"]\n[weights]\nconv1 = \"features.0\"\nconv2.weight = \"features.3.weight\"\nlinear2 = { name = \"fc\", layout = \"io\" }\n")
	f.Add("[weights]\n\"a b\" = \"\\u0001\\U0001F600\"\n'' = 'x'\n")
	f.Add("[weights.a.name]\nname = 'b'\n")
	f.Add("[weights]\na = 'b'\n'a.b' = 'c'\n")
	f.Add("weights = 3")
	f.Fuzz(func(t *testing.T, text string) {
		testutil.LimitAllocations(t, 4096*len(text), func() {
			mapping, err := pytorch.ParseMapping(text, "file")
			if err != nil {
				return
			}
			again, err := pytorch.ParseMapping(mapping.TOML(), "again")
			if err != nil {
				t.Fatalf("read %q, wrote\n%s\nwhich is not read: %v", text, mapping.TOML(), err)
			}
			slices.SortFunc(mapping.Sources, byWeight)
			slices.SortFunc(again.Sources, byWeight)
			if diff := cmp.Diff([]any{mapping.Sources, plain(mapping.Ignore), plain(mapping.Initial)}, []any{again.Sources, plain(again.Ignore), plain(again.Initial)}); diff != "" {
				t.Errorf("(-read +read again):\n%s", diff)
			}
		})
	})
}

func byWeight(a, b pytorch.Source) int { return strings.Compare(a.Weight, b.Weight) }

// plain takes an empty list for none.
func plain(list []string) []string { return append([]string(nil), list...) }
