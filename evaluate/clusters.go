package evaluate

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

// ClusterOptions are the options of Cluster. The zero value is useful.
type ClusterOptions struct {
	Clusters int    // number of clusters; 0 for the number of classes
	Starts   int    // number of first centers that are tried, of which those of the smallest inertia are taken; 0 for 3
	Seed     uint64 // random seed for the first centers
}

const defaultStarts = 3

// Clustering is the agreement of the clusters of k-means with the classes. The intervals
// resample images and keep the clusters: they do not describe other first centers.
//
// A resample has some images repeatedly, which makes any clusters agree with the classes
// more. The replicates of NMI and AMI are therefore shifted so that their mean is the value.
// In simulations of five classes of 40 images, the variance over sets, each clustered anew,
// was 1.6 times that of these intervals.
type Clustering struct {
	// Assignments has the cluster of each embedding, in [0, Clusters).
	Assignments []int

	// Clusters is the number of clusters. It is less than requested if there are fewer
	// different embeddings.
	Clusters int

	// Inertia is the sum of the squared distances of the embeddings from the center of their
	// cluster, which k-means minimizes.
	Inertia float64

	// Purity is the proportion of embeddings whose class is the most frequent one of their
	// cluster; trial i is that of embedding i. It rises with the number of clusters.
	Purity Score

	// NMI is the mutual information of clusters and classes, divided by the mean of their
	// entropies. It is positive for random clusters, and more so the smaller they are.
	NMI Estimate

	// AMI is the mutual information less its expectation for random clusters of these sizes,
	// divided by the largest such difference, so that random clusters have the expectation 0
	// (Vinh, Epps & Bailey 2010, "Information theoretic measures for clusterings comparison",
	// with the mean of the entropies as the upper bound).
	AMI Estimate
}

// Cluster divides embeddings into clusters by k-means and compares the clusters with the
// classes. The distance of k-means is the Euclidean one. If the metric does not depend on the
// length of embeddings, as the cosine distance does not, they are first scaled to length 1.
//
// The first centers are drawn by greedy k-means++ (Arthur & Vassilvitskii 2007, "k-means++:
// The advantages of careful seeding"), each from 2 + ⌊ln K⌋ candidates, and then moved by
// Lloyd's algorithm until no embedding changes its cluster, or until the squared movement of
// all centers is less than 1e-4 of the mean variance of the features, as in scikit-learn. A cluster
// that has become empty is given the embedding that is farthest from its own center. The result depends on
// the seed, and not on the number of threads.
func Cluster(metric Metric, set Labeled, o ClusterOptions) (*Clustering, error) {
	if err := set.check(); err != nil {
		return nil, err
	}
	if o.Clusters < 0 || o.Clusters > set.Rows {
		return nil, errors.Errorf("found %d clusters, expected 1 to %d, the number of embeddings, or 0 for the number of classes", o.Clusters, set.Rows)
	}
	if o.Starts < 0 {
		return nil, errors.Errorf("found %d starts, expected at least 1, or 0 for %d", o.Starts, defaultStarts)
	}
	if o.Starts == 0 {
		o.Starts = defaultStarts
	}
	classes := slices.Compact(slices.Sorted(slices.Values(set.Labels)))
	if o.Clusters == 0 {
		o.Clusters = len(classes)
	}
	scaled, err := ScaleInvariant(metric, set.Embeddings)
	if err != nil {
		return nil, err
	}
	k := newKMeans(set.Embeddings, scaled)
	c := &Clustering{Inertia: math.Inf(1)}
	for start := range o.Starts {
		k.seed(o.Clusters, random.New(o.Seed, "k-means", start))
		k.iterate()
		if inertia := floats.Sum(k.nearest); inertia < c.Inertia {
			c.Assignments, c.Clusters, c.Inertia = slices.Clone(k.assigned), len(k.centers)/k.columns, inertia
		}
	}
	c.compare(set.Labels, classes)
	return c, nil
}

// ScaleInvariant reports whether a metric does not depend on the length of embeddings, as the
// cosine distance does not: whether the first 16 embeddings that are not zero are at distance 0,
// within 1e-6, from their halves. It is false if all embeddings are zero.
func ScaleInvariant(metric Metric, e Embeddings) (bool, error) {
	if err := e.checkShape(); err != nil {
		return false, err
	}
	const most = 16
	var tried Embeddings
	for i := 0; i < e.Rows && tried.Rows < most; i++ {
		if slices.ContainsFunc(e.Row(i), func(x float32) bool { return x != 0 }) {
			tried.Rows, tried.Data = tried.Rows+1, append(tried.Data, e.Row(i)...)
		}
	}
	tried.Columns = e.Columns
	halved := tried
	halved.Data = slices.Clone(tried.Data)
	for i := range halved.Data {
		halved.Data[i] /= 2 // which cannot overflow
	}
	distances := make([]float64, tried.Rows)
	if err := paired(metric, distances, tried, halved); err != nil {
		return false, err
	}
	return tried.Rows > 0 && !slices.ContainsFunc(distances, func(d float64) bool { return !(math.Abs(d) < 1e-6) }), nil
}

// kMeans is the state of k-means.
type kMeans struct {
	Embeddings
	factors []float64 // by which each embedding is multiplied; nil for 1
	squares []float64 // of the length of each embedding

	columns  int
	centers  []float64 // (clusters, columns)
	assigned []int     // cluster of each embedding
	nearest  []float64 // squared distance of each embedding from the center of its cluster
}

func newKMeans(e Embeddings, scaled bool) *kMeans {
	k := &kMeans{Embeddings: e, columns: e.Columns, squares: make([]float64, e.Rows), assigned: make([]int, e.Rows), nearest: make([]float64, e.Rows)}
	for i := range k.squares {
		for _, x := range e.Row(i) {
			k.squares[i] += float64(x) * float64(x)
		}
	}
	if scaled {
		k.factors = make([]float64, e.Rows)
		for i, square := range k.squares {
			if square > 0 {
				k.factors[i], k.squares[i] = 1/math.Sqrt(square), 1
			}
		}
	}
	return k
}

// row writes an embedding, scaled, to x.
func (k *kMeans) row(x []float64, i int) {
	factor := 1.0
	if k.factors != nil {
		factor = k.factors[i]
	}
	for j, v := range k.Row(i) {
		x[j] = factor * float64(v)
	}
}

// eachDistance calls visit with the squared distances of each embedding from all centers, from
// several goroutines at once.
func (k *kMeans) eachDistance(centers []float64, visit func(i int, distances []float64)) {
	count := len(centers) / k.columns
	lengths := make([]float64, count)
	for c := range lengths {
		center := centers[c*k.columns : (c+1)*k.columns]
		lengths[c] = floats.Dot(center, center)
	}
	parallel.For((k.Rows+blockRows-1)/blockRows, func(block int) {
		begin := block * blockRows
		rows := min(blockRows, k.Rows-begin)
		inputs, out := make([]float64, rows*k.columns), make([]float64, rows*count)
		for i := range rows {
			k.row(inputs[i*k.columns:(i+1)*k.columns], begin+i)
		}
		general := func(rows, columns int, data []float64) blas64.General {
			return blas64.General{Rows: rows, Cols: columns, Stride: columns, Data: data}
		}
		blas64.Gemm(blas.NoTrans, blas.Trans, -2, general(rows, k.columns, inputs), general(count, k.columns, centers), 0, general(rows, count, out))
		for i := range rows {
			distances := out[i*count : (i+1)*count]
			for c := range distances {
				distances[c] = max(0, distances[c]+k.squares[begin+i]+lengths[c])
			}
			visit(begin+i, distances)
		}
	})
}

// seed draws the first centers.
func (k *kMeans) seed(clusters int, r *rand.Rand) {
	k.centers = nil
	candidates := make([]int, 1, 2+int(math.Log(float64(clusters))))
	candidates[0] = r.IntN(k.Rows)
	closest := slices.Repeat([]float64{math.Inf(1)}, k.Rows)
	for {
		trials := make([]float64, len(candidates)*k.columns)
		for c, i := range candidates {
			k.row(trials[c*k.columns:(c+1)*k.columns], i)
		}
		reduced := make([][]float64, len(candidates)) // closest, if that candidate is a center
		for c := range reduced {
			reduced[c] = make([]float64, k.Rows)
		}
		k.eachDistance(trials, func(i int, distances []float64) {
			for c, d := range distances {
				if i == candidates[c] {
					d = 0 // without rounding
				}
				reduced[c][i] = min(closest[i], d)
			}
		})
		best, least := 0, math.Inf(1)
		for c := range reduced {
			if sum := floats.Sum(reduced[c]); sum < least {
				best, least = c, sum
			}
		}
		closest = reduced[best]
		k.centers = append(k.centers, trials[best*k.columns:(best+1)*k.columns]...)
		if len(k.centers) == clusters*k.columns {
			return
		}
		cumulative := floats.CumSum(make([]float64, k.Rows), k.withoutRounding(closest))
		total := cumulative[k.Rows-1]
		if total == 0 {
			return // all embeddings are centers
		}
		candidates = candidates[:0]
		for range cap(candidates) {
			at, _ := slices.BinarySearch(cumulative, total*r.Float64())
			for closest[at] == 0 { // a draw of exactly 0 or at a boundary
				at = (at + 1) % k.Rows
			}
			candidates = append(candidates, at)
		}
	}
}

// withoutRounding sets distances to 0 that are rounding errors of equal embeddings.
func (k *kMeans) withoutRounding(distances []float64) []float64 {
	for i, d := range distances {
		if d <= 1e-13*k.squares[i] {
			distances[i] = 0
		}
	}
	return distances
}

// iterate moves the centers.
func (k *kMeans) iterate() {
	const (
		most      = 300
		tolerance = 1e-4
	)
	threshold := tolerance * k.variance()
	for range most {
		before := slices.Clone(k.assigned)
		k.assign()
		k.fillEmpty()
		moved := k.move()
		if moved <= threshold || slices.Equal(before, k.assigned) {
			break
		}
	}
	k.assign()
}

// variance is the mean variance of the features.
func (k *kMeans) variance() float64 {
	sums, row := make([]float64, k.columns), make([]float64, k.columns)
	for i := range k.Rows {
		k.row(row, i)
		floats.Add(sums, row)
	}
	floats.Scale(1/float64(k.Rows), sums)
	return max(0, floats.Sum(k.squares)/float64(k.Rows)-floats.Dot(sums, sums)) / float64(k.columns)
}

// assign finds the nearest center of each embedding; of several the first.
func (k *kMeans) assign() {
	k.eachDistance(k.centers, func(i int, distances []float64) {
		k.assigned[i] = floats.MinIdx(distances)
		k.nearest[i] = distances[k.assigned[i]]
	})
}

// fillEmpty gives each empty cluster the embedding that is farthest from its own center and is not
// the only one of its cluster.
func (k *kMeans) fillEmpty() {
	sizes := make([]int, len(k.centers)/k.columns)
	for _, c := range k.assigned {
		sizes[c]++
	}
	for c, size := range sizes {
		if size > 0 {
			continue
		}
		farthest := -1
		for i, d := range k.nearest {
			if sizes[k.assigned[i]] > 1 && (farthest < 0 || d > k.nearest[farthest]) {
				farthest = i
			}
		}
		sizes[k.assigned[farthest]]--
		k.assigned[farthest], k.nearest[farthest], sizes[c] = c, 0, 1
	}
}

// move moves each center to the mean of its cluster, and returns the sum of the squared movements.
func (k *kMeans) move() float64 {
	members := make([][]int, len(k.centers)/k.columns)
	for i, c := range k.assigned {
		members[c] = append(members[c], i)
	}
	moved := make([]float64, len(members))
	parallel.For(len(members), func(c int) {
		mean, row := make([]float64, k.columns), make([]float64, k.columns)
		for _, i := range members[c] {
			k.row(row, i)
			floats.Add(mean, row)
		}
		floats.Scale(1/float64(len(members[c])), mean)
		center := k.centers[c*k.columns : (c+1)*k.columns]
		distance := floats.Distance(mean, center, 2)
		moved[c] = distance * distance
		copy(center, mean)
	})
	return floats.Sum(moved)
}

// compare computes the agreement of the clusters with the classes.
func (c *Clustering) compare(labels, classes []int) {
	t := newContingency(labels, classes, c.Assignments, c.Clusters)
	best := make([]int, c.Clusters) // the largest number of embeddings of one class
	for _, cell := range t.cells {
		best[cell.cluster] = max(best[cell.cluster], int(cell.count))
	}
	// Of several classes that are most frequent in a cluster the first is taken.
	majority := slices.Repeat([]int{-1}, c.Clusters)
	for _, cell := range t.cells {
		if majority[cell.cluster] < 0 && int(cell.count) == best[cell.cluster] {
			majority[cell.cluster] = cell.class
		}
	}
	pure := make([]float64, len(labels))
	for i, cell := range t.cellOf {
		if majority[t.cells[cell].cluster] == t.cells[cell].class {
			pure[i] = 1
		}
	}
	c.Purity = accuracy(pure)

	expected := t.expected() // of resamples nearly the same, because it depends on the sizes alone
	values := t.agreement(expected, t.counts())
	replicated := make([]agreementOfClusters, replicates)
	parallel.For(replicates, func(i int) {
		r := random.New(0, "evaluate", "bootstrap", i)
		counts := make([]float64, len(t.cells))
		for range t.cellOf {
			counts[t.cellOf[r.IntN(len(t.cellOf))]]++
		}
		replicated[i] = t.agreement(expected, counts)
	})
	estimate := func(value func(agreementOfClusters) float64, least float64) Estimate {
		drawn := make([]float64, replicates)
		for i := range drawn {
			drawn[i] = value(replicated[i])
		}
		m := percentiles(value(values), drawn)
		shift := m.Value - stat.Mean(drawn, nil)
		m.Low, m.High = max(least, min(m.Value, m.Low+shift)), min(1, max(m.Value, m.High+shift))
		return m
	}
	c.NMI = estimate(func(a agreementOfClusters) float64 { return a.normalized }, 0)
	c.AMI = estimate(func(a agreementOfClusters) float64 { return a.adjusted }, -1)
}

// contingency counts the embeddings of each class in each cluster.
type contingency struct {
	cells             []cell // those with embeddings, ordered by class and cluster
	cellOf            []int  // of each embedding
	classes, clusters int
}

type cell struct {
	class, cluster int // indices
	count          float64
}

func newContingency(labels, classes, assignments []int, clusters int) *contingency {
	t := &contingency{cellOf: make([]int, len(labels)), classes: len(classes), clusters: clusters}
	numbers := make([]int, len(labels)) // class · clusters + cluster
	for i, label := range labels {
		class, _ := slices.BinarySearch(classes, label)
		numbers[i] = class*clusters + assignments[i]
	}
	different := slices.Compact(slices.Sorted(slices.Values(numbers)))
	for _, number := range different {
		t.cells = append(t.cells, cell{class: number / clusters, cluster: number % clusters})
	}
	for i, number := range numbers {
		t.cellOf[i], _ = slices.BinarySearch(different, number)
		t.cells[t.cellOf[i]].count++
	}
	return t
}

func (t *contingency) counts() []float64 {
	counts := make([]float64, len(t.cells))
	for i, c := range t.cells {
		counts[i] = c.count
	}
	return counts
}

// sizes are the numbers of embeddings of each class and of each cluster, with these counts of the
// cells.
func (t *contingency) sizes(counts []float64) (classes, clusters []float64) {
	classes, clusters = make([]float64, t.classes), make([]float64, t.clusters)
	for i, c := range t.cells {
		classes[c.class] += counts[i]
		clusters[c.cluster] += counts[i]
	}
	return classes, clusters
}

// agreementOfClusters is the normalized and the adjusted mutual information.
type agreementOfClusters struct{ normalized, adjusted float64 }

// agreement returns the agreement of clusters and classes with these counts of the cells, and this
// expected mutual information. One class in one cluster agrees wholly.
func (t *contingency) agreement(expected float64, counts []float64) agreementOfClusters {
	classes, clusters := t.sizes(counts)
	n := floats.Sum(counts)
	var information float64
	for i, c := range t.cells {
		if counts[i] > 0 {
			information += counts[i] / n * math.Log(n*counts[i]/(classes[c.class]*clusters[c.cluster]))
		}
	}
	information = max(0, information)
	mean := (entropy(classes, n) + entropy(clusters, n)) / 2
	if mean == 0 {
		return agreementOfClusters{1, 1}
	}
	a := agreementOfClusters{normalized: min(1, information/mean)}
	// As in scikit-learn: where both differences are 0, as for clusters and classes of one
	// embedding each, the agreement is whole.
	away := func(x float64) float64 { return math.Copysign(max(math.Abs(x), 0x1p-52), x) }
	a.adjusted = min(1, away(information-expected)/away(mean-expected))
	return a
}

func entropy(sizes []float64, n float64) (sum float64) {
	for _, size := range sizes {
		if size > 0 {
			sum -= size / n * math.Log(size/n)
		}
	}
	return sum
}

// expected is the expectation of the mutual information of clusters and classes of these sizes if
// embeddings are assigned at random (Vinh, Epps & Bailey 2010, equation 24).
func (t *contingency) expected() float64 {
	classes, clusters := t.sizes(t.counts())
	n := len(t.cellOf)
	logFactorials := make([]float64, n+1)
	for i := 1; i <= n; i++ {
		logFactorials[i] = logFactorials[i-1] + math.Log(float64(i))
	}
	// Pairs of the same sizes have the same terms.
	classSizes, classCounts := multiplicities(classes)
	clusterSizes, clusterCounts := multiplicities(clusters)
	sums := make([]float64, len(classSizes))
	parallel.For(len(classSizes), func(i int) {
		a := classSizes[i]
		for j, b := range clusterSizes {
			whole := logFactorials[a] + logFactorials[b] + logFactorials[n-a] + logFactorials[n-b] - logFactorials[n]
			for both := max(1, a+b-n); both <= min(a, b); both++ {
				probability := math.Exp(whole - logFactorials[both] - logFactorials[a-both] - logFactorials[b-both] - logFactorials[n-a-b+both])
				term := float64(both) / float64(n) * math.Log(float64(n)*float64(both)/(float64(a)*float64(b)))
				sums[i] += float64(classCounts[i]*clusterCounts[j]) * term * probability
			}
		}
	})
	return floats.Sum(sums)
}

// multiplicities are the different sizes above 0 with the number of times that each occurs.
func multiplicities(sizes []float64) (different, counts []int) {
	for _, size := range slices.Sorted(slices.Values(sizes)) {
		last := len(different) - 1
		switch {
		case size == 0:
		case last >= 0 && different[last] == int(size):
			counts[last]++
		default:
			different, counts = append(different, int(size)), append(counts, 1)
		}
	}
	return different, counts
}
