package datasets

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pkg/errors"
)

func newTestCache(t *testing.T, limit int64) *cache {
	t.Helper()
	c, err := newCache(limit)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// readTest reads a picture of so many bytes and reports whether it was loaded.
func (c *cache) readTest(t *testing.T, n, length int) (loaded bool) {
	t.Helper()
	found, err := c.get(cacheKey{n: n}, func() (picture, error) {
		loaded = true
		return picture{pixels: make([]uint8, length)}, nil
	})
	if err != nil || len(found.pixels) != length {
		t.Errorf("picture %d: found %d bytes, %v, expected %d", n, len(found.pixels), err, length)
	}
	if c.size > c.limit {
		t.Errorf("the cache holds %d bytes, expected at most %d", c.size, c.limit)
	}
	return loaded
}

// The picture that was not used for the longest time leaves first, and one that is larger
// than the cache is not kept and pushes out none.
func TestCacheDropsTheLeastRecentlyUsed(t *testing.T) {
	c := newTestCache(t, 3*(100+overhead))
	for n := range 3 {
		c.readTest(t, n, 100)
	}
	if c.readTest(t, 0, 100) {
		t.Error("picture 0 was dropped without need")
	}
	c.readTest(t, 3, 100) // in the place of 1, since 0 was used again
	c.readTest(t, 4, 5000)
	for _, test := range []struct {
		n      int
		loaded bool
	}{{0, false}, {2, false}, {3, false}, {4, true}, {1, true}, {0, true}} {
		length := 100
		if test.n == 4 {
			length = 5000
		}
		if loaded := c.readTest(t, test.n, length); loaded != test.loaded {
			t.Errorf("picture %d: loaded %v, expected %v", test.n, loaded, test.loaded)
		}
	}
	c.put(cacheKey{n: 0}, picture{pixels: make([]uint8, 100)})
	if c.readTest(t, 0, 100) || c.size != 3*(100+overhead) {
		t.Errorf("a picture that is there was added again: %d bytes", c.size)
	}
}

// Goroutines that need the same picture at once wait for one decoding, also for its error,
// which is not kept.
func TestCacheLoadsOnce(t *testing.T) {
	c := newTestCache(t, 1000)
	var loads atomic.Int64
	failure := errors.New("the disk failed")
	for _, want := range []error{failure, nil} {
		loads.Store(0)
		begun := make(chan struct{})
		var readers sync.WaitGroup
		load := func() (picture, error) {
			loads.Add(1)
			close(begun)
			for range 1000 { // so that the others come meanwhile
				runtime.Gosched()
			}
			return picture{pixels: []uint8{7}}, want
		}
		readers.Go(func() { _, _ = c.get(cacheKey{}, load) })
		<-begun
		c.mutex.Lock() // until all wait, no decoding ends
		var waiting atomic.Int64
		for range 8 {
			readers.Go(func() {
				waiting.Add(1)
				found, err := c.get(cacheKey{}, func() (picture, error) { loads.Add(1); return picture{pixels: []uint8{7}}, want })
				if !errors.Is(err, want) || want == nil && found.pixels[0] != 7 {
					t.Errorf("found %v, %v, expected error %v", found.pixels, err, want)
				}
			})
		}
		for waiting.Load() < 8 {
			runtime.Gosched()
		}
		c.mutex.Unlock()
		readers.Wait()
		if want == nil && loads.Load() != 1 {
			t.Errorf("the picture was loaded %d times, expected once", loads.Load())
		}
		if len(c.loading) != 0 || want != nil && len(c.entries) != 0 {
			t.Errorf("after error %v the cache has %d pictures and loads %d", want, len(c.entries), len(c.loading))
		}
	}
	// A panic of a decoder leaves nobody waiting.
	func() {
		defer func() { _ = recover() }()
		_, _ = c.get(cacheKey{n: 1}, func() (picture, error) { panic("broken") })
	}()
	if c.readTest(t, 1, 5) != true {
		t.Error("a picture whose decoding panicked is in the cache")
	}
}
