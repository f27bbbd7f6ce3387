package imaging

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"image"
	"io"

	"github.com/likeness-go/likeness/internal/tiffdir"
)

// Cameras store the pixels as the sensor reads them, and how to turn them in the tag
// Orientation (Exif 2.32, section 4.6.4; TIFF 6.0, page 36), 1 to 8:
//
//	1 as it is           5 mirrored at the diagonal from the upper left
//	2 mirrored           6 to be turned clockwise by 90°
//	3 turned by 180°     7 mirrored at the other diagonal
//	4 upside down        8 to be turned counterclockwise by 90°
//
// The functions below find it in a file. If it is invalid or missing the image is
// upright: an image with unreadable metadata can still be read.

const (
	upright        = 1
	orientationTag = 0x0112
	// maxChunks is the number of chunks of a file that are searched: a PNG of
	// MaxPixels has some 30,000.
	maxChunks = 1 << 17
)

// exifHeader precedes EXIF's TIFF structure in JPEG, and sometimes in WebP.
const exifHeader = "Exif\x00\x00"

// readFrom fills b from an offset.
func readFrom(r io.ReaderAt, b []byte, at int64) bool {
	n, _ := r.ReadAt(b, at)
	return n == len(b)
}

// tiffOrientation is that of the first directory of a TIFF structure: of a TIFF
// file, or of EXIF.
func tiffOrientation(r *io.SectionReader) int {
	orientation := upright
	_ = tiffdir.Each(r, func(entry tiffdir.Entry) bool {
		if entry.Tag != orientationTag {
			return true
		}
		value := int(entry.Number())
		if entry.Type == tiffdir.Short && entry.Count == 1 && value >= 1 && value <= 8 {
			orientation = value
		}
		return false
	})
	return orientation
}

// jpegOrientation is that of the first segment APP1 that holds EXIF, which comes
// before the pixels.
func jpegOrientation(r *io.SectionReader) int {
	const (
		app1 = 0xe1
		sos  = 0xda
		eoi  = 0xd9
		rst0 = 0xd0
		rst7 = 0xd7
		tem  = 0x01
	)
	in := bufio.NewReader(io.NewSectionReader(r, 2, MaxHeader))
	for {
		// As image/jpeg does: bytes between the segments are skipped, and 0xff may
		// be repeated before a marker.
		marker, err := in.ReadByte()
		for err == nil && marker != 0xff {
			marker, err = in.ReadByte()
		}
		for err == nil && marker == 0xff {
			marker, err = in.ReadByte()
		}
		if err != nil || marker == sos || marker == eoi {
			return upright
		}
		if marker == 0 || marker == tem || marker >= rst0 && marker <= rst7 {
			continue
		}
		var size [2]byte
		if _, err := io.ReadFull(in, size[:]); err != nil {
			return upright
		}
		length := int(binary.BigEndian.Uint16(size[:])) - len(size)
		if length < 0 {
			return upright
		}
		if head, _ := in.Peek(len(exifHeader)); marker == app1 && length >= len(exifHeader) && string(head) == exifHeader {
			segment := make([]byte, length)
			n, _ := io.ReadFull(in, segment)
			exif := segment[len(exifHeader):max(n, len(exifHeader))]
			return tiffOrientation(io.NewSectionReader(bytes.NewReader(exif), 0, int64(len(exif))))
		}
		if _, err := in.Discard(length); err != nil {
			return upright
		}
	}
}

// pngOrientation is that of the chunk eXIf, which may come before or after the
// pixels (PNG, third edition, section 11.3.4.5).
func pngOrientation(r *io.SectionReader) int {
	at := int64(len("\x89PNG\r\n\x1a\n"))
	for range maxChunks {
		var head [8]byte // length, type
		if !readFrom(r, head[:], at) {
			return upright
		}
		length, kind := int64(binary.BigEndian.Uint32(head[:])), string(head[4:])
		switch kind {
		case "eXIf":
			return tiffOrientation(io.NewSectionReader(r, at+int64(len(head)), length))
		case "IEND":
			return upright
		}
		at += int64(len(head)) + length + 4 // the checksum
	}
	return upright
}

// webpOrientation is that of the chunk EXIF, which comes after the pixels (RFC 9649,
// section 2.7.1.5).
func webpOrientation(r *io.SectionReader) int {
	at := int64(len("RIFF????WEBP"))
	for range maxChunks {
		var head [8]byte // type, length
		if !readFrom(r, head[:], at) {
			return upright
		}
		at += int64(len(head))
		length := int64(binary.LittleEndian.Uint32(head[4:]))
		if string(head[:4]) == "EXIF" {
			start := make([]byte, len(exifHeader))
			if length > int64(len(start)) && readFrom(r, start, at) && string(start) == exifHeader {
				at, length = at+int64(len(start)), length-int64(len(start))
			}
			return tiffOrientation(io.NewSectionReader(r, at, length))
		}
		at += length + length%2
	}
	return upright
}

// turned is the image turned as an EXIF orientation, 1 to 8, says; for 1 it is the image
// itself. The colors are not changed: if the color planes of a JPEG are subsampled,
// their values are repeated, not converted.
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

// turn is the transformation of an image with the bounds by an orientation.
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

// source returns the position in the image, relative to its corner, of the pixel (x, y)
// of the result.
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

// pixels turns pixels of size bytes each, whose rows begin stride bytes apart.
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
