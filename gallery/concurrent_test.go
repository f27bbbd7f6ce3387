package gallery_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/testutil"
)

// Images are identified while others are enrolled and forgotten. A class that is never
// changed is always found.
func TestIdentifyWhileEnrolling(t *testing.T) {
	for _, rule := range []gallery.Rule{gallery.Nearest, gallery.Prototype} {
		g := create(t, plainModel(t, heads.L2{}, 3), gallery.Options{Rule: rule})
		enroll(t, g, "always", grays(1, 2, 3))
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
					found, err := g.Identify(grays(1, 2, 3), 2)
					if err != nil || found.Candidates[0].Class != "always" {
						t.Errorf("found %+v, %v", found, err)
						return
					}
					if _, err := g.Verify("always", grays(9, 9, 9)); err != nil {
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
					if err := g.Enroll(class, grays(100+10*w, 50+5*i, 200)); err != nil {
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

// Of concurrent calls of OpenOrCreate one creates the gallery, the others wait for it, and
// all of their examples are kept. Some creators discard it again, as the command-line tool
// does after an image that cannot be read.
func TestConcurrentFirstEnrollments(t *testing.T) {
	const rounds, each = 3, 6
	model := plainModel(t, heads.L1{}, 1)
	for range rounds {
		path := testutil.NewGallery(t, t.TempDir(), "test.gallery")
		var all sync.WaitGroup
		for i := range byte(each) {
			all.Go(func() {
				g, created, err := gallery.OpenOrCreate(t.Context(), path, model, gallery.Options{Timeout: time.Hour})
				if err != nil {
					t.Error(err)
					return
				}
				if created && i%2 == 0 {
					empty := g.Len() == 0 // another may have been faster
					// In PostgreSQL others may have it open, and it is not removed then.
					if removed, err := g.Discard(); err != nil || removed && !empty || !removed && empty && !testutil.InPostgres() {
						t.Errorf("discard: removed %v, %v", removed, err)
					}
					if g, _, err = gallery.OpenOrCreate(t.Context(), path, model, gallery.Options{Timeout: time.Hour}); err != nil {
						t.Error(err)
						return
					}
				}
				if err := g.Enroll(fmt.Sprint("class ", i), grays(i)); err != nil {
					t.Error(err)
				}
				if err := g.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		g, created, err := gallery.OpenOrCreate(t.Context(), path, model, gallery.Options{})
		if err != nil || created {
			t.Fatalf("created %v, %v", created, err)
		}
		if len(g.Classes()) != each {
			t.Errorf("found %v, want %d classes", g.Classes(), each)
		}
		closeGallery(t, g)
	}
}

// The same with processes instead of goroutines.
func TestFirstEnrollmentsOfProcesses(t *testing.T) {
	path := testutil.NewGallery(t, t.TempDir(), "test.gallery")
	var all sync.WaitGroup
	const processes = 4
	for i := range processes {
		all.Go(func() {
			child := exec.Command(os.Args[0], "-test.run=^TestChildEnrollsFirst$", "-test.v")
			child.Env = append(os.Environ(), childVariable+"="+path, "LIKENESS_GALLERY_CLASS="+fmt.Sprint("class ", i))
			if output, err := child.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, output)
			}
		})
	}
	all.Wait()
	g, err := gallery.Open(path, plainModel(t, heads.L2{}, 3), gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeGallery(t, g)
	if len(g.Classes()) != processes || g.Len() != processes {
		t.Errorf("found %v", g.Classes())
	}
}

// TestChildEnrollsFirst is the program of a child process of TestFirstEnrollmentsOfProcesses.
func TestChildEnrollsFirst(t *testing.T) {
	path, class := os.Getenv(childVariable), os.Getenv("LIKENESS_GALLERY_CLASS")
	if class == "" {
		t.Skip("it is run by TestFirstEnrollmentsOfProcesses")
	}
	g, _, err := gallery.OpenOrCreate(t.Context(), path, plainModel(t, heads.L2{}, 3), gallery.Options{Timeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	enroll(t, g, class, grays(1, 2, 3))
	closeGallery(t, g)
}

// Waiting ends with the context, and a gallery with examples is not discarded.
func TestWaitingEnds(t *testing.T) {
	testutil.NeedFile(t)
	g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{})
	enroll(t, g, "a", grays(1))
	waiting, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, _, err := gallery.OpenOrCreate(waiting, g.Path(), g.Model(), gallery.Options{Timeout: time.Hour})
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), g.Path()) {
		t.Errorf("found error %v", err)
	}
	if _, err := gallery.DescribeWithin(t.Context(), g.Path(), time.Nanosecond); !errors.Is(err, gallery.ErrLocked) {
		t.Errorf("found error %v", err)
	}
	if removed, err := g.Discard(); removed || err != nil {
		t.Errorf("removed %v, %v", removed, err)
	}
	if d, err := gallery.Describe(g.Path()); err != nil || d.Rule != gallery.Nearest {
		t.Errorf("found %v, %v", d, err)
	}
}

// A process that waited for a gallery does not enroll in it if it was removed meanwhile.
func TestGalleryRemovedWhileOthersWait(t *testing.T) {
	testutil.NeedFile(t) // in PostgreSQL nobody waits
	for range 8 {
		model := plainModel(t, heads.L1{}, 1)
		first := create(t, model, gallery.Options{})
		begun, done := make(chan struct{}), make(chan error)
		go func() {
			close(begun)
			g, _, err := gallery.OpenOrCreate(t.Context(), first.Path(), model, gallery.Options{Timeout: time.Hour})
			if err == nil {
				err = errors.Join(g.Enroll("a", grays(1)), g.Close())
			}
			done <- err
		}()
		<-begun
		if _, err := first.Discard(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		g, err := gallery.Open(first.Path(), model, gallery.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if g.Len() != 1 {
			t.Errorf("found %d examples, want 1", g.Len())
		}
		closeGallery(t, g)
	}
}
