package evaluate_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
	"pgregory.net/rapid"
)

// The references are normalized_mutual_info_score and adjusted_mutual_info_score of
// scikit-learn 1.9.1. All embeddings of a cluster are equal, so that k-means finds it.
func TestClusterAgreesWithScikitLearn(t *testing.T) {
	for _, test := range []struct {
		labels, clusters []int
		nmi, ami, purity float64
	}{
		{[]int{0, 0, 0, 1, 1, 1, 2, 2, 2}, []int{0, 0, 1, 1, 1, 1, 2, 2, 0}, 0.5895098274473051, 0.4086705097217219, 7. / 9},
		{[]int{0, 0, 0, 0, 0, 0, 0, 0}, []int{0, 0, 0, 0, 1, 1, 1, 1}, 0, 0, 1},
		{[]int{0, 0, 1, 1, 2, 2, 3, 3}, []int{0, 1, 2, 3, 4, 5, 6, 7}, 0.8, 0, 1},
		{[]int{0, 1, 2, 3, 4}, []int{0, 1, 2, 3, 4}, 1, 1, 1},
		{[]int{3, 3, 3, 3, 3, 3, 7, 7, 7, 7, 1, 1}, []int{0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 1, 1}, 0.5203905623886688, 0.385982339732432, 9. / 12},
		{[]int{0, 1, 0, 1, 0, 1, 0, 1, 0, 1}, []int{0, 0, 0, 0, 0, 1, 1, 1, 1, 1}, 0.029049405545331995, -0.06250051431610654, 6. / 10},
		{[]int{2, 2, 2}, []int{0, 0, 0}, 1, 1, 1},
	} {
		points := make([]float32, len(test.clusters))
		for i, c := range test.clusters {
			points[i] = float32(100 * (c + 1))
		}
		set := evaluate.Labeled{Embeddings: line(points...), Labels: test.labels}
		got := must(evaluate.Cluster(euclidean, set, evaluate.ClusterOptions{Clusters: slices.Max(test.clusters) + 1, Seed: 1}))(t)
		expect(t, "NMI", got.NMI.Value, test.nmi, rounding)
		expect(t, "AMI", got.AMI.Value, test.ami, rounding)
		expect(t, "purity", got.Purity.Value, test.purity, rounding)
		if got.Inertia != 0 || got.Clusters != slices.Max(test.clusters)+1 {
			t.Errorf("%v: found %d clusters of inertia %v", test.clusters, got.Clusters, got.Inertia)
		}
		for i, c := range test.clusters {
			if same := got.Assignments[i] == got.Assignments[0]; same != (c == test.clusters[0]) {
				t.Errorf("%v: found the assignments %v", test.clusters, got.Assignments)
			}
		}
		for _, m := range []evaluate.Estimate{got.NMI, got.AMI} {
			if m.Low > m.Value || m.High < m.Value || m.High > 1 {
				t.Errorf("%v: found the interval %v", test.clusters, m)
			}
		}
	}
}

// Each embedding is nearest to the mean of its own cluster, and the inertia is the sum of the
// squared distances from these means.
func TestClustersAreThoseOfTheirMeans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const rows, columns = 40, 2
		clusters := rapid.IntRange(1, 6).Draw(t, "clusters")
		set := evaluate.Labeled{Embeddings: normal(rapid.Uint64().Draw(t, "seed"), rows, columns), Labels: make([]int, rows)}
		got := must(evaluate.Cluster(euclidean, set, evaluate.ClusterOptions{Clusters: clusters, Starts: 1}))(t)
		means, sizes := make([][columns]float64, clusters), make([]float64, clusters)
		for i, c := range got.Assignments {
			sizes[c]++
			for j, x := range set.Row(i) {
				means[c][j] += float64(x)
			}
		}
		squared := func(i, c int) (sum float64) {
			for j, x := range set.Row(i) {
				sum += math.Pow(float64(x)-means[c][j]/sizes[c], 2)
			}
			return sum
		}
		var inertia float64
		for i, c := range got.Assignments {
			inertia += squared(i, c)
			for other := range clusters {
				if squared(i, other) < squared(i, c)-1e-9 {
					t.Fatalf("embedding %d is in cluster %d, but nearer to the mean of %d", i, c, other)
				}
			}
		}
		if math.Abs(got.Inertia-inertia) > 1e-9 {
			t.Fatalf("found the inertia %v, expected %v", got.Inertia, inertia)
		}
	})
}

// More starts find clusters of a smaller inertia, or the same.
func TestStarts(t *testing.T) {
	set := evaluate.Labeled{Embeddings: normal(5, 300, 3), Labels: make([]int, 300)}
	last, better := math.Inf(1), 0
	for _, starts := range []int{1, 2, 4, 8, 16} {
		got := must(evaluate.Cluster(euclidean, set, evaluate.ClusterOptions{Clusters: 20, Starts: starts}))(t)
		if got.Inertia > last {
			t.Errorf("%d starts have the inertia %v, fewer have %v", starts, got.Inertia, last)
		}
		if got.Inertia < last {
			better++
		}
		last = got.Inertia
	}
	if better < 2 {
		t.Error("16 starts are not better than one")
	}
}

// The lengths of embeddings matter to k-means only if they do to the metric.
func TestClusterScalesForTheCosine(t *testing.T) {
	set := separable(1, 90, 6)
	long := evaluate.Labeled{Embeddings: set.Select(sequence(set.Rows)), Labels: set.Labels}
	for i := range long.Rows {
		for j := range long.Row(i) {
			long.Row(i)[j] *= float32(int(1) << (i % 8)) // which does not round
		}
	}
	of := func(metric evaluate.Metric, set evaluate.Labeled) []int {
		return must(evaluate.Cluster(metric, set, evaluate.ClusterOptions{Clusters: 5}))(t).Assignments
	}
	expect(t, "cosine", of(cosine, long), of(cosine, set))
	if slices.Equal(of(euclidean, long), of(euclidean, set)) {
		t.Error("the lengths of embeddings do not matter to the Euclidean distance")
	}
	// A zero vector has no direction, and stays zero.
	clear(long.Row(3))
	of(cosine, long)
}

func sequence(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// There are no more clusters than different embeddings.
func TestClusterOfEqualEmbeddings(t *testing.T) {
	for points, clusters := range map[*evaluate.Embeddings]int{
		{Rows: 6, Columns: 1, Data: []float32{0.1, 0.1, 0.1, 0.1, 0.1, 0.1}}:                                  1,
		{Rows: 3, Columns: 2, Data: []float32{0, 0, 0, 0, 0, 0}}:                                              1,
		{Rows: 4, Columns: 3, Data: []float32{.1, .7, .3, .1, .7, .3, .6, .3, .1, .6, .3, .1}}:                2,
		{Rows: 3, Columns: 1, Data: []float32{math.MaxFloat32, math.MaxFloat32, math.SmallestNonzeroFloat32}}: 2,
	} {
		set := evaluate.Labeled{Embeddings: *points, Labels: sequence(points.Rows)}
		for _, metric := range []evaluate.Metric{euclidean, cosine} {
			got := must(evaluate.Cluster(metric, set, evaluate.ClusterOptions{}))(t)
			if got.Clusters > clusters || metric == euclidean && got.Clusters < clusters {
				t.Errorf("%v: found %d clusters, expected %d", points.Data, got.Clusters, clusters)
			}
		}
	}
}

func TestClusterRefuses(t *testing.T) {
	set := evaluate.Labeled{Embeddings: line(0, 1, 2, 3), Labels: []int{0, 0, 1, 1}}
	for want, err := range map[string]error{
		"found 5 clusters, expected 1 to 4": second(evaluate.Cluster(euclidean, set, evaluate.ClusterOptions{Clusters: 5})),
		"found -2 starts":                   second(evaluate.Cluster(euclidean, set, evaluate.ClusterOptions{Starts: -2})),
		"found -1 clusters":                 second(evaluate.Cluster(euclidean, set, evaluate.ClusterOptions{Clusters: -1})),
		"found no metric":                   second(evaluate.Cluster(nil, set, evaluate.ClusterOptions{})),
		"there are no embeddings":           second(evaluate.Cluster(euclidean, evaluate.Labeled{Embeddings: evaluate.Embeddings{Columns: 1}}, evaluate.ClusterOptions{})),
		"NaN":                               second(evaluate.Cluster(euclidean, evaluate.Labeled{Embeddings: line(float32(math.NaN())), Labels: []int{0}}, evaluate.ClusterOptions{})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found error %v, want %q", err, want)
		}
	}
}

// The intervals of NMI and AMI are about as wide as the values of other images of the same classes
// vary, although these are clustered anew, and the shifted replicates hold the value.
func TestIntervalsOfClusters(t *testing.T) {
	experiments := 40
	if testutil.Long() {
		experiments = 400
	}
	var nmi, ami, nmiErrors, amiErrors []float64
	for experiment := range experiments {
		set := evaluate.Labeled{Embeddings: evaluate.Embeddings{Rows: 200, Columns: 4}}
		r := random.New(1, "images", experiment)
		for i := range set.Rows {
			centers := random.New(1, "center", i%5)
			for range set.Columns {
				set.Data = append(set.Data, float32(2*centers.NormFloat64()+r.NormFloat64()))
			}
			set.Labels = append(set.Labels, i%5)
		}
		got := must(evaluate.Cluster(euclidean, set, evaluate.ClusterOptions{}))(t)
		nmi, ami = append(nmi, got.NMI.Value), append(ami, got.AMI.Value)
		nmiErrors, amiErrors = append(nmiErrors, got.NMI.StandardError), append(amiErrors, got.AMI.StandardError)
	}
	for name, of := range map[string][2][]float64{"NMI": {nmi, nmiErrors}, "AMI": {ami, amiErrors}} {
		spread, stated := stat.StdDev(of[0], nil), floats.Sum(of[1])/float64(experiments)
		t.Logf("%s %.4f: standard deviation over sets %.4f, standard error %.4f, variances %.2f", name, stat.Mean(of[0], nil), spread, stated, spread*spread/stated/stated)
		if ratio := spread / stated; ratio < 0.7 || ratio > 1.5 {
			t.Errorf("%s: the standard deviation over sets is %.4f, the standard error %.4f", name, spread, stated)
		}
	}
}
