package likeness

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
)

// However many images, less than half of what is computed for more than one is
// padding, and each batch has one of the sizes.
func TestBatchFor(t *testing.T) {
	for n := 1; n <= 300; n++ {
		var batches []int
		computed := 0
		for left := n; left > 0; left -= batches[len(batches)-1] {
			batch := batchFor(left, 784)
			batches, computed = append(batches, batch), computed+batch
			if batch != 1 && batch != 8 && batch != 64 {
				t.Fatalf("%d images: found batches of %v", n, batches)
			}
		}
		if computed >= 2*n {
			t.Errorf("%d images: found batches of %v", n, batches)
		}
	}
	if large := batchFor(300, 224*224*3); large != 8 {
		t.Errorf("300 photographs: found batches of %d, expected 8", large)
	}
	for n, want := range map[int]string{1: "[1]", 2: "[1 1]", 5: "[8]", 8: "[8]", 9: "[8 1]", 16: "[8 8]", 33: "[64]", 64: "[64]", 65: "[64 1]", 70: "[64 8]"} {
		var batches []int
		for left := n; left > 0; left -= batches[len(batches)-1] {
			batches = append(batches, batchFor(left, 784))
		}
		if found := fmt.Sprint(batches); found != want {
			t.Errorf("%d images: found batches of %s, expected %s", n, found, want)
		}
	}
}

// slow is a backbone whose graphs are built only when all callers that it waits for
// have come, which a lock around building would never let happen.
type slow struct {
	mutex   sync.Mutex
	waiting int
	all     chan struct{}
}

func (*slow) Input() imaging.Size { return imaging.Size{Height: 2, Width: 2, Channels: 1} }
func (s *slow) Embed(b *graph.Builder, images *graph.Node) *graph.Node {
	if s.all != nil {
		s.mutex.Lock()
		if s.waiting--; s.waiting == 0 {
			close(s.all)
		}
		s.mutex.Unlock()
		<-s.all
	}
	return b.Sequence([]graph.Block{graph.Flatten{}, graph.Linear{Units: 2}}, images)
}

// Graphs of two callers are built at once, and graphs of several batch sizes.
func TestProgramsAreBuiltWithoutTheLock(t *testing.T) {
	own := &slow{}
	m, err := New(own, heads.L2{}, imaging.Preprocessing{Size: own.Input()}, 1)
	if err != nil {
		t.Fatal(err)
	}
	own.waiting, own.all = 4, make(chan struct{})
	var callers sync.WaitGroup
	for _, images := range []int{1, 1, 8, 64} {
		callers.Go(func() {
			pixels := make([][]uint8, images)
			for i := range pixels {
				pixels[i] = make([]uint8, 4)
			}
			if _, err := m.EmbedPixels(pixels); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
}

// However many callers, a model has only so many programs of each batch size.
func TestProgramsAreFew(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(5))
	m := smallModel(t, heads.L2{})
	var callers sync.WaitGroup
	for i := range 64 {
		callers.Go(func() {
			for range 3 {
				pixels := make([][]uint8, []int{1, 8, 64}[i%3])
				for i := range pixels {
					pixels[i] = make([]uint8, 4)
				}
				if _, err := m.EmbedPixels(pixels); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	for batch, most := range map[int]int{1: 5, 8: 2, 64: 2} {
		if found := len(m.programs.pools[batch].idle); found < 1 || found > most {
			t.Errorf("batches of %d: found %d programs, expected at most %d", batch, found, most)
		}
	}
	if len(m.programs.pools) != 3 {
		t.Errorf("found %d batch sizes, expected 3", len(m.programs.pools))
	}
}

// A program that cannot be built keeps no place.
func TestFailedBuildsKeepNoPlace(t *testing.T) {
	m := smallModel(t, heads.L2{})
	good := m.Backbone
	m.Backbone = backbone.Network{Size: m.Preprocessing.Size}
	for range 10 {
		if _, err := m.EmbedPixels([][]uint8{make([]uint8, 4)}); err == nil {
			t.Fatal("found no error")
		}
	}
	m.Backbone = good
	if _, err := m.EmbedPixels([][]uint8{make([]uint8, 4)}); err != nil {
		t.Error(err)
	}
}
