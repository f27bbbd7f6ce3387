package imaging_test

import (
	"image/color"
	"testing"

	"github.com/likeness-go/likeness/imaging"
)

// A picture shows the bytes that it is made of, in greys and in colours.
func TestImage(t *testing.T) {
	grey := imaging.Size{Height: 1, Width: 2, Channels: 1}.Image([]uint8{10, 20})
	if got := grey.At(1, 0); got != (color.Gray{Y: 20}) || grey.Bounds().Dx() != 2 {
		t.Errorf("found %v in %v, expected the grey 20", got, grey.Bounds())
	}
	colours := imaging.Size{Height: 2, Width: 1, Channels: 3}.Image([]uint8{1, 2, 3, 4, 5, 6})
	if got := colours.At(0, 1); got != (color.NRGBA{4, 5, 6, 255}) || colours.Bounds().Dy() != 2 {
		t.Errorf("found %v in %v, expected the colour (4, 5, 6)", got, colours.Bounds())
	}
}
