package serve

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// imageFile is an image of a request, as it came.
type imageFile struct {
	name    string // for errors, such as "image 2"
	content []byte
}

// imagesOf are the images of a body's fields, in the order of the fields.
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

// embeddings are those of the images of a body's fields. All of them are checked before
// any is decoded. They are decoded and prepared one after the other, so that the
// queue's goroutine only embeds; all ends with the context.
func (s *Server) embeddings(ctx context.Context, b body, fields ...string) ([][]float32, error) {
	images := b.imagesOf(fields...)
	if err := s.checkSizes(images); err != nil {
		return nil, err
	}
	var pixels [][]uint8
	for i, file := range images {
		prepared, err := s.prepare(ctx, file)
		if err != nil {
			return nil, err
		}
		images[i].content = nil // it is needed no more
		pixels = append(pixels, prepared)
	}
	clear(b.images)
	embeddings, err := s.queue.Embed(ctx, pixels)
	if err == nil && ctx.Err() != nil { // nobody is to act on what comes too late
		err = context.Cause(ctx)
	}
	return embeddings, err
}

// checkSizes refuses images that are too large by their headers, each by itself and
// all of the request together.
func (s *Server) checkSizes(images []imageFile) error {
	var total, pixels float64
	for _, file := range images {
		size, err := imaging.DecodeSize(bytes.NewReader(file.content), file.name)
		if err != nil {
			return undecodable(file.name, err)
		}
		if size.Width > s.options.MaxPixels/size.Height {
			return refuse(http.StatusRequestEntityTooLarge, "%s: found %d × %d pixels, expected at most %d", file.name, size.Width, size.Height, s.options.MaxPixels)
		}
		total += decodingCost(file.content, size)
		pixels += float64(size.Width) * float64(size.Height)
	}
	if total <= float64(s.options.MaxRequestPixels) {
		return nil
	}
	counted := ""
	if total > pixels {
		counted = fmt.Sprintf(", which take as long to decode as %.0f", total)
	}
	return refuse(http.StatusRequestEntityTooLarge, "images: found %.0f pixels in %d images%s, expected at most %d in one request: send fewer or smaller ones", pixels, len(images), counted, s.options.MaxRequestPixels)
}

// prepare makes an image of a file and of that what the network takes. Only so many
// are decoded at a time as there are processors, which bounds the memory for pixels. It
// returns when the context ends; what is decoded then ends soon afterwards, and keeps
// its place until it does.
func (s *Server) prepare(ctx context.Context, file imageFile) ([]uint8, error) {
	select {
	case s.decoders <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	type result struct {
		pixels []uint8
		err    error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-s.decoders }()
		pixels, err := s.decode(ctx, file)
		done <- result{pixels, err}
	}()
	select {
	case r := <-done:
		if r.err != nil && ctx.Err() != nil { // whatever a decoder makes of it
			return nil, context.Cause(ctx)
		}
		return r.pixels, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// decodeAndPrepare is what prepare does in a goroutine of its own.
func (s *Server) decodeAndPrepare(ctx context.Context, file imageFile) (pixels []uint8, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = errors.Errorf("decode: panic: %v\n%s", cause, debug.Stack())
		}
	}()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	img, err := imaging.Decode(&contextReader{ctx, bytes.NewReader(file.content)}, file.name)
	if err != nil {
		return nil, undecodable(file.name, err)
	}
	if img.Bounds().Empty() {
		return nil, refuse(http.StatusUnprocessableEntity, "%s: found an image of no pixels, expected at least one", file.name)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return s.model.Preprocessing.Pixels(img), nil
}

// contextReader reads until the context ends, so that a decoder does, too.
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
	return refuse(http.StatusUnprocessableEntity, "%s: found no image that can be read: %v", name, errors.Cause(err))
}
