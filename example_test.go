package likeness_test

import (
	"fmt"
	"image"
	"image/color"
	"log"

	"github.com/likeness-go/likeness/zoo"
)

// The bundled model for photographs compares pictures without training. Embed returns the vectors
// that it compares, for a search or a database of your own.
func Example() {
	model, err := zoo.Load(zoo.Photo) // or likeness.Load("model.safetensors")
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	sky, meadow := shaded(color.RGBA{90, 150, 240, 255}), shaded(color.RGBA{40, 160, 60, 255})
	comparison, err := model.Compare(sky, sky) // CompareFiles takes paths
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("distance %.2f, the same: %v\n", comparison.Distance, comparison.Same)
	embeddings, err := model.Embed(sky, meadow)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(embeddings), "embeddings of", len(embeddings[0]), "features")
	// Output:
	// distance 0.00, the same: true
	// 2 embeddings of 1280 features
}

// shaded returns a picture of one color that becomes darker from left to right.
func shaded(c color.RGBA) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, 300, 200))
	for y := range 200 {
		for x := range 300 {
			darker := func(v uint8) uint8 { return uint8(int(v) * (300 - x) / 300) }
			img.SetRGBA(x, y, color.RGBA{darker(c.R), darker(c.G), darker(c.B), 255})
		}
	}
	return img
}
