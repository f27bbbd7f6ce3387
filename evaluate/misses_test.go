package evaluate_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
	"pgregory.net/rapid"
)

func TestMissesByHand(t *testing.T) {
	// The class a at 0, 1, 10 and 30, b at 2, 11 and 12, and c, which is no query,
	// at 9.5.
	const a, b, c = 0, 1, 2
	set := evaluate.Labelled{Embeddings: line(0, 1, 2, 9.5, 10, 11, 12, 30), Labels: []int{a, a, b, c, a, b, b, a}}
	expect(t, "misses at 2", must(evaluate.Misses(euclidean, set, 2))(t), []evaluate.Miss{
		// From 2: 1, 0, 9.5, 10 and then 11, 9 away.
		{Query: 2, Nearest: []evaluate.Neighbour{{1, 1}, {0, 2}}, Own: evaluate.Neighbour{Row: 5, Distance: 9}, Nearer: 4},
		// From 10: 9.5, 11, 12, 2 (8 away) and then 1, 9 away.
		{Query: 4, Nearest: []evaluate.Neighbour{{3, 0.5}, {5, 1}}, Own: evaluate.Neighbour{Row: 1, Distance: 9}, Nearer: 4},
		// From 30: 12, 11 and then 10.
		{Query: 7, Nearest: []evaluate.Neighbour{{6, 18}, {5, 19}}, Own: evaluate.Neighbour{Row: 4, Distance: 20}, Nearer: 2},
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
		set := evaluate.Labelled{Embeddings: drawGrid(t, rows, 2), Labels: append(drawLabels(t, rows-2, 3), 0, 0)}
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
	set := evaluate.Labelled{Embeddings: line(1, 2, 3), Labels: []int{0, 0, 1}}
	for _, k := range []int{0, 3} {
		if _, err := evaluate.Misses(euclidean, set, k); err == nil || !strings.Contains(err.Error(), "each of 3 embeddings has 2 others") {
			t.Errorf("at %d: found error %v", k, err)
		}
	}
	if _, err := evaluate.Misses(euclidean, evaluate.Labelled{}, 1); err == nil {
		t.Error("no embeddings are accepted")
	}
}
