package evaluate_test

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
	"pgregory.net/rapid"
)

func TestRetrievalByHand(t *testing.T) {
	// The class a at 0, 1, 4 and 10, b at 2.5 and 20, and c, which is no query,
	// at 6.
	const a, b, c = 0, 1, 2
	set := evaluate.Labeled{Embeddings: line(0, 1, 2.5, 4, 6, 10, 20), Labels: []int{a, a, b, a, c, a, b}}
	got := must(evaluate.Retrieve(euclidean, set, 1, 2, 5))(t)
	expect(t, "queries", got.Queries, []int{0, 1, 2, 3, 5, 6})

	// The others in order, with R = 3 for a and 1 for b:
	//	0:   a b a   c a b
	//	1:   a b a   c a b
	//	2.5: a       a a c a b   (1 and 4 are tied)
	//	4:   b c a   a a b       (1 is before 0, and 10 after)
	//	10:  c a b   a a b       (0 and 20 are tied)
	//	20:  a       c a b a a
	expect(t, "R-precision", got.RPrecision.Trials, []float64{2. / 3, 2. / 3, 0, 1. / 3, 1. / 3, 0}, rounding)
	expect(t, "MAP at R", got.MAPAtR.Trials, []float64{
		(1 + 2./3) / 3, (1 + 2./3) / 3, 0, (1. / 3) / 3, (1. / 2) / 3, 0}, rounding)
	expect(t, "recall at 1", got.RecallAt[1].Trials, []float64{1, 1, 0, 0, 0, 0})
	expect(t, "recall at 2", got.RecallAt[2].Trials, []float64{1, 1, 0, 0, 1, 0})
	expect(t, "recall at 5", got.RecallAt[5].Trials, []float64{1, 1, 0, 1, 1, 1})
	expect(t, "value", got.RecallAt[5].Value, 5./6, rounding)
	expect(t, "precision at 2", got.PrecisionAt[2].Trials, []float64{1. / 2, 1. / 2, 0, 0, 1. / 2, 0}, rounding)
	expect(t, "precision at 5", got.PrecisionAt[5].Trials, []float64{3. / 5, 3. / 5, 0, 3. / 5, 2.5 / 5, 1. / 5}, rounding)
	expect(t, "reciprocal rank", got.MRR.Trials, []float64{1, 1, 1. / 6, 1. / 3, 1. / 2, 1. / 4}, rounding)
	// ndcg_score of scikit-learn 1.9.1, which also takes the mean over the orders of ties.
	expect(t, "NDCG", got.NDCG.Trials, []float64{
		0.8854598815714875, 0.8854598815714875, 0.35620718710802235, 0.6182885020492785, 0.6725403812181903, 0.4306765580733929}, rounding)
	if len(got.RecallAt) != 3 || len(got.PrecisionAt) != 3 {
		t.Errorf("recall at %d ranks, want 3", len(got.RecallAt))
	}
}

// The toy example of Musgrave, Belongie & Lim 2020: R = 10, and a query's ten
// nearest are of its class (x) or not.
func TestMeanAveragePrecisionOfThePaper(t *testing.T) {
	for _, test := range []struct {
		hits            string
		rPrecision, atR float64
	}{
		{"x.........", 0.1, 0.1},
		{"x........x", 0.2, 0.12},
		{"xx........", 0.2, 0.2},
		{"xxxxxxxxxx", 1, 1},
	} {
		points, labels := []float32{0}, []int{1}
		for rank, hit := range test.hits {
			points = append(points, float32(rank+1))
			labels = append(labels, strings.IndexRune(".x", hit))
		}
		for missing := 10 - strings.Count(test.hits, "x"); missing > 0; missing-- {
			points, labels = append(points, 100), append(labels, 1)
		}
		got := must(evaluate.Retrieve(euclidean, evaluate.Labeled{Embeddings: line(points...), Labels: labels}))(t)
		expect(t, test.hits+": R-precision", got.RPrecision.Trials[0], test.rPrecision, rounding)
		expect(t, test.hits+": MAP at R", got.MAPAtR.Trials[0], test.atR, rounding)
	}
}

// The naive measures of one order of a query's others.
func naiveRecall(hits []bool, k int) float64 {
	if slices.Contains(hits[:k], true) {
		return 1
	}
	return 0
}

func naivePrecision(hits []bool, r int) float64 {
	var count float64
	for _, hit := range hits[:r] {
		if hit {
			count++
		}
	}
	return count / float64(r)
}

func naiveAveragePrecision(hits []bool, r int) (sum float64) {
	for i := range r {
		if hits[i] {
			sum += naivePrecision(hits, i+1) / float64(r)
		}
	}
	return sum
}

func naiveGain(hits []bool, r int) float64 {
	var gain, ideal float64
	for i, hit := range hits {
		discount := 1 / math.Log2(float64(i)+2)
		if hit {
			gain += discount
		}
		if i < r {
			ideal += discount
		}
	}
	return gain / ideal
}

// everyOrder calls visit with every order of the indices 0 … n−1.
func everyOrder(n int, visit func(order []int)) {
	order := make([]int, 0, n)
	var extend func()
	extend = func() {
		if len(order) == n {
			visit(order)
		}
		for i := range n {
			if !slices.Contains(order, i) {
				order = append(order, i)
				extend()
				order = order[:len(order)-1]
			}
		}
	}
	extend()
}

// Each measure is the mean of the naive one over all orders of the others in
// which distances do not fall.
func TestRetrievalEqualsTheMeanOverAllOrders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const rows, k = 6, 2
		points := drawGrid(t, rows, 1)
		set := evaluate.Labeled{Embeddings: points, Labels: drawLabels(t, rows, 2)}
		set.Labels[0], set.Labels[1] = 1, 1
		got := must(evaluate.Retrieve(euclidean, set, k))(t)

		for trial, query := range got.Queries {
			var others []int
			r := 0
			for i := range rows {
				if i != query {
					others = append(others, i)
					if set.Labels[i] == set.Labels[query] {
						r++
					}
				}
			}
			distance := func(i int) float64 { return math.Abs(float64(points.Data[i] - points.Data[query])) }
			var orders, recall, precision, average, precisionAtK, reciprocal, gain float64
			everyOrder(len(others), func(order []int) {
				if !slices.IsSortedFunc(order, func(i, j int) int { return int(distance(others[i]) - distance(others[j])) }) {
					return
				}
				hits := make([]bool, len(order))
				for rank, i := range order {
					hits[rank] = set.Labels[others[i]] == set.Labels[query]
				}
				orders++
				recall += naiveRecall(hits, k)
				precision += naivePrecision(hits, r)
				average += naiveAveragePrecision(hits, r)
				precisionAtK += naivePrecision(hits, k)
				reciprocal += 1 / float64(slices.Index(hits, true)+1)
				gain += naiveGain(hits, r)
			})
			expect(t, "recall", got.RecallAt[k].Trials[trial], recall/orders, rounding)
			expect(t, "R-precision", got.RPrecision.Trials[trial], precision/orders, rounding)
			expect(t, "MAP at R", got.MAPAtR.Trials[trial], average/orders, rounding)
			expect(t, "precision", got.PrecisionAt[k].Trials[trial], precisionAtK/orders, rounding)
			expect(t, "reciprocal rank", got.MRR.Trials[trial], reciprocal/orders, rounding)
			expect(t, "NDCG", got.NDCG.Trials[trial], gain/orders, rounding)
		}
	})
}

// Against a plain sort, on more embeddings than one block of queries has.
func TestRetrievalEqualsASort(t *testing.T) {
	const rows = 300
	set := evaluate.Labeled{Embeddings: normal(8, rows, 3), Labels: make([]int, rows)}
	for i := range set.Labels {
		set.Labels[i] = i % 7
		set.Row(i)[0] += float32(i % 7)
	}
	got := must(evaluate.Retrieve(euclidean, set, 10))(t)
	all := distances(t, euclidean, set.Embeddings, set.Embeddings)
	for query := range rows {
		row := all[query*rows : (query+1)*rows]
		order := make([]int, 0, rows)
		for i := range rows {
			if i != query {
				order = append(order, i)
			}
		}
		slices.SortFunc(order, func(i, j int) int { return int(math.Copysign(1, row[i]-row[j])) })
		hits, r := make([]bool, len(order)), 0
		for rank, i := range order {
			if hits[rank] = set.Labels[i] == set.Labels[query]; hits[rank] {
				r++
			}
		}
		expect(t, "recall", got.RecallAt[10].Trials[query], naiveRecall(hits, 10), rounding)
		expect(t, "R-precision", got.RPrecision.Trials[query], naivePrecision(hits, r), rounding)
		expect(t, "MAP at R", got.MAPAtR.Trials[query], naiveAveragePrecision(hits, r), rounding)
	}
	for _, score := range []evaluate.Score{got.RPrecision, got.MAPAtR, got.RecallAt[10]} {
		if !(score.Low < score.Value && score.Value < score.High) || score.High-score.Low > 0.1 {
			t.Errorf("the interval is %v", score.Estimate)
		}
	}
}

func TestRetrievalDoesNotDependOnTheOrderOfRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.IntRange(3, 12).Draw(t, "rows")
		set := evaluate.Labeled{Embeddings: drawGrid(t, rows, 2), Labels: drawLabels(t, rows, 3)}
		set.Labels[0], set.Labels[1] = 1, 1
		order := rapid.Permutation(makeRange(rows)).Draw(t, "order")
		shuffled := evaluate.Labeled{Embeddings: set.Select(order)}
		for _, row := range order {
			shuffled.Labels = append(shuffled.Labels, set.Labels[row])
		}
		a, b := must(evaluate.Retrieve(euclidean, set, 2))(t), must(evaluate.Retrieve(euclidean, shuffled, 2))(t)
		expect(t, "R-precision", b.RPrecision.Value, a.RPrecision.Value, rounding)
		expect(t, "MAP at R", b.MAPAtR.Value, a.MAPAtR.Value, rounding)
		expect(t, "recall", b.RecallAt[2].Value, a.RecallAt[2].Value, rounding)
	})
}

func makeRange(n int) []int {
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
	}
	return indices
}

// All alike, 24 of a query's 99 others are of its class.
func TestRetrievalOfAConstantEmbeddingIsChance(t *testing.T) {
	set := evaluate.Labeled{Embeddings: line(make([]float32, 100)...), Labels: slices.Repeat([]int{0, 1, 2, 3}, 25)}
	got := must(evaluate.Retrieve(euclidean, set, 1, 99))(t)
	expect(t, "R-precision", got.RPrecision.Value, 24./99, rounding)
	expect(t, "recall at 1", got.RecallAt[1].Value, 24./99, rounding)
	expect(t, "recall at 99", got.RecallAt[99].Value, 1., rounding)
	if got.MAPAtR.Value >= 24./99 {
		t.Errorf("MAP at R is %v, want less than R-precision", got.MAPAtR.Value)
	}
}

func TestRetrieveRefuses(t *testing.T) {
	set := evaluate.Labeled{Embeddings: line(0, 1, 2), Labels: []int{0, 1, 2}}
	nowhere := functionOf(func(x, y []float32) float64 { return math.Inf(1) })
	for want, err := range map[string]error{
		"no class has two":                      second(evaluate.Retrieve(euclidean, set)),
		"recall at 3: each of 3 embeddings":     second(evaluate.Retrieve(euclidean, set, 1, 3)),
		"recall at 0":                           second(evaluate.Retrieve(euclidean, set, 0)),
		"query 0: distance 0 is +Inf, want a f": second(evaluate.Retrieve(nowhere, evaluate.Labeled{Embeddings: set.Embeddings, Labels: []int{0, 0, 0}})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

func TestMissesByHand(t *testing.T) {
	// The class a at 0, 1, 10 and 30, b at 2, 11 and 12, and c, which is no query,
	// at 9.5.
	const a, b, c = 0, 1, 2
	set := evaluate.Labeled{Embeddings: line(0, 1, 2, 9.5, 10, 11, 12, 30), Labels: []int{a, a, b, c, a, b, b, a}}
	expect(t, "misses at 2", must(evaluate.Misses(euclidean, set, 2))(t), []evaluate.Miss{
		// From 2: 1, 0, 9.5, 10 and then 11, 9 away.
		{Query: 2, Nearest: []evaluate.Neighbor{{1, 1}, {0, 2}}, Own: evaluate.Neighbor{Row: 5, Distance: 9}, Nearer: 4},
		// From 10: 9.5, 11, 12, 2 (8 away) and then 1, 9 away.
		{Query: 4, Nearest: []evaluate.Neighbor{{3, 0.5}, {5, 1}}, Own: evaluate.Neighbor{Row: 1, Distance: 9}, Nearer: 4},
		// From 30: 12, 11 and then 10.
		{Query: 7, Nearest: []evaluate.Neighbor{{6, 18}, {5, 19}}, Own: evaluate.Neighbor{Row: 4, Distance: 20}, Nearer: 2},
	})
	expect(t, "misses at 4", queries(must(evaluate.Misses(euclidean, set, 4))(t)), []int{2, 4})
	expect(t, "misses at 5", len(must(evaluate.Misses(euclidean, set, 5))(t)), 0)
}

func queries(misses []evaluate.Miss) (rows []int) {
	for _, miss := range misses {
		rows = append(rows, miss.Query)
	}
	return rows
}

// A miss at k is a query that is worth nothing in recall at k, whatever the
// order of ties.
func TestMissesAreWorthNothingInRecall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.IntRange(3, 20).Draw(t, "rows")
		k := rapid.IntRange(1, rows-1).Draw(t, "k")
		set := evaluate.Labeled{Embeddings: drawGrid(t, rows, 2), Labels: append(drawLabels(t, rows-2, 3), 0, 0)}
		retrieval := must(evaluate.Retrieve(euclidean, set, k))(t)
		var want []int
		for i, worth := range retrieval.RecallAt[k].Trials {
			if worth == 0 {
				want = append(want, retrieval.Queries[i])
			}
		}
		misses := must(evaluate.Misses(euclidean, set, k))(t)
		if !slices.IsSortedFunc(misses, func(a, b evaluate.Miss) int { return cmp.Compare(b.Nearer, a.Nearer) }) {
			t.Errorf("the worst are not the first: %v", misses)
		}
		found := queries(misses)
		slices.Sort(found)
		expect(t, "misses", found, want)
	})
}

func TestMissesRefuse(t *testing.T) {
	set := evaluate.Labeled{Embeddings: line(1, 2, 3), Labels: []int{0, 0, 1}}
	for _, k := range []int{0, 3} {
		if _, err := evaluate.Misses(euclidean, set, k); err == nil || !strings.Contains(err.Error(), "each of 3 embeddings has 2 others") {
			t.Errorf("at %d: found error %v", k, err)
		}
	}
	if _, err := evaluate.Misses(euclidean, evaluate.Labeled{}, 1); err == nil {
		t.Error("no embeddings are accepted")
	}
}

func TestNeighborsByHand(t *testing.T) {
	references := evaluate.Labeled{Embeddings: line(0, 1, 4, 6, 7), Labels: []int{10, 10, 20, 20, 30}}
	queries := evaluate.Labeled{Embeddings: line(0.4, 2.6, 6.6), Labels: []int{10, 20, 20}}
	for _, test := range []struct {
		k       int
		classes []int
		trials  []float64
	}{
		{0, []int{10, 20, 30}, []float64{1, 1, 0}}, // k = 0 means 1
		{1, []int{10, 20, 30}, []float64{1, 1, 0}},
		{2, []int{10, 20, 30}, []float64{1, 1, 0}}, // one vote each: the nearest wins
		{3, []int{10, 10, 20}, []float64{1, 0, 1}}, // 2.6: 4, then 1 and 0
		{5, []int{10, 20, 20}, []float64{1, 1, 1}}, // 2:2:1, and 4 is nearer to 2.6 than 1 is
	} {
		neighbors := evaluate.NearestNeighbors{Metric: euclidean, K: test.k}
		expect(t, "classes", must(neighbors.Classify(references, queries.Embeddings))(t), test.classes)
		score := must(neighbors.Accuracy(references, queries))(t)
		expect(t, "trials", score.Trials, test.trials)
		right := test.trials[0] + test.trials[1] + test.trials[2]
		expect(t, "measure", score.Estimate, evaluate.Wilson(right, 3))
	}
}

func TestLeaveOneOutByHand(t *testing.T) {
	set := evaluate.Labeled{Embeddings: line(0, 1, 1.4, 5, 5.5), Labels: []int{1, 1, 2, 2, 2}}
	score := must(evaluate.NearestNeighbors{Metric: manhattan}.LeaveOneOut(set))(t)
	expect(t, "trials", score.Trials, []float64{1, 0, 0, 1, 1})
}

// All alike, every query is given one and the same class.
func TestNeighborsOfAConstantEmbeddingAreChance(t *testing.T) {
	labels := slices.Repeat([]int{0, 1, 2, 3}, 25)
	set := evaluate.Labeled{Embeddings: evaluate.Embeddings{Rows: 100, Columns: 3, Data: make([]float32, 300)}, Labels: labels}
	score := must(evaluate.NearestNeighbors{Metric: euclidean}.Accuracy(set, set))(t)
	expect(t, "accuracy", score.Value, 0.25)
}

func TestNeighborsEqualASort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows, k := rapid.IntRange(2, 12).Draw(t, "rows"), rapid.IntRange(1, 5).Draw(t, "k")
		set := evaluate.Labeled{Embeddings: drawGrid(t, rows, 2), Labels: drawLabels(t, rows, 3)}
		if k > rows-1 {
			return
		}
		got := must(evaluate.NearestNeighbors{Metric: squaredEuclidean, K: k}.LeaveOneOut(set))(t)

		want := make([]float64, rows)
		for query := range rows {
			var others []int
			for i := range rows {
				if i != query {
					others = append(others, i)
				}
			}
			square := func(i int) float64 {
				x, y := set.Row(i), set.Row(query)
				return math.Pow(float64(x[0]-y[0]), 2) + math.Pow(float64(x[1]-y[1]), 2)
			}
			slices.SortStableFunc(others, func(a, b int) int { return int(square(a) - square(b)) })
			votes := [3]int{}
			for _, i := range others[:k] {
				votes[set.Labels[i]]++
			}
			most := max(votes[0], votes[1], votes[2])
			first := slices.IndexFunc(others, func(i int) bool { return votes[set.Labels[i]] == most })
			if set.Labels[others[first]] == set.Labels[query] {
				want[query] = 1
			}
		}
		expect(t, "trials", got.Trials, want)
	})
}

func TestNeighborsRefuse(t *testing.T) {
	set := evaluate.Labeled{Embeddings: line(0, 1, 2), Labels: []int{0, 0, 1}}
	nowhere := functionOf(func(x, y []float32) float64 { return math.NaN() })
	for want, err := range map[string]error{
		"4 nearest neighbors of 3":                          second(evaluate.NearestNeighbors{Metric: euclidean, K: 4}.Accuracy(set, set)),
		"3 nearest neighbors of 2":                          second(evaluate.NearestNeighbors{Metric: euclidean, K: 3}.LeaveOneOut(set)),
		"-1 nearest neighbors":                              second(evaluate.NearestNeighbors{Metric: euclidean, K: -1}.LeaveOneOut(set)),
		"query 0: distance 0 is NaN":                        second(evaluate.NearestNeighbors{Metric: nowhere}.LeaveOneOut(set)),
		"2 columns cannot be compared with embeddings of 1": second(evaluate.NearestNeighbors{Metric: euclidean}.Classify(set, normal(1, 2, 2))),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

// A metric that panics, in whichever goroutine, and a nil one are errors.
func TestMetricsThatPanic(t *testing.T) {
	x := normal(1, 3, 2)
	panics := functionOf(func(x, y []float32) float64 { panic("not done yet") })
	nearest := evaluate.NearestNeighbors{Metric: panicking{}}
	if _, err := nearest.Accuracy(evaluate.Labeled{Embeddings: x, Labels: []int{1, 1, 2}}, evaluate.Labeled{Embeddings: x, Labels: []int{1, 1, 2}}); err == nil || !strings.Contains(err.Error(), "panicking panics: not done yet") {
		t.Errorf("a type: found %v", err)
	}
	pairs := []evaluate.Pair{{Left: 0, Right: 1}, {Left: 0, Right: 2, Different: true}}
	for want, metric := range map[string]evaluate.Metric{"not done yet": panics, "panicking panics: not done yet": panicking{}, "found no metric": nil} {
		if _, err := evaluate.Verify(metric, x, pairs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("pairs: found %v, expected %q", err, want)
		}
		if _, err := evaluate.Retrieve(metric, evaluate.Labeled{Embeddings: x, Labels: []int{1, 1, 2}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("retrieval: found %v, expected %q", err, want)
		}
	}
}

type panicking struct{}

func (panicking) Paired([]float64, []float32, []float32, int) error   { panic("not done yet") }
func (panicking) Pairwise([]float64, []float32, []float32, int) error { panic("not done yet") }

// The nearest others against a plain sort; of equal distances the lower row is first.
func TestNearestOthers(t *testing.T) {
	got := must(evaluate.NearestOthers(euclidean, line(0, 1, 3, 2, 0), 3))(t)
	want := [][]evaluate.Neighbor{
		{{4, 0}, {1, 1}, {3, 2}}, {{0, 1}, {3, 1}, {4, 1}}, {{3, 1}, {1, 2}, {0, 3}}, {{1, 1}, {2, 1}, {0, 2}}, {{0, 0}, {1, 1}, {3, 2}},
	}
	expect(t, "nearest others", got, want)
	for k, want := range map[int]string{0: "0 nearest others: each of 5 embeddings has 4", 5: "5 nearest others"} {
		if _, err := evaluate.NearestOthers(euclidean, line(0, 1, 3, 2, 0), k); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found error %v, expected %q", err, want)
		}
	}
}
