package page

import (
	"bytes"
	"encoding/base64"
	"html/template"
	"image"
	"image/color"
	"image/png"

	"github.com/likeness-go/likeness/datasets"
	"golang.org/x/image/draw"
)

// The longest side of images in the page: larger ones are made smaller.
const (
	largestPicture = 128
	largestTile    = 28 // on a map
	frame          = 2  // around a tile
)

// shrink brings an image's longer side to at most that many pixels.
func shrink(img image.Image, most int) image.Image {
	width, height := img.Bounds().Dx(), img.Bounds().Dy()
	longer := max(width, height)
	if longer <= most {
		return img
	}
	bounds := image.Rect(0, 0, max(1, width*most/longer), max(1, height*most/longer))
	var small draw.Image = image.NewNRGBA(bounds)
	if _, grey := img.(*image.Gray); grey {
		small = image.NewGray(bounds)
	}
	draw.BiLinear.Scale(small, bounds, img, img.Bounds(), draw.Src, nil)
	return small
}

// inline is the image as a PNG within the page; empty for one without pixels,
// which a PNG cannot be.
func inline(img image.Image) template.URL {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return ""
	}
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()))
}

// tiles are the images as a map shows them. Drawings are ink in their class's
// colour and nothing else, so that they may overlap; other images are in a frame
// of the colour.
func tiles(d *datasets.Dataset, colours []color.RGBA) []image.Image {
	ink := inkOf(d)
	result := make([]image.Image, d.Len())
	for i, pixels := range d.Images {
		img := d.Size.Image(pixels)
		if ink == nil {
			result[i] = framed(shrink(img, largestTile-2*frame), colours[i])
		} else {
			result[i] = inked(shrink(img, largestTile).(*image.Gray), ink, colours[i])
		}
	}
	return result
}

// inkOf says how much ink a grey of a drawing is, 0 to 255; nil if the images
// are no drawings, which are grey and at least half of it plain paper.
func inkOf(d *datasets.Dataset) func(grey uint8) uint8 {
	if d.Size.Channels != 1 {
		return nil
	}
	var counts [256]int
	for _, pixels := range d.Images {
		for _, v := range pixels {
			counts[v]++
		}
	}
	const nearly = 32 // black or white
	half, median := d.Len()*d.Size.Len()/2, 0
	for sum := counts[0]; sum <= half && median < 255; sum += counts[median] {
		median++
	}
	switch {
	case median < nearly:
		return func(grey uint8) uint8 { return grey }
	case median > 255-nearly:
		return func(grey uint8) uint8 { return 255 - grey }
	}
	return nil
}

// inked has sixteen shades, which a PNG needs few bytes for.
func inked(grey *image.Gray, ink func(uint8) uint8, colour color.RGBA) image.Image {
	const shades = 16
	shade := make(color.Palette, shades)
	for i := range shade {
		shade[i] = color.NRGBA{colour.R, colour.G, colour.B, uint8(i * 255 / (shades - 1))}
	}
	bounds := grey.Bounds()
	tile := image.NewPaletted(bounds, shade)
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			tile.SetColorIndex(x, y, ink(grey.GrayAt(x, y).Y)/(256/shades))
		}
	}
	return tile
}

func framed(img image.Image, colour color.RGBA) image.Image {
	size := img.Bounds().Size()
	tile := image.NewNRGBA(image.Rect(0, 0, size.X+2*frame, size.Y+2*frame))
	draw.Draw(tile, tile.Bounds(), image.NewUniform(colour), image.Point{}, draw.Src)
	draw.Draw(tile, tile.Bounds().Inset(frame), img, img.Bounds().Min, draw.Src)
	return tile
}
