package backbone_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/internal/testutil"
)

// Whatever the text, Parse gives an error or a network that TOML writes so that it
// is read as it was. Layers of any width in it take no memory before it is known
// that there may be as many.
func FuzzParse(f *testing.F) {
	for _, text := range specSeeds {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		testutil.LimitAllocations(t, 8192*len(text)+64<<20, func() {
			network, err := backbone.Parse(text, "file")
			if err != nil {
				return
			}
			if network.Size.Len() > 1<<12 { // no other case, and slow
				t.Skip("large")
			}
			written, err := network.TOML()
			if err != nil {
				t.Fatal(err)
			}
			again, err := backbone.Parse(written, "again")
			if err != nil {
				t.Fatalf("wrote\n%s\nwhich is not read: %v", written, err)
			}
			if diff := cmp.Diff(network, again); diff != "" {
				t.Errorf("(-read +read again):\n%s", diff)
			}
		})
	})
}

// specSeeds are small networks of all kinds of blocks, and ones that ask for much.
var specSeeds = func() []string {
	const input = "input = {height = 6, width = 6, channels = 1}\n"
	seeds := []string{
		"name = \"mine\"\n" + input + "[[block]]\nkind = \"conv\"\nfilters = 2\nkernel = 3\npadding = 1\nbatch_norm = true\nactivation = \"prelu\"\npool = 2\n[[block]]\nkind = \"flatten\"\n",
		input + "block = [{kind = \"maxpool\", size = 2}, {kind = \"averagepool\", size = 2, trainable = true}, {kind = \"batchnorm\"}, {kind = \"globalaveragepool\"}, {kind = \"linear\", units = 3, weight = {scheme = \"normal\", deviation = 0.1}}, {kind = \"normalize\"}]\n",
		input + "block = [{kind = \"residual\", body = [{kind = \"conv\", filters = 1, kernel = 1}], activation = \"tanh\"}, {kind = \"activation\", activation = \"sigmoid\"}, {kind = \"flatten\"}, {kind = \"dropout\", rate = 0.5}]\n",
		input + "block = [{kind = \"conv\", filters = 2, kernel = 3, batch_norm = true, activation = \"silu\", epsilon = 0.001, momentum = 0.01}, {kind = \"maxpool\", size = 3, stride = 2, padding = 1}, {kind = \"layernorm\", epsilon = 0.1}, {kind = \"scale\", initial = 0.5}, {kind = \"squeezeexcite\", channels = 2, activation = \"gelu\", gate = \"hardsigmoid\"}, {kind = \"residual\", drop = 0.5}, {kind = \"gem\", exponent = 2.0}]\n",
		input + "block = [{kind = \"linear\", units = 1}]",
	}
	for _, block := range []string{
		"kind = \"conv\", filters = 4611686018427387904, kernel = 3", "kind = \"conv\", filters = 2000000000, kernel = 3",
		"kind = \"conv\", filters = 1, kernel = 1, padding = 9223372036854775807", "kind = \"conv\", filters = 1, kernel = 1, padding = 2000000000",
		"kind = \"conv\", filters = 1, kernel = 3, stride = 9223372036854775807", "kind = \"conv\", filters = 1, kernel = 60000, padding = 30000",
		"kind = \"maxpool\", size = 9223372036854775807, padding = 4611686018427387903", "kind = \"maxpool\", size = 3, padding = -1",
		"kind = \"squeezeexcite\", channels = 9223372036854775807", "kind = \"squeezeexcite\", channels = 200000000",
		"kind = \"conv\", filters = -1, kernel = -1", "kind = \"conv\", filters = 1, kernel = 1, pool = -9223372036854775808",
	} {
		seeds = append(seeds, input+"block = [{"+block+"}, {kind = \"flatten\"}]\n")
	}
	for _, units := range []string{"9223372036854775807", "4611686018427387904", "0"} {
		seeds = append(seeds, input+"block = [{kind = \"flatten\"}, {kind = \"linear\", units = "+units+"}]\n")
	}
	return seeds
}()

// Sizes are validated before memory is allocated.
func TestParseRefusesWhatTakesTooMuch(t *testing.T) {
	const begin = "input = {height = 60, width = 60, channels = 1}\nblock = [{kind = \"flatten\"}, {kind = \"linear\", units = "
	for _, units := range []string{"75000", "300000000", "9223372036854775807"} {
		testutil.LimitAllocations(t, 16<<20, func() {
			_, err := backbone.Parse(begin+units+"}]", "file")
			if err == nil || !strings.Contains(err.Error(), `linear1: weight "linear1.weight"`) {
				t.Errorf("%s units: found error %v", units, err)
			}
		})
	}
}
