package imaging

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"github.com/pkg/errors"
	xdraw "golang.org/x/image/draw"
)

// Crop crops an image to a square around its foreground, also called ink, so that the
// size and the position of a drawing have no influence. The foreground is every pixel
// value of at least 128, after Preprocessing.Invert; pixels outside the image are black.
// An image without foreground is cropped to a square around its center.
type Crop struct {
	// Margin is the side of the square relative to the longer side of the foreground; 1
	// to 16.
	Margin float64 `toml:"margin" json:"margin"`
	// MinSide is the minimum side of the foreground, relative to the longer side of the
	// image, 0 to 1, so that a dot is not enlarged to the size of a letter.
	MinSide float64 `toml:"least" json:"least"`
}

// Validate returns an error for a field outside its range.
func (c Crop) Validate() error {
	if !(c.Margin >= 1 && c.Margin <= 16) {
		return errors.Errorf("crop: margin is %v, expected 1 to 16", c.Margin)
	}
	if !(c.MinSide >= 0 && c.MinSide <= 1) {
		return errors.Errorf("crop: least is %v, expected 0 to 1", c.MinSide)
	}
	return nil
}

// inkLevel is the smallest value of ink.
const inkLevel = 128

// square is a square of an image in pixels, at positions that need not be integers.
type square struct{ left, top, side float64 }

// square returns the square around the ink.
func (c Crop) square(pixels []uint8, size Size) square {
	left, top, right, bottom := size.Width, size.Height, 0, 0
	for y := range size.Height {
		line := pixels[y*size.Width*size.Channels:][:size.Width*size.Channels]
		first, last := 0, len(line)-1
		for first <= last && line[first] < inkLevel {
			first++
		}
		if first > last {
			continue
		}
		for line[last] < inkLevel {
			last--
		}
		left, right = min(left, first/size.Channels), max(right, last/size.Channels+1)
		top, bottom = min(top, y), y+1
	}
	whole := float64(max(size.Width, size.Height))
	if right == 0 {
		side := whole
		return square{(float64(size.Width) - side) / 2, (float64(size.Height) - side) / 2, side}
	}
	side := c.Margin * max(float64(max(right-left, bottom-top)), c.MinSide*whole)
	return square{(float64(left+right) - side) / 2, (float64(top+bottom) - side) / 2, side}
}

// apply cuts an image to the square around its ink and scales that to size.
func (c Crop) apply(pixels []uint8, own, size Size) []uint8 {
	s := c.square(pixels, own)
	return weigh(pixels, own, size, shares(s.left, s.side, size.Width, own.Width), shares(s.top, s.side, size.Height, own.Height))
}

// Shrink scales the pixels of an image, as Preprocessing.Pixels returns them, to at most the given
// number of rows and columns, each the mean of an area, and returns them with their size. A
// smaller image is returned as it is. A length of pixels that is not that of the size, and a side
// below 1, are errors.
func Shrink(pixels []uint8, own Size, side int) ([]uint8, Size, error) {
	if err := own.Validate(); err != nil {
		return nil, own, errors.Wrap(err, "shrink")
	}
	if len(pixels) != own.Len() || side < 1 {
		return nil, own, errors.Errorf("shrink: found %d values for %v and a side of %d, expected %d values and a side of at least 1", len(pixels), own, side, own.Len())
	}
	size := own
	size.Height, size.Width = min(own.Height, side), min(own.Width, side)
	if size == own {
		return pixels, own, nil
	}
	columns := shares(0, float64(own.Width), size.Width, own.Width)
	return weigh(pixels, own, size, columns, shares(0, float64(own.Height), size.Height, own.Height)), size, nil
}

// weigh returns an image of which every pixel is a weighted sum of those of another.
func weigh(pixels []uint8, own, size Size, columns, rows []share) []uint8 {
	channels := size.Channels
	first, last := span(rows) // of the lines that the result depends on
	narrow := make([]float64, (last-first)*size.Width*channels)
	for y := first; y < last; y++ {
		from, to := pixels[y*own.Width*channels:][:own.Width*channels], narrow[(y-first)*size.Width*channels:][:size.Width*channels]
		if channels == 1 {
			for x, column := range columns {
				sum := 0.0
				for i, v := range from[column.first:][:len(column.weights)] {
					sum += column.weights[i] * float64(v)
				}
				to[x] = sum
			}
			continue
		}
		for x, column := range columns {
			to := to[x*channels:][:channels]
			for i, weight := range column.weights {
				for k, v := range from[(column.first+i)*channels:][:channels] {
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
			for j, v := range narrow[(row.first-first+i)*len(line):][:len(line)] {
				line[j] += weight * v
			}
		}
		for j, v := range line {
			result[y*len(line)+j] = uint8(v + 0.5)
		}
	}
	return result
}

// share has the weights of the source pixels, from first on, of which a target pixel
// is the sum. The sum of the weights is less than 1 if a part lies outside.
type share struct {
	first   int
	weights []float64
}

// span returns the range of the source pixels that have a weight.
func span(all []share) (first, last int) {
	first = math.MaxInt
	for _, s := range all {
		if len(s.weights) > 0 {
			first, last = min(first, s.first), max(last, s.first+len(s.weights))
		}
	}
	return min(first, last), last
}

// shares divides a length of the source, from start on, into target pixels with the
// kernel of resize.
func shares(start, length float64, targets, sources int) []share {
	return someShares(start, length, targets, sources, 0, targets)
}

// someShares is shares of the target pixels from begin to end only, which takes no time for
// the others.
func someShares(start, length float64, targets, sources, begin, end int) []share {
	step := length / float64(targets)
	scale := max(step, 1)
	kernel := areaKernel(step)
	reach := kernel.Support * scale
	all := make([]share, end-begin)
	weights := make([]float64, 0, len(all)*(int(2*reach)+2)) // of all
	for t := range all {
		center := start + (float64(begin+t)+0.5)*step
		first, last := int(math.Floor(center-reach-0.5)), int(math.Ceil(center+reach+0.5))
		var total float64
		own := len(weights)
		for p := first; p <= last; p++ {
			distance := math.Abs(float64(p) + 0.5 - center)
			if distance >= reach {
				continue
			}
			weight := kernel.At(distance / scale)
			total += weight
			if p < 0 || p >= sources || weight == 0 {
				continue
			}
			if len(weights) == own {
				all[t].first = p
			}
			weights = append(weights, weight)
		}
		all[t].weights = weights[own:len(weights):len(weights)]
		for i := range all[t].weights {
			all[t].weights[i] /= total
		}
	}
	return all
}

// centerCrop resizes the shorter side of an image to shorter pixels, with the aspect ratio
// kept, and returns the center of the result, as Preprocessing.Pixels describes. Only the
// pixels that the center depends on are read.
func centerCrop(img image.Image, shorter int, size Size) []uint8 {
	bounds := img.Bounds()
	own := Size{Height: bounds.Dy(), Width: bounds.Dx(), Channels: size.Channels}
	columns := centerShares(own.Width, min(own.Width, own.Height), shorter, size.Width)
	rows := centerShares(own.Height, min(own.Width, own.Height), shorter, size.Height)
	left, right := span(columns)
	top, bottom := span(rows)
	for i := range columns {
		columns[i].first -= left
	}
	for i := range rows {
		rows[i].first -= top
	}
	img = part(img, image.Rect(left, top, right, bottom).Add(bounds.Min))
	if size.Channels == 1 {
		img = gray(img)
	} else {
		img = onPaper(img)
	}
	own.Height, own.Width = bottom-top, right-left
	return weigh(bytesOf(img, size.Channels), own, size, columns, rows)
}

// centerShares are the shares of the target pixels in the center of a side of an image whose
// shorter side, of short pixels, is resized to shorter. At the edges of the image the
// weights of the pixels inside are scaled to the sum 1.
func centerShares(side, short, shorter, targets int) []share {
	resized := int(int64(shorter) * int64(side) / int64(short))
	begin := int(math.RoundToEven(float64(resized-targets) / 2))
	all := someShares(0, float64(side), resized, side, begin, begin+targets)
	for _, s := range all {
		sum := 0.0
		for _, weight := range s.weights {
			sum += weight
		}
		for i := range s.weights {
			s.weights[i] /= sum
		}
	}
	return all
}

// centerPart returns where the part that centerCrop keeps begins and ends along a side of an
// image, in pixels of the image.
func centerPart(side, short, shorter, targets int) (first, last float64) {
	resized := int(int64(shorter) * int64(side) / int64(short))
	begin := math.RoundToEven(float64(resized-targets) / 2)
	step := float64(side) / float64(resized)
	return begin * step, (begin + float64(targets)) * step
}

// Area is a rectangle of an image in pixels from its upper left corner, at positions that need
// not be integers. With Preprocessing.Crop it may reach beyond the image.
type Area struct {
	Left   float64 `json:"left"`
	Top    float64 `json:"top"`
	Right  float64 `json:"right"`
	Bottom float64 `json:"bottom"`
}

// Area returns the part of an image that Pixels scales to the input of the network: the whole
// image, the center with ShorterSide, and a square around the foreground with Crop. Position
// (x, y) of the input, in pixels, shows position (Left + x·(Right − Left)/Size.Width, Top +
// y·(Bottom − Top)/Size.Height) of the image. The image is as Decode returns it, with its EXIF
// orientation applied. The errors are those of Prepare.
func (p Preprocessing) Area(img image.Image) (area Area, err error) {
	if err := Check(img); err != nil {
		return Area{}, err
	}
	if err := p.Validate(); err != nil {
		return Area{}, errors.Wrap(err, "cannot be converted to the input of the network")
	}
	defer unreadable(&err, img)
	width, height := img.Bounds().Dx(), img.Bounds().Dy()
	switch short := min(width, height); {
	case p.ShorterSide > 0:
		area.Left, area.Right = centerPart(width, short, p.ShorterSide, p.Size.Width)
		area.Top, area.Bottom = centerPart(height, short, p.ShorterSide, p.Size.Height)
	case p.Crop != nil:
		whole := p
		whole.Crop, whole.Size.Width, whole.Size.Height = nil, width, height
		s := p.Crop.square(whole.pixels(img), whole.Size)
		area = Area{Left: s.left, Top: s.top, Right: s.left + s.side, Bottom: s.top + s.side}
	default:
		area.Right, area.Bottom = float64(width), float64(height)
	}
	return area, nil
}

// part returns the pixels of an image within an area of it.
func part(img image.Image, area image.Rectangle) image.Image {
	if divisible, ok := img.(interface {
		SubImage(image.Rectangle) image.Image
	}); ok {
		if part := divisible.SubImage(area); part != nil && part.Bounds() == area {
			return part
		}
	}
	return clipped{img, area}
}

// clipped is an image with smaller bounds, for types without the method SubImage.
type clipped struct {
	image.Image
	area image.Rectangle
}

// Bounds returns the smaller bounds.
func (c clipped) Bounds() image.Rectangle { return c.area }

// onPaper returns a copy of the image as it looks on white paper, with its corner at
// the origin.
func onPaper(img image.Image) *image.RGBA {
	paper := image.NewRGBA(image.Rectangle{Max: img.Bounds().Size()})
	draw.Draw(paper, paper.Rect, image.White, image.Point{}, draw.Src)
	draw.Draw(paper, paper.Rect, img, img.Bounds().Min, draw.Over)
	return paper
}

// gray returns a copy of the image in gray levels, as it looks on white paper, with its
// corner at the origin. The types that files of drawings and JPEG files have are special cases,
// because image/draw is slow for them.
func gray(img image.Image) *image.Gray {
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
			table[i] = gray(swatch).Pix[0]
		}
		for y := range bounds.Dy() {
			for x, index := range img.Pix[y*img.Stride:][:bounds.Dx()] {
				paper.Pix[y*paper.Stride+x] = table[index]
			}
		}
	case *image.YCbCr:
		for y := range bounds.Dy() {
			row := paper.Pix[y*paper.Stride:][:bounds.Dx()]
			for x := range row {
				at, colors := img.YOffset(bounds.Min.X+x, bounds.Min.Y+y), img.COffset(bounds.Min.X+x, bounds.Min.Y+y)
				r, g, b, _ := color.YCbCr{Y: img.Y[at], Cb: img.Cb[colors], Cr: img.Cr[colors]}.RGBA()
				row[x] = uint8((19595*r + 38470*g + 7471*b + 1<<15) >> 24) // as image.Gray converts colors
			}
		}
	default:
		draw.Draw(paper, paper.Rect, image.White, image.Point{}, draw.Src)
		draw.Draw(paper, paper.Rect, img, bounds.Min, draw.Over)
	}
	return paper
}

// resize scales an image to width × height; an image of this size is returned
// unchanged.
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

// areaKernel has the weights of the source pixels of one target pixel, which is as
// wide as shrink source pixels. The fraction of it that a source pixel covers, as a
// function of the distance of their centers in target pixels, is a trapezoid; with
// these weights, reducing an image is exact averaging over areas. For a shrink of at
// most 1 it is the triangle of bilinear interpolation.
func areaKernel(shrink float64) *xdraw.Kernel {
	half := 0.5 / max(shrink, 1) // half the width of a source pixel
	return &xdraw.Kernel{
		Support: 0.5 + half,
		At:      func(distance float64) float64 { return min(1, (0.5+half-distance)/(2*half)) },
	}
}

// bytesOf returns the first channels of each pixel of a gray or RGBA image
// without padding.
func bytesOf(img image.Image, channels int) []uint8 {
	if img, ok := img.(*image.Gray); ok {
		return img.Pix
	}
	rgba := img.(*image.RGBA).Pix
	pixels := make([]uint8, len(rgba)/4*channels)
	if channels == 3 {
		for from, to := rgba, pixels; len(from) >= 4 && len(to) >= 3; from, to = from[4:], to[3:] {
			to[0], to[1], to[2] = from[0], from[1], from[2]
		}
		return pixels
	}
	for i := range pixels {
		pixels[i] = rgba[4*i]
	}
	return pixels
}
