package serve

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/likeness-go/likeness/imaging"
)

// tiffOf returns the header of a TIFF with the given entries of its directory.
func tiffOf(order binary.AppendByteOrder, entries ...[2]uint32) string {
	mark := "II*\x00"
	if order == binary.BigEndian {
		mark = "MM\x00*"
	}
	file := order.AppendUint32([]byte(mark), 8)
	file = order.AppendUint16(file, uint16(len(entries)))
	for i, e := range entries {
		file = order.AppendUint16(file, uint16(e[0]))
		if i%2 == 0 && e[1] < 1<<16 { // a SHORT is left-aligned in its four bytes
			file = order.AppendUint32(order.AppendUint16(file, 3), 1)
			file = order.AppendUint16(order.AppendUint16(file, uint16(e[1])), 0)
			continue
		}
		file = order.AppendUint32(order.AppendUint16(file, 4), 1)
		file = order.AppendUint32(file, e[1])
	}
	return string(file)
}

// jpegOf returns a JPEG with the given number of additional scans.
func jpegOf(t *testing.T, img image.Image, more int) string {
	t.Helper()
	var file bytes.Buffer
	if err := jpeg.Encode(&file, img, nil); err != nil {
		t.Fatal(err)
	}
	scan := "\xFF\xDA\x00\x08\x01\x01\x00\x01\x3F\x10 \xFF\x00 \xFF\xD0 \xFF"
	return strings.TrimSuffix(file.String(), "\xFF\xD9") + strings.Repeat(scan, more) + "\xFF\xD9"
}

// Costs agree with values computed by hand.
func TestDecodingCost(t *testing.T) {
	rect := image.Rect(0, 0, 100, 50)
	size := imaging.Size{Width: 100, Height: 50}
	large := imaging.Size{Width: 4096, Height: 4096}
	little := binary.LittleEndian
	for name, c := range map[string]struct {
		file string
		size imaging.Size
		want float64
	}{
		"PNG":                {encode(image.NewGray(rect)), size, 5000},
		"PNG of a palette":   {encode(image.NewPaletted(rect, color.Palette{color.Black, color.White})), size, 5000},
		"PNG of 16 bits":     {encode(image.NewGray16(rect)), size, 10_000},
		"PNG of 4 × 16 bits": {encode(image.NewNRGBA64(rect)), size, 10_000},
		"JPEG":               {jpegOf(t, image.NewGray(rect), 0), size, 5000},
		"JPEG of 8 scans":    {jpegOf(t, image.NewRGBA(rect), 7), size, 5000},
		"JPEG of 16 scans":   {jpegOf(t, image.NewRGBA(rect), 15), size, 10_000},
		"JPEG of many scans": {jpegOf(t, image.NewGray(rect), 799), size, 500_000},
	} {
		if found := decodingCost([]byte(c.file), c.size); found != c.want {
			t.Errorf("%s: found %v, want %v", name, found, c.want)
		}
	}
	// TIFFs with tiles or strips.
	for name, c := range map[string]struct {
		file string
		want float64
	}{
		"one strip":         {tiffOf(little, [2]uint32{256, 100}, [2]uint32{257, 50}), 5000},
		"strips of a row":   {tiffOf(binary.BigEndian, [2]uint32{256, 100}, [2]uint32{257, 50}, [2]uint32{278, 1}), 50 * 2048},
		"strips beyond it":  {tiffOf(little, [2]uint32{256, 100}, [2]uint32{257, 50}, [2]uint32{278, 1 << 31}), 5000},
		"strips of 25 rows": {tiffOf(binary.BigEndian, [2]uint32{256, 100}, [2]uint32{257, 50}, [2]uint32{278, 25}), 5000},
		"tiles":             {tiffOf(little, [2]uint32{256, 4096}, [2]uint32{257, 4096}, [2]uint32{322, 256}, [2]uint32{323, 256}), 1 << 24},
		"tiles of 8 × 8":    {tiffOf(little, [2]uint32{256, 4096}, [2]uint32{257, 4096}, [2]uint32{322, 8}, [2]uint32{323, 8}), 512 * 512 * 2048},
		"tiles of no rows":  {tiffOf(little, [2]uint32{256, 4096}, [2]uint32{257, 4096}, [2]uint32{322, 4096}, [2]uint32{323, 0}), 1 << 24},
		"tiles beyond it":   {tiffOf(little, [2]uint32{256, 1}, [2]uint32{257, 1}, [2]uint32{322, 1 << 31}, [2]uint32{323, 1 << 31}), 1 << 62},
		"no size":           {tiffOf(little, [2]uint32{256, 100}), 0},
		"half":              {tiffOf(little, [2]uint32{256, 100}, [2]uint32{257, 50})[:20], 0},
		"no directory":      {"II*\x00\xff\xff\xff\xff", 0},
		"nothing":           {"MM\x00*", 0},
		"a PNG":             {encode(image.NewGray(rect)), 0},
	} {
		if found := tiffCost([]byte(c.file)); found != c.want {
			t.Errorf("TIFF, %s: found %v, want %v", name, found, c.want)
		}
	}
	if found := decodingCost([]byte("of no known format"), large); found != 1<<25 {
		t.Errorf("what is not known: found %v", found)
	}
}

// FuzzCost checks that the cost of any file is finite and at least its number of pixels.
func FuzzCost(f *testing.F) {
	f.Add([]byte(tiffOf(binary.LittleEndian, [2]uint32{256, 4096}, [2]uint32{257, 4096}, [2]uint32{322, 8}, [2]uint32{323, 8})))
	f.Add([]byte("\xFF\xD8\xFF\xDA\x00\x00\xFF\xDA"))
	f.Add([]byte(grayPNG(1, 2, 3)))
	f.Fuzz(func(t *testing.T, content []byte) {
		if cost := decodingCost(content, imaging.Size{Width: 3, Height: 2}); !(cost >= 6) {
			t.Errorf("found %v", cost)
		}
	})
}

// The total number of pixels of a request is limited before any image is decoded.
func TestRequestPixelsAreLimited(t *testing.T) {
	s := start(t, Options{MaxPixels: 100, MaxRequestPixels: 250})
	var decoded atomic.Int32
	decode := s.decode
	s.decode = func(ctx context.Context, file imageFile) (preparedImage, error) {
		decoded.Add(1)
		return decode(ctx, file)
	}
	square := encode(image.NewGray(image.Rect(0, 0, 10, 10)))
	deep := encode(image.NewGray16(image.Rect(0, 0, 10, 10)))
	for name, c := range map[string]struct {
		request *http.Request
		text    string
	}{
		"three":           {form("/v1/embed", "image", square, "image", square, "image", square), "images: found 300 pixels in 3 images, expected at most 250 in one request"},
		"of 16 bits":      {form("/v1/compare", "a", square, "b", deep), "images: found 200 pixels in 2 images, whose decoding costs as much as 300 pixels, expected at most 250"},
		"of many scans":   {form("/v1/identify", "image", jpegOf(t, image.NewGray(image.Rect(0, 0, 10, 10)), 99)), "images: found 100 pixels in 1 images, whose decoding costs as much as 1250 pixels, expected"},
		"the last is bad": {form("/v1/enroll", "class", "a", "image", square, "image", encode(image.NewGray(image.Rect(0, 0, 10, 11)))), "image 2: found 10 × 11 pixels, expected at most 100"},
	} {
		if strings.HasSuffix(c.request.URL.Path, "identify") {
			if err := s.options.Gallery.EnrollEmbeddings("a", []float32{1, 2, 3}); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(name, func(t *testing.T) { refused(t, s, c.request, http.StatusRequestEntityTooLarge, c.text) })
	}
	if decoded.Load() != 0 {
		t.Errorf("%d images were decoded", decoded.Load())
	}
	answer[embedded](t, s, form("/v1/embed", "image", square, "image", square))
	if decoded.Load() != 2 {
		t.Errorf("%d images were decoded, want 2", decoded.Load())
	}
}

// A decoder reads nothing after the context has ended.
func TestDecodingEndsWithTheContext(t *testing.T) {
	s := start(t, Options{})
	var file bytes.Buffer
	noise := image.NewGray(image.Rect(0, 0, 300, 300))
	for i := range noise.Pix {
		noise.Pix[i] = uint8(i * i * 31 >> 3)
	}
	if err := png.Encode(&file, noise); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancelCause(t.Context())
	reader := &contextReader{ended, bytes.NewReader(file.Bytes())}
	if _, err := reader.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	cancel(errLate)
	if n, err := reader.Read(make([]byte, 100)); n != 0 || err != errLate {
		t.Errorf("found %d bytes, %v", n, err)
	}
	if _, err := s.decodeAndPrepare(ended, imageFile{"image", file.Bytes()}); err != errLate {
		t.Errorf("found error %v", err)
	}
	if _, err := s.prepare(ended, imageFile{"image", file.Bytes()}); err != errLate {
		t.Errorf("found error %v", err)
	}
}

// Answers with distances name the images for which the model was not trained: a colored photograph of
// any size for a model of gray images.
func TestWarnings(t *testing.T) {
	s := start(t, Options{})
	colored := func(width, height int) string {
		img := image.NewRGBA(image.Rect(0, 0, width, height))
		for i := 0; i < len(img.Pix); i += 4 {
			img.Pix[i], img.Pix[i+3] = 255, 255 // red and opaque
		}
		return encode(img)
	}
	small, large, gray := colored(3, 1), colored(3000, 40), grayPNG(1, 2, 3)
	warned := func(what string, warnings []string, names ...string) {
		t.Helper()
		if len(warnings) != len(names) {
			t.Errorf("%s: found the warnings %q, expected %d", what, warnings, len(names))
			return
		}
		for i, name := range names {
			if want := name + ": the model is for grayscale images, and 100 % of the pixels are colored"; !strings.HasPrefix(warnings[i], want) {
				t.Errorf("%s: found %q, expected %q", what, warnings[i], want)
			}
		}
	}
	warned("compare", answer[compared](t, s, form("/v1/compare", "a", gray, "b", large)).Warnings, "b")
	warned("enroll", answer[enrolled](t, s, form("/v1/enroll", "class", "a", "image", small, "image", gray)).Warnings, "image 1")
	warned("identify", answer[identified](t, s, form("/v1/identify", "image", gray, "image", large)).Warnings, "image 2")
	warned("verify", answer[verified](t, s, form("/v1/verify", "class", "a", "image", small)).Warnings, "image")
}

// What is measured of a large image are evenly spaced pixels of it, of any shape.
func TestSampled(t *testing.T) {
	for _, size := range []image.Point{{256, 256}, {257, 256}, {4000, 3000}, {1, 1 << 20}, {1 << 20, 1}} {
		img := image.NewGray(image.Rectangle{image.Pt(-5, 7), image.Pt(-5, 7).Add(size)})
		for i := range img.Pix {
			img.Pix[i] = uint8(255 * (i % size.X * 2 / size.X)) // the right half is white
		}
		small := sampled(img)
		found, white := small.Bounds(), 0
		for y := found.Min.Y; y < found.Max.Y; y++ {
			for x := found.Min.X; x < found.Max.X; x++ {
				if color.GrayModel.Convert(small.At(x, y)).(color.Gray).Y > 127 {
					white++
				}
			}
		}
		count := found.Dx() * found.Dy()
		share := float64(white) / float64(count)
		want := 0.5
		if size.X == 1 {
			want = 0 // its only column is a left one
		}
		if count > maxSampled || count < min(size.X*size.Y, maxSampled)/5 || math.Abs(share-want) > 0.01 {
			t.Errorf("%v: found %v and a share of %v, expected at most %d pixels and %v", size, found, share, maxSampled, want)
		}
	}
}
