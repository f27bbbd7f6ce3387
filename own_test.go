package likeness_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/onnx"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
)

// far is a head as a user may write it, with any name: a thousand times the
// Manhattan distance.
type far struct{ name string }

func (h far) Name() string { return h.name }

func (far) Paired(b *graph.Builder, x, y *graph.Node) *graph.Node {
	return thousandfold(b, heads.L1{}.Paired(b, x, y))
}

func (far) Pairwise(b *graph.Builder, x, y *graph.Node) *graph.Node {
	return thousandfold(b, heads.L1{}.Pairwise(b, x, y))
}

func (far) Properties() heads.Properties { return heads.Properties{Metric: true, Sums: true} }

func (h far) Distance(*graph.Weights) (heads.Distance, error) {
	l1, err := heads.L1{}.Distance(nil)
	if err != nil {
		return nil, err
	}
	return heads.FromFunc(h.name, func(x, y []float32) float64 { return 1000 * l1.Between(x, y) })
}

func thousandfold(b *graph.Builder, x *graph.Node) *graph.Node {
	return b.Apply("thousandfold", x.Shape().Clone(), scale[float32]{1000}, scale[float64]{1000}, x)
}

// wrapped is a head of package heads in a user-defined type, who might have changed any
// of its methods.
type wrapped struct{ heads.L2 }

type scale[T graph.Float] struct{ factor T }

func (s scale[T]) Forward(y []T, x ...[]T) {
	for i, v := range x[0] {
		y[i] = s.factor * v
	}
}

func (s scale[T]) Backward(dx, _ [][]T, _, dy []T) {
	for i, v := range dy {
		dx[0][i] = s.factor * v
	}
}

// A user-defined head is not taken for one of package heads, whatever its name: a file
// marks it, Load refuses it and names LoadWith, and LoadWith gives the same distances as
// before.
func TestOwnHead(t *testing.T) {
	for _, head := range []heads.Head{far{"l2"}, far{"far"}, far{"cosine"}, far{""}, far{"own:l2"}, wrapped{}} {
		model := newModel(t, head)
		want, err := model.Compare(picture(1), picture(2))
		if err != nil {
			t.Fatal(err)
		}
		path := saved(t, model)
		if _, err := likeness.Load(path); !errors.Is(err, likeness.ErrOwnHead) || !strings.Contains(err.Error(), "LoadWith") || !strings.Contains(err.Error(), path) {
			t.Errorf("%#v: Load gives %v, expected ErrOwnHead that names LoadWith and the file", head, err)
		}
		loaded, err := likeness.LoadWith(path, nil, likeness.WithHead(head))
		if err != nil {
			t.Fatalf("%#v: %v", head, err)
		}
		if found, err := loaded.Compare(picture(1), picture(2)); err != nil || found != want {
			t.Errorf("%#v: found %+v (%v), expected %+v", head, found, err, want)
		}
		if identityOf(t, loaded) != identityOf(t, model) {
			t.Errorf("%#v: the identity has changed", head)
		}
		if again := saved(t, loaded); read(t, again) != read(t, path) {
			t.Errorf("%#v: the file of the loaded model differs", head)
		}
		if _, err := likeness.LoadWith(path, nil, likeness.WithHead(far{"another"})); err == nil || !strings.Contains(err.Error(), `"another"`) {
			t.Errorf("%#v: with another head: found %v", head, err)
		}
	}
	// The head of a file may be given though it need not be.
	path := saved(t, newModel(t, heads.L2{}))
	if _, err := likeness.LoadWith(path, nil, likeness.WithHead(heads.L2{})); err != nil {
		t.Error(err)
	}
	if _, err := likeness.LoadWith(path, nil, likeness.WithHead(nil), nil); err != nil {
		t.Error(err)
	}
	// One of the same name that is another head is not it.
	if _, err := likeness.LoadWith(path, nil, likeness.WithHead(far{"l2"})); err == nil || !strings.Contains(err.Error(), "another head of the same name") {
		t.Errorf("a user-defined head for a built-in one: found %v", err)
	}
	path = saved(t, newModel(t, far{"l2"}))
	if _, err := likeness.LoadWith(path, nil, likeness.WithHead(heads.L2{})); err == nil || !strings.Contains(err.Error(), "another head of the same name") {
		t.Errorf("a built-in head for a user-defined one: found %v", err)
	}
}

// A network that is given to LoadWith must be that of the file.
func TestLoadWithAnotherNetwork(t *testing.T) {
	network := func(function string) backbone.Network {
		return backbone.Network{
			Name: "of " + function, Size: imaging.Size{Height: 4, Width: 4, Channels: 1},
			Blocks: []graph.Block{graph.Flatten{}, graph.Linear{Units: 3, Activation: function}},
		}
	}
	model, err := likeness.New(network("relu"), heads.L2{}, imaging.Preprocessing{Size: network("relu").Size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	path := saved(t, model)
	if _, err := likeness.LoadWith(path, network("tanh")); err == nil || !strings.Contains(err.Error(), "other blocks") {
		t.Errorf("another activation: found %v", err)
	}
	if _, err := likeness.LoadWith(path, network("relu")); err != nil {
		t.Errorf("the same network: %v", err)
	}
}

// A user-defined backbone and a user-defined head.
func TestOwnBackboneAndHead(t *testing.T) {
	model, err := likeness.New(ownBackbone{}, far{"l2"}, imaging.Preprocessing{Size: size}, 2)
	if err != nil {
		t.Fatal(err)
	}
	path := saved(t, model)
	if _, err := likeness.Load(path); !errors.Is(err, likeness.ErrOwnBackbone) {
		t.Errorf("Load: found %v", err)
	}
	if _, err := likeness.LoadWith(path, ownBackbone{}); !errors.Is(err, likeness.ErrOwnHead) {
		t.Errorf("LoadWith without a head: found %v", err)
	}
	loaded, err := likeness.LoadWith(path, ownBackbone{}, likeness.WithHead(far{"l2"}))
	if err != nil {
		t.Fatal(err)
	}
	if identityOf(t, loaded) != identityOf(t, model) {
		t.Error("the identity has changed")
	}
}

// A pointer to a head of package heads is that head.
func TestPointerToAHead(t *testing.T) {
	path := saved(t, newModel(t, &heads.WeightedL1{Signed: true}))
	loaded, err := likeness.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Head != (heads.WeightedL1{Signed: true}) {
		t.Errorf("found the head %#v", loaded.Head)
	}
}

// What depends on the distance of a head does not depend on its name: identity, metric,
// views, gallery, ONNX and objectives.
func TestOwnHeadIsTakenForNoOther(t *testing.T) {
	for _, name := range heads.Names {
		builtin, err := heads.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		theirs, ours := newModel(t, builtin), newModel(t, far{name})
		if identityOf(t, theirs).Checksum == identityOf(t, ours).Checksum {
			t.Errorf("%s: a user-defined head has the identity of the one of package heads", name)
		}
		path := filepath.Join(t.TempDir(), "gallery")
		known, err := gallery.Create(path, theirs, gallery.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := known.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := gallery.Open(path, ours, gallery.Options{}); !errors.Is(err, gallery.ErrModel) {
			t.Errorf("%s: another's gallery: found %v", name, err)
		}
		checkGallery(t, ours)
		if _, err := onnx.Head(ours); err == nil || !strings.Contains(err.Error(), "likeness_test.far") {
			t.Errorf("%s: ONNX: found %v", name, err)
		}
		if _, err := ours.EmbedTTA(likeness.TTA{Affine: true}, nil); err == nil || !strings.Contains(err.Error(), "own:"+name) {
			t.Errorf("%s: views: found %v", name, err)
		}
		if err := (objectives.Prototypical{Temperature: 1}).Check(far{name}); err == nil {
			t.Errorf("%s: prototypical: found no error", name)
		}
		if err := (objectives.Contrastive{Margin: 100}).Check(far{name}); err != nil {
			t.Errorf("%s: contrastive: %v", name, err)
		}
	}
}

// checkGallery compares what a gallery finds with what the model says.
func checkGallery(t *testing.T, model *likeness.Model) {
	t.Helper()
	g, err := gallery.Create(filepath.Join(t.TempDir(), "gallery"), model, gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for i := range 12 {
		if err := g.Enroll(string(rune('a'+i)), picture(uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	found, err := g.Identify(picture(100), 12)
	if err != nil || len(found.Candidates) != 12 {
		t.Fatalf("found %+v, %v", found, err)
	}
	for _, candidate := range found.Candidates {
		want, err := model.Compare(picture(100), picture(uint64(candidate.Class[0]-'a')))
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(candidate.Distance-want.Distance) > 1e-3*want.Distance {
			t.Errorf("%s: found the distance %v, expected %v", candidate.Class, candidate.Distance, want.Distance)
		}
	}
}

// Save refuses what could not be loaded, and leaves the earlier file.
func TestSaveRefusesWhatCannotBeLoaded(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*likeness.Model)
		want   string
	}{
		"float64": {func(m *likeness.Model) { m.Weights = m.Weights.Convert(graph.Float64) }, "found elements of type []float64"},
		"a weight of an objective outside head": {func(m *likeness.Model) {
			if err := m.Weights.Add("proxies", graph.Kernel, []int{2}, make([]float64, 2)); err != nil {
				t.Fatal(err)
			}
		}, `weight "proxies" is not part of the network`},
		"weights of another network":      {func(m *likeness.Model) { m.Weights = graph.NewWeights(graph.Float32, 1) }, "is missing"},
		"a head that needs other weights": {func(m *likeness.Model) { m.Head = heads.WeightedL1{} }, `weight "head.weight" is missing`},
	} {
		model := newModel(t, heads.L2{})
		path := saved(t, model)
		before := read(t, path)
		test.change(model)
		if err := model.Save(path); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: found %v, expected %q and the file", name, err, test.want)
		}
		if read(t, path) != before {
			t.Errorf("%s: the earlier file has changed", name)
		}
	}
}

// The trainable weights of a loss are not part of the model: they change neither its
// file nor its identity, whatever they hold.
func TestSaveLeavesOutWeightsOfALoss(t *testing.T) {
	model := newModel(t, heads.L2{})
	path := saved(t, model)
	before, identity := read(t, path), identityOf(t, model)
	if err := model.Weights.Add(objectives.WeightPrefix+"proxies", graph.Kernel, []int{2}, []float64{1, math.NaN()}); err != nil {
		t.Fatal(err)
	}
	if err := model.Save(path); err != nil {
		t.Fatal(err)
	}
	if read(t, path) != before || identityOf(t, model) != identity {
		t.Error("a weight of a loss changed the model's file or identity")
	}
}

// ownBlock is a block as a user may write it.
type ownBlock struct{}

func (ownBlock) Kind() string                                             { return "own" }
func (ownBlock) Apply(_ *graph.Builder, _ int, x *graph.Node) *graph.Node { return x }

// A network with a user-defined block is saved, and loaded by LoadWith.
func TestOwnBlock(t *testing.T) {
	network := backbone.Network{Name: "own block", Size: size, Blocks: []graph.Block{
		graph.Residual{Body: []graph.Block{ownBlock{}}, Activation: "relu"}, graph.Flatten{}, ownBlock{}, graph.Linear{Units: 3},
	}}
	model, err := likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: size}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := model.CheckSave(); err != nil {
		t.Error(err)
	}
	want, err := model.Compare(picture(1), picture(2))
	if err != nil {
		t.Fatal(err)
	}
	path := saved(t, model)
	if _, err := likeness.Load(path); !errors.Is(err, likeness.ErrOwnBackbone) {
		t.Errorf("Load: found %v, expected ErrOwnBackbone", err)
	}
	loaded, err := likeness.LoadWith(path, network)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := loaded.Compare(picture(1), picture(2)); err != nil || found != want {
		t.Errorf("found %+v (%v), expected %+v", found, err, want)
	}
	if identityOf(t, loaded) != identityOf(t, model) {
		t.Error("the identity has changed")
	}
	other := network
	other.Blocks = append(network.Blocks[:3:3], graph.Linear{Units: 4})
	if _, err := likeness.LoadWith(path, other); err == nil || !strings.Contains(err.Error(), `weight "linear1.bias"`) {
		t.Errorf("another network: found %v", err)
	}
}

// CheckSave says before a training what Save would say after it.
func TestCheckSave(t *testing.T) {
	model := newModel(t, heads.L2{})
	if err := model.CheckSave(); err != nil {
		t.Error(err)
	}
	if err := model.Weights.Add("proxies", graph.Kernel, []int{2}, make([]float64, 2)); err != nil {
		t.Fatal(err)
	}
	if err := model.CheckSave(); err == nil || !strings.Contains(err.Error(), `weight "proxies" is not part of the network`) {
		t.Errorf("found %v", err)
	}
}

// squared is a user-defined block: x², or x with Plain.
type squared struct{ Plain bool }

func (squared) Kind() string { return "squared" }

func (s squared) Apply(b *graph.Builder, number int, x *graph.Node) *graph.Node {
	if s.Plain {
		return x
	}
	return b.Node(gorgonia.Square(x))
}

// A backbone with the weights of the file that computes something else is refused.
func TestLoadWithOtherBackbone(t *testing.T) {
	network := func(block graph.Block) backbone.Network {
		return backbone.Network{Name: "own", Size: size, Blocks: []graph.Block{graph.Flatten{}, graph.Linear{Units: 3}, block}}
	}
	model, err := likeness.New(network(squared{}), heads.L2{}, imaging.Preprocessing{Size: size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	path := saved(t, model)
	if _, err := likeness.LoadWith(path, network(squared{})); err != nil {
		t.Errorf("the network of the file: found error %v", err)
	}
	if _, err := likeness.LoadWith(path, network(squared{Plain: true})); !errors.Is(err, likeness.ErrOtherBackbone) || !strings.Contains(err.Error(), path) {
		t.Errorf("another network: found error %v, expected ErrOtherBackbone with the file", err)
	}
}
