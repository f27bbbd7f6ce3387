package report

import (
	"encoding/json"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/pkg/errors"
)

// The keys of result.json must not change.
func TestJSONKeys(t *testing.T) {
	r := measure(t, newPlan(t, experiment(), 1))
	r.Dataset, r.Stopped, r.MadeWith = "patterns", "interrupted", NewProvenance(time.Now())
	path := filepath.Join(t.TempDir(), "result.json")
	if err := r.Save(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var result map[string]any
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	keys := func(object any) []string { return slices.Sorted(maps.Keys(object.(map[string]any))) }
	want := []string{"dataset", "images_per_second", "made_with", "metrics", "protocol", "seconds", "seed", "stopped", "threshold"}
	if diff := cmp.Diff(want, keys(result)); diff != "" {
		t.Errorf("result.json (-want +found):\n%s", diff)
	}
	want = []string{"finished", "go", "gorgonia", "likeness", "processor", "system", "threads"}
	if diff := cmp.Diff(want, keys(result["made_with"])); diff != "" {
		t.Errorf("made_with (-want +found):\n%s", diff)
	}
	metrics := result["metrics"].(map[string]any)
	want = []string{"ami", "knn_accuracy", "map_at_r", "mrr", "ndcg", "nmi", "oneshot_accuracy", "precision_at_5", "recall_at_1", "verification_accuracy", "verification_auc", "verification_eer"}
	if diff := cmp.Diff(want, keys(metrics)); diff != "" {
		t.Errorf("metrics (-want +found):\n%s", diff)
	}
	for name, figure := range metrics {
		want := []string{"gain", "high", "low", "pixels", "untrained", "value"}
		if name == "verification_eer" || name == "nmi" || name == "ami" {
			want = want[1:] // it has no gain
		}
		if diff := cmp.Diff(want, keys(figure)); diff != "" {
			t.Errorf("%s (-want +found):\n%s", name, diff)
		}
		if gain := figure.(map[string]any)["gain"]; gain != nil {
			if diff := cmp.Diff([]string{"high", "low", "value"}, keys(gain)); diff != "" {
				t.Errorf("gain of %s (-want +found):\n%s", name, diff)
			}
		}
	}
}

func TestSaveAndLoad(t *testing.T) {
	whole := measure(t, newPlan(t, experiment(), 1))
	whole.Dataset, whole.Seed, whole.Seconds, whole.ImagesPerSecond, whole.Stopped = "patterns", math.MaxUint64, 12.5, 1e4, "interrupted"
	whole.MadeWith = NewProvenance(time.Now())
	for _, want := range []Report{whole, {}} {
		path := filepath.Join(t.TempDir(), "result.json")
		if err := want.Save(path); err != nil {
			t.Fatal(err)
		}
		found, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("-saved +loaded:\n%s", diff)
		}
	}
}

// NaN and infinity have no JSON form: Save returns an error and keeps the old file.
func TestSaveNotFinite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "result.json")
	before := Report{Dataset: "before", Metrics: map[string]Figure{}}
	if err := before.Save(path); err != nil {
		t.Fatal(err)
	}
	for _, r := range []Report{
		{Metrics: map[string]Figure{knnAccuracy: {Value: math.NaN()}}},
		{ImagesPerSecond: math.Inf(1)},
	} {
		if err := r.Save(path); err == nil || !strings.Contains(err.Error(), "save report "+path) {
			t.Errorf("found error %v, expected one that names the file", err)
		}
	}
	after, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the file (-before +after):\n%s", diff)
	}
}

func TestLoadErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "result.json")
	if _, err := Load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: found error %v", err)
	}
	if err := os.WriteFile(path, []byte(`{"metrics": 3}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err := Load(path); err == nil || !strings.Contains(err.Error(), "load report "+path) || r.Metrics != nil {
		t.Errorf("found %v, error %v, expected one that names the file", r, err)
	}
}

// Control characters in the name of a class or a data set cannot add lines to the table.
func TestTableEscapesNames(t *testing.T) {
	r := Report{Dataset: "shapes\nrecall@1  100.00", Protocol: "tested on x\n\x1b[31mred\u202e"}
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(b.String(), "\n"); lines != 4 || strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Errorf("found %d lines, expected 4: %q", lines, b.String())
	}
}

// Any text is an error or is read, written and read again without a change.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"dataset":"MNIST","seed":18446744073709551615,"threshold":0.5,"metrics":{"recall@1":{"value":0.9}},"made_with":{}}`))
	f.Add([]byte(`{"metrics":null,"threshold":1e999}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var r Report
		var err error
		testutil.LimitAllocations(t, 64*len(text), func() { r, err = parse(text) })
		if err != nil {
			return
		}
		written, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(written)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Metrics) == 0 {
			r.Metrics, again.Metrics = nil, nil // JSON distinguishes an empty object from null
		}
		if diff := cmp.Diff(r, again); diff != "" {
			t.Errorf("(-read +read again):\n%s", diff)
		}
		r.Rows()
	})
}

// A training after the measurement is a line of the table and a key of the file, which other reports
// do not have.
func TestRefit(t *testing.T) {
	for _, r := range []Report{{Seed: 1}, {Seed: 1, Refit: &Refit{Images: 120, Classes: 6, Steps: 30, Seconds: 2.4}}} {
		var table strings.Builder
		if err := r.WriteTable(&table); err != nil {
			t.Fatal(err)
		}
		const line = "refit: the saved model was trained again on all 120 images of 6 classes, 30 steps in 2 s; the figures are those of the model before\n"
		if strings.HasSuffix(table.String(), line) != (r.Refit != nil) {
			t.Errorf("found the table\n%s", table.String())
		}
		path := filepath.Join(t.TempDir(), "result.json")
		if err := r.Save(path); err != nil {
			t.Fatal(err)
		}
		loaded, err := Load(path)
		if diff := cmp.Diff(r, loaded); diff != "" || err != nil {
			t.Errorf("%v, report (-saved +loaded):\n%s", err, diff)
		}
		text, err := os.ReadFile(path)
		if err != nil || strings.Contains(string(text), "refit") != (r.Refit != nil) {
			t.Errorf("found the file\n%s", text)
		}
	}
}
