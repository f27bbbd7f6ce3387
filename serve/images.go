package serve

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"net/http"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/guard"
	"github.com/likeness-go/likeness/internal/tiffdir"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/pkg/errors"
)

// imageFile is an image file of a request.
type imageFile struct {
	name    string // for errors, such as "image 2"
	content []byte
}

// imagesOf returns the images of a body's fields in the order of the fields.
func (b body) imagesOf(fields ...string) (all []imageFile) {
	for _, field := range fields {
		for i, content := range b.images[field] {
			name := field
			if len(b.images[field]) > 1 {
				name = fmt.Sprintf("%s %d", field, i+1)
			}
			all = append(all, imageFile{name, content})
		}
	}
	return all
}

// embeddings returns the embeddings of the images of a body's fields. The sizes of all
// images are checked before any is decoded. They are decoded and preprocessed here, one
// after the other, so that the queue's goroutine only embeds. All work ends with the
// context.
//
// The warnings name the images that are out of the domain of the model, see
// retrieval.CheckTraits. They are empty, not nil, if there are none.
func (s *Server) embeddings(ctx context.Context, b body, fields ...string) (embeddings [][]float32, warnings []string, err error) {
	images := b.imagesOf(fields...)
	if err := s.checkSizes(images); err != nil {
		return nil, nil, err
	}
	warnings = []string{}
	var pixels [][]uint8
	for i, file := range images {
		prepared, err := s.prepare(ctx, file)
		if err != nil {
			return nil, nil, err
		}
		images[i].content = nil // let the garbage collector free it
		pixels = append(pixels, prepared.pixels)
		if prepared.unsuitable != nil {
			warnings = append(warnings, fmt.Sprintf("%s: %v: the distance means little", file.name, prepared.unsuitable))
		}
	}
	clear(b.images)
	embeddings, err = s.queue.Embed(ctx, pixels)
	if err == nil && ctx.Err() != nil { // a result after the timeout must not be used
		err = context.Cause(ctx)
	}
	return embeddings, warnings, err
}

// checkSizes returns an error if the headers of the images state too many pixels, in
// one image or in all images of the request.
func (s *Server) checkSizes(images []imageFile) error {
	var total, pixels float64
	for _, file := range images {
		size, err := imaging.DecodeSize(bytes.NewReader(file.content), file.name)
		if err != nil {
			return undecodable(file.name, err)
		}
		if size.Width > s.options.MaxPixels/size.Height {
			return refuse(http.StatusRequestEntityTooLarge, "%s: found %d × %d pixels, expected at most %d: send the image at a reduced size", file.name, size.Width, size.Height, s.options.MaxPixels)
		}
		total += decodingCost(file.content, size)
		pixels += float64(size.Width) * float64(size.Height)
	}
	if total <= float64(s.options.MaxRequestPixels) {
		return nil
	}
	counted := ""
	if total > pixels {
		counted = fmt.Sprintf(", whose decoding costs as much as %.0f pixels", total)
	}
	return refuse(http.StatusRequestEntityTooLarge, "images: found %.0f pixels in %d images%s, expected at most %d in one request: send fewer or smaller images", pixels, len(images), counted, s.options.MaxRequestPixels)
}

// preparedImage is an image as the network reads it.
type preparedImage struct {
	pixels     []uint8
	unsuitable error // why the image is out of the domain of the model; nil if it is not
}

// prepare decodes a file and preprocesses the image for the network, see decoding.
func (s *Server) prepare(ctx context.Context, file imageFile) (preparedImage, error) {
	return decoding(s, ctx, func() (preparedImage, error) { return s.decode(ctx, file) })
}

// decoding calls decode in a goroutine of its own. At most GOMAXPROCS images are decoded at a
// time, which limits the memory for pixels. It returns when the context ends; a decoder that
// runs then ends soon afterwards and keeps its slot until it does.
func decoding[T any](s *Server, ctx context.Context, decode func() (T, error)) (prepared T, err error) {
	select {
	case s.decoders <- struct{}{}:
	case <-ctx.Done():
		return prepared, context.Cause(ctx)
	}
	type result struct {
		prepared T
		err      error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-s.decoders }()
		prepared, err := decode()
		done <- result{prepared, err}
	}()
	select {
	case r := <-done:
		if r.err != nil && ctx.Err() != nil { // decoders may hide the cause
			return prepared, context.Cause(ctx)
		}
		return r.prepared, r.err
	case <-ctx.Done():
		return prepared, context.Cause(ctx)
	}
}

// decodeAndPrepare is the part of prepare that runs in a goroutine of its own.
func (s *Server) decodeAndPrepare(ctx context.Context, file imageFile) (prepared preparedImage, err error) {
	defer guard.Recover(&err, "decode")
	img, err := s.open(ctx, file)
	if err != nil {
		return prepared, err
	}
	p := s.model.Preprocessing
	prepared.pixels = p.Pixels(img)
	traits := retrieval.MeasureImage(p, sampled(img))
	if err := retrieval.CheckTraits(p, []retrieval.Traits{traits}); errors.Is(err, retrieval.ErrUnsuitable) {
		prepared.unsuitable = err
	}
	return prepared, nil
}

// maxSampled is the number of pixels that are enough to measure an image: a share of pixels is then
// within half a percent.
const maxSampled = 1 << 16

// sampled returns an image of at most maxSampled pixels, evenly spaced ones of a larger image. They are
// not averaged, because thin strokes would become gray.
func sampled(img image.Image) image.Image {
	bounds := img.Bounds()
	step := 1
	for max(1, bounds.Dx()/step)*max(1, bounds.Dy()/step) > maxSampled {
		step++
	}
	if step == 1 {
		return img
	}
	small := image.NewRGBA(image.Rect(0, 0, max(1, bounds.Dx()/step), max(1, bounds.Dy()/step)))
	for y := range small.Rect.Dy() {
		for x := range small.Rect.Dx() {
			small.Set(x, y, img.At(bounds.Min.X+min(x*step, bounds.Dx()-1), bounds.Min.Y+min(y*step, bounds.Dy()-1)))
		}
	}
	return small
}

// open decodes an image, which has pixels.
func (s *Server) open(ctx context.Context, file imageFile) (image.Image, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	img, err := s.model.Preprocessing.Decode(&contextReader{ctx, bytes.NewReader(file.content)}, file.name)
	if err != nil {
		return nil, undecodable(file.name, err)
	}
	if img.Bounds().Empty() {
		return nil, refuse(http.StatusUnprocessableEntity, "%s: found an image without pixels, expected at least one", file.name)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return img, nil
}

// contextReader returns an error when the context ends, which ends a decoder.
type contextReader struct {
	ctx  context.Context
	file *bytes.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.file.Read(p)
}

func undecodable(name string, err error) error {
	if errors.Is(err, imaging.ErrTooLarge) {
		return refuse(http.StatusRequestEntityTooLarge, "%s: %v", name, errors.Cause(err))
	}
	return refuse(http.StatusUnprocessableEntity, "%s: not a readable image: %v", name, errors.Cause(err))
}

// The cost of decoding an image is estimated from its file before it is decoded. It is
// the number of pixels, or more for files that take longer:
//
//   - images of 16 bits per channel count twice, because they take twice the memory;
//   - each tile or strip of a TIFF counts as at least 2048 pixels, which is the time to
//     set up its decompression, and tiles that exceed the image count in full;
//   - each scan of a progressive JPEG counts as an eighth of the image, because it is
//     applied to the whole image and a small file may have very many. Files of cameras
//     and image editors have up to a dozen.
const (
	minBlock      = 2048 // pixels
	scansPerImage = 8    // scans that cost as much as decoding an image
)

// decodingCost is the cost of a file whose image has this size. It is a float64, so that
// no values in a file's header overflow.
func decodingCost(content []byte, size imaging.Size) float64 {
	pixels := float64(size.Width) * float64(size.Height)
	cost := max(pixels, pixels*float64(countScans(content))/scansPerImage, tiffCost(content))
	if isDeep(content) {
		cost *= 2
	}
	return cost
}

// isDeep reports whether an image has 16 bits per channel, or may have.
func isDeep(content []byte) bool {
	config, _, err := image.DecodeConfig(bytes.NewReader(content))
	if err != nil {
		return true
	}
	switch config.ColorModel {
	case color.RGBA64Model, color.NRGBA64Model, color.Gray16Model, color.Alpha16Model:
		return true
	}
	return false
}

// countScans counts the scans of a JPEG (ITU-T T.81, annex B); 0 for other files.
func countScans(content []byte) (scans int) {
	if !bytes.HasPrefix(content, []byte{0xFF, 0xD8}) {
		return 0
	}
	for at := 2; at+1 < len(content); {
		switch marker := content[at+1]; {
		case content[at] != 0xFF, marker == 0x00: // entropy-coded data
			next := bytes.IndexByte(content[at+1:], 0xFF)
			if next < 0 {
				return scans
			}
			at += 1 + next
		case marker == 0xFF: // fill byte
			at++
		case marker == 0x01, marker >= 0xD0 && marker <= 0xD9: // a marker without a segment
			at += 2
		default:
			if marker == 0xDA {
				scans++
			}
			if at+4 > len(content) {
				return scans
			}
			at += 2 + int(binary.BigEndian.Uint16(content[at+2:]))
		}
	}
	return scans
}

// Tags of a TIFF's first directory (TIFF 6.0, sections 3 and 15).
const (
	tagWidth        = 256
	tagLength       = 257
	tagRowsPerStrip = 278
	tagTileWidth    = 322
	tagTileLength   = 323
)

// tiffCost is the cost of the tiles or strips of a TIFF; 0 for other files.
func tiffCost(content []byte) float64 {
	tags := tiffTags(content)
	width, length := tags[tagWidth], tags[tagLength]
	if width == 0 || length == 0 {
		return 0
	}
	across, tall := width, length // width and height of a block in pixels
	if tags[tagTileWidth] > 0 {
		across, tall = tags[tagTileWidth], max(1, tags[tagTileLength])
	} else if rows := tags[tagRowsPerStrip]; rows > 0 {
		tall = min(rows, length)
	}
	blocks := ((width + across - 1) / across) * ((length + tall - 1) / tall)
	return float64(blocks) * max(minBlock, float64(across)*float64(tall))
}

// tiffTags returns the integer tags of a TIFF's first directory, each below 2³², and none
// for other files. Of an incomplete directory it returns the tags before the end.
func tiffTags(content []byte) map[uint16]uint64 {
	tags := map[uint16]uint64{}
	_ = tiffdir.Each(bytes.NewReader(content), func(entry tiffdir.Entry) bool {
		switch entry.Type {
		case tiffdir.Byte, tiffdir.Short, tiffdir.Long:
			tags[entry.Tag] = uint64(entry.Number())
		}
		return true
	})
	return tags
}
