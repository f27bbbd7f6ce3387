package testutil

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"slices"
	"strconv"

	"golang.org/x/image/bmp"
)

// Steps is a picture of two gray levels, 0 and 255, that no rotation or reflection leaves as it is: the first
// pixels of the first row are white, and all of the first column.
func Steps(width, height int) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			if x == 0 || y == 0 && x <= width/2 {
				img.SetGray(x, y, color.Gray{Y: 255})
			}
		}
	}
	return img
}

// Pictures returns a file of each format that imaging.Decode reads, by the format's
// name, of a picture whose pixels are 0 and 255.
func Pictures(img *image.Gray) map[string][]byte {
	var pgm, ppm bytes.Buffer
	header := []byte(" " + strconv.Itoa(img.Rect.Dx()) + " " + strconv.Itoa(img.Rect.Dy()) + " 255\n")
	pgm.WriteString("P5")
	pgm.Write(header)
	pgm.Write(img.Pix)
	ppm.WriteString("P6")
	ppm.Write(header)
	for _, v := range img.Pix {
		ppm.Write([]byte{v, v, v})
	}
	return map[string][]byte{
		"PNG":  PNG(img),
		"JPEG": JPEG(img),
		"GIF":  encoded(func(b *bytes.Buffer) error { return gif.Encode(b, twoGrays(img), nil) }),
		"BMP":  encoded(func(b *bytes.Buffer) error { return bmp.Encode(b, img) }),
		"TIFF": TIFF(img, binary.LittleEndian, 0),
		"WebP": WebP(img, nil),
		"PGM":  pgm.Bytes(),
		"PPM":  ppm.Bytes(),
	}
}

// twoGrays is the picture with a palette of black and white.
func twoGrays(img *image.Gray) *image.Paletted {
	paletted := image.NewPaletted(img.Rect, color.Palette{color.Black, color.White})
	for i, v := range img.Pix {
		paletted.Pix[i] = v / 255
	}
	return paletted
}

func encoded(encode func(*bytes.Buffer) error) []byte {
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		panic(err) // nothing fails in memory
	}
	return b.Bytes()
}

// PNG is the picture as a PNG file.
func PNG(img image.Image) []byte {
	return encoded(func(b *bytes.Buffer) error { return png.Encode(b, img) })
}

// JPEG is the picture as a JPEG file of the best quality.
func JPEG(img image.Image) []byte {
	return encoded(func(b *bytes.Buffer) error { return jpeg.Encode(b, img, &jpeg.Options{Quality: 100}) })
}

// tiffEntry is a tag of one value, as TIFF's directories have them.
type tiffEntry struct {
	tag, kind uint16 // 3: 16 bits, 4: 32 bits
	value     uint32
}

// directory is a TIFF file of one directory, which is at its beginning, and of data
// after it. The entry 0x0111 (StripOffsets), if there is one, is set to the data.
func directory(order binary.ByteOrder, data []byte, entries ...tiffEntry) []byte {
	const header = 8
	file := []byte("II*\x00\x08\x00\x00\x00")
	if order == binary.ByteOrder(binary.BigEndian) {
		file = []byte("MM\x00*\x00\x00\x00\x08")
	}
	file = append(file, make([]byte, 2+12*len(entries)+4)...)
	order.PutUint16(file[header:], uint16(len(entries)))
	for i, e := range entries {
		if e.tag == 0x0111 {
			e.value = uint32(len(file))
		}
		to := file[header+2+12*i:]
		order.PutUint16(to, e.tag)
		order.PutUint16(to[2:], e.kind)
		order.PutUint32(to[4:], 1)
		if order.PutUint32(to[8:], e.value); e.kind == 3 {
			order.PutUint32(to[8:], 0)
			order.PutUint16(to[8:], uint16(e.value))
		}
	}
	return append(file, data...)
}

// EXIF is EXIF data with the orientation, and another tag before it.
func EXIF(order binary.ByteOrder, orientation uint16) []byte {
	return directory(order, nil, tiffEntry{0x0100, 3, 7}, tiffEntry{0x0112, 3, uint32(orientation)})
}

// TIFF is the picture as a TIFF file, not packed. An orientation of 0 is left out.
func TIFF(img *image.Gray, order binary.ByteOrder, orientation uint16) []byte {
	entries := []tiffEntry{
		{0x0100, 3, uint32(img.Rect.Dx())}, {0x0101, 3, uint32(img.Rect.Dy())},
		{0x0102, 3, 8}, {0x0103, 3, 1}, {0x0106, 3, 1}, // 8 bits, not packed, black is 0
		{0x0111, 4, 0}, {0x0112, 3, uint32(orientation)}, {0x0115, 3, 1}, {0x0116, 3, uint32(img.Rect.Dy())}, {0x0117, 4, uint32(len(img.Pix))},
	}
	if orientation == 0 {
		entries = append(entries[:6], entries[7:]...)
	}
	return directory(order, img.Pix, entries...)
}

// JPEGWithEXIF is a JPEG file with EXIF data in a segment APP1, after an APP0.
func JPEGWithEXIF(file, exif []byte) []byte {
	segment := func(marker byte, content []byte) []byte {
		return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(2+len(content))), content...)
	}
	app0 := segment(0xe0, []byte("JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x00\x00"))
	xmp := segment(0xe1, []byte("http://ns.adobe.com/xap/1.0/\x00<x/>"))
	app1 := segment(0xe1, append([]byte("Exif\x00\x00"), exif...))
	return slices.Concat(file[:2], app0, xmp, app1, file[2:])
}

// PNGWithEXIF is a PNG file with a chunk eXIf, before the pixels or after them.
func PNGWithEXIF(file, exif []byte, after bool) []byte {
	chunk := append(binary.BigEndian.AppendUint32(nil, uint32(len(exif))), "eXIf"...)
	chunk = append(chunk, exif...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	at := 8 + 12 + 13 // the signature and IHDR
	if after {
		at = len(file) - 12 // IEND
	}
	return slices.Concat(file[:at], chunk, file[at:])
}

// WebP is the picture as a lossless WebP file (RFC 9649), of pixels that are 0 or 255,
// with EXIF data unless they are nil.
func WebP(img *image.Gray, exif []byte) []byte {
	var bits bitWriter
	bits.write(0x2f, 8)
	bits.write(uint32(img.Rect.Dx()-1), 14)
	bits.write(uint32(img.Rect.Dy()-1), 14)
	bits.write(0, 4) // no alpha, version 0
	bits.write(1, 1) // a transform:
	bits.write(2, 2) // red and blue are added to green
	bits.write(0, 1) // no other
	bits.write(0, 2) // neither a cache of colors nor several groups of codes
	bits.write(0b011, 3)
	bits.write(0, 1)
	bits.write(255, 8) // green: the symbols 0 and 255
	bits.write(0b0001, 4)
	bits.write(0b0001, 4) // red, blue: 0
	bits.write(0b101, 3)
	bits.write(255, 8)    // alpha: 255
	bits.write(0b0001, 4) // distance: 0
	for _, v := range img.Pix {
		bits.write(uint32(v&1), 1)
	}
	chunk := func(name string, content []byte) []byte {
		c := append(binary.LittleEndian.AppendUint32([]byte(name), uint32(len(content))), content...)
		return append(c, make([]byte, len(content)%2)...)
	}
	chunks := chunk("VP8L", bits.bytes)
	if exif != nil {
		extended := binary.LittleEndian.AppendUint32(nil, 1<<3)
		for _, side := range []int{img.Rect.Dx(), img.Rect.Dy()} {
			extended = append(extended, byte(side-1), byte((side-1)>>8), byte((side-1)>>16))
		}
		chunks = slices.Concat(chunk("VP8X", extended), chunks, chunk("EXIF", exif))
	}
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(chunks))), append([]byte("WEBP"), chunks...)...)
}

// bitWriter packs numbers, the lowest bit first.
type bitWriter struct {
	bytes []byte
	used  int
}

func (w *bitWriter) write(value uint32, bits int) {
	for i := range bits {
		if w.used%8 == 0 {
			w.bytes = append(w.bytes, 0)
		}
		w.bytes[w.used/8] |= byte(value>>i&1) << (w.used % 8)
		w.used++
	}
}
