package datasets

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
	"pgregory.net/rapid"
)

// All six ordered choices of 2 of 3 are equally likely: 1000 ± 29 of 6000.
func TestChooseIsUniform(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	counts := map[string]int{}
	for range 6000 {
		counts[fmt.Sprint(choose(r, 3, 2))]++
	}
	if len(counts) != 6 {
		t.Errorf("found %d ordered choices, expected 6", len(counts))
	}
	for choice, count := range counts {
		if count < 1000-4*29 || count > 1000+4*29 {
			t.Errorf("%s came %d times of 6000, expected about 1000", choice, count)
		}
	}
}

func TestChooseReturnsDifferentIndices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 30).Draw(t, "n")
		k := rapid.IntRange(0, n).Draw(t, "k")
		chosen := choose(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), n, k)
		slices.Sort(chosen)
		if len(slices.Compact(slices.Clone(chosen))) != k {
			t.Fatalf("found %v, expected %d different indices", chosen, k)
		}
		if k > 0 && (chosen[0] < 0 || chosen[k-1] >= n) {
			t.Fatalf("found %v, expected indices below %d", chosen, n)
		}
	})
}

// An error of opening or reading is the operating system's, and no image is broken by
// it; what an archive cannot unpack is. With SkipBroken only the latter is passed
// over.
func TestOnlyWhatCannotBeDecodedIsBroken(t *testing.T) {
	sound := dot(t)
	limit := &fs.PathError{Op: "open", Path: "2.png", Err: syscall.EMFILE}
	failing := func(err error) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(sound[:len(sound)/2]), iotest.ErrReader(err))), nil
		}
	}
	for name, test := range map[string]struct {
		second func() (io.ReadCloser, error)
		broken bool
		is     error
	}{
		"too many open files": {func() (io.ReadCloser, error) { return nil, limit }, false, syscall.EMFILE},
		"a failing disk":      {failing(syscall.EIO), false, syscall.EIO},
		"no image":            {func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("text")), nil }, true, imaging.ErrFormat},
		"half an image":       {func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(sound[:50])), nil }, true, imaging.ErrUndecodable},
		"a wrong checksum":    {failing(zip.ErrChecksum), true, zip.ErrChecksum},
		"damaged compression": {failing(flate.CorruptInputError(7)), true, flate.CorruptInputError(7)},
	} {
		for _, size := range []imaging.Size{{}, {Height: 1, Width: 1, Channels: 1}} {
			for _, skip := range []bool{false, true} {
				d := &Dataset{Sources: []string{"1.png", "2.png"}}
				skipped, err := d.load(Options{SkipBroken: skip, Size: size}, func(i int) (io.ReadCloser, error) {
					if i == 0 {
						return io.NopCloser(bytes.NewReader(sound)), nil
					}
					return test.second()
				})
				switch {
				case test.broken && skip:
					if err != nil || len(skipped) != 1 || d.Len() != 1 {
						t.Errorf("%s, skipping: found %q, %v", name, skipped, err)
					}
				case !errors.Is(err, test.is) || errors.Is(err, ErrBroken) != test.broken:
					t.Errorf("%s: found error %v, broken: %v, expected %v", name, err, errors.Is(err, ErrBroken), test.broken)
				}
			}
		}
	}
}
