package evaluate_test

import (
	"fmt"
	"log"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
)

// Two classes of embeddings, of which one has a stray.
var (
	embeddings, _ = evaluate.FromRows([][]float32{
		{0, 0}, {1, 0}, {0, 1}, // class 0
		{5, 5}, {6, 5}, {5, 6}, {1, 2}, // class 1
	})
	euclidean, _ = heads.L2{}.Distance(nil) // √Σ(xⱼ − yⱼ)²

	labeled = evaluate.Labeled{Embeddings: embeddings, Labels: []int{0, 0, 0, 1, 1, 1, 1}}
)

// The nearest other embedding tells the class of all but the stray; what a
// figure from so few trials is worth, its interval says.
func Example() {
	accuracy, err := evaluate.NearestNeighbors{Metric: euclidean}.LeaveOneOut(labeled)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("accuracy", accuracy)
	// Output: accuracy 0.8571 [0.4869, 0.9743]
}

func ExampleRetrieve() {
	retrieval, err := evaluate.Retrieve(euclidean, labeled, 1, 3)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("recall at 1: %.3f, at 3: %.3f\n", retrieval.RecallAt[1].Value, retrieval.RecallAt[3].Value)
	fmt.Printf("R-precision: %.3f\n", retrieval.RPrecision.Value)
	fmt.Printf("MAP at R:    %.3f\n", retrieval.MAPAtR.Value)
	// Output:
	// recall at 1: 0.857, at 3: 0.857
	// R-precision: 0.821
	// MAP at R:    0.821
}

func ExampleVerification() {
	pairs := []evaluate.Pair{ // of rows
		{Left: 0, Right: 1}, {Left: 0, Right: 2}, {Left: 3, Right: 4}, {Left: 3, Right: 6},
		{Left: 0, Right: 3, Different: true}, {Left: 2, Right: 6, Different: true}, {Left: 1, Right: 5, Different: true},
	}
	manhattan, err := heads.L1{}.Distance(nil)
	if err != nil {
		log.Fatal(err)
	}
	verification, err := evaluate.Verify(manhattan, embeddings, pairs)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("distances", verification.Distances())
	fmt.Printf("AUC %.3f, equal error rate %.3f\n", verification.AUC().Value, verification.EqualErrorRate().Value)
	fmt.Println("best threshold", verification.BestThreshold())
	// Output:
	// distances [1 1 1 7 10 2 10]
	// AUC 0.917, equal error rate 0.250
	// best threshold 1.5
}

// The same distances of 45 pairs, once of ten images and once of ninety. What ten
// images say of others is less certain, and the interval is wider.
func ExampleNewVerification() {
	var distances []float64
	var shared, apart []evaluate.Pair
	for i := range 10 {
		for j := range i {
			different := i%2 != j%2
			distances = append(distances, float64(i+j))
			shared = append(shared, evaluate.Pair{Left: i, Right: j, Different: different})
			n := len(apart)
			apart = append(apart, evaluate.Pair{Left: 2 * n, Right: 2*n + 1, Different: different})
		}
	}
	for _, pairs := range [][]evaluate.Pair{shared, apart} {
		verification, err := evaluate.NewVerification(distances, pairs)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(verification.AUC())
	}
	// Output:
	// 0.5000 [0.2639, 0.7554]
	// 0.5000 [0.3292, 0.6720]
}

// A class of two examples is as far as they are in the mean.
func ExampleOneShot() {
	trials := []evaluate.Trial{
		{Support: [][]int{{0, 1}, {3, 4}}, Query: 2, Answer: 0},
		{Support: [][]int{{0, 1}, {3, 4}}, Query: 5, Answer: 1},
		{Support: [][]int{{0, 1}, {3, 4}}, Query: 6, Answer: 1}, // the stray
	}
	accuracy, err := evaluate.OneShot(euclidean, embeddings, trials, evaluate.MeanDistance)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("2-way 2-shot: %.3f\n", accuracy.Value)
	// Output: 2-way 2-shot: 0.667
}

// Two methods that were tried on the same eight trials. That one is better
// could still be chance: the interval holds 0.
func ExampleDifference() {
	trained := evaluate.Score{Trials: []float64{1, 1, 1, 1, 0, 1, 1, 1}}
	baseline := evaluate.Score{Trials: []float64{1, 0, 1, 1, 0, 0, 1, 1}}
	difference, err := evaluate.Difference(trained, baseline, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(difference)
	// Output: 0.2500 [0.0000, 0.5000]
}

func ExampleLinearClassifier() {
	var classifier evaluate.LinearClassifier
	if err := classifier.Fit(labeled); err != nil {
		log.Fatal(err)
	}
	query, err := evaluate.FromRows([][]float32{{0.2, 0.3}, {7, 4}})
	if err != nil {
		log.Fatal(err)
	}
	classes, err := classifier.Predict(query)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(classes)
	// Output: [0 1]
}

func ExampleModifiedHausdorff() {
	corner, err := evaluate.InkOf([]float32{
		1, 0, 0,
		1, 0, 0,
		1, 1, 1,
	}, 3)
	if err != nil {
		log.Fatal(err)
	}
	bar, err := evaluate.InkOf([]float32{1, 1, 1, 1, 1}, 5)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.3f pixels\n", evaluate.ModifiedHausdorff(corner, bar))
	// Output: 0.862 pixels
}

// Of 299 distances of images of unknown classes, none may be accepted for a false accept
// rate of 1 % with a confidence of 95 %; the smallest distance is 1.
func ExampleGuaranteedThreshold() {
	distances := make([]float64, 299)
	for i := range distances {
		distances[i] = 1 + float64(i)/100
	}
	threshold, accepted, err := evaluate.GuaranteedThreshold(distances, 0.01, 0.95)
	fmt.Println(threshold < 1, threshold > 0.999999, accepted, err)
	_, _, err = evaluate.GuaranteedThreshold(distances[:298], 0.01, 0.95)
	fmt.Println(err)
	// Output:
	// true true 0 <nil>
	// found 298, expected at least 299 for a rate of 0.01 with a confidence of 0.95; 298 support rates from 0.0101: too few trials
}
