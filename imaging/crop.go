package imaging

import (
	"image"
	"image/draw"
	"math"

	"github.com/pkg/errors"
	xdraw "golang.org/x/image/draw"
)

// Crop cuts a square around an image's ink, so that a drawing is of one size
// wherever on the paper it is. Ink is what is brighter than half, after
// Preprocessing.Invert; what lies outside the image is black. An image without
// ink is cut to the square around its middle.
type Crop struct {
	// Margin is the side of the square in sides of the ink's, the larger of its
	// width and height; at least 1.
	Margin float64 `toml:"margin" json:"margin"`
	// Least is what the ink's side counts as at least, as a part of the image's
	// larger side, 0 to 1: a dot is not made as large as a letter.
	MinSide float64 `toml:"least" json:"least"`
}

// Validate reports a field that is outside its range.
func (c Crop) Validate() error {
	if !(c.Margin >= 1 && c.Margin <= 16) {
		return errors.Errorf("crop: margin is %v, expected 1 to 16", c.Margin)
	}
	if !(c.MinSide >= 0 && c.MinSide <= 1) {
		return errors.Errorf("crop: least is %v, expected 0 to 1", c.MinSide)
	}
	return nil
}

// inkLevel is from which brightness on a pixel is ink.
const inkLevel = 128

// square is a square of an image, in pixels; its place may be between them.
type square struct{ left, top, side float64 }

// square returns that around the ink.
func (c Crop) square(pixels []uint8, size Size) square {
	left, top, right, bottom := size.Width, size.Height, 0, 0
	for y := range size.Height {
		for x := range size.Width {
			for _, v := range pixels[(y*size.Width+x)*size.Channels:][:size.Channels] {
				if v >= inkLevel {
					left, right = min(left, x), max(right, x+1)
					top, bottom = min(top, y), max(bottom, y+1)
				}
			}
		}
	}
	whole := float64(max(size.Width, size.Height))
	if right == 0 {
		side := whole
		return square{(float64(size.Width) - side) / 2, (float64(size.Height) - side) / 2, side}
	}
	side := c.Margin * max(float64(max(right-left, bottom-top)), c.MinSide*whole)
	return square{(float64(left+right) - side) / 2, (float64(top+bottom) - side) / 2, side}
}

// apply cuts an image of its own size to the ink and brings the square to
// another one.
func (c Crop) apply(pixels []uint8, own, size Size) []uint8 {
	s := c.square(pixels, own)
	columns := shares(s.left, s.side, size.Width, own.Width)
	rows := shares(s.top, s.side, size.Height, own.Height)
	channels := size.Channels
	narrow := make([]float64, own.Height*size.Width*channels)
	for y := range own.Height {
		for x, column := range columns {
			to := narrow[(y*size.Width+x)*channels:][:channels]
			for i, weight := range column.weights {
				for k, v := range pixels[(y*own.Width+column.first+i)*channels:][:channels] {
					to[k] += weight * float64(v)
				}
			}
		}
	}
	result := make([]uint8, size.Len())
	line := make([]float64, size.Width*channels)
	for y, row := range rows {
		clear(line)
		for i, weight := range row.weights {
			for j, v := range narrow[(row.first+i)*len(line):][:len(line)] {
				line[j] += weight * v
			}
		}
		for j, v := range line {
			result[y*len(line)+j] = uint8(v + 0.5)
		}
	}
	return result
}

// share says what a target pixel is made of: the weights of the source pixels
// from first on. They add up to less than 1 where it lies outside in part.
type share struct {
	first   int
	weights []float64
}

// shares divides a length of the source, from start on, into target pixels, by
// the kernel that images are resized with.
func shares(start, length float64, targets, sources int) []share {
	step := length / float64(targets)
	kernel := areaKernel(step)
	reach := kernel.Support * max(step, 1)
	all := make([]share, targets)
	for t := range all {
		centre := start + (float64(t)+0.5)*step
		first, last := int(math.Floor(centre-reach-0.5)), int(math.Ceil(centre+reach+0.5))
		var total float64
		for p := first; p <= last; p++ {
			distance := math.Abs(float64(p) + 0.5 - centre)
			weight := 0.0
			if distance < reach {
				weight = kernel.At(distance / max(step, 1))
			}
			total += weight
			if p < 0 || p >= sources || weight == 0 {
				continue
			}
			if len(all[t].weights) == 0 {
				all[t].first = p
			}
			all[t].weights = append(all[t].weights, weight)
		}
		for i := range all[t].weights {
			all[t].weights[i] /= total
		}
	}
	return all
}

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
