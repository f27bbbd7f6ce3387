package doctor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/pkg/errors"
)

// On a machine on which the tests pass, no check finds a defect, and all checks run.
func TestRun(t *testing.T) {
	threads := graph.Threads()
	parts := map[string]Status{"instructions": "", "layer": "", "gradients": "", "determinism": "", "Omniglot": "", "model zoo/": "", "model " + fixture(1): "", "model " + fixture(2): ""}
	err := Run(context.Background(), Options{Models: []string{fixture(1), fixture(2)}, Omniglot: os.Getenv("LIKENESS_OMNIGLOT")}, func(f Finding) {
		if f.Status == Wrong {
			t.Error(f)
		}
		for part := range parts {
			if strings.HasPrefix(f.What, part) {
				parts[part] = f.Status
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for part, status := range parts {
		want := OK
		if part == "model "+fixture(1) || part == "Omniglot" && os.Getenv("LIKENESS_OMNIGLOT") == "" {
			want = NotChecked
		}
		if status != want {
			t.Errorf("%s: found %q, expected %q", part, status, want)
		}
	}
	if graph.Threads() != threads {
		t.Errorf("found %d threads afterwards, expected %d", graph.Threads(), threads)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	findings := 0
	err := Run(ctx, Options{}, func(Finding) { findings++; cancel() })
	if !errors.Is(err, context.Canceled) || findings != 1 {
		t.Errorf("found %d findings and %v, expected one and the context's end", findings, err)
	}
}

// Errors and panics of a check become findings.
func TestFinding(t *testing.T) {
	for _, test := range []struct {
		run  func() (string, error)
		want Finding
	}{
		{func() (string, error) { return "fine", nil }, Finding{OK, "it", "fine"}},
		{func() (string, error) { return "", errors.New("off") }, Finding{Wrong, "it", "off"}},
		{func() (string, error) { return "", errors.Wrap(notChecked("no file"), "it") }, Finding{NotChecked, "it", "it: no file"}},
		{func() (string, error) { panic("broken") }, Finding{Wrong, "it", "panic: broken"}},
	} {
		if found := (check{"it", test.run}).finding(); found != test.want {
			t.Errorf("found %v, expected %v", found, test.want)
		}
	}
}

// fixture returns the path of a model file of a format.
func fixture(version int) string {
	return filepath.Join("..", "testdata", "formats", "model-"+string(rune('0'+version))+".safetensors")
}

// changed returns a copy of the newest fixture with a change and, with seal, a correct
// checksum.
func changed(t *testing.T, seal bool, change func(safetensors.File)) string {
	t.Helper()
	file, err := safetensors.ReadFile(fixture(2))
	if err != nil {
		t.Fatal(err)
	}
	change(file)
	if seal {
		if err := file.Seal(); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := safetensors.WriteFile(path, file); err != nil {
		t.Fatal(err)
	}
	return path
}

// A changed weight is detected by the checksum, or by the probe embedding if the checksum
// is correct; a changed probe embedding is detected, too.
func TestModelFindsWhatHasChanged(t *testing.T) {
	weight := func(f safetensors.File) {
		for _, tensor := range f.Tensors {
			if tensor.Name == "linear1.bias" {
				tensor.Data.([]float32)[0] += 0.1
			}
		}
	}
	probe := func(f safetensors.File) {
		f.Metadata["likeness.probe"] = strings.Replace(f.Metadata["likeness.probe"], "2.49", "2.51", 1)
	}
	for _, test := range []struct {
		name   string
		seal   bool
		change func(safetensors.File)
		want   string
	}{
		{"weight", false, weight, "found the checksum"},
		{"weight, sealed", true, weight, "computes other embeddings here"},
		{"probe", false, probe, "found the checksum"},
		{"probe, sealed", true, probe, "computes other embeddings here"},
		{"probe of another length", true, func(f safetensors.File) {
			f.Metadata["likeness.probe"] = `{"embedding":[1],"tolerance":0.001}`
		}, "found an embedding of 3 values, expected 1"},
		{"probe that is none", true, func(f safetensors.File) {
			f.Metadata["likeness.probe"] = `{"embedding":[],"tolerance":0}`
		}, "field likeness.probe"},
	} {
		path := changed(t, test.seal, test.change)
		if _, err := modelFile(path); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: found %v, expected %q", test.name, err, test.want)
		}
	}
	var reason notChecked
	own := changed(t, true, func(f safetensors.File) { f.Metadata["likeness.backbone"] = "own" })
	if _, err := modelFile(own); !errors.As(err, &reason) {
		t.Errorf("a user-defined backbone: found %v, expected notChecked", err)
	}
}
