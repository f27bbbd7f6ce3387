package audit

import (
	"context"
	"math"
	"slices"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// strengths are the values of the strength λ of the shrinkage that are tried.
var strengths = []float64{1, 10, 100}

// crossValidation classifies each embedding by a classifier that was fitted to the folds that do
// not have it. Classes of one embedding are left out.
type crossValidation struct {
	set     evaluate.Labeled
	classes []int // labels of two embeddings or more, in ascending order
	rows    []int // those of these classes
	classOf []int // class of each row, an index into classes; -1 for other rows
	foldOf  []int // of each row
	folds   int

	inputs *mat.Dense // (rows, features): embeddings, scaled, less their mean
	logits []float64  // (rows, classes): the scores of the classifiers with the chosen shrinkage

	shrinkage, temperature float64
}

func newCrossValidation(set evaluate.Labeled, scaled bool, o Options) (*crossValidation, error) {
	if err := checkClasses(set.Labels, "classes"); err != nil {
		return nil, err
	}
	c := &crossValidation{set: set, classOf: make([]int, set.Rows), foldOf: make([]int, set.Rows), folds: o.Folds}
	if c.folds == 0 {
		c.folds = DefaultFolds
	}
	members := map[int][]int{}
	for row, label := range set.Labels {
		members[label] = append(members[label], row)
	}
	largest := 0
	for label, rows := range members {
		if largest = max(largest, len(rows)); len(rows) > 1 {
			c.classes = append(c.classes, label)
		}
	}
	c.folds = min(c.folds, largest) // more would be empty
	slices.Sort(c.classes)
	for i, label := range c.classes {
		// The first fold of each class is drawn, so that small classes are in different ones. Each
		// class is in at least two, so that every fold has images of all classes to be fitted to.
		r := random.New(o.Seed, "audit", "folds", i)
		first := r.IntN(c.folds)
		for place, at := range r.Perm(len(members[label])) {
			c.foldOf[members[label][at]] = (first + place) % c.folds
		}
	}
	for row, label := range set.Labels {
		if class, found := slices.BinarySearch(c.classes, label); found {
			c.classOf[row] = class
			c.rows = append(c.rows, row)
		} else {
			c.classOf[row] = -1
		}
	}
	c.prepare(scaled)
	return c, nil
}

// prepare computes the inputs. Their mean is subtracted because second moments of embeddings far
// from the origin would lose digits.
func (c *crossValidation) prepare(scaled bool) {
	c.inputs = mat.NewDense(c.set.Rows, c.set.Columns, nil)
	mean := make([]float64, c.set.Columns)
	for row := range c.set.Rows {
		input := c.inputs.RawRowView(row)
		for j, x := range c.set.Row(row) {
			input[j] = float64(x)
		}
		if length := floats.Norm(input, 2); scaled && length > 0 {
			floats.Scale(1/length, input)
		}
		floats.Add(mean, input)
	}
	floats.Scale(1/float64(c.set.Rows), mean)
	for row := range c.set.Rows {
		floats.Sub(c.inputs.RawRowView(row), mean)
	}
}

// moments are sums over some rows.
type moments struct {
	products *mat.Dense // (features, features): Σ x xᵀ
	sums     *mat.Dense // (classes, features): Σ x of each class
	counts   []float64  // of each class
}

// classify computes the logits with each strength of the shrinkage and keeps those with the
// largest likelihood of the given labels.
func (c *crossValidation) classify(ctx context.Context) error {
	features, classes := c.set.Columns, len(c.classes)
	folds := make([]moments, c.folds)
	held := make([][]int, c.folds) // rows of each fold
	for _, row := range c.rows {
		held[c.foldOf[row]] = append(held[c.foldOf[row]], row)
	}
	for f := range folds {
		if err := ctx.Err(); err != nil {
			return err
		}
		folds[f] = c.momentsOf(held[f])
	}
	logits := make([][]float64, len(strengths))
	for s := range logits {
		logits[s] = make([]float64, c.set.Rows*classes)
	}
	for f := range folds {
		within, counts := mat.NewDense(features, features, nil), make([]float64, classes)
		means := mat.NewDense(classes, features, nil)
		for other := range folds {
			if other != f {
				within.Add(within, folds[other].products)
				means.Add(means, folds[other].sums)
				floats.Add(counts, folds[other].counts)
			}
		}
		roots := mat.NewDense(classes, features, nil) // whose product with itself is Σ n m mᵀ
		for class, count := range counts {
			floats.Scale(1/count, means.RawRowView(class))
			floats.AddScaled(roots.RawRowView(class), math.Sqrt(count), means.RawRowView(class))
		}
		between := roots.RawMatrix()
		blas64.Gemm(blas.Trans, blas.NoTrans, -1, between, between, 1, within.RawMatrix())
		within.Scale(1/floats.Sum(counts), within)
		for s, strength := range strengths {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := c.discriminate(logits[s], held[f], within, means, counts, strength); err != nil {
				return errors.Wrapf(err, "classify fold %d", f)
			}
		}
	}
	best := math.Inf(1)
	for s, strength := range strengths {
		c.logits = logits[s]
		if loss, temperature := c.calibrate(); loss < best {
			best, c.shrinkage, c.temperature = loss, strength, temperature
		}
	}
	c.logits = logits[slices.Index(strengths, c.shrinkage)]
	return nil
}

func (c *crossValidation) momentsOf(rows []int) moments {
	features := c.set.Columns
	m := moments{products: mat.NewDense(features, features, nil), sums: mat.NewDense(len(c.classes), features, nil), counts: make([]float64, len(c.classes))}
	if len(rows) == 0 {
		return m
	}
	selected := c.selected(rows)
	for i, row := range rows {
		class := c.classOf[row]
		floats.Add(m.sums.RawRowView(class), selected.RawRowView(i))
		m.counts[class]++
	}
	blas64.Gemm(blas.Trans, blas.NoTrans, 1, selected.RawMatrix(), selected.RawMatrix(), 0, m.products.RawMatrix())
	return m
}

// selected copies rows of the inputs.
func (c *crossValidation) selected(rows []int) *mat.Dense {
	selected := mat.NewDense(len(rows), c.set.Columns, nil)
	for i, row := range rows {
		copy(selected.RawRowView(i), c.inputs.RawRowView(row))
	}
	return selected
}

// discriminate computes the logits of rows by linear discriminant analysis with the covariance within
// classes, and their means and numbers of rows, all of which are of other rows.
func (c *crossValidation) discriminate(logits []float64, rows []int, within, means *mat.Dense, counts []float64, strength float64) error {
	if len(rows) == 0 {
		return nil
	}
	features, classes := c.set.Columns, len(c.classes)
	scale := mat.Trace(within) / float64(features)
	if !(scale > 0) {
		scale = 1 // the embeddings of each class are equal: the nearest mean is the class
	}
	covariance := mat.NewSymDense(features, nil)
	for i := range features {
		for j := i; j < features; j++ {
			covariance.SetSym(i, j, within.At(i, j))
		}
		covariance.SetSym(i, i, within.At(i, i)+strength*scale)
	}
	var cholesky mat.Cholesky
	if !cholesky.Factorize(covariance) {
		return errors.New("the covariance of the embeddings within classes is not positive definite")
	}
	var weights mat.Dense // (features, classes)
	if err := cholesky.SolveTo(&weights, means.T()); err != nil {
		return err
	}
	var scores mat.Dense
	scores.Mul(c.selected(rows), &weights)
	total := floats.Sum(counts)
	for class, count := range counts {
		bias := math.Log(count / total)
		for j := range features {
			bias -= means.At(class, j) * weights.At(j, class) / 2
		}
		for i, row := range rows {
			logits[row*classes+class] = scores.At(i, class) + bias
		}
	}
	return nil
}

// scores are the logits of a row.
func (c *crossValidation) scores(row int) []float64 {
	return c.logits[row*len(c.classes) : (row+1)*len(c.classes)]
}

// probabilities computes the probabilities of the classes of a row.
func (c *crossValidation) probabilities(row int, probabilities []float64) {
	scores := c.scores(row)
	largest := floats.Max(scores)
	for class, score := range scores {
		probabilities[class] = math.Exp((score - largest) / c.temperature)
	}
	floats.Scale(1/floats.Sum(probabilities), probabilities)
}

// calibrate finds the temperature of the largest likelihood of the given labels, and returns the mean
// negative logarithm of the likelihood. The latter is convex in the inverse of the temperature, so
// that a golden-section search finds it.
func (c *crossValidation) calibrate() (loss, temperature float64) {
	const (
		smallest = 1e-4 // of the inverse of the temperature
		greatest = 1e2
		steps    = 40 // to within 1e-7 of the range
	)
	lossAt := func(logarithm float64) float64 {
		inverse := math.Exp(logarithm)
		losses := make([]float64, len(c.rows))
		parallel.For(len(c.rows), func(i int) {
			row := c.rows[i]
			scores := c.scores(row)
			largest := floats.Max(scores)
			var sum float64
			for _, score := range scores {
				sum += math.Exp((score - largest) * inverse)
			}
			losses[i] = math.Log(sum) + (largest-scores[c.classOf[row]])*inverse
		})
		return floats.Sum(losses) / float64(len(losses))
	}
	golden := (math.Sqrt(5) - 1) / 2
	low, high := math.Log(smallest), math.Log(greatest)
	left, right := high-golden*(high-low), low+golden*(high-low)
	atLeft, atRight := lossAt(left), lossAt(right)
	for range steps {
		if atLeft <= atRight {
			high, right, atRight = right, left, atLeft
			left = high - golden*(high-low)
			atLeft = lossAt(left)
		} else {
			low, left, atLeft = left, right, atRight
			right = low + golden*(high-low)
			atRight = lossAt(right)
		}
	}
	return min(atLeft, atRight), math.Exp(-(low + high) / 2)
}
