package datasets

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
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

func TestParallelReturnsTheFirstErrorInOrder(t *testing.T) {
	for range 50 {
		var calls atomic.Int64
		err := parallel(100, func(i int) error {
			calls.Add(1)
			if i >= 30 && i%2 == 0 {
				return errors.Errorf("item %d", i)
			}
			return nil
		})
		if err == nil || err.Error() != "item 30" {
			t.Fatalf("found %v, expected item 30", err)
		}
		if calls.Load() < 31 {
			t.Fatalf("found %d calls, expected all up to the failing one", calls.Load())
		}
	}
}

// A panic in one of the goroutines would end the process.
func TestParallelMakesErrorsOfPanics(t *testing.T) {
	err := parallel(10, func(i int) error {
		if i == 3 {
			panic("broken")
		}
		return nil
	})
	if err == nil || err.Error() != "item 3: its processing panics: broken" {
		t.Errorf("found %v", err)
	}
}

func TestParallelCallsEveryIndexOnce(t *testing.T) {
	calls := make([]atomic.Int64, 1000)
	if err := parallel(len(calls), func(i int) error { calls[i].Add(1); return nil }); err != nil {
		t.Fatal(err)
	}
	for i := range calls {
		if calls[i].Load() != 1 {
			t.Fatalf("index %d was called %d times", i, calls[i].Load())
		}
	}
	if err := parallel(0, func(int) error { return errors.New("called") }); err != nil {
		t.Error(err)
	}
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

// With very many threads, files are opened by a bounded number of them.
func TestFilesAreOpenedByFewAtATime(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4 * mostOpen))
	var open, most atomic.Int64
	err := parallelFiles(8*mostOpen, func(int) error {
		now := open.Add(1)
		for before := most.Load(); now > before && !most.CompareAndSwap(before, now); before = most.Load() {
		}
		runtime.Gosched()
		open.Add(-1)
		return nil
	})
	if err != nil || most.Load() > mostOpen {
		t.Errorf("found %d files open at a time, %v, expected at most %d", most.Load(), err, mostOpen)
	}
}
