package retrieval_test

import (
	"cmp"
	"context"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/pkg/errors"
	"pgregory.net/rapid"
)

// points returns a collection of random embeddings on a coarse grid, where many distances
// are equal.
func points(t *testing.T, seed uint64, rows, columns int, metric evaluate.Metric) *retrieval.Collection {
	t.Helper()
	r := random.New(seed, "points")
	data := make([]float32, rows*columns)
	for i := range data {
		data[i] = float32(r.IntN(20))
	}
	embeddings, err := evaluate.NewEmbeddings(rows, columns, data)
	if err != nil {
		t.Fatal(err)
	}
	return &retrieval.Collection{Embeddings: embeddings, Metric: metric}
}

// distance returns the distance of two embeddings.
func distance(t *testing.T, metric evaluate.Metric, x, y []float32) float64 {
	t.Helper()
	result := make([]float64, 1)
	if err := metric.Pairwise(result, x, y, len(x)); err != nil {
		t.Fatal(err)
	}
	return result[0]
}

var euclidean = distanceOf(heads.L2{})

func distanceOf(head heads.Head) heads.Distance {
	distance, err := head.Distance(nil)
	if err != nil {
		panic(err)
	}
	return distance
}

func functionOf(between func(x, y []float32) float64) heads.Distance {
	distance, err := heads.FromFunc("a function", between)
	if err != nil {
		panic(err)
	}
	return distance
}

var metrics = map[string]evaluate.Metric{
	"euclidean": euclidean, "manhattan": distanceOf(heads.L1{}), "cosine": distanceOf(heads.Cosine{}),
	"a function": functionOf(func(x, y []float32) float64 { return math.Abs(float64(x[0] - y[0])) }),
}

// Near finds the same pairs as two loops, in several tiles of distances.
func TestNearAgainstLoops(t *testing.T) {
	for name, metric := range metrics {
		c := points(t, 1, 300, 3, metric)
		threshold := distance(t, metric, c.Embeddings.Row(7), c.Embeddings.Row(211)) // so that one pair is at it
		var want []retrieval.NearPair
		for a := range c.Embeddings.Rows {
			for b := a + 1; b < c.Embeddings.Rows; b++ {
				if d := distance(t, metric, c.Embeddings.Row(a), c.Embeddings.Row(b)); d <= threshold {
					want = append(want, retrieval.NearPair{A: a, B: b, Distance: d})
				}
			}
		}
		slices.SortStableFunc(want, func(x, y retrieval.NearPair) int { return cmp.Compare(x.Distance, y.Distance) })
		last := 0
		got, err := c.Near(context.Background(), threshold, func(done, total int) {
			if done != last+1 || total != 3 {
				t.Errorf("%s: progress is %d of %d after %d", name, done, total, last)
			}
			last = done
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, got); diff != "" || len(got) == 0 {
			t.Errorf("%s: %d pairs (-want +got):\n%s", name, len(got), diff)
		}
		if last != 3 {
			t.Errorf("%s: progress ends at %d of 3", name, last)
		}
	}
}

func TestNearErrors(t *testing.T) {
	ctx := context.Background()
	all := points(t, 1, 1500, 1, euclidean) // 1,124,250 pairs
	if _, err := all.Near(ctx, 100, nil); !errors.Is(err, retrieval.ErrTooMany) || !strings.Contains(err.Error(), "within 100") {
		t.Errorf("found %v, expected ErrTooMany", err)
	}
	few := points(t, 1, 10, 2, functionOf(func(x, y []float32) float64 { return math.NaN() }))
	if _, err := few.Near(ctx, 1, nil); err == nil || !strings.Contains(err.Error(), "NaN") {
		t.Errorf("found %v, expected an error about NaN", err)
	}
	few.Metric = euclidean
	if _, err := few.Near(ctx, math.Inf(1), nil); err == nil || !strings.Contains(err.Error(), "finite") {
		t.Errorf("found %v, expected an error about the threshold", err)
	}
	interrupted, interrupt := context.WithCancel(ctx)
	interrupt()
	if _, err := few.Near(interrupted, 1, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("found %v, expected the context's error", err)
	}
}

// Nearest agrees with sorting all distances.
func TestNearestAgainstSorting(t *testing.T) {
	for name, metric := range metrics {
		c := points(t, 2, 5000, 3, metric)
		query := points(t, 3, 1, 3, metric).Embeddings.Row(0)
		var want []retrieval.Match
		for i := range c.Embeddings.Rows {
			want = append(want, retrieval.Match{Image: i, Distance: distance(t, metric, query, c.Embeddings.Row(i))})
		}
		slices.SortFunc(want, func(x, y retrieval.Match) int { return cmp.Or(cmp.Compare(x.Distance, y.Distance), x.Image-y.Image) })
		for _, k := range []int{1, 10, 5000, 6000} {
			got, err := c.Nearest(query, k)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(want[:min(k, 5000)], got); diff != "" {
				t.Errorf("%s: the %d nearest (-want +got):\n%s", name, k, diff)
			}
		}
	}
}

func TestNearestErrors(t *testing.T) {
	c := points(t, 1, 10, 2, euclidean)
	for _, test := range []struct {
		query []float32
		k     int
		text  string
	}{
		{[]float32{1, 2}, 0, "k = 0"},
		{[]float32{1, 2, 3}, 1, "3 columns"},
		{nil, 1, "0 columns"},
	} {
		if _, err := c.Nearest(test.query, test.k); err == nil || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%v, %d: found %v, expected %q", test.query, test.k, err, test.text)
		}
	}
}

// An incomplete collection is an error and not a panic in a goroutine, which would end the
// process.
func TestIncompleteCollections(t *testing.T) {
	for name, c := range map[string]*retrieval.Collection{
		"nil":                  nil,
		"no metric":            {Embeddings: evaluate.Embeddings{Rows: 1, Columns: 1, Data: []float32{1}}},
		"too few values":       {Embeddings: evaluate.Embeddings{Rows: 5, Columns: 2, Data: []float32{1}}, Metric: euclidean},
		"a metric that panics": {Embeddings: evaluate.Embeddings{Rows: 2, Columns: 1, Data: []float32{1, 2}}, Metric: (*panicking)(nil)},
	} {
		if _, err := c.Near(t.Context(), 1, nil); err == nil {
			t.Errorf("%s: Near: found no error", name)
		}
		if _, err := c.Nearest([]float32{1}, 1); err == nil {
			t.Errorf("%s: Nearest: found no error", name)
		}
	}
	if traits, err := retrieval.MeasureFiles(t.Context(), imaging.Preprocessing{}, []string{"a.png"}, -1, nil); len(traits) != 0 || err != nil {
		t.Errorf("Examine: found %v, %v", traits, err)
	}
}

// panicking is a metric whose methods panic for a nil pointer.
type panicking struct{ evaluate.Metric }

// Of a chain 1–2–3 and a pair 8–9, where 2–3 is the nearest pair, the first group begins
// with 2 and 3, and 1 is beside 2.
func TestGroups(t *testing.T) {
	pairs := []retrieval.NearPair{{A: 2, B: 3, Distance: 0.1}, {A: 8, B: 9, Distance: 0.2}, {A: 1, B: 2, Distance: 0.3}, {A: 1, B: 3, Distance: 0.4}}
	want := []retrieval.Group{
		{{Image: 2, Nearest: 2}, {Image: 3, Nearest: 2, Distance: 0.1}, {Image: 1, Nearest: 2, Distance: 0.3}},
		{{Image: 8, Nearest: 8}, {Image: 9, Nearest: 8, Distance: 0.2}},
	}
	if diff := gocmp.Diff(want, retrieval.Groups(pairs)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if groups := retrieval.Groups(nil); len(groups) > 0 {
		t.Errorf("found the groups %v of no pairs", groups)
	}
}

// Images are in one group if and only if they are connected by pairs, and each is beside
// the nearest earlier one.
func TestGroupsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const images = 9
		near := map[[2]int]float64{}
		var pairs []retrieval.NearPair
		for range rapid.IntRange(0, 12).Draw(t, "pairs") {
			a, b := rapid.IntRange(0, images-2).Draw(t, "a"), rapid.IntRange(1, images-1).Draw(t, "b")
			if _, twice := near[[2]int{a, b}]; a >= b || twice {
				continue
			}
			d := float64(len(pairs) / 2) // ascending, some equal
			near[[2]int{a, b}], near[[2]int{b, a}] = d, d
			pairs = append(pairs, retrieval.NearPair{A: a, B: b, Distance: d})
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
					if !members[m.Nearest] || near[[2]int{m.Nearest, m.Image}] != m.Distance || m.Distance != nearest {
						t.Errorf("%+v is at place %d of %+v, expected a distance of %v", m, place, group, nearest)
					}
				}
				members[m.Image] = true
			}
			if diff := gocmp.Diff(reachable(group[0].Image), members); diff != "" {
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

// A long chain and a large star are one group each.
func TestLargeGroups(t *testing.T) {
	const n = 20_000
	var chain, star []retrieval.NearPair
	for i := range n {
		chain = append(chain, retrieval.NearPair{A: i, B: i + 1, Distance: 1})
		star = append(star, retrieval.NearPair{A: 0, B: i + 1, Distance: float64(i)})
	}
	for name, pairs := range map[string][]retrieval.NearPair{"chain": chain, "star": star} {
		if groups := retrieval.Groups(pairs); len(groups) != 1 || len(groups[0]) != n+1 {
			t.Errorf("%s: found %d groups", name, len(groups))
		}
	}
}

// Duplicates are in one group at distance 0.
func TestGroupsOfDuplicates(t *testing.T) {
	c := points(t, 4, 1, 5, euclidean)
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

// The images nearest to a file are not the file itself, by whatever path it is found, and
// what is wrong with the file is said.
func TestNearestFile(t *testing.T) {
	t.Chdir(t.TempDir())
	model := characterModel(t)
	var files []string
	for _, name := range []string{"cross", "ring", "zigzag", "comb"} {
		files = append(files, write(t, ".", name+".png", asPNG(t, drawings[name].on(40, 0, 0))))
	}
	c, err := retrieval.Embed(t.Context(), model, files, retrieval.Options{})
	if err != nil {
		t.Fatal(err)
	}
	embeddings, err := model.Embed(drawings["ring"].on(40, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	want, err := c.Nearest(embeddings[0], 4)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("ring.png", "link.png"); err != nil {
		t.Skip(err)
	}
	for _, path := range []string{"ring.png", "./ring.png", "link.png"} {
		for _, k := range []int{1, 2, 10} {
			found, err := c.NearestFile(model, path, k)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(want[1:min(1+k, 4)], found); diff != "" { // the first is the ring itself
				t.Errorf("%s, %d (-want +got):\n%s", path, k, diff)
			}
		}
	}
	broken := write(t, ".", "broken.png", []byte("no image"))
	for _, test := range []struct {
		c    *retrieval.Collection
		file string
		k    int
		want string
	}{
		{c, "ring.png", 0, "nearest images: found k = 0, expected at least 1"}, {c, "absent.png", 1, "nearest images: "},
		{c, broken, 1, "broken.png"}, {points(t, 1, 4, 2, euclidean), "ring.png", 1, "columns"},
	} {
		if found, err := test.c.NearestFile(model, test.file, test.k); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s, %d: found %v, error %v, expected one with %q", test.file, test.k, found, err, test.want)
		}
	}
	if found, err := c.NearestFile(nil, "ring.png", 1); err == nil {
		t.Errorf("no model: found %v and no error", found)
	}
	if _, err := retrieval.Without(files, "absent.png"); err == nil || !strings.Contains(err.Error(), "find image: ") {
		t.Errorf("without an absent file: found error %v", err)
	}
}
