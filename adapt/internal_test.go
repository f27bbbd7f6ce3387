package adapt

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/onnx"
	"gonum.org/v1/gonum/mat"
)

// noisy are embeddings of classes with random means: features 0 and 1 vary within classes by
// a standard deviation of noise, the others by 0.5.
func noisy(classes, each, columns int, noise float64, seed uint64) evaluate.Labeled {
	r := random.New(seed, "noisy")
	set := evaluate.Labeled{Embeddings: evaluate.Embeddings{Rows: classes * each, Columns: columns}}
	for class := range classes {
		mean := make([]float64, columns)
		for j := range mean {
			mean[j] = 5 + r.NormFloat64()
		}
		for range each {
			for j, m := range mean {
				deviation := 0.5
				if j < 2 {
					deviation = noise
				}
				set.Data = append(set.Data, float32(m+deviation*r.NormFloat64()))
			}
			set.Labels = append(set.Labels, class)
		}
	}
	return set
}

func newFitter(t *testing.T, set evaluate.Labeled, o Options) *fitter {
	t.Helper()
	cosine, err := heads.Cosine{}.Distance(nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &fitter{Options: o, ctx: context.Background(), metric: cosine, cosine: cosine, set: set}
	if err := f.divide(); err != nil {
		t.Fatal(err)
	}
	f.scatter()
	return f
}

// The scatter is that of a naive sum, and W satisfies W(Σ + λ tr(Σ)/d I)Wᵀ = c I with the c
// that keeps the mean scale. The mean is mapped to zero.
func TestWhitening(t *testing.T) {
	const columns, lambda = 5, 0.3
	set := noisy(7, 6, columns, 3, 1)
	f := newFitter(t, set, Options{})
	m := f.outside(&fold{})
	mean := make([]float64, columns)
	within := mat.NewSymDense(columns, nil)
	for class := range 7 {
		own := make([]float64, columns)
		for i := class * 6; i < class*6+6; i++ {
			for j, v := range set.Row(i) {
				own[j] += float64(v) / 6
				mean[j] += float64(v) / 42
			}
		}
		for i := class * 6; i < class*6+6; i++ {
			for j, v := range set.Row(i) {
				for k := j; k < columns; k++ {
					within.SetSym(j, k, within.At(j, k)+(float64(v)-own[j])*(float64(set.Row(i)[k])-own[k])/(42-7))
				}
			}
		}
	}
	for j := range columns {
		for k := j; k < columns; k++ {
			if found, want := m.scatter[j*columns+k]/(42-7), within.At(j, k); math.Abs(found-want) > 1e-9 {
				t.Errorf("covariance %d, %d: found %v, expected %v", j, k, found, want)
			}
		}
	}
	whitening, err := m.whitening(lambda)
	if err != nil {
		t.Fatal(err)
	}
	variance := mat.Trace(within) / columns
	for j := range columns {
		within.SetSym(j, j, within.At(j, j)+lambda*variance)
	}
	w := widened(columns, columns, whitening.weights[0])
	var white, at mat.Dense
	white.Product(w, within, w.T())
	at.Mul(w, mat.NewDense(columns, 1, mean))
	for j := range columns {
		for k := range columns {
			want := 0.0
			if j == k {
				want = variance * (1 + lambda)
			}
			if found := white.At(j, k); math.Abs(found-want) > 1e-5*variance {
				t.Errorf("whitened covariance %d, %d: found %v, expected %v", j, k, found, want)
			}
		}
		if moved := at.At(j, 0) + float64(whitening.weights[1][j]); math.Abs(moved) > 1e-5 {
			t.Errorf("feature %d of the mean: found %v, expected 0", j, moved)
		}
	}
}

// The moments outside of a fold are those of the classes of the other folds alone.
func TestFoldsAreHeldOut(t *testing.T) {
	set := noisy(12, 4, 3, 1, 2)
	f := newFitter(t, set, Options{Seed: 3})
	seen := map[int]int{}
	for _, fold := range f.folds {
		if len(fold.classes) != 4 || fold.held.Rows != 16 {
			t.Errorf("found %d classes and %d held-out embeddings, expected 4 and 16", len(fold.classes), fold.held.Rows)
		}
		for _, class := range fold.classes {
			seen[class]++
		}
		before := f.outside(fold).trace()
		for _, class := range fold.classes { // are changed, which must not matter
			for _, row := range f.classes[class] {
				set.Row(row)[0] += float32(100 * row)
			}
		}
		f.scatter()
		if after := f.outside(fold).trace(); after != before {
			t.Errorf("found the trace %v outside of a fold, and %v after its classes changed", before, after)
		}
	}
	for class := range 12 {
		if seen[class] != 1 {
			t.Errorf("class %d is in %d folds, expected 1", class, seen[class])
		}
	}
}

// Subspace iteration finds the leading eigenvectors of a matrix of known ones, also where
// the rank is smaller than the subspace.
func TestLeading(t *testing.T) {
	const d = 40
	r := random.New(1, "leading")
	basis := mat.NewDense(d, d, nil)
	for i := range d {
		drawDirection(basis.RawRowView(i), r)
	}
	orthonormalize(basis, r)
	for name, values := range map[string]func(i int) float64{
		"decaying": func(i int) float64 { return math.Pow(0.7, float64(i)) },
		"rank 3":   func(i int) float64 { return max(0, 3-float64(i)) },
	} {
		m := mat.NewSymDense(d, nil)
		for i := range d {
			m.SymRankOne(m, values(i), basis.RowView(i))
		}
		found, err := leading(m, 3, random.New(2, "leading"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 { // the last row is the largest
			if along := math.Abs(mat.Dot(found.RowView(2-i), basis.RowView(i))); math.Abs(along-1) > 1e-6 {
				t.Errorf("%s: the cosine of vector %d and the true one is %v, expected 1", name, i, along)
			}
		}
	}
}

// A head improves a whitening that is far too weak, and the model with it computes, is
// saved, loaded and exported as the layers say. Both kinds are measured on held-out classes.
func TestHeads(t *testing.T) {
	set := noisy(30, 8, 16, 3, 4)
	f := newFitter(t, set, Options{Seed: 1})
	frozen, err := f.measure(Candidate{Method: Frozen, Features: 16}, [folds][]layer{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var layers [folds][]layer
	for i, fold := range f.folds {
		whitening, err := f.outside(fold).whitening(1e6) // leaves everything but the mean
		if err != nil {
			t.Fatal(err)
		}
		layers[i] = []layer{whitening}
	}
	weak, err := f.measure(Candidate{Method: Whitened, Shrinkage: 1e6, Features: 16}, layers, frozen)
	if err != nil {
		t.Fatal(err)
	}
	network, err := backbone.Parse(testutil.TinyNetwork, "tiny.toml")
	if err != nil {
		t.Fatal(err)
	}
	model, err := likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: network.Size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []Method{LinearHead, TwoLayerHead} {
		trained, err := f.tryHead(method, weak, frozen)
		if err != nil {
			t.Fatal(err)
		}
		if trained == nil || trained.MAPAtR.Value <= weak.MAPAtR.Value {
			t.Errorf("%s: found %v, expected a larger MAP@R than %v", method, trained, weak.MAPAtR)
		}
		small := newFitter(t, noisy(9, 4, 4, 1, 5), Options{Seed: 1})
		final, err := small.final(Candidate{Method: method, Shrinkage: 1, Features: 4})
		if err != nil {
			t.Fatal(err)
		}
		if len(final) != 2 || !slices.ContainsFunc(final[1].weights[1], func(v float32) bool { return v != 0 }) {
			t.Fatalf("%s: found %d layers, expected a whitening and a head that is trained", method, len(final))
		}
		a := &Adaptation{columns: 4, layers: final, Threshold: 0.5, Chosen: Candidate{Method: method}}
		adapted, err := a.Model(model)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "adapted.safetensors")
		if err := adapted.Save(path); err != nil {
			t.Fatal(err)
		}
		loaded, err := likeness.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		pixels := make([][]uint8, 3)
		for i := range pixels {
			for range network.Size.Len() {
				pixels[i] = append(pixels[i], uint8(37*len(pixels[i])*(i+1)))
			}
		}
		before, err := model.EmbedAll(likeness.Pixels(pixels), nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := a.Apply(before)
		if err != nil {
			t.Fatal(err)
		}
		found, err := loaded.EmbedAll(likeness.Pixels(pixels), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range found.Data {
			if math.Abs(float64(v-want.Data[i])) > 1e-5 {
				t.Errorf("%s: value %d of the embeddings: found %v, expected %v", method, i, v, want.Data[i])
			}
		}
		if _, err := onnx.Network(loaded); err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
}
