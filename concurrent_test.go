package likeness_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/testutil"
	"go.uber.org/goleak"
)

// What many goroutines ask of one model at once, and of different models, is bit for
// bit what each would get alone. The models are new, so that their graphs are built
// meanwhile, too.
func TestManyGoroutines(t *testing.T) {
	images := pictures(12)
	asked := map[string]func(m *likeness.Model) (any, error){
		"identity": func(m *likeness.Model) (any, error) { return m.Identity() },
		"together": func(m *likeness.Model) (any, error) { return m.Embed(images...) },
	}
	for i, img := range images {
		asked[fmt.Sprint("embed ", i)] = func(m *likeness.Model) (any, error) { return m.Embed(img) }
		asked[fmt.Sprint("compare ", i)] = func(m *likeness.Model) (any, error) { return m.Compare(img, images[0]) }
	}
	views := map[string]likeness.TTA{"symmetries": {Symmetries: true}, "places": {Affine: true}}
	var asking sync.WaitGroup
	defer asking.Wait()
	for _, head := range []heads.Head{heads.Cosine{}, heads.L2{}, heads.WeightedL1{}} {
		ofHead := map[string]func(m *likeness.Model) (any, error){}
		for name, ask := range asked {
			ofHead[name] = ask
		}
		for name, v := range views {
			if head.Name() == "cosine" { // the only one that has views
				ofHead[name] = func(m *likeness.Model) (any, error) {
					return m.EmbedTTA(v, [][]uint8{m.Preprocessing.Pixels(images[1])})
				}
			}
		}
		alone, shared := newModel(t, head), newModel(t, head)
		for name, ask := range ofHead {
			want, err := ask(alone)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				asking.Go(func() {
					found, err := ask(shared)
					if diff := cmp.Diff(want, found); err != nil || diff != "" {
						t.Errorf("%s, %s: %v (-alone +at once):\n%s", head.Name(), name, err, diff)
					}
				})
			}
		}
	}
}

// A model that many goroutines used at once has few programs, and leaves no
// goroutine when it is dropped.
func TestDroppedModelLeavesNoGoroutine(t *testing.T) {
	before := goleak.IgnoreCurrent()
	func() {
		model := newModel(t, heads.L2{})
		var asking sync.WaitGroup
		for i := range 64 {
			asking.Go(func() {
				if _, err := model.Embed(pictures(1 + i%40)...); err != nil {
					t.Error(err)
				}
			})
		}
		asking.Wait()
	}()
	testutil.VerifyGoroutines(t, before)
}

// Close frees what a model keeps, more than once and while it is used, and the
// model goes on as before.
func TestCloseModel(t *testing.T) {
	before := goleak.IgnoreCurrent()
	model := newModel(t, heads.L2{})
	want, err := model.Embed(pictures(9)...)
	if err != nil {
		t.Fatal(err)
	}
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			found, err := model.Embed(pictures(9)...)
			if diff := cmp.Diff(want, found); err != nil || diff != "" {
				t.Errorf("%v (-before +after):\n%s", err, diff)
			}
			if err := model.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	for range 2 {
		if err := model.Close(); err != nil {
			t.Error(err)
		}
	}
	testutil.VerifyGoroutines(t, before)
	if found, err := model.Embed(pictures(9)...); err != nil || cmp.Diff(want, found) != "" {
		t.Errorf("after Close: found %v, %v", found, err)
	}
}

// Weights that are put into a model are those that it embeds with from then on.
func TestWeightsThatAreExchanged(t *testing.T) {
	model, other := newModel(t, heads.L2{}), newModel(t, heads.L2{})
	gradcheck.Perturb(other.Weights, "other")
	want, err := other.Embed(picture(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := model.Embed(picture(1)); err != nil {
		t.Fatal(err)
	}
	model.Weights = other.Weights
	found, err := model.Embed(picture(1))
	if diff := cmp.Diff(want, found); err != nil || diff != "" {
		t.Errorf("%v (-want +found):\n%s", err, diff)
	}
}
