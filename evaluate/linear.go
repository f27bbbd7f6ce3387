package evaluate

import (
	"math"
	"slices"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/optimize"
	"gonum.org/v1/gonum/stat"
)

// ErrNotFitted is the error of a classifier before Fit.
var ErrNotFitted = errors.New("the classifier is not fitted")

// LinearClassifier evaluates embeddings as Hoffer & Ailon 2015 do ("Deep metric learning
// using triplet network"): by the accuracy on the test embeddings of a linear classifier
// that is fitted to the training embeddings. It is multinomial logistic regression on
// features that are standardized to mean 0 and standard deviation 1 over the training
// embeddings:
//
//	minimize over W, b:  mean over i of −log softmax(Wxᵢ + b)[labelᵢ]  +  λ/2 ‖W‖²
type LinearClassifier struct {
	Regularization float64 // λ; 0 means 1e-4

	classes []int     // in ascending order
	columns int       // of the embeddings
	weights []float64 // of shape (classes, columns), for columns as they come
	biases  []float64 // one a class
}

// Fit fits the classifier to a set of at least two classes. The loss is convex and L-BFGS
// finds its minimum, so there is no learning rate, no number of epochs and no randomness.
func (c *LinearClassifier) Fit(set Labeled) error {
	if c == nil {
		return errors.New("found a nil classifier, expected a LinearClassifier")
	}
	if err := set.check(); err != nil {
		return err
	}
	if c.Regularization < 0 || !finite(c.Regularization) {
		return errors.Errorf("regularization is %v, want 0 (for 1e-4) or more", c.Regularization)
	}
	classes := slices.Compact(slices.Sorted(slices.Values(set.Labels)))
	if len(classes) < 2 {
		return errors.New("a classifier needs at least two classes, but all labels are the same")
	}
	fit := newRegression(set, classes, c.Regularization)
	if fit.regularization == 0 {
		fit.regularization = 1e-4
	}
	solution, err := minimize(fit)
	if err != nil {
		return err
	}
	c.classes, c.columns = classes, set.Columns
	c.weights, c.biases = fit.unstandardize(solution)
	return nil
}

// minimize returns the parameters at which the cost is least.
func minimize(fit *regression) ([]float64, error) {
	settings := optimize.Settings{
		GradientThreshold: 1e-5 * max(1, fit.regularization), // the gradient's own scale
		Converger:         &optimize.FunctionConverge{Absolute: 1e-9, Relative: 1e-9, Iterations: 20},
		MajorIterations:   2000,
	}
	problem := optimize.Problem{
		Func: func(parameters []float64) float64 { return fit.at(parameters).cost },
		Grad: func(gradient, parameters []float64) { copy(gradient, fit.at(parameters).gradient) },
	}
	result, err := optimize.Minimize(problem, make([]float64, fit.parameters()), &settings, &optimize.LBFGS{})
	if err != nil {
		return nil, errors.Wrap(err, "fit a linear classifier")
	}
	if result.Status == optimize.IterationLimit {
		return nil, errors.Errorf("a linear classifier is not fitted after %d iterations; regularize more than %v",
			settings.MajorIterations, fit.regularization)
	}
	return result.X, nil
}

// Predict returns the most probable class of each embedding; of equally probable ones the
// lowest. Before Fit the error is ErrNotFitted.
func (c *LinearClassifier) Predict(embeddings Embeddings) ([]int, error) {
	if c == nil || c.classes == nil {
		return nil, errors.WithStack(ErrNotFitted)
	}
	if err := embeddings.check(); err != nil {
		return nil, err
	}
	if embeddings.Columns != c.columns {
		return nil, errors.Errorf("the classifier was fitted to %d columns, but the embeddings have %d",
			c.columns, embeddings.Columns)
	}
	predicted := make([]int, embeddings.Rows)
	parallel.For(len(predicted), func(i int) {
		best := math.Inf(-1)
		for k, class := range c.classes {
			logit := c.biases[k]
			weights := c.weights[k*c.columns : (k+1)*c.columns]
			for j, x := range embeddings.Row(i) {
				logit += weights[j] * float64(x)
			}
			if logit > best {
				best, predicted[i] = logit, class
			}
		}
	})
	return predicted, nil
}

// Accuracy returns the accuracy of Predict on a set.
func (c *LinearClassifier) Accuracy(set Labeled) (Score, error) {
	if err := set.check(); err != nil {
		return Score{}, err
	}
	classes, err := c.Predict(set.Embeddings)
	if err != nil {
		return Score{}, err
	}
	return agreement(classes, set.Labels), nil
}

// standards returns each column's mean and standard deviation; a column that
// is constant is given the deviation 1.
func standards(embeddings Embeddings) (means, deviations []float64) {
	means, deviations = make([]float64, embeddings.Columns), make([]float64, embeddings.Columns)
	parallel.For(embeddings.Columns, func(j int) {
		column := make([]float64, embeddings.Rows)
		for i := range column {
			column[i] = float64(embeddings.Data[i*embeddings.Columns+j])
		}
		means[j], deviations[j] = stat.PopMeanStdDev(column, nil)
		if deviations[j] == 0 {
			deviations[j] = 1
		}
	})
	return means, deviations
}

// regression is the loss that a LinearClassifier minimizes, and its gradient.
// Its parameters are a matrix of shape (classes, columns + 1): for each class
// the weights of the standardized columns and then the bias.
type regression struct {
	set               Labeled
	targets           []int // each row's class, as an index into the classes
	classes           int
	means, deviations []float64
	regularization    float64

	shards    []shard
	evaluated []float64 // the parameters at which result was computed
	result    evaluation
}

// evaluation is the cost at some parameters. The optimizer asks for its two
// parts apart, and they are calculated together.
type evaluation struct {
	cost     float64
	gradient []float64
}

// The rows are taken in blocks, which fit into a processor's cache, and the
// blocks are distributed to shards, which are summed separately, so that rounding depends
// on these numbers alone.
const (
	blockRows  = 256
	shardCount = 8
)

// shard is the sum over some of the blocks, with memory for the current one.
type shard struct {
	evaluation
	inputs []float64 // (block's rows, columns + 1): standardized, and a 1 for the bias
	logits []float64 // (classes, block's rows), and then their gradient
}

func newRegression(set Labeled, classes []int, regularization float64) *regression {
	r := &regression{
		set:            set,
		targets:        make([]int, set.Rows),
		classes:        len(classes),
		regularization: regularization,
		shards:         make([]shard, shardCount),
	}
	for i, label := range set.Labels {
		r.targets[i], _ = slices.BinarySearch(classes, label)
	}
	r.means, r.deviations = standards(set.Embeddings)
	r.result.gradient = make([]float64, r.parameters())
	for s := range r.shards {
		r.shards[s].gradient = make([]float64, r.parameters())
		r.shards[s].inputs = make([]float64, blockRows*(set.Columns+1))
		r.shards[s].logits = make([]float64, blockRows*r.classes)
	}
	return r
}

func (r *regression) parameters() int { return r.classes * (r.set.Columns + 1) }

// at returns the cost and its gradient, which belongs to the regression.
func (r *regression) at(parameters []float64) evaluation {
	if slices.Equal(parameters, r.evaluated) {
		return r.result
	}
	r.evaluated = append(r.evaluated[:0], parameters...)
	parallel.For(shardCount, func(s int) {
		r.shards[s].cost = 0
		clear(r.shards[s].gradient)
		for begin := s * blockRows; begin < r.set.Rows; begin += shardCount * blockRows {
			r.addBlock(&r.shards[s], parameters, begin, min(begin+blockRows, r.set.Rows))
		}
	})
	r.result.cost = 0
	clear(r.result.gradient)
	for _, s := range r.shards {
		r.result.cost += s.cost
		floats.Add(r.result.gradient, s.gradient)
	}
	r.result.cost /= float64(r.set.Rows)
	floats.Scale(1/float64(r.set.Rows), r.result.gradient)

	for k := range r.classes {
		from := k * (r.set.Columns + 1)
		weights, gradient := parameters[from:from+r.set.Columns], r.result.gradient[from:]
		r.result.cost += r.regularization / 2 * floats.Dot(weights, weights)
		floats.AddScaled(gradient[:r.set.Columns], r.regularization, weights)
	}
	return r.result
}

// addBlock adds the cross entropy of the rows [begin, end) and its gradient.
func (r *regression) addBlock(s *shard, parameters []float64, begin, end int) {
	rows, columns := end-begin, r.set.Columns+1
	r.standardize(s.inputs, begin, end)
	weights := blas64.General{Rows: r.classes, Cols: columns, Stride: columns, Data: parameters}
	inputs := blas64.General{Rows: rows, Cols: columns, Stride: columns, Data: s.inputs}
	logits := blas64.General{Rows: r.classes, Cols: rows, Stride: rows, Data: s.logits}
	gradient := blas64.General{Rows: r.classes, Cols: columns, Stride: columns, Data: s.gradient}

	blas64.Gemm(blas.NoTrans, blas.Trans, 1, weights, inputs, 0, logits)
	for i := range rows {
		s.cost += softmaxMinusTarget(s.logits[i:], rows, r.classes, r.targets[begin+i])
	}
	blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, logits, inputs, 1, gradient)
}

// softmaxMinusTarget returns the cross entropy of the logits at 0, stride,
// 2·stride, … and replaces them by its gradient: softmax − (1 at the target).
func softmaxMinusTarget(logits []float64, stride, classes, target int) (entropy float64) {
	most := math.Inf(-1)
	for k := range classes {
		most = max(most, logits[k*stride])
	}
	targetLogit := logits[target*stride] - most
	var sum float64
	for k := range classes {
		logits[k*stride] = math.Exp(logits[k*stride] - most) // cannot overflow
		sum += logits[k*stride]
	}
	for k := range classes {
		logits[k*stride] /= sum
	}
	logits[target*stride]--
	return math.Log(sum) - targetLogit
}

// standardize fills inputs with the rows [begin, end).
func (r *regression) standardize(inputs []float64, begin, end int) {
	columns := r.set.Columns
	for i := begin; i < end; i++ {
		input := inputs[(i-begin)*(columns+1):]
		for j, x := range r.set.Row(i) {
			input[j] = (float64(x) - r.means[j]) / r.deviations[j]
		}
		input[columns] = 1
	}
}

// unstandardize turns the parameters into weights and biases for the columns as
// they come: w·(x−m)/d + b = (w/d)·x + (b − w·m/d).
func (r *regression) unstandardize(parameters []float64) (weights, biases []float64) {
	columns := r.set.Columns
	weights, biases = make([]float64, 0, r.classes*columns), make([]float64, r.classes)
	for k := range r.classes {
		row := parameters[k*(columns+1) : (k+1)*(columns+1)]
		biases[k] = row[columns]
		for j, weight := range row[:columns] {
			weight /= r.deviations[j]
			weights = append(weights, weight)
			biases[k] -= weight * r.means[j]
		}
	}
	return weights, biases
}
