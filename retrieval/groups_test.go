package retrieval_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/retrieval"
	"pgregory.net/rapid"
)

// Of 1–2–3 in a chain and 8–9 apart, with 2–3 the nearest, the chain begins with
// 2 and 3; 1 is beside 2.
func TestGroups(t *testing.T) {
	pairs := []retrieval.Pair{{A: 2, B: 3, Distance: 0.1}, {A: 8, B: 9, Distance: 0.2}, {A: 1, B: 2, Distance: 0.3}, {A: 1, B: 3, Distance: 0.4}}
	want := []retrieval.Group{
		{{Image: 2, Beside: 2}, {Image: 3, Beside: 2, Distance: 0.1}, {Image: 1, Beside: 2, Distance: 0.3}},
		{{Image: 8, Beside: 8}, {Image: 9, Beside: 8, Distance: 0.2}},
	}
	if diff := cmp.Diff(want, retrieval.Groups(pairs)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if groups := retrieval.Groups(nil); len(groups) > 0 {
		t.Errorf("found the groups %v of no pairs", groups)
	}
}

// Images are in one group if and only if pairs lead from one to the other, and
// each is beside the nearest of those before it.
func TestGroupsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const images = 9
		near := map[[2]int]float64{}
		var pairs []retrieval.Pair
		for range rapid.IntRange(0, 12).Draw(t, "pairs") {
			a, b := rapid.IntRange(0, images-2).Draw(t, "a"), rapid.IntRange(1, images-1).Draw(t, "b")
			if _, twice := near[[2]int{a, b}]; a >= b || twice {
				continue
			}
			d := float64(len(pairs) / 2) // ascending, some equal
			near[[2]int{a, b}], near[[2]int{b, a}] = d, d
			pairs = append(pairs, retrieval.Pair{A: a, B: b, Distance: d})
		}
		reachable := func(from int) map[int]bool {
			seen := map[int]bool{from: true}
			for range images {
				for pair := range near {
					if seen[pair[0]] {
						seen[pair[1]] = true
					}
				}
			}
			return seen
		}
		grouped := 0
		for _, group := range retrieval.Groups(pairs) {
			members := map[int]bool{}
			for place, m := range group {
				if place > 0 {
					nearest := -1.0
					for _, before := range group[:place] {
						if d, found := near[[2]int{before.Image, m.Image}]; found && (nearest < 0 || d < nearest) {
							nearest = d
						}
					}
					if !members[m.Beside] || near[[2]int{m.Beside, m.Image}] != m.Distance || m.Distance != nearest {
						t.Errorf("%+v is at place %d of %+v, expected a distance of %v", m, place, group, nearest)
					}
				}
				members[m.Image] = true
			}
			if diff := cmp.Diff(reachable(group[0].Image), members); diff != "" {
				t.Errorf("group of %d (-want +got):\n%s", group[0].Image, diff)
			}
			grouped += len(group)
		}
		inPairs := map[int]bool{}
		for pair := range near {
			inPairs[pair[0]] = true
		}
		if grouped != len(inPairs) {
			t.Errorf("the groups have %d images, expected %d", grouped, len(inPairs))
		}
	})
}

// A chain of many makes one group, and a star, too.
func TestLargeGroups(t *testing.T) {
	const n = 20_000
	var chain, star []retrieval.Pair
	for i := range n {
		chain = append(chain, retrieval.Pair{A: i, B: i + 1, Distance: 1})
		star = append(star, retrieval.Pair{A: 0, B: i + 1, Distance: float64(i)})
	}
	for name, pairs := range map[string][]retrieval.Pair{"chain": chain, "star": star} {
		if groups := retrieval.Groups(pairs); len(groups) != 1 || len(groups[0]) != n+1 {
			t.Errorf("%s: found %d groups", name, len(groups))
		}
	}
}

// Duplicates of a collection are at distance 0 in one group.
func TestGroupsOfDuplicates(t *testing.T) {
	c := points(t, 4, 1, 5, evaluate.Euclidean{})
	twice, err := evaluate.FromRows([][]float32{c.Embeddings.Row(0), c.Embeddings.Row(0), c.Embeddings.Row(0)})
	if err != nil {
		t.Fatal(err)
	}
	c.Embeddings = twice
	pairs, err := c.Near(t.Context(), 0, nil)
	if err != nil || len(pairs) != 3 {
		t.Fatalf("found %v, %v, expected three pairs", pairs, err)
	}
	if groups := retrieval.Groups(pairs); len(groups) != 1 || len(groups[0]) != 3 {
		t.Errorf("found %v, expected one group of three", groups)
	}
}
