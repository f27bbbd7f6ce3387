package run

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/internal/testutil"
)

// Whatever a config file says, it is refused or is written so that it is read as it
// was.
func FuzzConfig(f *testing.F) {
	text, err := generalDefaults.text()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add("backbone = \"../net.toml\"\nunseen = [\"..\", \"7\"]\nseed = 9223372036854775807\nrate = 1e-3\n")
	f.Add("[network]\nname = \"mine\"\ninput = {height = 4, width = 4, channels = 1}\n[[network.block]]\nkind = \"flatten\"\n[[layers]]\nname = \"conv1\"\n")
	f.Add("rate = nan\nseed = -1\nfill = 300\n")
	f.Fuzz(func(t *testing.T, text string) {
		var read Settings
		var keys map[string]bool
		var err error
		testutil.LimitAllocations(t, 8192*len(text), func() { read, keys, _, err = parseConfig(text, "fuzz") })
		if err != nil {
			return
		}
		settings := generalDefaults.under(read, keys)
		if settings.check() != nil {
			return
		}
		written, err := settings.text()
		if err != nil {
			t.Fatal(err)
		}
		again, _, _, err := parseConfig(string(written), "again")
		if err != nil {
			t.Fatalf("wrote\n%s\nwhich is not read: %v", written, err)
		}
		if diff := cmp.Diff(settings, again, settingsEqual, cmpopts.EquateEmpty(), cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("(-read +read again):\n%s", diff)
		}
		settings.penalties()
		settings.solver()
	})
}

// Whatever a run folder's lines of epochs, they are refused or come back as they
// were.
func FuzzEpochs(f *testing.F) {
	f.Add([]byte("{\"epoch\":1,\"loss\":0.5,\"validation\":0.9,\"best\":true}\n{\"epoch\":2}\n"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		epochs, err := parseEpochs(bytes.NewReader(text))
		if err != nil {
			return
		}
		var written bytes.Buffer
		for _, epoch := range epochs {
			line, err := json.Marshal(epoch)
			if err != nil {
				t.Fatal(err)
			}
			written.Write(append(line, '\n'))
		}
		again, err := parseEpochs(&written)
		if diff := cmp.Diff(epochs, again); diff != "" || err != nil {
			t.Errorf("%v, (-read +read again):\n%s", err, diff)
		}
	})
}

// Whatever the text, a size is refused or has what its own text says.
func FuzzSize(f *testing.F) {
	for _, text := range []string{"", "64", "64x48", "64x48x3", "1x2x3x4", "9223372036854775808", "-1x1", "x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		size, err := ParseSize(text)
		if err != nil || size.Channels == 0 {
			return
		}
		if again, err := ParseSize(size.String()); err != nil || again != size {
			t.Errorf("found %v (%v), expected %v", again, err, size)
		}
	})
}
