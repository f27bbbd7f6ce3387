package objectives_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"gorgonia.org/tensor"
)

// naiveVectors is the cost of a loss with class vectors, by loops over images and classes
// and with the exponentials and angles of the equations.
func (p problem) naiveVectors(o objectives.Loss, r result) float64 {
	vectors := make([][]float32, len(r.vectors)/p.features)
	for i := range vectors {
		vectors[i] = narrow(r.vectors[i*p.features : (i+1)*p.features])
	}
	perClass := 1
	switch o := o.(type) {
	case objectives.SubCenterArcFace:
		perClass = o.Centers
	case objectives.SoftTriple:
		perClass = o.Centers
	}
	classes := len(vectors) / perClass
	distance := func(i, vector int) float64 { return r.distance.Between(p.row(0, i), vectors[vector]) }
	cosine := func(i, vector int) float64 { return 1 - distance(i, vector) }
	arc := func(cosine, degrees float64) float64 {
		angle, m := math.Acos(cosine), degrees*math.Pi/180
		if angle > math.Pi-m {
			return cosine - m*math.Sin(m)
		}
		return math.Cos(angle + m)
	}
	softmax := func(scale float64, similarity func(i, class int) float64, target func(s float64) float64) float64 {
		return meanOver(p.rows, func(i int) float64 {
			own := int(p.labels[i])
			mine := math.Exp(scale * target(similarity(i, own)))
			sum := mine
			for class := range classes {
				if class != own {
					sum += math.Exp(scale * similarity(i, class))
				}
			}
			return -math.Log(mine / sum)
		})
	}
	switch o := o.(type) {
	case objectives.ArcFace:
		return softmax(o.Scale, cosine, func(s float64) float64 { return arc(s, o.Margin) })
	case objectives.SubCenterArcFace:
		nearest := func(i, class int) float64 {
			best := math.Inf(-1)
			for k := range perClass {
				best = max(best, cosine(i, class*perClass+k))
			}
			return best
		}
		return softmax(o.Scale, nearest, func(s float64) float64 { return arc(s, o.Margin) })
	case objectives.CosFace:
		return softmax(o.Scale, cosine, func(s float64) float64 { return s - o.Margin })
	case objectives.NormalizedSoftmax:
		return softmax(1/o.Temperature, cosine, func(s float64) float64 { return s })
	case objectives.SoftTriple:
		relaxed := func(i, class int) float64 {
			var sum, weights float64
			for k := range perClass {
				c := cosine(i, class*perClass+k)
				sum += math.Exp(c/o.Temperature) * c
				weights += math.Exp(c / o.Temperature)
			}
			return sum / weights
		}
		return softmax(o.Scale, relaxed, func(s float64) float64 { return s - o.Margin })
	case objectives.ProxyNCA:
		return meanOver(p.rows, func(i int) float64 {
			var others float64
			for class := range classes {
				if class != int(p.labels[i]) {
					others += math.Exp(-distance(i, class) / o.Temperature)
				}
			}
			return -math.Log(math.Exp(-distance(i, int(p.labels[i]))/o.Temperature) / others)
		})
	case objectives.ProxyNCAPlusPlus:
		minus := func(i, class int) float64 { return -distance(i, class) }
		return softmax(1/o.Temperature, minus, func(s float64) float64 { return s })
	case objectives.ProxyAnchor:
		var pull, push []float64
		for class := range classes {
			var near, far float64
			for i, label := range p.labels {
				if int(label) == class {
					near += math.Exp(-o.Scale * (cosine(i, class) - o.Margin))
				} else {
					far += math.Exp(o.Scale * (cosine(i, class) + o.Margin))
				}
			}
			if slices.Contains(p.labels, float64(class)) {
				pull = append(pull, math.Log(1+near))
			}
			push = append(push, math.Log(1+far))
		}
		return mean(pull) + mean(push)
	}
	return math.NaN()
}

// vectorProblem is images with class vectors, both given.
type vectorProblem struct {
	images, vectors   []float64 // (N, D), (Classes·K, D)
	labels            []float64
	classes, features int
}

// run is the cost, and the gradients of the weights "images" and "loss.vectors".
func (v vectorProblem) run(t testing.TB, o objectives.Loss, head heads.Head, dtype tensor.Dtype) result {
	t.Helper()
	w := graph.NewWeights(dtype, 1)
	for name, values := range map[string][]float64{"images": v.images, "loss.vectors": v.vectors} {
		if err := w.Add(name, graph.Kernel, []int{len(values) / v.features, v.features}, values); err != nil {
			t.Fatal(err)
		}
	}
	return run(t, w, map[string][]float64{"labels": v.labels}, func(b *graph.Builder) graph.Outputs {
		batch := objectives.Batch{
			Embeddings: []*graph.Node{b.Weight("images", graph.Kernel, graph.Initializer{}, len(v.labels), v.features)},
			Labels:     b.Input("labels", len(v.labels)), Classes: v.classes, Head: head,
		}
		return graph.Outputs{graph.Cost: o.Cost(b, batch)}
	})
}

// at is one image at an angle from the first axis, in degrees, of class 0, whose vector is
// the first axis; that of class 1 is the second one. The lengths do not matter.
func at(degrees float64) vectorProblem {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	return vectorProblem{images: []float64{2 * cos, 2 * sin}, vectors: []float64{3, 0, 0, 0.5}, labels: []float64{0}, classes: 2, features: 2}
}

// Costs worked by hand: an image at 30° from the vector of its class and at 60° from the
// other one.
func TestWorkedValuesOfClassVectors(t *testing.T) {
	c30, c60 := math.Sqrt(3)/2, 0.5
	softplus := func(x float64) float64 { return math.Log(1 + math.Exp(x)) }
	for _, test := range []struct {
		loss objectives.Loss
		head heads.Head
		want float64
	}{
		{objectives.ArcFace{Margin: 30, Scale: 2}, heads.Cosine{}, softplus(2 * (c60 - c60))},
		{objectives.ArcFace{Margin: 60, Scale: 2}, heads.Cosine{}, softplus(2 * (c60 - 0))},
		// 30° is beyond 180° − 160°: the continuation is cos 30° − m·sin m.
		{objectives.ArcFace{Margin: 160, Scale: 2}, heads.Cosine{}, softplus(2 * (c60 - (c30 - 160*math.Pi/180*math.Sin(160*math.Pi/180))))},
		{objectives.CosFace{Margin: 0.25, Scale: 2}, heads.Cosine{}, softplus(2 * (c60 - c30 + 0.25))},
		{objectives.NormalizedSoftmax{Temperature: 0.5}, heads.Cosine{}, softplus((c60 - c30) / 0.5)},
		{objectives.ProxyNCA{Temperature: 0.5}, heads.Cosine{}, (c60 - c30) / 0.5},
		{objectives.ProxyNCAPlusPlus{Temperature: 0.5}, heads.Cosine{}, softplus((c60 - c30) / 0.5)},
		// (√3 − 3)² + 1² and √3² + (1 − 1/2)²
		{objectives.ProxyNCA{Temperature: 1}, heads.SquaredL2{}, (math.Pow(math.Sqrt(3)-3, 2) + 1) - (3 + 0.25)},
		// One class has an image, both are proxies; class 0 has no negative.
		{objectives.ProxyAnchor{Margin: 0.1, Scale: 3}, heads.Cosine{}, softplus(-3*(c30-0.1)) + softplus(3*(c60+0.1))/2},
	} {
		found := at(30).run(t, test.loss, test.head, graph.Float64)
		if math.Abs(found.cost-test.want) > 1e-14 {
			t.Errorf("%T%+v: found %v, want %v", test.loss, test.loss, found.cost, test.want)
		}
	}
	// Two vectors of each class: at 30° and 120° from the image, and at 60° and 180°.
	two := at(30)
	two.vectors = []float64{
		1, 0, -math.Sqrt(3) / 2, 0.5,
		0, 1, -math.Sqrt(3) / 2, -0.5,
	}
	relaxed := func(a, b, γ float64) float64 {
		return (math.Exp(a/γ)*a + math.Exp(b/γ)*b) / (math.Exp(a/γ) + math.Exp(b/γ))
	}
	for _, test := range []struct {
		loss objectives.Loss
		want float64
	}{
		{objectives.SubCenterArcFace{Margin: 30, Scale: 2, Centers: 2}, math.Ln2},
		{objectives.SoftTriple{Margin: 0.25, Scale: 2, Temperature: 0.5, Centers: 2}, softplus(2 * (relaxed(c60, -1, 0.5) - relaxed(c30, -0.5, 0.5) + 0.25))},
	} {
		found := two.run(t, test.loss, heads.Cosine{}, graph.Float64)
		if math.Abs(found.cost-test.want) > 1e-14 {
			t.Errorf("%T%+v: found %v, want %v", test.loss, test.loss, found.cost, test.want)
		}
	}
}

// Values and gradients of pytorch-metric-learning 2.9.0 with PyTorch 2.15 in float64, computed
// by benchmarks/losses/class_vectors.py, which also states the one exception: proxy-nca is the
// paper's equation in PyTorch. The gradients are those of the first image and of the last
// vector.
func TestReferenceValuesOfClassVectors(t *testing.T) {
	for _, test := range []struct {
		loss          objectives.Loss
		head          heads.Head
		cost          float64
		image, vector []float64
	}{
		{objectives.ArcFace{Margin: 28.6, Scale: 64}, heads.Cosine{}, 63.442475521138334,
			[]float64{8.679785085247335, 6.42867044139614, -15.270792271722193}, []float64{17.359255445666626, -11.610966196043687, -13.910281895892854}},
		{objectives.SubCenterArcFace{Margin: 28.6, Scale: 64, Centers: 3}, heads.Cosine{}, 30.285458937491928,
			[]float64{-2.1910783904985616, -3.399586182682392, 2.0781097935640123}, []float64{0.20434533612756312, -1.9595791920783645, -0.7553657320899099}},
		{objectives.CosFace{Margin: 0.35, Scale: 64}, heads.Cosine{}, 64.9361094974299,
			[]float64{8.049690516223617, 5.959314282837658, -14.16491200772138}, []float64{17.359255445666626, -11.610966196043687, -13.910281895892854}},
		{objectives.NormalizedSoftmax{Temperature: 0.05}, heads.Cosine{}, 15.04403654301574,
			[]float64{2.500468592180053, 1.8511902675671774, -4.399981212882955}, []float64{5.449344180577652, -3.628070750098362, -4.356580122290078}},
		{objectives.SoftTriple{Margin: 0.01, Scale: 20, Temperature: 0.1, Centers: 10}, heads.Cosine{}, 1.2742007416805028,
			[]float64{0.04950723038080699, 0.09135677268233872, -0.03241130326967873}, []float64{-0.4633284480234385, 0.05473579861458114, 0.09122633102430197}},
		{objectives.ProxyNCA{Temperature: 0.5}, heads.Cosine{}, 1.220262849692157,
			[]float64{0.18969502688810058, 0.16954305272436743, -0.304694514495884}, []float64{-0.005946304255173729, -0.37710830288209063, -0.22388646002718482}},
		{objectives.ProxyNCAPlusPlus{Temperature: 0.05}, heads.Cosine{}, 15.04403654301574,
			[]float64{2.5004685921800527, 1.851190267567177, -4.399981212882953}, []float64{5.449344180577654, -3.6280707500983618, -4.356580122290079}},
		{objectives.ProxyNCAPlusPlus{Temperature: 1}, heads.SquaredL2{}, 2.201657205471711,
			[]float64{0.15608870998123187, 0.15608870998123187, -0.28676125404940317}, []float64{0.7375124230229486, -0.4359701501328561, -0.4359701501328561}},
		{objectives.ProxyAnchor{Margin: 0.1, Scale: 32}, heads.Cosine{}, 35.665918416778304,
			[]float64{-0.1985182893791535, 2.1177822859603332, 2.6140780094082188}, []float64{-9.021967858219668, -0.14574521958379183, 3.5213400115375935}},
	} {
		v := vectorProblem{labels: []float64{0, 2, 0, 1}, classes: 3, features: 3}
		for i := range 4 * v.features {
			v.images = append(v.images, float64(7*i%11-5)/4)
		}
		for i := range v.classes * centersOf(test.loss) * v.features {
			v.vectors = append(v.vectors, float64(5*i%13-6)/8)
		}
		r := v.run(t, test.loss, test.head, graph.Float64)
		vectors := r.gradients["loss.vectors"]
		found := []any{r.cost, r.gradients["images"][:3], vectors[len(vectors)-3:]}
		if diff := cmp.Diff([]any{test.cost, test.image, test.vector}, found, cmpopts.EquateApprox(1e-12, 1e-12)); diff != "" {
			t.Errorf("%s with %s (-reference +found):\n%s", test.loss.Name(), test.head.Name(), diff)
		}
	}
}

// Losses that are the same for some parameters have the same costs and gradients, although
// they are computed in different ways.
func TestEqualLossesOfClassVectors(t *testing.T) {
	p := problemFor(objectives.CosFace{}, 3, 9, 4)
	for _, pair := range [][2]objectives.Loss{
		{objectives.SoftTriple{Margin: 0.3, Scale: 7, Temperature: 0.1, Centers: 1}, objectives.CosFace{Margin: 0.3, Scale: 7}},
		{objectives.SubCenterArcFace{Margin: 20, Scale: 7, Centers: 1}, objectives.ArcFace{Margin: 20, Scale: 7}},
		{objectives.NormalizedSoftmax{Temperature: 0.1}, objectives.ProxyNCAPlusPlus{Temperature: 0.1}},
		{objectives.CosFace{Margin: 1e-300, Scale: 10}, objectives.NormalizedSoftmax{Temperature: 0.1}},
	} {
		one, other := p.run(t, pair[0], heads.Cosine{}, graph.Float64), p.run(t, pair[1], heads.Cosine{}, graph.Float64)
		if diff := cmp.Diff([]any{one.cost, one.gradients}, []any{other.cost, other.gradients}, cmpopts.EquateApprox(1e-12, 1e-13)); diff != "" || one.cost == 0 {
			t.Errorf("%s and %s: %s", pair[0].Name(), pair[1].Name(), diff)
		}
	}
}

// ofVectors are the losses with class vectors, with the parameters of their papers.
func ofVectors(t testing.TB) (losses []objectives.ClassVectorLoss) {
	t.Helper()
	for _, name := range objectives.Names {
		loss, _, err := objectives.Named(name, objectives.DefaultHead(name), objectives.Options{Features: 1})
		if vectors, ok := loss.(objectives.ClassVectorLoss); ok && err == nil {
			losses = append(losses, vectors)
		}
	}
	if len(losses) != 8 {
		t.Errorf("found %d losses with class vectors, expected 8", len(losses))
	}
	return losses
}

// centersOf is the number of vectors of each class.
func centersOf(o objectives.Loss) int {
	switch o := o.(type) {
	case objectives.SubCenterArcFace:
		return o.Centers
	case objectives.SoftTriple:
		return o.Centers
	}
	return 1
}

// Images at any angle from the vector of their class, 0° and 180° too, have finite costs
// and gradients in both arithmetics, and so have zero vectors, duplicates and a batch of
// one class, with the parameters of the papers.
func TestDegenerateClassVectorsAreFinite(t *testing.T) {
	var around []float64
	for degrees := -180.0; degrees <= 180; degrees += 7.5 {
		sin, cos := math.Sincos(degrees * math.Pi / 180)
		around = append(around, cos, sin)
	}
	around = append(around, 1, 1e-8, -1, 1e-8, 1, 0, -1, 0, 1e-20, 0, -1e20, 0) // nearly and exactly at 0° and 180°
	rows := len(around) / 2
	alternating := make([]float64, rows)
	for i := range alternating {
		alternating[i] = float64(i % 2)
	}
	for _, o := range ofVectors(t) {
		for name, v := range map[string]vectorProblem{
			"around":            {images: around, vectors: []float64{1, 0, 0, 1, 0.6, 0.8}, labels: make([]float64, rows), classes: 3},
			"of two classes":    {images: around, vectors: []float64{1, 0, -1, 0, 1, 0}, labels: alternating, classes: 3},
			"zero images":       {images: make([]float64, 2*rows), vectors: []float64{1, 0, -1, 0, 1, 0}, labels: alternating, classes: 3},
			"zero vectors":      {images: around, vectors: make([]float64, 6), labels: alternating, classes: 3},
			"nothing but zeros": {images: make([]float64, 2*rows), vectors: make([]float64, 6), labels: alternating, classes: 3},
		} {
			vectors := v.vectors
			for v.vectors = nil; len(vectors) > 0; vectors = vectors[2:] {
				for range centersOf(o) {
					v.vectors = append(v.vectors, vectors[:2]...)
				}
			}
			v.features = 2
			for _, dtype := range arithmetics {
				r := v.run(t, o, heads.Cosine{}, dtype)
				if !(math.Abs(r.cost) < 1e3) {
					t.Errorf("%s, %s, %v: cost %v", o.Name(), name, dtype, r.cost)
				}
				for weight, gradient := range r.gradients {
					for i, g := range gradient {
						if math.IsNaN(g) || math.IsInf(g, 0) {
							t.Errorf("%s, %s, %v: gradient of %s[%d] is %v", o.Name(), name, dtype, weight, i, g)
						}
					}
				}
				if name == "nothing but zeros" {
					r.cost = 0 // log of the number of classes, or so
					checkZero(t, o.Name(), r)
				}
			}
		}
		// One class in the training data: there is nothing to tell apart, except that
		// proxy-anchor still pulls at the images.
		one := vectorProblem{images: []float64{1, 2, 3, -1}, labels: []float64{0, 0}, classes: 1, features: 2}
		for range centersOf(o) {
			one.vectors = append(one.vectors, 1, 0.5)
		}
		if _, pulls := o.(objectives.ProxyAnchor); !pulls {
			checkZero(t, o.Name()+" with one class", one.run(t, o, heads.Cosine{}, graph.Float32))
		}
	}
}

// ArcFace's target falls as the angle grows, from 0° to 180°, and its derivative is the one
// of the equation on both sides of 180° − m, in float32 also near 0°.
func TestArcFaceFallsWithTheAngle(t *testing.T) {
	loss := objectives.ArcFace{Margin: 28.6, Scale: 1}
	last := math.Inf(-1)
	for degrees := 0.0; degrees <= 180; degrees += 0.5 {
		v := at(degrees)
		v.vectors = []float64{1, 0, 0, 0} // the other class is at cosine 0 everywhere
		r := v.run(t, loss, heads.Cosine{}, graph.Float64)
		if r.cost <= last {
			t.Fatalf("%v°: the cost %v is not above %v", degrees, r.cost, last)
		}
		last = r.cost
		if degrees == 0 || degrees == 180 {
			continue // the direction of the gradient does not exist
		}
		// The gradient by the angle of an image of length 2 is 2 times its tangent component.
		sin, cos := math.Sincos(degrees * math.Pi / 180)
		tangent := 2 * (-sin*r.gradients["images"][0] + cos*r.gradients["images"][1])
		want := math.Sin(degrees*math.Pi/180) / (1 + math.Exp(cos-28.6*math.Pi/180*math.Sin(28.6*math.Pi/180)))
		if degrees <= 180-28.6 {
			angle := (degrees + 28.6) * math.Pi / 180
			want = math.Sin(angle) / (1 + math.Exp(math.Cos(angle)))
		}
		if math.Abs(tangent-want) > 1e-9 {
			t.Errorf("%v°: found the derivative %v by the angle, want %v", degrees, tangent, want)
		}
	}
}

// A label without a class vector is an error of the run that says so.
func TestLabelsWithoutVectors(t *testing.T) {
	for _, o := range ofVectors(t) {
		for _, label := range []float64{3, -1, 0.5, math.NaN()} {
			p := problemFor(o, 1, 4, 2)
			program, err := graph.Build(p.weights(t, graph.Float32), graph.Training, p.draw(o, heads.Cosine{}))
			if err != nil {
				t.Fatal(err)
			}
			p.labels[2] = label
			if err := program.Set("labels", p.labels); err != nil {
				t.Fatal(err)
			}
			want := "the label of image 2 of the batch is not a whole number from 0 to 2: found 3 classes in Batch.Classes"
			if err := program.Run(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, label %v: found %v, expected %q", o.Name(), label, err, want)
			}
			program.Close()
		}
	}
}

// The class vectors are drawn from the seed and have a length of about 1.
func TestClassVectorsFromTheSeed(t *testing.T) {
	loss := objectives.CosFace{Margin: 0.35, Scale: 64}
	p := problemFor(loss, 1, 3, 400)
	first, again := p.run(t, loss, heads.Cosine{}, graph.Float32), p.run(t, loss, heads.Cosine{}, graph.Float32)
	if !slices.Equal(first.vectors, again.vectors) || len(first.vectors) != 3*400 {
		t.Errorf("found %d and %d elements, expected the same 1200", len(first.vectors), len(again.vectors))
	}
	for class := range 3 {
		var squares float64
		for _, v := range first.vectors[class*400:][:400] {
			squares += v * v
		}
		if math.Abs(squares-1) > 0.3 { // its standard deviation is √(2/400) = 0.07
			t.Errorf("class %d: found the squared length %v, expected about 1", class, squares)
		}
	}
}

// The head that goes with each loss if none is chosen.
func TestDefaultHead(t *testing.T) {
	for loss, want := range map[string]string{
		"triplet": "l2", "prototypical": "l2", "cross-entropy": "weighted-l1", "batch-cross-entropy": "weighted-l1",
		"arcface": "cosine", "proxy-nca": "cosine", "circle": "cosine", "margin": "cosine", "lifted-structure": "l2", "smooth-ap": "l2", "unknown": "l2",
	} {
		if found := objectives.DefaultHead(loss); found != want {
			t.Errorf("%s: found %s, want %s", loss, found, want)
		}
	}
}
