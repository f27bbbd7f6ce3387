package evaluate

import (
	"slices"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// Trial is one trial of N-way K-shot classification: the query is assigned to one of N
// classes, given K examples of each. Images are rows of the embeddings.
type Trial struct {
	Support [][]int // N classes of K examples each; K may differ between classes
	Query   int
	Answer  int // the query's class, an index into Support
}

// ClassDistance defines the distance of a query from a class of several examples. With
// one example of each class, both definitions are the distance from it.
type ClassDistance int

const (
	// MeanDistance is the mean of the distances from the class's examples.
	MeanDistance ClassDistance = iota
	// Prototype is the distance from the mean of the class's examples (Snell,
	// Swersky & Zemel 2017, "Prototypical networks for few-shot learning").
	Prototype
)

// OneShot returns the accuracy over trials: a trial is right if the answer is the
// nearest class. If t classes are equally near and the answer is among them, the trial
// counts 1/t, so that embeddings that are all equal score chance, 1/N.
//
// The interval resamples the query images, each with all of its trials. A hard image is
// hard in all of its trials, so resampling trials, or episodes drawn from a few images,
// would give an interval that is too narrow. If each image is the query of one trial, the
// interval is Wilson's. If groups of trials share a support set, as in each of Lake's
// twenty runs, use Score.Clustered with these groups.
func OneShot(metric Metric, embeddings Embeddings, trials []Trial, rule ClassDistance) (Score, error) {
	if err := embeddings.check(); err != nil {
		return Score{}, err
	}
	if rule != MeanDistance && rule != Prototype {
		return Score{}, errors.Errorf("class distance is %d, want MeanDistance or Prototype", rule)
	}
	distances := make([][]float64, len(trials))
	answers := make([]int, len(trials))
	failures := make([]error, len(trials))
	parallel.For(len(trials), func(i int) {
		answers[i] = trials[i].Answer
		if failures[i] = trials[i].check(embeddings.Rows); failures[i] == nil {
			distances[i], failures[i] = classDistances(metric, embeddings, trials[i], rule)
		}
		failures[i] = errors.Wrapf(failures[i], "trial %d", i)
	})
	if err := firstError(failures); err != nil {
		return Score{}, err
	}
	score, err := OneShotDistances(distances, answers)
	if queries := Queries(trials); err == nil && repeated(queries) {
		score.Estimate = resampleGroups(score.Trials, queries)
	}
	return score, err
}

// Queries returns the query image of each trial: the groups that OneShot resamples, for
// Difference and Score.Clustered.
func Queries(trials []Trial) []int {
	queries := make([]int, len(trials))
	for i, trial := range trials {
		queries[i] = trial.Query
	}
	return queries
}

// repeated reports whether one of several groups has several members.
func repeated(groups []int) bool {
	different := len(slices.Compact(slices.Sorted(slices.Values(groups))))
	return 1 < different && different < len(groups)
}

// OneShotDistances is OneShot for given distances: for each trial, distances has the
// query's distance from each class, and answers has the index of the query's class. The
// interval assumes that the trials are independent.
func OneShotDistances(distances [][]float64, answers []int) (Score, error) {
	if len(distances) != len(answers) {
		return Score{}, errors.Errorf("%d trials have %d answers", len(distances), len(answers))
	}
	if len(distances) == 0 {
		return Score{}, errors.New("there are no trials")
	}
	trials := make([]float64, len(distances))
	for i, classes := range distances {
		if err := checkFinite(classes); err != nil {
			return Score{}, errors.Wrapf(err, "trial %d", i)
		}
		if answers[i] < 0 || answers[i] >= len(classes) {
			return Score{}, errors.Errorf("trial %d: the answer is class %d of %d", i, answers[i], len(classes))
		}
		trials[i] = valueOf(classes, answers[i])
	}
	return accuracy(trials), nil
}

// valueOf is 1/t if the answer is among the t nearest classes, else 0.
func valueOf(distances []float64, answer int) float64 {
	least := slices.Min(distances)
	if distances[answer] > least {
		return 0
	}
	tied := 0
	for _, d := range distances {
		if d == least {
			tied++
		}
	}
	return 1 / float64(tied)
}

func (t Trial) check(rows int) error {
	if t.Query < 0 || t.Query >= rows {
		return errors.Errorf("the query is row %d of %d", t.Query, rows)
	}
	for class, examples := range t.Support {
		if len(examples) == 0 {
			return errors.Errorf("class %d has no examples", class)
		}
		for _, row := range examples {
			if row < 0 || row >= rows {
				return errors.Errorf("an example of class %d is row %d of %d", class, row, rows)
			}
		}
	}
	return nil
}

// classDistances returns the query's distance from each class.
func classDistances(metric Metric, embeddings Embeddings, trial Trial, rule ClassDistance) ([]float64, error) {
	query := embeddings.Select([]int{trial.Query})
	classes := make([]float64, len(trial.Support))
	if rule == Prototype {
		return classes, pairwise(metric, classes, query, prototypes(embeddings, trial.Support))
	}
	examples := slices.Concat(trial.Support...)
	distances := make([]float64, len(examples))
	if err := pairwise(metric, distances, query, embeddings.Select(examples)); err != nil {
		return nil, err
	}
	for class, rows := range trial.Support {
		for _, d := range distances[:len(rows)] {
			classes[class] += d / float64(len(rows))
		}
		distances = distances[len(rows):]
	}
	return classes, nil
}

// prototypes returns the mean of each class's examples.
func prototypes(embeddings Embeddings, support [][]int) Embeddings {
	means := Embeddings{Rows: len(support), Columns: embeddings.Columns}
	means.Data = make([]float32, means.Rows*means.Columns)
	for class, rows := range support {
		mean := means.Row(class)
		for j := range mean {
			var sum float64
			for _, row := range rows {
				sum += float64(embeddings.Row(row)[j])
			}
			mean[j] = float32(sum / float64(len(rows)))
		}
	}
	return means
}
