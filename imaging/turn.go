package imaging

import "image"

// turned is the image as an EXIF orientation, 1 to 8, says that it is to be seen; for
// 1 it is the image itself. The colors are the same ones, bit for bit: where those of
// a JPEG have fewer pixels than its brightness, they are repeated, and not converted.
func turned(img image.Image, orientation int) image.Image {
	if orientation <= upright || orientation > 8 {
		return img
	}
	t := turn{orientation, img.Bounds()}
	bounds := t.bounds()
	switch img := img.(type) {
	case *image.Gray:
		pix, stride := t.pixels(img.Pix, img.Stride, 1)
		return &image.Gray{Pix: pix, Stride: stride, Rect: bounds}
	case *image.Gray16:
		pix, stride := t.pixels(img.Pix, img.Stride, 2)
		return &image.Gray16{Pix: pix, Stride: stride, Rect: bounds}
	case *image.Paletted:
		pix, stride := t.pixels(img.Pix, img.Stride, 1)
		return &image.Paletted{Pix: pix, Stride: stride, Rect: bounds, Palette: img.Palette}
	case *image.RGBA:
		pix, stride := t.pixels(img.Pix, img.Stride, 4)
		return &image.RGBA{Pix: pix, Stride: stride, Rect: bounds}
	case *image.NRGBA:
		pix, stride := t.pixels(img.Pix, img.Stride, 4)
		return &image.NRGBA{Pix: pix, Stride: stride, Rect: bounds}
	case *image.CMYK:
		pix, stride := t.pixels(img.Pix, img.Stride, 4)
		return &image.CMYK{Pix: pix, Stride: stride, Rect: bounds}
	case *image.RGBA64:
		pix, stride := t.pixels(img.Pix, img.Stride, 8)
		return &image.RGBA64{Pix: pix, Stride: stride, Rect: bounds}
	case *image.NRGBA64:
		pix, stride := t.pixels(img.Pix, img.Stride, 8)
		return &image.NRGBA64{Pix: pix, Stride: stride, Rect: bounds}
	case *image.YCbCr:
		return t.yCbCr(img)
	case *image.NYCbCrA:
		alpha, stride := t.pixels(img.A, img.AStride, 1)
		return &image.NYCbCrA{YCbCr: *t.yCbCr(&img.YCbCr), A: alpha, AStride: stride}
	}
	result := image.NewRGBA64(bounds)
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			fromX, fromY := t.source(x, y)
			result.Set(x, y, img.At(t.from.Min.X+fromX, t.from.Min.Y+fromY))
		}
	}
	return result
}

// turn is what an orientation does to an image of the bounds.
type turn struct {
	orientation int
	from        image.Rectangle
}

// bounds are those of the result, whose corner is at the origin.
func (t turn) bounds() image.Rectangle {
	if t.orientation >= 5 {
		return image.Rect(0, 0, t.from.Dy(), t.from.Dx())
	}
	return image.Rect(0, 0, t.from.Dx(), t.from.Dy())
}

// source is where the pixel (x, y) of the result is in the image, from its corner.
func (t turn) source(x, y int) (fromX, fromY int) {
	right, bottom := t.from.Dx()-1, t.from.Dy()-1
	switch t.orientation {
	case 2:
		return right - x, y
	case 3:
		return right - x, bottom - y
	case 4:
		return x, bottom - y
	case 5:
		return y, x
	case 6:
		return y, bottom - x
	case 7:
		return right - y, bottom - x
	case 8:
		return right - y, x
	}
	return x, y
}

// pixels turns pixels of so many bytes each, whose rows are stride bytes apart.
func (t turn) pixels(pix []uint8, stride, size int) (result []uint8, resultStride int) {
	bounds := t.bounds()
	result = make([]uint8, 0, bounds.Dx()*bounds.Dy()*size)
	for y := range bounds.Dy() {
		// Along a row of the result the source moves on by the same step.
		fromX, fromY := t.source(0, y)
		nextX, nextY := t.source(1, y)
		at, step := fromY*stride+fromX*size, (nextY-fromY)*stride+(nextX-fromX)*size
		for range bounds.Dx() {
			result = append(result, pix[at:at+size]...)
			at += step
		}
	}
	return result, bounds.Dx() * size
}

func (t turn) yCbCr(img *image.YCbCr) *image.YCbCr {
	bounds := t.bounds()
	result := image.NewYCbCr(bounds, image.YCbCrSubsampleRatio444)
	at := 0
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			fromX, fromY := t.source(x, y)
			fromX, fromY = fromX+t.from.Min.X, fromY+t.from.Min.Y
			color := img.COffset(fromX, fromY)
			result.Y[at], result.Cb[at], result.Cr[at] = img.Y[img.YOffset(fromX, fromY)], img.Cb[color], img.Cr[color]
			at++
		}
	}
	return result
}
