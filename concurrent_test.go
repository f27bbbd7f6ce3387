package likeness_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/heads"
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
	views := map[string]likeness.Views{"symmetries": {Symmetries: true}, "places": {Affine: true}}
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
					return m.EmbedViews(v, [][]uint8{m.Preprocessing.Pixels(images[1])})
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
