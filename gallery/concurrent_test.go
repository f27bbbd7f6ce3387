package gallery_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
)

// Images are identified while others are enrolled and forgotten. Whoever was there
// from the beginning is found at any time.
func TestIdentifyWhileEnrolling(t *testing.T) {
	for _, rule := range []gallery.Rule{gallery.Nearest, gallery.Prototype} {
		g := create(t, plainModel(t, heads.L2{}, 3), gallery.Options{Rule: rule})
		enroll(t, g, "always", greys(1, 2, 3))
		var writers, readers sync.WaitGroup
		done := make(chan struct{})
		for range 3 {
			readers.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					found, err := g.Identify(greys(1, 2, 3), 2)
					if err != nil || found.Candidates[0].Class != "always" {
						t.Errorf("found %+v, %v", found, err)
						return
					}
					if _, err := g.Verify("always", greys(9, 9, 9)); err != nil {
						t.Error(err)
						return
					}
					g.Classes()
				}
			})
		}
		for w := range uint8(3) {
			writers.Go(func() {
				for i := range uint8(20) {
					class := fmt.Sprintf("class %d of %d", i/2, w)
					if err := g.Enroll(class, greys(100+10*w, 50+5*i, 200)); err != nil {
						t.Error(err)
					}
					if i%4 == 3 {
						if _, err := g.Forget(class); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		writers.Wait()
		close(done)
		readers.Wait()
		if again := reopen(t, g, gallery.Options{}); again.Len() != 1+3*10 || len(again.Classes()) != 1+3*5 {
			t.Errorf("%d examples of %d classes are left, want 31 of 16", again.Len(), len(again.Classes()))
		}
	}
}
