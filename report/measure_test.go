package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
)

// names returns the sorted names of a report's figures.
func names(r Report) []string { return slices.Sorted(maps.Keys(r.Metrics)) }

// The figures of all three contenders agree with a naive computation.
func TestFiguresAgainstNaive(t *testing.T) {
	p := newPlan(t, experiment(), 1)
	trained, untrained := newModel(t, 1), newModel(t, 2)
	r, err := p.Measure(trained, untrained)
	if err != nil {
		t.Fatal(err)
	}
	found := [3]map[string]float64{{}, {}, {}}
	for name, f := range r.Metrics {
		if !slices.Contains([]string{verificationEER, mapAtR, precisionAt5, reciprocalRank, discountedGain, clusterNMI, clusterAMI}, name) {
			found[0][name], found[1][name], found[2][name] = f.Value, f.Untrained, f.Pixels
		}
	}
	for i, s := range []space{modelSpace(t, trained), modelSpace(t, untrained), pixelSpace} {
		if diff := cmp.Diff(s.byHand(p), found[i], cmpopts.EquateApprox(0, 1e-9)); diff != "" {
			t.Errorf("contender %d (-by hand +found):\n%s", i, diff)
		}
	}
	if want := modelSpace(t, trained).threshold(p); math.Abs(*r.Threshold-want) > 1e-5 {
		t.Errorf("found threshold %v, expected %v", r.Threshold, want)
	}
}

// Intervals and gains are those that package evaluate computes: clustered by image for
// verification and by query for one-shot recognition, against the better baseline.
func TestIntervalsAndGains(t *testing.T) {
	p := newPlan(t, experiment(), 1)
	trained, untrained := newModel(t, 1), newModel(t, 2)
	r, err := p.Measure(trained, untrained)
	if err != nil {
		t.Fatal(err)
	}
	metric, err := heads.L2{}.Distance(nil) // that of the models and of the pixels
	if err != nil {
		t.Fatal(err)
	}
	var scores [3]evaluate.Score
	var verifications [3]*evaluate.Verification
	var retrievals [3]evaluate.Retrieval
	var clusterings [3]*evaluate.Clustering
	for i, c := range []contender{network{Model: trained}, network{Model: untrained}, rawPixels{}} {
		embeddings, err := c.embed(p.unseen, nil)
		if err != nil {
			t.Fatal(err)
		}
		if scores[i], err = evaluate.OneShot(metric, embeddings, p.trials, evaluate.MeanDistance); err != nil {
			t.Fatal(err)
		}
		if verifications[i], err = evaluate.Verify(metric, embeddings, p.testPairs); err != nil {
			t.Fatal(err)
		}
		if retrievals[i], err = evaluate.Retrieve(metric, evaluate.Labeled{Embeddings: embeddings, Labels: p.unseen.Labels}, 1, 5); err != nil {
			t.Fatal(err)
		}
		if clusterings[i], err = evaluate.Cluster(metric, evaluate.Labeled{Embeddings: embeddings, Labels: p.unseen.Labels}, evaluate.ClusterOptions{Seed: p.clusterSeed}); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]Figure{}
	add := func(name string, m evaluate.Estimate, untrained, pixels float64, gain *evaluate.Estimate) {
		f := Figure{Value: m.Value, Low: m.Low, High: m.High, Untrained: untrained, Pixels: pixels}
		if gain != nil {
			f.Gain = &Gain{gain.Value, gain.Low, gain.High}
		}
		want[name] = f
	}

	best := 1
	if scores[2].Value > scores[1].Value {
		best = 2
	}
	gain, err := evaluate.Difference(scores[0], scores[best], evaluate.Queries(p.trials))
	if err != nil {
		t.Fatal(err)
	}
	clustered, err := scores[0].Clustered(evaluate.Queries(p.trials))
	if err != nil {
		t.Fatal(err)
	}
	add(oneShotAccuracy, clustered, scores[1].Value, scores[2].Value, &gain)

	auc := [3]evaluate.Estimate{verifications[0].AUC(), verifications[1].AUC(), verifications[2].AUC()}
	best = 1
	if auc[2].Value > auc[1].Value {
		best = 2
	}
	if gain, err = evaluate.AUCDifference(verifications[0], verifications[best]); err != nil {
		t.Fatal(err)
	}
	add(verificationAUC, auc[0], auc[1].Value, auc[2].Value, &gain)
	add(verificationEER, verifications[0].EqualErrorRate(), verifications[1].EqualErrorRate().Value, verifications[2].EqualErrorRate().Value, nil)

	var accuracies [3]evaluate.Estimate
	var thresholds [3]float64
	for i, c := range []contender{network{Model: trained}, network{Model: untrained}, rawPixels{}} {
		embeddings, err := c.embed(p.validation, nil)
		if err != nil {
			t.Fatal(err)
		}
		validation, err := evaluate.Verify(metric, embeddings, p.thresholdPairs)
		if err != nil {
			t.Fatal(err)
		}
		thresholds[i] = validation.BestThreshold()
		accuracies[i] = verifications[i].AccuracyAt(thresholds[i])
	}
	best = 1
	if accuracies[2].Value > accuracies[1].Value {
		best = 2
	}
	if gain, err = evaluate.AccuracyDifference(verifications[0], thresholds[0], verifications[best], thresholds[best]); err != nil {
		t.Fatal(err)
	}
	add(verificationAccuracy, accuracies[0], accuracies[1].Value, accuracies[2].Value, &gain)

	for name, of := range map[string]func(evaluate.Retrieval) evaluate.Score{
		mapAtR:         func(r evaluate.Retrieval) evaluate.Score { return r.MAPAtR },
		precisionAt5:   func(r evaluate.Retrieval) evaluate.Score { return r.PrecisionAt[5] },
		reciprocalRank: func(r evaluate.Retrieval) evaluate.Score { return r.MRR },
		discountedGain: func(r evaluate.Retrieval) evaluate.Score { return r.NDCG },
	} {
		scores := [3]evaluate.Score{of(retrievals[0]), of(retrievals[1]), of(retrievals[2])}
		best = 1
		if scores[2].Value > scores[1].Value {
			best = 2
		}
		gain, err := evaluate.Difference(scores[0], scores[best], nil)
		if err != nil {
			t.Fatal(err)
		}
		add(name, scores[0].Estimate, scores[1].Value, scores[2].Value, &gain)
	}
	add(clusterNMI, clusterings[0].NMI, clusterings[1].NMI.Value, clusterings[2].NMI.Value, nil)
	add(clusterAMI, clusterings[0].AMI, clusterings[1].AMI.Value, clusterings[2].AMI.Value, nil)

	for name, figure := range want {
		if diff := cmp.Diff(figure, r.Metrics[name]); diff != "" {
			t.Errorf("%s (-want +found):\n%s", name, diff)
		}
	}
}

// The threshold is chosen on validation pairs and does not depend on the test pairs.
func TestThresholdIgnoresTestPairs(t *testing.T) {
	p := newPlan(t, experiment(), 1)
	want := measure(t, p)
	for i := range p.testPairs {
		p.testPairs[i].Different = !p.testPairs[i].Different
	}
	found := measure(t, p)
	if *found.Threshold != *want.Threshold {
		t.Errorf("found threshold %v with inverted test pairs, expected %v", *found.Threshold, *want.Threshold)
	}
	if found.Metrics[verificationAccuracy] == want.Metrics[verificationAccuracy] {
		t.Error("accuracy does not change with the test pairs")
	}
}

// What cannot be measured is an error that names the step, without a report.
func TestMeasureErrors(t *testing.T) {
	broken := newModel(t, 1)
	broken.Weights.Get("linear1.weight").Value.Data().([]float32)[0] = float32(math.NaN())
	p := newPlan(t, experiment(), 1)
	oneKind := &datasets.PairList{Dataset: p.unseen, Pairs: []datasets.Pair{{Left: 0, Right: 1}}}
	both := &datasets.PairList{Dataset: p.unseen, Pairs: p.testPairs}
	for _, test := range []struct {
		plan               *Plan
		trained, untrained *likeness.Model
		want               string
	}{
		{p, broken, newModel(t, 2), "measure the trained network: nearest neighbors"},
		{p, newModel(t, 1), broken, "measure the untrained network: nearest neighbors"},
		{p, nil, newModel(t, 2), "measure the trained network: found no model (nil), expected one"},
		{NewPairPlan(nil, oneKind), newModel(t, 1), newModel(t, 2), "verification: pairs of both kinds are needed, found 1 of one class and 0 of two"},
		{NewPairPlan(oneKind, both), newModel(t, 1), newModel(t, 2), "verification: threshold: pairs of both kinds are needed"},
		{NewPairPlan(nil, both), broken, newModel(t, 2), "measure the trained network: verification"},
	} {
		r, err := test.plan.Measure(test.trained, test.untrained)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("found error %v, expected one with %q", err, test.want)
		}
		if diff := cmp.Diff(Report{}, r); diff != "" {
			t.Errorf("%s: found a report with the error:\n%s", test.want, diff)
		}
	}
}

// A network that maps all images to one embedding has finite figures at chance.
func TestCollapsedNetwork(t *testing.T) {
	p := newPlan(t, experiment(), 1)
	collapsed := newModel(t, 1)
	clear(collapsed.Weights.Get("linear1.weight").Value.Data().([]float32))
	r, err := p.Measure(collapsed, newModel(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, name := range []string{verificationAUC, verificationEER, oneShotAccuracy, recallAt1} {
		found[name] = r.Metrics[name].Value
	}
	// Four of the nineteen others are of an image's class.
	want := map[string]float64{verificationAUC: 0.5, verificationEER: 0.5, oneShotAccuracy: 0.25, recallAt1: 4.0 / 19}
	if diff := cmp.Diff(want, found, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Errorf("figures (-chance +found):\n%s", diff)
	}
}

// space is the distance of two images by one contender.
type space func(a, b []uint8) float64

func modelSpace(t *testing.T, model *likeness.Model) space {
	return func(a, b []uint8) float64 {
		rows, err := model.EmbedPixels([][]uint8{a, b})
		if err != nil {
			t.Fatal(err)
		}
		return euclidean(rows[0], rows[1])
	}
}

func pixelSpace(a, b []uint8) float64 { return euclidean(a, b) }

func euclidean[T uint8 | float32](a, b []T) float64 {
	var sum float64
	for i := range a {
		sum += math.Pow(float64(a[i])-float64(b[i]), 2)
	}
	return math.Sqrt(sum)
}

// distances returns the distances of the pairs of each kind.
func (s space) distances(images *datasets.Dataset, pairs []datasets.Pair) (same, different []float64) {
	for _, pair := range pairs {
		d := s(images.Images[pair.Left], images.Images[pair.Right])
		if pair.Different {
			different = append(different, d)
		} else {
			same = append(same, d)
		}
	}
	return same, different
}

// byHand computes the figures naively, except the equal error rate, those of whole rankings and
// those of clusters, which package evaluate tests. The test data has no ties between distances.
func (s space) byHand(p *Plan) map[string]float64 {
	figures := map[string]float64{}
	for i, image := range p.seen.Images {
		nearest := slices.MinFunc(p.references.Images, func(a, b []uint8) int { return compare(s(a, image), s(b, image)) })
		if class := p.references.Labels[index(p.references, nearest)]; class == p.seen.Labels[i] {
			figures[knnAccuracy] += 1 / float64(p.seen.Len())
		}
	}
	same, different := s.distances(p.unseen, p.testPairs)
	for _, near := range same {
		for _, far := range different {
			if near < far {
				figures[verificationAUC] += 1 / float64(len(same)*len(different))
			}
		}
	}
	threshold := s.threshold(p)
	for _, d := range same {
		if d <= threshold {
			figures[verificationAccuracy] += 1 / float64(len(p.testPairs))
		}
	}
	for _, d := range different {
		if d > threshold {
			figures[verificationAccuracy] += 1 / float64(len(p.testPairs))
		}
	}
	for _, trial := range p.trials {
		query, nearest := p.unseen.Images[trial.Query], 0
		for class, support := range trial.Support {
			if s(p.unseen.Images[support[0]], query) < s(p.unseen.Images[trial.Support[nearest][0]], query) {
				nearest = class
			}
		}
		if nearest == trial.Answer {
			figures[oneShotAccuracy] += 1 / float64(len(p.trials))
		}
	}
	for i, image := range p.retrieval.Images {
		others := slices.Concat(p.retrieval.Images[:i], p.retrieval.Images[i+1:])
		nearest := slices.MinFunc(others, func(a, b []uint8) int { return compare(s(a, image), s(b, image)) })
		if p.retrieval.Labels[index(p.retrieval, nearest)] == p.retrieval.Labels[i] {
			figures[recallAt1] += 1 / float64(p.retrieval.Len())
		}
	}
	return figures
}

// threshold is the lowest threshold halfway between two distances that classifies
// the most validation pairs correctly.
func (s space) threshold(p *Plan) float64 {
	same, different := s.distances(p.validation, p.thresholdPairs)
	all := slices.Compact(slices.Sorted(slices.Values(slices.Concat(same, different))))
	best, right := 0.0, -1
	for i := range all[1:] {
		threshold, hits := (all[i]+all[i+1])/2, 0
		for _, d := range same {
			if d <= threshold {
				hits++
			}
		}
		for _, d := range different {
			if d > threshold {
				hits++
			}
		}
		if hits > right {
			best, right = threshold, hits
		}
	}
	return best
}

func compare(a, b float64) int {
	if a < b {
		return -1
	}
	return 1
}

func index(d *datasets.Dataset, image []uint8) int {
	return slices.IndexFunc(d.Images, func(other []uint8) bool { return &other[0] == &image[0] })
}

// The model before fine-tuning is a baseline of its own: its values are those of a
// measurement of its own, gains are over the best of the three, and the table, the page
// and the progress include it. The other values do not depend on it.
func TestPretrained(t *testing.T) {
	without := measure(t, newPlan(t, experiment(), 1))
	other, err := newPlan(t, experiment(), 1).Measure(newModel(t, 3), newModel(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	p := newPlan(t, experiment(), 1)
	p.Pretrained = newModel(t, 3)
	last, total := 0, 0
	p.Progress = func(done, of int) { last, total = done, of }
	r := measure(t, p)
	if want := 4 * p.embeddings(); last != want || total != want {
		t.Errorf("found progress %d of %d, expected %d", last, total, want)
	}
	for name, f := range r.Metrics {
		if f.Pretrained == nil || *f.Pretrained != other.Metrics[name].Value {
			t.Errorf("%s: found %v, expected the pretrained value %v", name, f, other.Metrics[name].Value)
			continue
		}
		if !strings.HasSuffix(f.String(), fmt.Sprintf(", pretrained %.8g", *f.Pretrained)) {
			t.Errorf("%s: found %v", name, f)
		}
		if best := max(f.Untrained, f.Pixels, *f.Pretrained); f.Gain != nil && math.Abs(f.Gain.Value-(f.Value-best)) > 1e-9 {
			t.Errorf("%s: found the gain %v, expected %v over the best baseline", name, f.Gain.Value, f.Value-best)
		}
		f.Pretrained, f.Gain = nil, without.Metrics[name].Gain
		if diff := cmp.Diff(without.Metrics[name], f); diff != "" {
			t.Errorf("%s (-without +with):\n%s", name, diff)
		}
	}

	p.Progress, p.Pretrained = nil, newModel(t, 1) // the trained model itself
	r, e, err := p.MeasureWithEvidence(newModel(t, 1), newModel(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	if e.Verification.Pretrained.AreaUnderCurve() != e.Verification.Trained.AreaUnderCurve() {
		t.Error("the evidence of the model before fine-tuning is not its own")
	}
	var table strings.Builder
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(table.String(), "\n")
	if !strings.HasSuffix(lines[0], " pretrained") || !strings.HasSuffix(lines[1], fmt.Sprintf(" %10.2f", 100*r.Rows()[0].Value)) {
		t.Errorf("found the table\n%s", table.String())
	}
	_, _, tree := written(t, Page{Title: "tuned", Report: r, Evidence: e})
	expectWords(t, section(t, tree, "figures"), "three baselines", "pretrained", percent(*r.Metrics[mapAtR].Pretrained))
	expectWords(t, section(t, tree, "verification"), "pretrained, area "+percent(r.Metrics[verificationAUC].Value)+" %")

	value := 0.8
	for want, gain := range map[string]Gain{
		"better than all three": {0.1, 0.05, 0.15}, "worse than the network before fine-tuning": {-0.1, -0.15, -0.05},
		"no clear gain over the network before fine-tuning": {0.1, -0.05, 0.25},
	} {
		f := Figure{Untrained: 0.6, Pixels: 0.7, Pretrained: &value, Gain: &gain}
		if rows := figureRows(Report{Metrics: map[string]Figure{mapAtR: f}}); rows[0].Verdict != want || rows[0].Pretrained != "80.00" {
			t.Errorf("found %+v, expected %q", rows, want)
		}
	}

	p.Pretrained.Weights.Get("linear1.weight").Value.Data().([]float32)[0] = float32(math.NaN())
	if _, err := p.Measure(newModel(t, 1), newModel(t, 2)); err == nil || !strings.Contains(err.Error(), "measure the network before fine-tuning: ") {
		t.Errorf("found error %v", err)
	}
}
