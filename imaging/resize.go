package imaging

import (
	"image"
	"image/draw"

	xdraw "golang.org/x/image/draw"
)

// onPaper returns a copy of the image as it looks on white paper, its corner at
// the origin.
func onPaper(img image.Image) *image.RGBA {
	paper := image.NewRGBA(image.Rectangle{Max: img.Bounds().Size()})
	draw.Draw(paper, paper.Rect, image.White, image.Point{}, draw.Src)
	draw.Draw(paper, paper.Rect, img, img.Bounds().Min, draw.Over)
	return paper
}

// grey returns a copy of the image in greys, as it looks on white paper, its
// corner at the origin. The two types that files of drawings have are treated
// apart, because image/draw is slow at them.
func grey(img image.Image) *image.Gray {
	bounds := img.Bounds()
	paper := image.NewGray(image.Rectangle{Max: bounds.Size()})
	switch img := img.(type) {
	case *image.Gray:
		for y := range bounds.Dy() {
			copy(paper.Pix[y*paper.Stride:], img.Pix[y*img.Stride:][:bounds.Dx()])
		}
	case *image.Paletted:
		var table [256]uint8
		for i, c := range img.Palette {
			swatch := image.NewNRGBA64(image.Rect(0, 0, 1, 1))
			swatch.Set(0, 0, c)
			table[i] = grey(swatch).Pix[0]
		}
		for y := range bounds.Dy() {
			for x, index := range img.Pix[y*img.Stride:][:bounds.Dx()] {
				paper.Pix[y*paper.Stride+x] = table[index]
			}
		}
	default:
		draw.Draw(paper, paper.Rect, image.White, image.Point{}, draw.Src)
		draw.Draw(paper, paper.Rect, img, bounds.Min, draw.Over)
	}
	return paper
}

// resize stretches an image to width × height; one that has this size is
// returned as it is.
func resize(img image.Image, width, height int) image.Image {
	bounds := img.Bounds()
	if bounds.Dx() == width && bounds.Dy() == height {
		return img
	}
	result := image.NewRGBA(image.Rect(0, 0, width, height))
	shrink := (float64(bounds.Dx())/float64(width) + float64(bounds.Dy())/float64(height)) / 2
	areaKernel(shrink).Scale(result, result.Rect, img, bounds, draw.Src, nil)
	return result
}

// areaKernel weighs the source pixels of one target pixel. A target pixel is
// as wide as shrink source pixels, and the share of it that a source pixel
// covers, as a function of the distance of their centres in target pixels, is a
// trapezoid: with its weights shrinking is exact averaging over areas. At
// shrink 1 and for growing images it becomes the triangle of bilinear
// interpolation.
func areaKernel(shrink float64) *xdraw.Kernel {
	half := 0.5 / max(shrink, 1) // half the width of a source pixel
	return &xdraw.Kernel{
		Support: 0.5 + half,
		At:      func(distance float64) float64 { return min(1, (0.5+half-distance)/(2*half)) },
	}
}

// bytesOf returns the first channels of each pixel of a grey or RGBA image
// without padding.
func bytesOf(img image.Image, channels int) []uint8 {
	if img, ok := img.(*image.Gray); ok {
		return img.Pix
	}
	rgba := img.(*image.RGBA).Pix
	pixels := make([]uint8, 0, len(rgba)/4*channels)
	for i := 0; i < len(rgba); i += 4 {
		pixels = append(pixels, rgba[i:i+channels]...)
	}
	return pixels
}
