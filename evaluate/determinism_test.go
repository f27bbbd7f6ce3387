package evaluate_test

import (
	"fmt"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/parallel"
)

// Every measure has the same bits on one thread and on seven.
func TestResultsDoNotDependOnTheThreads(t *testing.T) {
	train, test := separable(1, 700, 5), separable(2, 400, 5)
	near, different := pairs(3, 300, 1)
	var trials []evaluate.Trial
	for query := 3; query < test.Rows; query++ {
		trials = append(trials, evaluate.Trial{Support: [][]int{{0}, {1}, {2}}, Query: query, Answer: query % 3})
	}
	measure := func() string {
		var report string
		for _, metric := range []evaluate.Metric{euclidean, cosine, manhattan} {
			neighbors := must(evaluate.NearestNeighbors{Metric: metric, K: 5}.Accuracy(train, test))(t)
			retrieval := must(evaluate.Retrieve(metric, test, 1, 4))(t)
			oneShot := must(evaluate.OneShot(metric, test.Embeddings, trials, evaluate.MeanDistance))(t)
			clustering := must(evaluate.Cluster(metric, train, evaluate.ClusterOptions{Clusters: 12}))(t)
			others := must(evaluate.NearestOthers(metric, test.Embeddings, 3))(t)
			report += fmt.Sprintln(neighbors, retrieval, oneShot, *clustering, others)
		}
		var classifier evaluate.LinearClassifier
		if err := classifier.Fit(train); err != nil {
			t.Fatal(err)
		}
		v := verification(t, near, different)
		distances, shared := collection(4, 0, 3, 6, 0)
		images := must(evaluate.NewVerification(distances, shared))(t)
		return report + fmt.Sprintln(classifier, v.AUC(), v.EqualErrorRate(), images.AUC(), images.AccuracyAt(shift/2))
	}

	defer parallel.SetThreads(parallel.Threads())
	parallel.SetThreads(1)
	one := measure()
	parallel.SetThreads(7)
	expect(t, "on seven threads", measure(), one)
}
