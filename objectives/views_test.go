package objectives_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"gorgonia.org/tensor"
)

// ofViews are losses of two views of each image.
var ofViews = []objectives.Loss{
	objectives.SimCLR{Temperature: 0.5},
	objectives.VICReg{Invariance: 25, Variance: 25, Covariance: 1},
	objectives.VICReg{Covariance: 2},
	objectives.BarlowTwins{Redundancy: 0.1},
	objectives.Sum{{Weight: 0.5, Loss: objectives.KoLeo{}}, {Weight: 1, Loss: objectives.SimCLR{Temperature: 0.5}}},
}

// koLeoOfViews is KoLeo alone, in a sum whose other loss is 0.
var koLeoOfViews = objectives.Sum{{Weight: 1, Loss: objectives.KoLeo{}}, {Weight: 1, Loss: objectives.VICReg{}}}

// views are embeddings of two views of each image, one image in each row.
type views struct {
	rows, columns int
	of            [2][]float64
}

func drawViews(seed uint64, rows, columns int) views {
	r, v := random.New(seed, "views"), views{rows: rows, columns: columns}
	for i := range v.of {
		for range rows * columns {
			v.of[i] = append(v.of[i], float64(float32(r.NormFloat64())))
		}
	}
	return v
}

var viewNames = [2]string{"first", "second"}

func (v views) weights(t testing.TB, dtype tensor.Dtype) *graph.Weights {
	t.Helper()
	w := graph.NewWeights(dtype, 7)
	for i, name := range viewNames {
		if err := w.Add(name, graph.Bias, []int{v.rows, v.columns}, v.of[i]); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (v views) draw(o objectives.Loss, head heads.Head) func(b *graph.Builder) graph.Outputs {
	return func(b *graph.Builder) graph.Outputs {
		batch := objectives.Batch{Head: head}
		for _, name := range viewNames {
			batch.Embeddings = append(batch.Embeddings, b.Weight(name, graph.Bias, graph.Initializer{}, v.rows, v.columns))
		}
		return graph.Outputs{graph.Cost: o.Cost(b, batch)}
	}
}

func (v views) run(t testing.TB, o objectives.Loss, head heads.Head, dtype tensor.Dtype) result {
	t.Helper()
	return run(t, v.weights(t, dtype), nil, v.draw(o, head))
}

func (v views) at(view, row, column int) float64 { return v.of[view][row*v.columns+column] }

// naive is the loss by loops over views and features, as they stand in the equations.
func (v views) naive(o objectives.Loss) float64 {
	n, d := float64(v.rows), float64(v.columns)
	covariance := func(a, j, b, k int, divisor float64) (sum float64) {
		var meanA, meanB float64
		for i := range v.rows {
			meanA += v.at(a, i, j) / n
			meanB += v.at(b, i, k) / n
		}
		for i := range v.rows {
			sum += (v.at(a, i, j) - meanA) * (v.at(b, i, k) - meanB) / divisor
		}
		return sum
	}
	switch o := o.(type) {
	case objectives.Sum:
		return o[0].Weight*v.naive(o[0].Loss) + o[1].Weight*v.naive(o[1].Loss)
	case objectives.KoLeo:
		return (naiveKoLeo(v.of[0], v.columns) + naiveKoLeo(v.of[1], v.columns)) / 2
	case objectives.SimCLR:
		cosine := func(a, b int) float64 {
			var xy, xx, yy float64
			for k := range v.columns {
				x, y := v.at(a/v.rows, a%v.rows, k), v.at(b/v.rows, b%v.rows, k)
				xy, xx, yy = xy+x*y, xx+x*x, yy+y*y
			}
			return xy / math.Sqrt(xx*yy)
		}
		return meanOver(2*v.rows, func(a int) float64 {
			var sum float64
			for i := range 2 * v.rows {
				if i != a {
					sum += math.Exp(cosine(a, i) / o.Temperature)
				}
			}
			return -math.Log(math.Exp(cosine(a, (a+v.rows)%(2*v.rows))/o.Temperature) / sum)
		})
	case objectives.VICReg:
		var cost float64
		for i, x := range v.of[0] {
			cost += o.Invariance * math.Pow(x-v.of[1][i], 2) / (n * d)
		}
		for view := range 2 {
			for j := range v.columns {
				cost += o.Variance * max(0, 1-math.Sqrt(covariance(view, j, view, j, n-1)+1e-4)) / (2 * d)
				for k := range v.columns {
					if j != k {
						cost += o.Covariance * math.Pow(covariance(view, j, view, k, n-1), 2) / d
					}
				}
			}
		}
		return cost
	case objectives.BarlowTwins:
		var cost float64
		for j := range v.columns {
			for k := range v.columns {
				c := covariance(0, j, 1, k, n) / math.Sqrt((covariance(0, j, 0, j, n)+1e-5)*(covariance(1, k, 1, k, n)+1e-5))
				if j == k {
					cost += math.Pow(1-c, 2)
				} else {
					cost += o.Redundancy * c * c
				}
			}
		}
		return cost
	}
	return math.NaN()
}

func naiveKoLeo(x []float64, columns int) float64 {
	unit := func(i int) (u []float64) {
		row, norm := x[i*columns:][:columns], 0.0
		for _, v := range row {
			norm += v * v
		}
		for _, v := range row {
			u = append(u, v/math.Sqrt(norm))
		}
		return u
	}
	rows := len(x) / columns
	return meanOver(rows, func(i int) float64 {
		nearest := math.Inf(1)
		for j := range rows {
			var squares float64
			for k, v := range unit(i) {
				squares += math.Pow(v-unit(j)[k], 2)
			}
			if j != i {
				nearest = min(nearest, math.Sqrt(squares))
			}
		}
		return -math.Log(nearest + 1e-8)
	})
}

// Losses of views equal the loops of their equations, whether there are more images or more
// features, and their gradients pass a finite-difference check.
func TestLossesOfViews(t *testing.T) {
	for _, o := range ofViews {
		for _, size := range [][2]int{{7, 3}, {4, 6}, {2, 2}} {
			t.Run(fmt.Sprintf("%s/%d images, %d features", o.Name(), size[0], size[1]), func(t *testing.T) {
				v := drawViews(3, size[0], size[1])
				want := v.naive(o)
				for dtype, tolerance := range map[tensor.Dtype]float64{graph.Float32: 1e-5, graph.Float64: 1e-12} {
					if found := v.run(t, o, heads.Cosine{}, dtype).cost; !(math.Abs(found-want) <= tolerance*max(1, want)) || want == 0 {
						t.Errorf("%v: cost %v, the loop gives %v", dtype, found, want)
					}
				}
				if size[0] > 2 { // at 2 images the variances of Barlow Twins are clear of the equation's kink
					gradcheck.Check(t, v.weights(t, graph.Float64), nil, v.draw(o, heads.Cosine{}))
				}
			})
		}
	}
}

// SimCLR goes with every head that measures distances.
func TestSimCLRWithEveryHead(t *testing.T) {
	for _, name := range headNames {
		head, err := objectives.HeadFor(objectives.SimCLR{Temperature: 1}, name)
		if err != nil {
			t.Fatal(err)
		}
		v := drawViews(4, 5, 3)
		gradcheck.Check(t, v.weights(t, graph.Float64), nil, v.draw(objectives.SimCLR{Temperature: 1}, head))
	}
}

// Costs and gradients by hand.
func TestWorkedLossesOfViews(t *testing.T) {
	ln := math.Log
	for _, test := range []struct {
		name   string
		loss   objectives.Loss
		views  views
		cost   float64
		first  []float64 // gradient; nil: not worked out
		second []float64
	}{
		// Each view has its other view at cosine 1 and the two of the other image at cosine 0.
		{"simclr", objectives.SimCLR{Temperature: 1}, views{2, 2, [2][]float64{{1, 0, 0, 2}, {3, 0, 0, 1}}},
			ln(1 + 2/math.E), nil, nil},
		// The difference of the views is 1 in one of four elements.
		{"invariance", objectives.VICReg{Invariance: 8}, views{2, 2, [2][]float64{{1, 0, 0, 2}, {0, 0, 0, 2}}},
			2, []float64{4, 0, 0, 0}, []float64{-4, 0, 0, 0}},
		// Both features of the first views are 3 and −3: variance 18, covariance 18 in both orders. The
		// gradient is 4·18·(x − mean)/(N − 1)/D; the second views have no covariance.
		{"covariance", objectives.VICReg{Covariance: 1}, views{2, 2, [2][]float64{{3, 3, -3, -3}, {0, 1, 0, -1}}},
			2 * 18 * 18 / 2.0, []float64{108, 108, -108, -108}, []float64{0, 0, 0, 0}},
		// A feature without variance is √1e-4 = 0.01 from 0, the other has a variance above 1.
		{"variance", objectives.VICReg{Variance: 4}, views{2, 2, [2][]float64{{0, 5, 0, -5}, {9, 5, 9, -5}}},
			4 * 2 * 0.99 / 4, []float64{0, 0, 0, 0}, []float64{0, 0, 0, 0}},
		// Images 1 and 2 are 45° apart, and image 3 is 90° from 2 and 135° from 1.
		{"koleo", objectives.Sum{{Weight: 1, Loss: objectives.KoLeo{}}, {Weight: 1, Loss: objectives.VICReg{}}},
			views{3, 2, [2][]float64{{5, 0, 2, 2, -1, 1}, {5, 0, 2, 2, -1, 1}}},
			-(2*ln(math.Sqrt(2-math.Sqrt2)) + ln(math.Sqrt2)) / 3, nil, nil},
		// Orthogonal features whose views are equal, up to the 1e-5 of the norm.
		{"barlow-twins", objectives.BarlowTwins{Redundancy: 1}, views{4, 2, [2][]float64{{1, 1, 1, -1, -1, 1, -1, -1}, {2, 2, 2, -2, -2, 2, -2, -2}}},
			0, []float64{0, 0, 0, 0, 0, 0, 0, 0}, nil},
		// The second feature is the first one: all four correlations are 1.
		{"redundancy", objectives.BarlowTwins{Redundancy: 3}, views{2, 2, [2][]float64{{100, 100, -100, -100}, {100, 100, -100, -100}}},
			6, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := test.views.run(t, test.loss, heads.Cosine{}, graph.Float64)
			near := cmpopts.EquateApprox(0, 1e-7)
			if !cmp.Equal(r.cost, test.cost, near) {
				t.Errorf("cost %v, want %v", r.cost, test.cost)
			}
			for i, want := range [][]float64{test.first, test.second} {
				tolerance := near
				if test.name == "barlow-twins" {
					tolerance = cmpopts.EquateApprox(0, 1e-4)
				}
				if diff := cmp.Diff(want, r.gradients[viewNames[i]], tolerance); want != nil && diff != "" {
					t.Errorf("gradient of the %s views: %s", viewNames[i], diff)
				}
			}
		})
	}
}

// SimCLR is n-pair of the views with one class for each image, bit for bit.
func TestSimCLRIsNPairOfViews(t *testing.T) {
	v := drawViews(5, 6, 4)
	p := problem{rows: 12, features: 4, towers: [][]float64{append(append([]float64{}, v.of[0]...), v.of[1]...)}}
	for i := range 12 {
		p.labels = append(p.labels, float64(i%6))
	}
	one := v.run(t, objectives.SimCLR{Temperature: 0.1}, heads.Cosine{}, graph.Float32)
	other := p.run(t, objectives.NPair{Temperature: 0.1}, heads.Cosine{}, graph.Float32)
	both := append(append([]float64{}, one.gradients["first"]...), one.gradients["second"]...)
	if one.cost != other.cost || !cmp.Equal(both, other.gradients["tower 0"]) {
		t.Errorf("simclr %v, n-pair %v, or other gradients", one.cost, other.cost)
	}
}

// KoLeo is a regularizer of any kind of examples: alone, and in a sum before or after another loss.
func TestKoLeoWithEveryKind(t *testing.T) {
	for _, o := range []objectives.Loss{objectives.Contrastive{Margin: 1}, objectives.Triplet{Margin: 1}, objectives.NPair{Temperature: 1}} {
		p := problemFor(o, 6, 6, 3)
		var want float64
		for _, tower := range p.towers {
			want += 0.25 * naiveKoLeo(tower, 3) / float64(len(p.towers))
		}
		for _, sum := range []objectives.Sum{
			{{Weight: 1, Loss: o}, {Weight: 0.25, Loss: objectives.KoLeo{}}},
			{{Weight: 0.25, Loss: objectives.KoLeo{}}, {Weight: 1, Loss: o}},
		} {
			if sum.Kind() != o.Kind() {
				t.Errorf("%s: found %v, expected %v", sum.Name(), sum.Kind(), o.Kind())
			}
			found := p.run(t, sum, heads.L2{}, graph.Float64).cost - p.run(t, o, heads.L2{}, graph.Float64).cost
			if math.Abs(found-want) > 1e-12 {
				t.Errorf("%s: koleo adds %v, the loop gives %v", sum.Name(), found, want)
			}
			gradcheck.Check(t, p.weights(t, graph.Float64), p.inputs(), p.draw(sum, heads.L2{}))
		}
	}
	if kind := (objectives.KoLeo{}).Kind(); kind != datasets.Labeled {
		t.Errorf("found %v alone, expected labeled images", kind)
	}
	err := objectives.Sum{{Weight: 1, Loss: objectives.KoLeo{}}, {Weight: 1, Loss: objectives.Triplet{Margin: 1}}, {Weight: 1, Loss: objectives.VICReg{}}}.Check(heads.L2{})
	if want := "sum: loss 3 (vicreg) needs views of images, but loss 2 (triplet) needs triplets: a sum has losses of one kind"; err == nil || err.Error() != want {
		t.Errorf("found error %v, want %s", err, want)
	}
}

// Equal views, equal images, zero vectors and two images have finite costs and gradients in both
// arithmetics.
func TestDegenerateViewsAreFinite(t *testing.T) {
	for _, o := range ofViews {
		for name, change := range map[string]func(v *views){
			"two images":   func(v *views) { *v = drawViews(1, 2, 3) },
			"one feature":  func(v *views) { *v = drawViews(1, 5, 1) },
			"equal views":  func(v *views) { v.of[1] = v.of[0] },
			"zero vectors": func(v *views) { clear(v.of[0]); clear(v.of[1]) },
			"a zero row":   func(v *views) { clear(v.of[0][:v.columns]) },
			"equal images": func(v *views) {
				for i := range v.of[0] {
					v.of[0][i], v.of[1][i] = 0.75, 0.75
				}
			},
			"small": func(v *views) {
				for i := range v.of[0] {
					v.of[0][i] *= 1e-6
				}
			},
		} {
			for _, dtype := range arithmetics {
				v := drawViews(7, 6, 3)
				change(&v)
				r := v.run(t, o, heads.Cosine{}, dtype)
				for _, g := range append(append([]float64{r.cost}, r.gradients["first"]...), r.gradients["second"]...) {
					if !(math.Abs(g) < 1e8) {
						t.Errorf("%s, %s: found the cost %v or a derivative of %v", o.Name(), name, r.cost, g)
					}
				}
			}
		}
		v := drawViews(8, 6, 3)
		v.of[1][4] = math.NaN()
		if r := v.run(t, o, heads.Cosine{}, graph.Float32); !math.IsNaN(r.cost) {
			t.Errorf("%s of an embedding that is not a number: cost %v", o.Name(), r.cost)
		}
	}
	// The zero vector is at a distance of 1 from unit vectors, and so nearer than one at 90°.
	if cost := (views{2, 2, [2][]float64{{1, 0, 0, 1}, {1, 0, 0, 1}}}).run(t, koLeoOfViews, heads.Cosine{}, graph.Float64).cost; math.Abs(cost+math.Log(math.Sqrt2)) > 1e-7 {
		t.Errorf("koleo of two orthogonal vectors: %v", cost)
	}
	if cost := (views{3, 2, [2][]float64{{1, 0, 0, 1, 0, 0}, {1, 0, 0, 1, 0, 0}}}).run(t, koLeoOfViews, heads.Cosine{}, graph.Float64).cost; math.Abs(cost) > 1e-7 {
		t.Errorf("koleo with a zero vector: %v, want 0", cost)
	}
	// One image has no neighbor.
	p := problemFor(objectives.KoLeo{}, 1, 1, 3)
	checkZero(t, "koleo of one image", p.run(t, objectives.KoLeo{}, heads.L2{}, graph.Float32))
}

// Losses and gradients of views are equal bit for bit on any number of threads.
func TestThreadsChangeNothingOfViews(t *testing.T) {
	defer graph.SetThreads(graph.Threads())
	v := drawViews(9, 33, 5)
	for _, o := range ofViews {
		graph.SetThreads(1)
		one := v.run(t, o, heads.Cosine{}, graph.Float32)
		graph.SetThreads(4)
		if four := v.run(t, o, heads.Cosine{}, graph.Float32); one.cost != four.cost || !cmp.Equal(one.gradients, four.gradients) {
			t.Errorf("%s: one thread and four differ: costs %v and %v", o.Name(), one.cost, four.cost)
		}
	}
}

// A projection trains weights of the loss that all towers share, and the loss is that of what it
// computes.
func TestProjection(t *testing.T) {
	v := drawViews(2, 6, 4)
	o := objectives.Projection{Loss: objectives.VICReg{Invariance: 25, Variance: 25, Covariance: 1}, Units: []int{5, 3}}
	w := v.weights(t, graph.Float64)
	r := run(t, w, nil, v.draw(o, heads.Cosine{}))
	for name, elements := range map[string]int{
		"loss.projection.linear1.weight": 20, "loss.projection.linear1.bias": 5, "loss.projection.batchnorm1.weight": 5,
		"loss.projection.batchnorm1.bias": 5, "loss.projection.linear2.weight": 15, "loss.projection.linear2.bias": 3,
		"first": 24, "second": 24,
	} {
		if len(r.gradients[name]) != elements {
			t.Errorf("%s: found %d derivatives, expected %d", name, len(r.gradients[name]), elements)
		}
	}
	gradcheck.Check(t, v.weights(t, graph.Float64), nil, v.draw(o, heads.Cosine{}))

	// One layer is an affine map, by hand.
	single := objectives.Projection{Loss: objectives.BarlowTwins{Redundancy: 0.1}, Units: []int{2}}
	w = v.weights(t, graph.Float64)
	r = run(t, w, nil, v.draw(single, heads.Cosine{}))
	weight := values(w.Get("loss.projection.linear1.weight"))
	projected := views{rows: 6, columns: 2}
	for view := range 2 {
		for row := range 6 {
			for unit := range 2 {
				var sum float64
				for k := range 4 {
					sum += weight[unit*4+k] * v.at(view, row, k)
				}
				projected.of[view] = append(projected.of[view], sum)
			}
		}
	}
	if want := projected.naive(single.Loss); math.Abs(r.cost-want) > 1e-9 {
		t.Errorf("cost %v, want %v", r.cost, want)
	}
}

// What losses of views, projections and their options refuse.
func TestViewsRefusals(t *testing.T) {
	cosine, weighted := heads.Cosine{}, heads.WeightedL1{}
	simclr := objectives.SimCLR{Temperature: 1}
	for want, err := range map[string]error{
		"simclr: found temperature 0, expected a positive number":             objectives.SimCLR{}.Check(cosine),
		"vicreg: found covariance -1, expected a number of at least 0":        objectives.VICReg{Covariance: -1}.Check(cosine),
		"barlow-twins: found redundancy NaN, expected a number of at least 0": objectives.BarlowTwins{Redundancy: math.NaN()}.Check(cosine),
		"vicreg with weighted-l1: the loss does not depend on distances":      objectives.VICReg{}.Check(weighted),
		"koleo: found no head":                    objectives.KoLeo{}.Check(nil),
		"projection: found no loss, expected one": objectives.Projection{}.Check(cosine),
		"projection of a CrossBatchMemory: embeddings of earlier batches are not projected":              objectives.Projection{Loss: objectives.CrossBatchMemory{Loss: objectives.NPair{Temperature: 1}, Size: 9}, Units: []int{1}}.Check(cosine),
		"cross-batch memory: n-pair after a projection of 1: embeddings of earlier batches are not":      objectives.CrossBatchMemory{Loss: objectives.Projection{Loss: objectives.NPair{Temperature: 1}, Units: []int{1}}, Size: 9}.Check(cosine),
		"projection of simclr: found no units":                                                           objectives.Projection{Loss: simclr}.Check(cosine),
		"projection of simclr: found 0 units in layer 2, expected 1 to 65536":                            objectives.Projection{Loss: simclr, Units: []int{1, 0}}.Check(cosine),
		"projection of simclr with weighted-l1: the weights of this head":                                objectives.Projection{Loss: simclr, Units: []int{1}}.Check(weighted),
		"projection of cosface: its class vectors are compared with embeddings: leave out":               objectives.Projection{Loss: objectives.CosFace{}, Units: []int{1}}.Check(cosine),
		"projection of cross-entropy: its bias is that of distances of embeddings: leave out the projec": objectives.Projection{Loss: objectives.CrossEntropy{}, Units: []int{1}}.Check(heads.L2{}),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("found error %v, want %s", err, want)
		}
	}
	one := drawViews(1, 1, 3)
	for _, o := range ofViews[:4] {
		_, err := graph.Build(one.weights(t, graph.Float32), graph.Training, one.draw(o, cosine))
		if want := "build graph: " + o.Name() + ": found a batch of 1 image, expected at least 2: use a larger batch"; err == nil || err.Error() != want {
			t.Errorf("found error %v, want %s", err, want)
		}
	}
}

// The parameters of the papers.
func TestDefaultsOfViews(t *testing.T) {
	for want, name := range map[objectives.Loss]string{
		objectives.SimCLR{Temperature: 0.1}: "simclr", objectives.VICReg{Invariance: 25, Variance: 25, Covariance: 1}: "vicreg", objectives.BarlowTwins{Redundancy: 5e-3}: "barlow-twins",
	} {
		if found, head, err := objectives.Named(name, objectives.DefaultHead(name), objectives.Options{}); err != nil || found != want || head != (heads.Cosine{}) {
			t.Errorf("%s: found %+v with %v (%v), want %+v with cosine", name, found, head, err, want)
		}
	}
	if found, _, err := objectives.Named("simclr", "l2", objectives.Options{}); err != nil || found != (objectives.SimCLR{Temperature: 1}) {
		t.Errorf("simclr with l2: found %+v (%v)", found, err)
	}
}
