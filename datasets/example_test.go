package datasets_test

import (
	"fmt"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
)

// MNIST, cut so that three digits are never seen before the last test.
func Example() {
	splits, err := datasets.MNIST("") // from the Go module cache
	if err != nil {
		fmt.Println(err)
		return
	}
	experiment, err := splits.Experiment(datasets.ExperimentOptions{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(experiment.Train.Size, len(experiment.Train.Classes), "classes")
	fmt.Println(experiment.Unseen.Len(), "images of the digits", experiment.Unseen.Classes)
	// Output:
	// 28x28x1 7 classes
	// 3011 images of the digits [7 8 9]
}

// letters is two drawings of each of three letters, of one pixel each.
func letters() *datasets.Dataset {
	return &datasets.Dataset{
		Name:    "letters",
		Size:    imaging.Size{Height: 1, Width: 1, Channels: 1},
		Classes: []string{"a", "b", "c"},
		Labels:  []int{0, 0, 1, 1, 2, 2},
		Images:  [][]uint8{{10}, {12}, {100}, {102}, {250}, {255}},
	}
}

func ExampleBalancedPairs() {
	sampler, err := datasets.BalancedPairs(letters())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, pair := range sampler.Sample(random.New(1), 4).Pairs() {
		fmt.Println(pair.Different, letters().Labels[pair.Left] != letters().Labels[pair.Right])
	}
	// Output:
	// false false
	// true true
	// false false
	// true true
}

func ExampleNewEpisodes() {
	sampler, err := datasets.NewEpisodes(letters(), 3, 1, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	episode := sampler.Episode(random.New(1))
	for class := range episode.Support {
		example, query := episode.Support[class][0], episode.Queries[class][0]
		fmt.Println(letters().Labels[example] == letters().Labels[query], example != query)
	}
	_, err = datasets.NewEpisodes(letters(), 3, 5, 1)
	fmt.Println(err)
	// Output:
	// true true
	// true true
	// true true
	// 3-way episodes of 5 examples and 1 queries: dataset letters has 0 classes of 6 images or more: too few classes or images
}

func ExampleFill() {
	d := letters()
	batch := make([]float32, 3)
	preprocessing := imaging.Preprocessing{Size: d.Size, Mean: []float64{0}, StdDev: []float64{2}}
	if err := datasets.Fill(batch, d, []int{5, 0, 5}, preprocessing, nil, 0, 0, ""); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.2f\n", batch)
	// Output: [0.50 0.02 0.50]
}
