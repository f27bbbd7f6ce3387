package evaluate_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
	"pgregory.net/rapid"
)

// A sample of pairs has no pair twice, the wanted number of either kind, and the
// right labels; without a bound all pairs are there.
func TestAllPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 25).Draw(t, "n")
		labels := drawLabels(t, n, rapid.IntRange(1, 5).Draw(t, "classes"))
		most := rapid.IntRange(2, 320).Draw(t, "most")
		pairs := must(evaluate.AllPairs(labels, most, rapid.Uint64().Draw(t, "seed")))(t)
		same := 0
		for i := range n {
			for j := range i {
				if labels[i] == labels[j] {
					same++
				}
			}
		}
		all := n * (n - 1) / 2
		if len(pairs) != min(all, most) {
			t.Fatalf("found %d pairs, want %d", len(pairs), min(all, most))
		}
		foundSame := 0
		for i, pair := range pairs {
			if pair.Left >= pair.Right || pair.Different != (labels[pair.Left] != labels[pair.Right]) {
				t.Fatalf("pair %d is %+v of the labels %v", i, pair, labels)
			}
			if !pair.Different {
				foundSame++
			}
			if i > 0 && !(pairs[i-1].Left < pair.Left || pairs[i-1].Left == pair.Left && pairs[i-1].Right < pair.Right) {
				t.Fatalf("pair %d, %+v, does not follow %+v", i, pair, pairs[i-1])
			}
		}
		want := same
		if all > most {
			want = min(same, max(most/2, most-(all-same)))
		}
		if foundSame != want {
			t.Fatalf("found %d pairs of one class of %d, want %d", foundSame, len(pairs), want)
		}
	})
}

// A sample is uniform: each pair of a kind is drawn equally often.
func TestSampledPairsAreUniform(t *testing.T) {
	const draws = 3000
	labels := []int{0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3}
	counts := map[evaluate.Pair]int{}
	for seed := range uint64(draws) {
		for _, pair := range must(evaluate.AllPairs(labels, 12, seed))(t) {
			counts[pair]++
		}
	}
	// 6 of the 19 pairs of one class, and 6 of the 47 pairs of two; six standard
	// deviations of a binomial number.
	for pair, count := range counts {
		p := 6.0 / 19
		if pair.Different {
			p = 6.0 / 47
		}
		if want := draws * p; math.Abs(float64(count)-want) > 6*math.Sqrt(want*(1-p)) {
			t.Errorf("%+v was drawn %d times, want about %.0f", pair, count, want)
		}
	}
	if len(counts) != 66 {
		t.Errorf("found %d different pairs, want all 66", len(counts))
	}
}

// clouds draws labeled embeddings: an image differs from the center of its class, and
// images that lie far from it are hard in all of their pairs.
func clouds(seed uint64, experiment, classes, images int) evaluate.Labeled {
	r := random.New(seed, "clouds", experiment)
	set := evaluate.Labeled{Embeddings: evaluate.Embeddings{Rows: classes * images, Columns: 4}}
	for i := range set.Rows {
		centers := random.New(seed, "center", i/images)
		spread := math.Exp(r.NormFloat64())
		for range set.Columns {
			set.Data = append(set.Data, float32(centers.NormFloat64()+spread*r.NormFloat64()))
		}
		set.Labels = append(set.Labels, i/images)
	}
	return set
}

// The 16,110 pairs of 180 images are far from independent: an interval that took
// them for such, as a binomial's, would be much too narrow. That of all pairs of a set
// resamples the images, and of such intervals about 95 in 100 hold the truth.
func TestIntervalsOverAllPairsCover(t *testing.T) {
	if testing.Short() {
		t.Skip("many bootstraps, which show nothing of races")
	}
	accuracy := func(set evaluate.Labeled) evaluate.Estimate {
		summary := must(evaluate.Summarize(euclidean, set, evaluate.SummaryOptions{Episodes: 1}))(t)
		return summary.Verification.AccuracyAt(2)
	}
	large := accuracy(clouds(1, 0, 9, 20))
	pairs := 180 * 179 / 2
	independent := evaluate.Wilson(math.Round(large.Value*float64(pairs)), pairs)
	if ratio := width(large) / width(independent); ratio < 2 {
		t.Errorf("the interval %v of %d pairs of 180 images is %.1f times as wide as that of independent pairs, %v: expected far more", large, pairs, ratio, independent)
	}

	experiments := 40
	if testutil.Long() {
		experiments = 400
	}
	var truth float64 // the mean over all experiments is far nearer to it than one of them
	var found []evaluate.Estimate
	for experiment := range experiments {
		found = append(found, accuracy(clouds(1, 1+experiment, 9, 6)))
		truth += found[experiment].Value / float64(experiments)
	}
	held, heldIndependent := 0, 0
	for _, m := range found {
		if m.Low <= truth && truth <= m.High {
			held++
		}
		const pairs = 54 * 53 / 2
		if m := evaluate.Wilson(math.Round(m.Value*pairs), pairs); m.Low <= truth && truth <= m.High {
			heldIndependent++
		}
	}
	t.Logf("of %d intervals there hold the truth %d, of independent pairs %d", experiments, held, heldIndependent)
	if float64(held) < 0.88*float64(experiments) {
		t.Errorf("%d of %d intervals hold the truth, expected about 95 %%", held, experiments)
	}
	if float64(heldIndependent) > 0.85*float64(experiments) {
		t.Errorf("%d of %d intervals of independent pairs hold the truth, expected far fewer: the images have no effect here", heldIndependent, experiments)
	}
}

func TestSummarizeRefuses(t *testing.T) {
	set := evaluate.Labeled{Embeddings: line(0, 1, 2, 3), Labels: []int{0, 0, 1, 1}}
	single := evaluate.Labeled{Embeddings: line(0, 1, 2, 3), Labels: []int{0, 0, 1, 2}}
	for want, err := range map[string]error{
		"found way 3, expected 2 to 2":               second(evaluate.Summarize(euclidean, set, evaluate.SummaryOptions{Way: 3})),
		"found 1 classes of two embeddings or more":  second(evaluate.Summarize(euclidean, single, evaluate.SummaryOptions{})),
		"found no metric":                            second(evaluate.Summarize(nil, set, evaluate.SummaryOptions{})),
		"found -1 pairs":                             second(evaluate.Summarize(euclidean, set, evaluate.SummaryOptions{Pairs: -1})),
		"found at most 1 pairs, expected at least 2": second(evaluate.AllPairs(set.Labels, 1, 1)),
		"-1 embeddings to cluster":                   second(evaluate.Summarize(euclidean, set, evaluate.SummaryOptions{Clustered: -1})),
		"recall at 9":                                second(evaluate.Summarize(euclidean, set, evaluate.SummaryOptions{RecallAt: []int{9}})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found error %v, want %q", err, want)
		}
	}
}

// More embeddings than are to be clustered are a sample of them, in order.
func TestSummarizeClustersASample(t *testing.T) {
	set := clouds(1, 0, 5, 10)
	all := must(evaluate.Summarize(euclidean, set, evaluate.SummaryOptions{Seed: 3}))(t)
	expect(t, "all rows", all.Clustered, sequence(50))
	expect(t, "clusters of all", all.Clustering, must(evaluate.Cluster(euclidean, set, evaluate.ClusterOptions{Seed: 3}))(t))
	some := must(evaluate.Summarize(euclidean, set, evaluate.SummaryOptions{Seed: 3, Clustered: 20}))(t)
	if len(some.Clustered) != 20 || !slices.IsSorted(some.Clustered) || len(slices.Compact(slices.Clone(some.Clustered))) != 20 || len(some.Clustering.Assignments) != 20 {
		t.Errorf("found the rows %v and %d assignments, expected 20 different ones in order", some.Clustered, len(some.Clustering.Assignments))
	}
}
