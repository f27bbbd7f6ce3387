package evaluate

import (
	"math"
	"slices"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/optimize"
	"gonum.org/v1/gonum/stat"
)

// ErrNotFitted is returned by a classifier that has learnt nothing yet.
var ErrNotFitted = errors.New("the classifier is not fitted")

// LinearClassifier measures embeddings as Hoffer & Ailon 2015 do ("Deep metric
// learning using triplet network"): by the accuracy that a linear classifier
// fitted to the training embeddings has on the test embeddings. It is
// multinomial logistic regression on columns brought to mean 0 and standard
// deviation 1 over the training embeddings:
//
//	minimise over W, b:  mean over i of −log softmax(Wxᵢ + b)[labelᵢ]  +  λ/2 ‖W‖²
type LinearClassifier struct {
	Regularisation float64 // λ; 0 means 1e-4

	classes []int     // in ascending order
	columns int       // of the embeddings
	weights []float64 // of shape (classes, columns), for columns as they come
	biases  []float64 // one a class
}

// Fit learns the classes of set, of which there must be at least two. The cost
// is convex and what is found is its minimum, so there is no rate, no number
// of epochs and no chance in it.
func (c *LinearClassifier) Fit(set Labelled) error {
	if c == nil {
		return errors.New("found a nil classifier, expected a LinearClassifier")
	}
	if err := set.check(); err != nil {
		return err
	}
	if c.Regularisation < 0 || !finite(c.Regularisation) {
		return errors.Errorf("regularisation is %v, want 0 (for 1e-4) or more", c.Regularisation)
	}
	classes := slices.Compact(slices.Sorted(slices.Values(set.Labels)))
	if len(classes) < 2 {
		return errors.New("a classifier needs at least two classes, but all labels are the same")
	}
	fit := newRegression(set, classes, c.Regularisation)
	if fit.regularisation == 0 {
		fit.regularisation = 1e-4
	}
	solution, err := minimise(fit)
	if err != nil {
		return err
	}
	c.classes, c.columns = classes, set.Columns
	c.weights, c.biases = fit.unstandardise(solution)
	return nil
}

// minimise returns the parameters at which the cost is least.
func minimise(fit *regression) ([]float64, error) {
	settings := optimize.Settings{
		GradientThreshold: 1e-5 * max(1, fit.regularisation), // the gradient's own scale
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
		return nil, errors.Errorf("a linear classifier is not fitted after %d iterations; regularise more than %v",
			settings.MajorIterations, fit.regularisation)
	}
	return result.X, nil
}

// Predict returns the likeliest class of each embedding, the lower of equals.
// Before Fit the error is ErrNotFitted.
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

// Accuracy returns the share of set that Predict gives its own class.
func (c *LinearClassifier) Accuracy(set Labelled) (Score, error) {
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
