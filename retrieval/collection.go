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

// ErrBroken says that a file is not an image that can be decoded.
var ErrBroken = errors.New("a file is not a readable image")

// Collection is image files with their embeddings. It may be used by many
// goroutines at once.
type Collection struct {
	Files []string
	// Embeddings have one row for each file.
	Embeddings evaluate.Embeddings
	Metric     evaluate.Metric
	// Skipped are the files that could not be decoded, with the reasons, when
	// Options.SkipBroken asked for this.
	Skipped []string
}

// Options says how Embed reads. The zero value stops at the first file, in order,
// that is not a readable image.
type Options struct {
	// SkipBroken passes over files that cannot be decoded, and lists them in
	// Collection.Skipped. A file that the operating system does not let be read is an
	// error all the same.
	SkipBroken bool
	// OnProgress is told how many files are done; nil asks for nothing.
	OnProgress func(done, total int)
}

// someFiles are read and embedded at a time, so that there may be many.
const someFiles = 64

// Embed reads and embeds image files, see imaging.Decode. The errors are ErrBroken,
// wrapped with the file, for what cannot be decoded, those of opening and reading the
// files, and the context's, when it ends.
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
			img, err := imaging.DecodeFile(some[i])
			switch {
			case err == nil:
				pixels[i] = model.Preprocessing.Pixels(img)
				return nil
			case !errors.Is(err, imaging.ErrUndecodable):
				return err // which says nothing about the image
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
		return nil, errors.Wrapf(ErrBroken, "embed files: none of %d could be read", len(files))
	}
	c.Embeddings, err = evaluate.FromRows(rows)
	return c, err
}
