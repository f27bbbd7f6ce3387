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
	"github.com/pkg/errors"
)

// The keys of result.json are a promise to its readers.
func TestJSONKeys(t *testing.T) {
	r := measure(t, newPlan(t, experiment(), 1))
	r.Dataset, r.Stopped, r.MadeWith = "patterns", "interrupted", Here(time.Now())
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
	want = []string{"knn_accuracy", "map_at_r", "oneshot_accuracy", "recall_at_1", "verification_accuracy", "verification_auc", "verification_eer"}
	if diff := cmp.Diff(want, keys(metrics)); diff != "" {
		t.Errorf("metrics (-want +found):\n%s", diff)
	}
	for name, figure := range metrics {
		want := []string{"gain", "high", "low", "pixels", "untrained", "value"}
		if name == "verification_eer" {
			want = want[1:] // it has no trials to pair
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
	whole.MadeWith = Here(time.Now())
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

// JSON has no word for NaN and infinity: such a report is refused, and the file
// that was there stays as it was.
func TestSaveRefusesWhatIsNotFinite(t *testing.T) {
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

func TestLoadRefuses(t *testing.T) {
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

// A name of a class or a data set forges no line of the table.
func TestTableOfForgedNames(t *testing.T) {
	r := Report{Dataset: "shapes\nrecall@1  100.00", Protocol: "tested on x\n\x1b[31mred\u202e"}
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(b.String(), "\n"); lines != 4 || strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Errorf("found %d lines, expected 4: %q", lines, b.String())
	}
}
