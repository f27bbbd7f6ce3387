package retrieval

import (
	"context"
	"fmt"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// ErrBroken is the error for a file that is not a readable image.
var ErrBroken = errors.New("a file is not a readable image")

// Collection holds image files with their embeddings. It is safe for concurrent use.
type Collection struct {
	Files []string
	// Embeddings has one row for each file.
	Embeddings evaluate.Embeddings
	Metric     evaluate.Metric
	// Skipped lists the files that could not be decoded, with the reasons, if
	// Options.SkipBroken is set.
	Skipped []string
}

// Options sets how Embed reads files. With the zero value, the first file, in order, that
// is not a readable image is an error.
type Options struct {
	// SkipBroken skips files that cannot be decoded and lists them in
	// Collection.Skipped. Errors of opening or reading a file are still errors.
	SkipBroken bool
	// OnProgress, unless it is nil, is called with the number of files that are done.
	OnProgress func(done, total int)
}

// someFiles is the number of files that are read and embedded at a time, which limits the memory.
const someFiles = 64

// Embed reads and embeds image files of the formats of imaging.Decode. The error wraps
// ErrBroken and names the file if it cannot be decoded, is that of opening or reading a
// file, or is that of the context.
func Embed(ctx context.Context, model *likeness.Model, files []string, o Options) (*Collection, error) {
	metric, err := model.Metric()
	if err != nil {
		return nil, errors.Wrap(err, "embed files")
	}
	c := &Collection{Metric: metric}
	var rows [][]float32
	for from := 0; from < len(files); from += someFiles {
		some := files[from:min(from+someFiles, len(files))]
		pixels := make([][]uint8, len(some))
		failures := make([]error, len(some))
		err := parallel.Each(ctx, parallel.MaxOpenFiles, len(some), func(i int) error {
			img, err := model.Preprocessing.DecodeFile(some[i])
			switch {
			case err == nil:
				pixels[i] = model.Preprocessing.Pixels(img)
				return nil
			case !errors.Is(err, imaging.ErrUndecodable):
				return err // the file could not be read
			case !o.SkipBroken:
				return fmt.Errorf("%w: %w", ErrBroken, err)
			}
			failures[i] = err
			return nil
		})
		if err != nil {
			return nil, err
		}
		var sound [][]uint8
		for i, file := range some {
			if failures[i] != nil {
				c.Skipped = append(c.Skipped, failures[i].Error())
				continue
			}
			c.Files, sound = append(c.Files, file), append(sound, pixels[i])
		}
		embedded, err := model.EmbedPixels(sound)
		if err != nil {
			return nil, err
		}
		rows = append(rows, embedded...)
		if o.OnProgress != nil {
			o.OnProgress(from+len(some), len(files))
		}
	}
	if len(rows) == 0 {
		return nil, errors.Wrapf(ErrBroken, "embed files: none of %d files is a readable image", len(files))
	}
	c.Embeddings, err = evaluate.FromRows(rows)
	return c, err
}
