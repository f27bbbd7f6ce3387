package omniglot_test

import (
	"fmt"
	"log"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/datasets/omniglot"
	"github.com/likeness-go/likeness/imaging"
)

// The alphabets to train on and the tasks to be measured by, cropped to the ink and
// resized in the same way.
func Example() {
	options := datasets.Options{
		Size: imaging.Size{Height: 28, Width: 28, Channels: 1},
		Crop: &imaging.Crop{Margin: 1.15, MinSide: 40. / 105},
	}
	splits, err := omniglot.Small1(options)
	if err != nil {
		log.Fatal(err)
	}
	runs, err := omniglot.Runs(options)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(splits.Train.Len(), "images of", len(splits.Train.Classes), "characters of", len(splits.Train.Groups()), "alphabets")
	fmt.Println(len(runs), "tasks of", len(runs[0].Test), "trials each")
	fmt.Printf("%s: the first image shows character %d of %d\n", runs[0].Name, runs[0].Answers[0]+1, len(runs[0].Training))
	// Output:
	// 2720 images of 136 characters of 5 alphabets
	// 20 tasks of 20 trials each
	// run01: the first image shows character 8 of 20
}
