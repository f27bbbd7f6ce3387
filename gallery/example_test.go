package gallery_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/zoo"
)

// Characters are recognized from one drawing of each with an embedded model, which has a
// threshold.
func Example() {
	model, err := zoo.Load(zoo.Default)
	if err != nil {
		log.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "gallery")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)

	characters, err := gallery.Create(filepath.Join(folder, "characters.gallery"), model, gallery.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer characters.Close()
	for _, shape := range []string{"cross", "ring"} {
		if err := characters.Enroll(shape, drawing(shape, 105, 50, 50, 30)); err != nil {
			log.Fatal(err)
		}
	}
	for _, shape := range []string{"ring", "triangle"} {
		found, err := characters.Identify(drawing(shape, 120, 60, 60, 40), 1)
		if err != nil {
			log.Fatal(err)
		}
		if found.Known {
			fmt.Println("this is a", found.Class())
		} else {
			fmt.Println("this is unknown; the nearest is a", found.Candidates[0].Class)
		}
	}
	// Output:
	// this is a ring
	// this is unknown; the nearest is a ring
}

// A threshold is chosen for a false accept rate on images of classes that the network was not
// trained on.
func ExampleGallery_Calibrate() {
	g, remove := temporary()
	defer remove()
	images := steps() // five classes of two images
	calibration, err := g.Calibrate(images, 0.3)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(calibration)
	_, err = g.Calibrate(images, 0.001)
	fmt.Println("at 0.001:", err != nil)
	// Output:
	// threshold 11.5000 at a false accept rate of 0.3, on series: 10 images of 5 classes, accepts 12 of 40 different-class pairs and 5 of 5 same-class pairs
	// at 0.001: true
}

// One image of each of five unknown classes is a trial. With more than one accepted, a rate of at most
// 0.5 could not be stated with a confidence of 0.8.
func ExampleGallery_CalibrateWithGuarantee() {
	g, remove := temporary()
	defer remove()
	if err := g.Enroll("dark", grays(50)); err != nil {
		log.Fatal(err)
	}
	calibration, err := g.CalibrateWithGuarantee(steps(), gallery.Guarantee{Rate: 0.5, Confidence: 0.8})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("accepted", calibration.Accepted, "of", calibration.Trials)
	_, err = g.CalibrateWithGuarantee(steps(), gallery.Guarantee{Rate: 0.01, Confidence: 0.95})
	fmt.Println("at 0.01:", errors.Is(err, evaluate.ErrTooFewTrials))
	// Output:
	// accepted 1 of 5
	// at 0.01: true
}

// Forget removes a class; an unknown class is an error.
func ExampleGallery_Forget() {
	g, remove := temporary()
	defer remove()
	if err := g.Enroll("dark", grays(10), grays(20)); err != nil {
		log.Fatal(err)
	}
	fmt.Println(g.Classes())
	examples, err := g.Forget("dark")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("forgot", examples, "examples; left are", g.Classes())
	// Output:
	// [{dark 2}]
	// forgot 2 examples; left are []
}
