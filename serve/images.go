package serve

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// embeddings are those of the images of a body's fields, in the order of the
// fields. Images are decoded and prepared here, in the request's goroutine, so that
// the queue's only embeds.
func (s *Server) embeddings(ctx context.Context, b body, fields ...string) ([][]float32, error) {
	var pixels [][]uint8
	for _, name := range fields {
		for i, content := range b.images[name] {
			place := name
			if len(b.images[name]) > 1 {
				place = fmt.Sprintf("%s %d", name, i+1)
			}
			prepared, err := s.prepare(ctx, place, content)
			if err != nil {
				return nil, err
			}
			b.images[name][i] = nil // it is needed no more
			pixels = append(pixels, prepared)
		}
	}
	return s.queue.Embed(ctx, pixels)
}

// prepare makes an image of a file and of that what the network takes. Only so many
// are decoded at a time as there are processors, which bounds the memory for pixels.
func (s *Server) prepare(ctx context.Context, name string, content []byte) ([]uint8, error) {
	select {
	case s.decoders <- struct{}{}:
		defer func() { <-s.decoders }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	size, err := imaging.DecodeSize(bytes.NewReader(content), name)
	if err != nil {
		return nil, undecodable(name, err)
	}
	if size.Width > s.options.MaxPixels/size.Height {
		return nil, refuse(http.StatusRequestEntityTooLarge, "%s: found %d × %d pixels, expected at most %d", name, size.Width, size.Height, s.options.MaxPixels)
	}
	img, err := imaging.Decode(bytes.NewReader(content), name)
	if err != nil {
		return nil, undecodable(name, err)
	}
	if img.Bounds().Empty() {
		return nil, refuse(http.StatusUnprocessableEntity, "%s: found an image of no pixels, expected at least one", name)
	}
	return s.model.Preprocessing.Pixels(img), nil
}

func undecodable(name string, err error) error {
	if errors.Is(err, imaging.ErrTooLarge) {
		return refuse(http.StatusRequestEntityTooLarge, "%s: %v", name, errors.Cause(err))
	}
	return refuse(http.StatusUnprocessableEntity, "%s: found no image that can be read: %v", name, errors.Cause(err))
}
