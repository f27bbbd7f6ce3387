package evaluate_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
	"gonum.org/v1/gonum/stat/distuv"
)

// The distances of a collection in which images differ: an image's own part, of
// standard deviation own, is in the distances of all of its pairs, and each pair
// has a part of its own, of standard deviation pairOwn. Pairs of two classes are
// farther apart by shift.
const own, pairOwn, shift = 1.0, 0.25, 2.5

// collection draws images of classes and all of their pairs, or, if there is a
// number of them, as many at random.
func collection(seed uint64, experiment, classes, images, some int) (distances []float64, pairs []evaluate.Pair) {
	chance := random.New(seed, "collection", experiment)
	n := classes * images
	part := make([]float64, n)
	for i := range part {
		part[i] = own * chance.NormFloat64()
	}
	add := func(i, j int) {
		pair := evaluate.Pair{Left: i, Right: j, Different: i/images != j/images}
		d := part[i] + part[j] + pairOwn*chance.NormFloat64()
		if pair.Different {
			d += shift
		}
		distances, pairs = append(distances, d), append(pairs, pair)
	}
	if some == 0 {
		for i := range n {
			for j := range i {
				add(i, j)
			}
		}
	}
	for k := range some {
		i := chance.IntN(n)
		j := chance.IntN(n)
		if k%2 == 0 { // of one class
			j = i/images*images + chance.IntN(images)
		}
		if i != j {
			add(i, j)
		}
	}
	return distances, pairs
}

// What the measures would be over all images that there could be: distances are
// normal, of variance 2·own² + pairOwn².
func truths() (auc, equalError, accuracy, accepted float64) {
	sigma := math.Sqrt(2*own*own + pairOwn*pairOwn)
	phi := distuv.UnitNormal.CDF
	return phi(shift / sigma / math.Sqrt2), phi(-shift / 2 / sigma), phi(shift / 2 / sigma),
		phi(shift/sigma + distuv.UnitNormal.Quantile(0.1))
}

// Of intervals from pairs that share images about 95 in 100 hold the truth. Of those
// that take the pairs for independent, as if each had images of its own, far fewer do.
func TestIntervalsOfSharedImagesCover(t *testing.T) {
	if testing.Short() {
		t.Skip("many bootstraps, which show nothing of races")
	}
	const experiments = 60
	auc, equalError, accuracy, accepted := truths()
	held := map[string]int{}
	count := func(what string, m evaluate.Measure, truth float64) {
		if m.Low <= truth && truth <= m.High {
			held[what]++
		}
	}
	for experiment := range experiments {
		distances, pairs := collection(1, experiment, 6, 6, 0)
		others, _ := collection(2, experiment, 6, 6, 0) // another method, as good in truth
		different := make([]bool, len(pairs))
		for i, pair := range pairs {
			different[i] = pair.Different
		}
		v, other := must(evaluate.NewVerification(distances, pairs))(t), must(evaluate.NewVerification(others, pairs))(t)
		count("AUC", v.AUC(), auc)
		count("equal error rate", v.EqualErrorRate(), equalError)
		count("true accept rate", must(v.TrueAcceptRate(0.1))(t), accepted)
		count("accuracy", v.AccuracyAt(shift/2), accuracy) // a threshold at which as many of either kind are right
		count("difference of AUC", must(evaluate.AUCDifference(v, other))(t), 0)
		count("difference of accuracy", must(evaluate.AccuracyDifference(v, shift/2, other, shift/2))(t), 0)
		independent := verification(t, distances, different)
		count("AUC of independent pairs", independent.AUC(), auc)
		count("accuracy of independent pairs", independent.AccuracyAt(shift/2), accuracy)
	}
	t.Logf("of %d intervals there hold the truth: %v", experiments, held)
	for what, times := range held {
		share := float64(times) / experiments
		switch {
		case strings.HasSuffix(what, "independent pairs"):
			if share > 0.8 {
				t.Errorf("%s: %d of %d intervals hold the truth, expected far fewer: the images have no effect here", what, times, experiments)
			}
		case share < 0.88:
			t.Errorf("%s: %d of %d intervals hold the truth, expected about 95 %%", what, times, experiments)
		}
	}
}

// Intervals of pairs that share no image are those of independent pairs, neither
// wider nor narrower: of a share of n the width is 2·1.96·√(p(1−p)/n).
func TestIntervalsOfPairsApart(t *testing.T) {
	different := make([]bool, 1000)
	distances := make([]float64, len(different))
	for i := range different {
		different[i] = i%2 == 1
		if i%10 < 2 { // a fifth of either kind is wrong
			distances[i] = 1
		}
		if different[i] {
			distances[i] = 1 - distances[i]
		}
	}
	v := verification(t, distances, different)
	want := 2 * 1.96 * math.Sqrt(0.2*0.8/float64(len(different)))
	if got := width(v.AccuracyAt(0.5)); math.Abs(got/want-1) > 0.1 {
		t.Errorf("the interval of the accuracy is %.4f wide, expected %.4f", got, want)
	}
	rate := must(v.TrueAcceptRate(0.5))(t)
	if got := width(rate); math.Abs(got/(want*math.Sqrt2)-1) > 0.1 {
		t.Errorf("the interval of the true accept rate %v is %.4f wide, expected %.4f", rate, got, want*math.Sqrt2)
	}
}

// A pair that comes twice, one the other way round and one of an image with itself
// share what they share; and what the images are called is nothing to it.
func TestNamesOfImagesDoNotMatter(t *testing.T) {
	distances := []float64{1, 3, 2, 4, 2, 0, 5}
	pairs := []evaluate.Pair{
		{Left: 0, Right: 1}, {Left: 1, Right: 0}, {Left: 2, Right: 3}, {Left: 0, Right: 2, Different: true},
		{Left: 1, Right: 3, Different: true}, {Left: 3, Right: 3}, {Left: 4, Right: 5, Different: true},
	}
	renamed := make([]evaluate.Pair, len(pairs))
	for i, pair := range pairs {
		renamed[i] = evaluate.Pair{Left: -7 * pair.Left, Right: -7 * pair.Right, Different: pair.Different}
	}
	v, again := must(evaluate.NewVerification(distances, pairs))(t), must(evaluate.NewVerification(distances, renamed))(t)
	expect(t, "AUC", again.AUC(), v.AUC())
	if m := v.AUC(); !(m.Low < m.Value && m.Value < m.High) {
		t.Errorf("AUC is %v, expected an interval about it", m)
	}
	if _, err := evaluate.AUCDifference(v, again); err == nil || !strings.Contains(err.Error(), "not of the same pairs") {
		t.Errorf("other images: got error %v", err)
	}
	if _, err := evaluate.AccuracyDifference(v, 1, again, 1); err == nil || !strings.Contains(err.Error(), "not of the same pairs") {
		t.Errorf("other images: got error %v", err)
	}
}

// A few pairs of few images have intervals, too, though many a replicate has no
// pair of one of the two kinds.
func TestIntervalOfFourImages(t *testing.T) {
	v := must(evaluate.NewVerification([]float64{1, 2, 1.5}, []evaluate.Pair{
		{Left: 0, Right: 1}, {Left: 0, Right: 2, Different: true}, {Left: 1, Right: 3, Different: true},
	}))(t)
	for _, m := range []evaluate.Measure{v.AUC(), v.EqualErrorRate(), v.AccuracyAt(1.2)} {
		if math.IsNaN(m.Low) || math.IsNaN(m.High) || math.IsNaN(m.StandardError) || m.Low > m.Value || m.High < m.Value {
			t.Errorf("found %v", m)
		}
	}
}

// Episodes that are drawn from a few images ask about each again and again.
// Intervals that resample these images hold the truth as often as they should, or
// nearly; those that resample episodes far less often.
func TestOneShotIntervalsOfFewImagesCover(t *testing.T) {
	const experiments, classes, images, episodes, dimensions = 80, 10, 10, 60, 4
	centers := normal(1, classes, dimensions)
	var byImages, byEpisodes []evaluate.Measure
	var truth float64 // the mean over all experiments is far nearer to it than one of them
	for experiment := range experiments {
		chance := random.New(3, "one-shot", experiment)
		embeddings := evaluate.Embeddings{Rows: classes * images, Columns: dimensions}
		for i := range embeddings.Rows {
			for j := range dimensions {
				embeddings.Data = append(embeddings.Data, 2*centers.Row(i / images)[j]+float32(chance.NormFloat64()))
			}
		}
		var trials []evaluate.Trial
		var groups []int
		for episode := range episodes {
			support, queries := make([][]int, classes), make([]int, classes)
			for class := range classes {
				two := chance.Perm(images)[:2]
				support[class], queries[class] = []int{class*images + two[0]}, class*images+two[1]
			}
			for class, query := range queries {
				trials, groups = append(trials, evaluate.Trial{Support: support, Query: query, Answer: class}), append(groups, episode)
			}
		}
		score := must(evaluate.OneShot(euclidean, embeddings, trials, evaluate.MeanDistance))(t)
		byImages, byEpisodes = append(byImages, score.Measure), append(byEpisodes, must(score.Clustered(groups))(t))
		truth += score.Value / experiments
	}
	held := func(measures []evaluate.Measure) (count int) {
		for _, m := range measures {
			if m.Low <= truth && truth <= m.High {
				count++
			}
		}
		return count
	}
	t.Logf("of %d intervals there hold the truth %d by images and %d by episodes", experiments, held(byImages), held(byEpisodes))
	if held(byImages) < 0.85*experiments {
		t.Errorf("by images %d of %d intervals hold the truth, expected about 95 %%", held(byImages), experiments)
	}
	if held(byEpisodes) > 0.8*experiments {
		t.Errorf("by episodes %d of %d intervals hold the truth, expected far fewer: the images have no effect here", held(byEpisodes), experiments)
	}
}

// The interval of a share of all pairs of some images holds the truth, too, though
// it knows only each image's counts. Wilson's of as many pairs does not.
func TestWilsonOfPairsCovers(t *testing.T) {
	const experiments = 200
	_, _, accuracy, _ := truths() // of pairs of one class at shift/2: as many of these are accepted
	held, independent := 0, 0
	for experiment := range experiments {
		distances, pairs := collection(4, experiment, 2, 25, 0)
		accepted, all := make([]int, 50), make([]int, 50)
		same, successes := 0, 0
		for i, pair := range pairs {
			if pair.Different {
				continue
			}
			same++
			for _, image := range []int{pair.Left, pair.Right} {
				all[image]++
				if distances[i] <= shift/2 {
					accepted[image]++
				}
			}
			if distances[i] <= shift/2 {
				successes++
			}
		}
		m := must(evaluate.WilsonOfPairs(accepted, all))(t)
		expect(t, "share", m.Value, float64(successes)/float64(same), rounding)
		if m.Low <= accuracy && accuracy <= m.High {
			held++
		}
		if m := evaluate.Wilson(float64(successes), same); m.Low <= accuracy && accuracy <= m.High {
			independent++
		}
	}
	t.Logf("of %d intervals there hold the truth %d, of independent pairs %d", experiments, held, independent)
	if held < 0.9*experiments || independent > 0.7*experiments {
		t.Errorf("of %d intervals there hold the truth %d, expected about 95 %%, and of independent pairs %d, expected far fewer", experiments, held, independent)
	}
}

// Pairs that share no image are independent; of those that are all alike there are
// as many as two images each make.
func TestWilsonOfPairsAtItsEnds(t *testing.T) {
	var accepted, pairs []int
	for i := range 40 { // 20 pairs, of which 15 are accepted
		pairs = append(pairs, 1)
		accepted = append(accepted, min(1, i/10))
	}
	expect(t, "apart", must(evaluate.WilsonOfPairs(accepted, pairs))(t), evaluate.Wilson(15, 20), rounding)
	expect(t, "none of six pairs of four images", must(evaluate.WilsonOfPairs([]int{0, 0, 0, 0}, []int{3, 3, 3, 3}))(t), evaluate.Wilson(0, 2))
	expect(t, "all of them", must(evaluate.WilsonOfPairs([]int{3, 3, 3, 3}, []int{3, 3, 3, 3}))(t), evaluate.Wilson(2, 2))
	expect(t, "no pairs", must(evaluate.WilsonOfPairs([]int{0}, []int{0}))(t), evaluate.Wilson(0, 0), cmpopts.EquateNaNs())
	for want, err := range map[string]error{
		"counts of 2 images and of 1": second(evaluate.WilsonOfPairs([]int{0, 0}, []int{1})),
		"image 1: found 2 accepted":   second(evaluate.WilsonOfPairs([]int{1, 2}, []int{1, 1})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}
