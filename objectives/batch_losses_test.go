package objectives_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
)

// easy reports whether a loss takes the nearest positive only.
func easy(o objectives.Loss) bool {
	switch o := o.(type) {
	case objectives.BatchAll:
		return o.Mining == objectives.EasyPositive
	case objectives.BatchHard:
		return o.Mining == objectives.EasyPositive
	case objectives.Circle:
		return o.Mining == objectives.EasyPositive
	case objectives.LiftedStructure:
		return o.Mining == objectives.EasyPositive
	case objectives.NPair:
		return o.Mining == objectives.EasyPositive
	case objectives.SemiHard:
		return o.Mining == objectives.EasyPositive
	case objectives.TupletMargin:
		return o.Mining == objectives.EasyPositive
	}
	return false
}

// nearest is the one of the smallest distance.
func nearest(all []int, d func(j int) float64) []int {
	found := all[0]
	for _, j := range all {
		if d(j) < d(found) {
			found = j
		}
	}
	return []int{found}
}

// naiveBatch is the loss by loops over explicit pairs and triplets, of exponentials as they
// stand in the equations.
func (p problem) naiveBatch(o objectives.Loss, r result, d, among func(i, j int) float64) float64 {
	s := func(i, j int) float64 { return 1 - d(i, j) }
	var losses []float64
	if o, ok := o.(objectives.Margin); ok {
		return p.naiveMargin(o, r, d)
	}
	for a := range p.rows {
		positives, negatives := p.others(a)
		sum := func(over []int, exponent func(j int) float64) (sum float64) {
			for _, j := range over {
				sum += math.Exp(exponent(j))
			}
			return sum
		}
		if o, ok := o.(objectives.MultiSimilarity); ok {
			losses = append(losses, naiveMultiSimilarity(o, positives, negatives, func(j int) float64 { return s(a, j) }))
			continue
		}
		if len(positives) == 0 || len(negatives) == 0 {
			continue
		}
		switch o := o.(type) {
		case objectives.Angular:
			square := math.Pow(math.Tan(o.Angle*math.Pi/180), 2)
			for _, positive := range positives {
				losses = append(losses, math.Log(1+sum(negatives, func(n int) float64 {
					return 4*square*(s(a, n)+1-among(positive, n)) - 2*(1+square)*s(a, positive)
				})))
			}
		case objectives.Circle:
			near := sum(positives, func(j int) float64 {
				return -o.Scale * max(0, 1+o.Margin-s(a, j)) * (s(a, j) - 1 + o.Margin)
			})
			far := sum(negatives, func(j int) float64 { return o.Scale * max(0, s(a, j)+o.Margin) * (s(a, j) - o.Margin) })
			losses = append(losses, math.Log(1+near*far))
		case objectives.FastAP:
			losses = append(losses, 1-naiveFastAP(o.Bins, positives, negatives, func(j int) float64 { return d(a, j) }))
		case objectives.LiftedStructure:
			near, far := sum(positives, func(j int) float64 { return d(a, j) }), sum(negatives, func(j int) float64 { return o.Margin - d(a, j) })
			losses = append(losses, max(0, math.Log(near)+math.Log(far)))
		case objectives.SmoothAP:
			var own, all []float64
			for _, j := range positives {
				own = append(own, d(a, j))
			}
			if p.references == nil || p.references.self {
				own = append(own, 0)
			}
			all = slices.Clone(own)
			for _, j := range negatives {
				all = append(all, d(a, j))
			}
			rank := func(k int, among []float64) float64 {
				rank := 1.0
				for j, other := range among {
					if j != k {
						rank += 1 / (1 + math.Exp((other-own[k])/o.Temperature))
					}
				}
				return rank
			}
			losses = append(losses, 1-meanOver(len(own), func(k int) float64 { return rank(k, own) / rank(k, all) }))
		case objectives.TupletMargin:
			for _, positive := range positives {
				angle := math.Acos(s(a, positive)) - o.Margin*math.Pi/180
				losses = append(losses, math.Log(1+sum(negatives, func(n int) float64 { return o.Scale * (s(a, n) - math.Cos(angle)) })))
			}
		default:
			return math.NaN()
		}
	}
	return mean(losses)
}

func naiveMultiSimilarity(o objectives.MultiSimilarity, positives, negatives []int, s func(j int) float64) float64 {
	if o.Mining != objectives.AllPairs {
		if len(positives) == 0 || len(negatives) == 0 {
			return 0
		}
		least, most := math.Inf(1), math.Inf(-1) // similarity of a positive and of a negative
		for _, j := range positives {
			least = min(least, s(j))
		}
		for _, j := range negatives {
			most = max(most, s(j))
		}
		positives = slices.DeleteFunc(slices.Clone(positives), func(j int) bool { return s(j)-o.Epsilon >= most })
		negatives = slices.DeleteFunc(slices.Clone(negatives), func(j int) bool { return s(j)+o.Epsilon <= least })
	}
	near, far := 1.0, 1.0
	for _, j := range positives {
		near += math.Exp(-o.PositiveScale * (s(j) - o.Base))
	}
	for _, j := range negatives {
		far += math.Exp(o.NegativeScale * (s(j) - o.Base))
	}
	return math.Log(near)/o.PositiveScale + math.Log(far)/o.NegativeScale
}

// naiveFastAP is by the overlap of each distance with the triangle around each bin center.
func naiveFastAP(bins int, positives, negatives []int, d func(j int) float64) float64 {
	width := 2 / float64(bins)
	histogram := func(references []int, center int) (h float64) {
		for _, j := range references {
			h += max(0, 1-math.Abs(d(j)-float64(center)*width)/width)
		}
		return h
	}
	var precision, own, all float64
	for i := range bins + 1 {
		h := histogram(positives, i)
		own += h
		all += h + histogram(negatives, i)
		if h*own > 0 {
			precision += h * own / all
		}
	}
	return precision / float64(len(positives))
}

// naiveMargin is over explicit triplets.
func (p problem) naiveMargin(o objectives.Margin, r result, d func(i, j int) float64) float64 {
	if r.distance.Name() == "cosine" {
		cosine := d
		d = func(i, j int) float64 { return math.Sqrt(2 * cosine(i, j)) }
	}
	var sum, active, boundaries float64
	p.eachTriplet(func(a, positive, negative int) {
		beta := r.beta[0]
		if o.PerClass {
			beta = r.beta[int(p.labels[a])]
		}
		for _, loss := range []float64{d(a, positive) - beta + o.Margin, beta - d(a, negative) + o.Margin} {
			if loss > 0 {
				sum += loss
				active++
			}
		}
		boundaries += beta
	})
	if o.PerClass {
		return (sum + o.Nu*boundaries) / active
	}
	return sum/active + o.Nu*r.beta[0]
}

// givenCosine is given, of distances that are 1 minus a cosine.
type givenCosine struct{ given }

func (givenCosine) Properties() heads.Properties { return heads.Properties{Means: true, Max: 2} }

// Costs of losses of similarities and their gradients by the distances, worked by hand. Images 0
// and 1 are of one class and image 2 of another, so that anchor 2 has negatives only, unless
// there are more.
func TestWorkedBatchLosses(t *testing.T) {
	ln2, ln3 := math.Ln2, math.Log(3)
	root := math.Sqrt(3)
	near := cmpopts.EquateApprox(0, 1e-14)
	for _, test := range []struct {
		loss      objectives.Loss
		distances []float64
		labels    []float64
		cost      float64
		gradient  []float64
		beta      []float64
	}{
		// Both exponents of anchor 0 are 0, those of anchor 1 are log 3, and those of anchor 2 are 0.
		{objectives.MultiSimilarity{PositiveScale: 2, NegativeScale: 10, Base: 0.5, Mining: objectives.AllPairs},
			[]float64{9, 0.5, 0.5 /**/, 0.5 + ln3/2, 9, 0.5 - ln3/10 /**/, 0.5, 0.5, 9}, []float64{5, 5, 8},
			(ln2/2 + ln2/10 + 2*ln2/2 + 2*ln2/10 + ln3/10) / 3,
			scaled(1./3, 0, 1./2, -1./2 /**/, 3./4, 0, -3./4 /**/, -1./3, -1./3, 0), nil},
		// Of anchor 0, the positive at 0.2 is nearer than the negative by more than 0.1. Of the
		// others, whose negatives are far, no pair is hard.
		{objectives.MultiSimilarity{PositiveScale: 2, NegativeScale: 10 * ln3, Base: 0.5, Epsilon: 0.1},
			[]float64{9, 0.2, 0.5, 0.4 /**/, 0, 9, 0, 1 /**/, 0, 0, 9, 1 /**/, 1, 1, 1, 9}, []float64{0, 0, 0, 1},
			(ln2/2 + 2*ln2/(10*ln3)) / 4,
			scaled(1./4, 0, 0, 1./2, -3./4 /**/, 0, 0, 0, 0 /**/, 0, 0, 0, 0 /**/, 0, 0, 0, 0), nil},
		// The exponents of anchor 0 are 0 and 0, with weights of 1/2; those of anchor 1 are log 3, with
		// a weight of 1, and 0.
		{objectives.Circle{Margin: 0.25, Scale: 2 * ln3},
			[]float64{9, 0.25, 0.75 /**/, 0.75, 9, 0.75 /**/, 9, 9, 9}, []float64{5, 5, 8},
			(ln2 + 2*ln2) / 2, scaled(ln3, 0, 1./4, -1./4 /**/, 3./4, 0, -3./8 /**/, 0, 0, 0), nil},
		// θ is 60°, so that cos(θ − m) is that of 30°, as that of the negative.
		{objectives.TupletMargin{Margin: 30, Scale: 6},
			[]float64{9, 0.5, 1 - root/2 /**/, 0.5, 9, 1 - root/2 /**/, 9, 9, 9}, []float64{5, 5, 8},
			ln2, scaled(3./2, 0, 1/root, -1 /**/, 1/root, 0, -1 /**/, 0, 0, 0), nil},
		// tan² is 1: 4(1/4 + 1/4) − 4·1/2 is 0.
		{objectives.Angular{Angle: 45},
			[]float64{9, 0.5, 0.75 /**/, 0.5, 9, 0.75 /**/, 0.75, 0.75, 9}, []float64{5, 5, 8},
			ln2, []float64{0, 1, -2 /**/, 1, 0, -2 /**/, 0, 0, 0}, nil},
		// 0.5 + 1 − 0.5 and 0 + 1 − 2.
		{objectives.LiftedStructure{Margin: 1},
			[]float64{9, 0.5, 0.5 /**/, 0, 9, 2 /**/, 9, 9, 9}, []float64{5, 5, 8},
			0.5, []float64{0, 0.5, -0.5 /**/, 0, 0, 0 /**/, 0, 0, 0}, nil},
		// Both are half in the bin at 0 and half in that at 1: 1/2·(1/2)/1 + 1/2·1/2.
		{objectives.FastAP{Bins: 2},
			[]float64{9, 0.5, 0.5 /**/, 0.5, 9, 0.5 /**/, 9, 9, 9}, []float64{5, 5, 8},
			0.5, scaled(1./8, 0, 1, -1 /**/, 1, 0, -1 /**/, 0, 0, 0), nil},
		// R⁺/R is 1.75/2.25 of the positive, since σ(log 3) = 3/4, and 1.25/1.5 of the anchor itself.
		{objectives.SmoothAP{Temperature: 1},
			[]float64{9, ln3, ln3 /**/, ln3, 9, ln3 /**/, 9, 9, 9}, []float64{5, 5, 8},
			1 - (7./9+5./6)/2, scaled(1./4, 0, 11./162+1./48, -7./81-5./48 /**/, 11./162+1./48, 0, -7./81-5./48 /**/, 0, 0, 0), nil},
		// 0.25 + 0.25, and 0 + 0.5: three terms.
		{objectives.Margin{Margin: 0.5, Beta: 1, Mining: objectives.AllPairs},
			[]float64{9, 0.75, 1.25 /**/, 0.25, 9, 1 /**/, 9, 9, 9}, []float64{5, 5, 8},
			1. / 3, scaled(1./3, 0, 1, -1 /**/, 0, 0, -1 /**/, 0, 0, 0), []float64{1. / 3}},
		{objectives.Margin{Margin: 0.5, Beta: 1, Nu: 0.25, Mining: objectives.AllPairs},
			[]float64{9, 0.75, 1.25 /**/, 0.25, 9, 1 /**/, 9, 9, 9}, []float64{5, 5, 8},
			1./3 + 1./4, scaled(1./3, 0, 1, -1 /**/, 0, 0, -1 /**/, 0, 0, 0), []float64{1./3 + 1./4}},
		// The nearest positive of anchor 0 is image 1 with a loss of log(1 + 1).
		{objectives.NPair{Temperature: 1, Mining: objectives.EasyPositive},
			[]float64{9, 1, 4, 1 /**/, 2, 9, 2, 2 /**/, 2, 2, 9, 2 /**/, 9, 9, 9, 9}, []float64{0, 0, 0, 1},
			ln2, scaled(1./6, 0, 1, 0, -1 /**/, 1, 0, 0, -1 /**/, 1, 0, 0, -1 /**/, 0, 0, 0, 0), nil},
	} {
		t.Run(fmt.Sprintf("%T%+v", test.loss, test.loss), func(t *testing.T) {
			r := lossOf(t, test.loss, 0, map[string][]float64{"distances": test.distances}, test.labels)
			if diff := cmp.Diff(test.cost, r.cost, near); diff != "" {
				t.Errorf("cost: %s", diff)
			}
			if diff := cmp.Diff(test.gradient, r.gradients["distances"], near); diff != "" {
				t.Errorf("gradient: %s", diff)
			}
			if diff := cmp.Diff(test.beta, r.gradients["loss.beta"], near); diff != "" {
				t.Errorf("gradient of beta: %s", diff)
			}
		})
	}
}

// The gradient of the circle loss is the derivative of the loss with the weights of the
// similarities held constant.
func TestCircleGradient(t *testing.T) {
	for _, o := range []objectives.Circle{{Margin: 0.4, Scale: 8}, {Margin: 0.25, Scale: 80}, {Margin: 0.3, Scale: 5, Mining: objectives.EasyPositive}} {
		p := problem{rows: 6, labels: []float64{0, 1, 1, 0, 0, 2}}
		r := random.New(1, "distances")
		distances := make([]float64, p.rows*p.rows)
		for i := range distances {
			distances[i] = 2 * r.Float64()
		}
		if easy(o) {
			p.positives = func(a int, all []int) []int {
				return nearest(all, func(j int) float64 { return distances[a*p.rows+j] })
			}
		}
		loss := func(moved []float64) float64 {
			var losses []float64
			for a := range p.rows {
				positives, negatives := p.others(a)
				if len(positives) == 0 || len(negatives) == 0 {
					continue
				}
				var near, far float64
				for _, j := range positives {
					near += math.Exp(-o.Scale * max(0, o.Margin+distances[a*p.rows+j]) * (o.Margin - moved[a*p.rows+j]))
				}
				for _, j := range negatives {
					far += math.Exp(o.Scale * max(0, 1-distances[a*p.rows+j]+o.Margin) * (1 - moved[a*p.rows+j] - o.Margin))
				}
				losses = append(losses, math.Log(1+near*far))
			}
			return mean(losses)
		}
		found := lossOf(t, o, 0, map[string][]float64{"distances": distances}, p.labels)
		if math.Abs(found.cost-loss(distances)) > 1e-12*found.cost {
			t.Errorf("%+v: found cost %v, want %v", o, found.cost, loss(distances))
		}
		const step = 1e-5
		for i, gradient := range found.gradients["distances"] {
			up, down := slices.Clone(distances), slices.Clone(distances)
			up[i] += step
			down[i] -= step
			if want := (loss(up) - loss(down)) / (2 * step); math.Abs(gradient-want) > 1e-6*o.Scale {
				t.Errorf("%+v: gradient %d: found %v, want %v", o, i, gradient, want)
			}
		}
	}
}

// sampledNegatives counts which negative of an anchor the margin loss draws in many runs: the
// one whose reference has a gradient. The anchor, (1, 0, …), has one positive, and negatives at
// the given Euclidean distances.
func sampledNegatives(t *testing.T, features, runs int, distances []float64) []float64 {
	t.Helper()
	vector := func(distance float64) []float64 {
		v := make([]float64, features)
		v[0] = 1 - distance*distance/2
		v[1] = math.Sqrt(1 - v[0]*v[0])
		return v
	}
	p := problem{rows: 1, features: features, towers: [][]float64{vector(0)}, labels: []float64{0}}
	p.references = &references{values: vector(0.7), labels: []float64{0}, valid: []float64{1}}
	for _, d := range distances {
		p.references.values = append(p.references.values, vector(d)...)
		p.references.labels = append(p.references.labels, 1)
		p.references.valid = append(p.references.valid, 1)
	}
	loss := objectives.Margin{Margin: 1, Beta: 1.2}
	program, err := graph.Build(p.weights(t, graph.Float64), graph.Training, p.draw(loss, heads.Cosine{}))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	for name, values := range p.inputs() {
		if err := program.Set(name, values); err != nil {
			t.Fatal(err)
		}
	}
	counts := make([]float64, len(distances))
	for range runs {
		if err := program.Run(); err != nil {
			t.Fatal(err)
		}
		drawn := -1
		for _, parameter := range program.Parameters() {
			if parameter.Name() != "references" {
				continue
			}
			gradient, err := parameter.Elements()
			if err != nil {
				t.Fatal(err)
			}
			for i := range distances {
				if !slices.ContainsFunc(gradient[(i+1)*features:(i+2)*features], func(g float64) bool { return g != 0 }) {
					continue
				}
				if drawn >= 0 {
					t.Fatalf("negatives %d and %d have a gradient, expected one", drawn, i)
				}
				drawn = i
			}
		}
		if drawn < 0 {
			t.Fatal("no negative has a gradient")
		}
		counts[drawn]++
	}
	return counts
}

// Negatives are drawn with the probabilities of pytorch-metric-learning's DistanceWeightedMiner:
// in proportion to the inverse density of the distance, which is cut off below 0.5 and is zero
// above 1.4. The expected frequencies are within 5 standard deviations.
func TestDistanceWeightedSampling(t *testing.T) {
	const runs = 4_000
	for _, test := range []struct {
		features  int
		distances []float64
		want      []float64 // probabilities, of the class's formula
	}{
		{3, []float64{0.3, 0.5, 1, 1.3, 1.45}, []float64{1 / (1 + 1 + 0.5 + 0.5/1.3), 1 / (1 + 1 + 0.5 + 0.5/1.3), 0.5 / (1 + 1 + 0.5 + 0.5/1.3), 0.5 / 1.3 / (1 + 1 + 0.5 + 0.5/1.3), 0}},
		{8, []float64{0.9, 1.1, 1.2, 1.3, 1.39, 1.41}, nil},
		{2, []float64{1.5, 1.6, 1.9}, []float64{1. / 3, 1. / 3, 1. / 3}}, // all are above: any
	} {
		want := test.want
		if want == nil {
			var sum float64
			for _, d := range test.distances {
				w := math.Pow(d, 2-float64(test.features)) * math.Pow(1-d*d/4, -(float64(test.features)-3)/2)
				if d > 1.4 {
					w = 0
				}
				want = append(want, w)
				sum += w
			}
			for i := range want {
				want[i] /= sum
			}
		}
		counts := sampledNegatives(t, test.features, runs, test.distances)
		for i, count := range counts {
			if spread := math.Sqrt(runs * want[i] * (1 - want[i])); math.Abs(count-runs*want[i]) > 5*spread {
				t.Errorf("%d features: the negative at %v was drawn %v times, expected %v ± %v", test.features, test.distances[i], count, runs*want[i], spread)
			}
		}
	}
}

// With one negative for each anchor, sampling is no choice: the loss is that of all pairs, by
// hand, with the Euclidean distances of unit vectors.
func TestMarginOfUnitVectors(t *testing.T) {
	p := problem{rows: 3, features: 2, towers: [][]float64{{1, 0, 0, 2, -3, 0}}, labels: []float64{4, 4, 9}}
	r := p.run(t, objectives.Margin{Margin: 0.2, Beta: 1.2}, heads.Cosine{}, graph.Float64)
	// Of anchor 0 the distances are √2 and 2, of anchor 1 √2 and √2: two positive terms.
	if want := math.Sqrt2 - 1.2 + 0.2; math.Abs(r.cost-want) > 1e-14 {
		t.Errorf("found cost %v, want %v", r.cost, want)
	}
	if diff := cmp.Diff([]float64{-1}, r.gradients["loss.beta"]); diff != "" {
		t.Errorf("gradient of beta: %s", diff)
	}
}

// A label without a beta of its own is an error.
func TestMarginOfUnknownClass(t *testing.T) {
	o := objectives.Margin{Margin: 0.2, Beta: 1.2, PerClass: true, Mining: objectives.AllPairs}
	p := problemFor(o, 1, 6, 3)
	p.labels[4] = 0.5
	program, err := graph.Build(p.weights(t, graph.Float64), graph.Training, p.draw(o, heads.Cosine{}))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	for name, values := range p.inputs() {
		if err := program.Set(name, values); err != nil {
			t.Fatal(err)
		}
	}
	const want = "found label 0.5, expected a class from 0 to 2, each of which has a beta"
	if err := program.Run(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("found error %v, want %s", err, want)
	}
}

// Values and gradients of pytorch-metric-learning 2.9.0 in float64, written by
// benchmarks/losses/batches.py; `go run ./benchmarks/losses -reference batches` compares more.
func TestReferenceValues(t *testing.T) {
	p := problem{
		rows: 9, features: 3, labels: []float64{0, 0, 0, 1, 1, 1, 2, 2, 2},
		towers: [][]float64{{3, 1, 0.5, 1, 2, 1, 2, -1, 1.5 /**/, -1, 2, 0.25, 0.5, 1, 2, -2, 1, 1 /**/, -2, -1, 0.75, 1, -3, 1, 0.25, -1, -2}},
	}
	near := cmpopts.EquateApprox(1e-12, 1e-14)
	for _, test := range []struct {
		loss     objectives.Loss
		head     heads.Head
		cost     float64
		gradient []float64 // by the first embedding
		beta     []float64
	}{
		{objectives.Angular{Angle: 40}, heads.Cosine{}, 1.7054781673366262,
			[]float64{-0.005903796550604113, 0.000946614900199438, 0.033529549503225786}, nil},
		{objectives.Circle{Margin: 0.4, Scale: 80}, heads.Cosine{}, 63.032684690139796,
			[]float64{-0.5737723098673253, 1.2778970672363654, 0.8868397247312201}, nil},
		{objectives.Circle{Margin: 0.4, Scale: 80, Mining: objectives.EasyPositive}, heads.Cosine{}, 33.22673661692236,
			[]float64{0.212680905643795, -0.1835065974275602, -0.90907223900765}, nil},
		{objectives.FastAP{Bins: 10}, heads.Cosine{}, 0.41525599639076743,
			[]float64{0.008274657736304876, -0.025806250716878296, 0.0019645550159273434}, nil},
		{objectives.LiftedStructure{Margin: 1}, heads.L2{}, 3.0026890162394073,
			[]float64{-0.020208059772695013, 0.012013557251318486, -0.03815545093892892}, nil},
		{objectives.Margin{Margin: 0.2, Beta: 1.2, Mining: objectives.AllPairs}, heads.Cosine{}, 0.2992056370335888,
			[]float64{-0.00043214973797773594, -0.004451743449722085, 0.011496385327310586}, []float64{-0.3333333333333334}},
		{objectives.MultiSimilarity{PositiveScale: 2, NegativeScale: 50, Base: 0.5, Epsilon: 0.1}, heads.Cosine{}, 0.7408517869599344,
			[]float64{0.0008515778971065393, 0.000101955316587203, -0.005313378015813642}, nil},
		{objectives.MultiSimilarity{PositiveScale: 2, NegativeScale: 50, Base: 1, Mining: objectives.AllPairs}, heads.Cosine{}, 1.0746689044410018,
			[]float64{0.0026757437880141448, 0.00041998273374462946, -0.016894428195574154}, nil},
		{objectives.NPair{Temperature: 0.05, Mining: objectives.EasyPositive}, heads.Cosine{}, 3.402603821056841,
			[]float64{0.0895559456528293, -0.05764072103844835, -0.4220542318400794}, nil},
		{objectives.SmoothAP{Temperature: 0.1}, heads.Cosine{}, 0.20131445437142825,
			[]float64{0.0020878947631337835, -0.004210656087192966, -0.004106056404416799}, nil},
		{objectives.TupletMargin{Margin: 5.73, Scale: 64}, heads.Cosine{}, 13.699254532439205,
			[]float64{0.18168897595493982, -0.33243329902425756, -0.42526725768112505}, nil},
	} {
		r := p.run(t, test.loss, test.head, graph.Float64)
		if diff := cmp.Diff(test.cost, r.cost, near); diff != "" {
			t.Errorf("%s: cost: %s", test.loss.Name(), diff)
		}
		if diff := cmp.Diff(test.gradient, r.gradients["tower 0"][:3], near); diff != "" {
			t.Errorf("%s: gradient: %s", test.loss.Name(), diff)
		}
		if diff := cmp.Diff(test.beta, r.gradients["loss.beta"], near); diff != "" {
			t.Errorf("%s: gradient of beta: %s", test.loss.Name(), diff)
		}
	}
}
