package imaging_test

import (
	"fmt"
	"strings"

	"github.com/likeness-go/likeness/imaging"
)

// A file becomes the input of a network that reads white ink on black.
func Example() {
	file := strings.NewReader(`P2
2 2
255
255 0
255 255
`)
	img, err := imaging.Decode(file, "dot.pgm")
	if err != nil {
		fmt.Println(err)
		return
	}
	p := imaging.Preprocessing{
		Size:   imaging.Size{Height: 2, Width: 2, Channels: 1},
		Invert: true,
		Mean:   []float64{0.25},
		StdDev: []float64{0.5},
	}
	pixels := p.Pixels(img)
	input := make([]float32, p.Size.Len())
	p.Normalize(input, pixels)
	fmt.Println(p.Size, pixels, input)
	// Output: 2x2x1 [0 255 0 0] [-0.5 1.5 -0.5 -0.5]
}

func ExampleDecode_unknown() {
	_, err := imaging.Decode(strings.NewReader("a letter"), "letter.txt")
	fmt.Println(err)
	// Output: decode image letter.txt: not an image of a known format (PNG, JPEG, GIF, BMP, TIFF, WebP, PGM or PPM)
}
