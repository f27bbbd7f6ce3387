package retrieval

import (
	"context"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/retrieval/cache"
	"github.com/pkg/errors"
)

// ErrBroken is the error for a file that is not a readable image.
var ErrBroken = errors.New("a file is not a readable image")

// Collection holds image files with their embeddings. It is safe for concurrent use.
type Collection struct {
	Files []string
	// Embeddings has one row for each file.
	Embeddings evaluate.Embeddings
	// Flips has the embeddings of the images in all symmetries, by imaging.Symmetry, if
	// Options.Flips is set; Flips[imaging.Unchanged] are Embeddings. Otherwise it is empty.
	Flips  []evaluate.Embeddings
	Metric evaluate.Metric
	// Skipped lists the files that could not be read, with the reasons, if
	// Options.SkipBroken is set.
	Skipped []string
	// Cached is the number of files whose embeddings Options.Cache had.
	Cached int
}

// Options sets how Embed reads files. With the zero value, the first file, in order, that
// is not a readable image is an error.
type Options struct {
	// SkipBroken skips files that cannot be read, see imaging.Skippable, and lists them in
	// Collection.Skipped. Errors that other files would meet as well are still errors.
	SkipBroken bool
	// OnProgress, unless it is nil, is called with the number of files that are done.
	OnProgress func(done, total int)
	// Cache, unless it is nil, has embeddings of earlier calls, which are the same bit for
	// bit, and receives the others. A failure of its file is no error of Embed but one of
	// cache.Cache.Err.
	Cache *cache.Cache
	// TTA is test-time augmentation, see likeness.TTA; the zero value is none. Embeddings with
	// and without it have entries of their own in the cache.
	TTA likeness.TTA
	// Flips embeds each image in the eight symmetries of the square (imaging.Symmetry), so that
	// Collection.Near finds flipped and rotated copies. It takes eight times the time and the
	// memory for embeddings. Those of the seven other symmetries have entries of their own in
	// the cache.
	Flips bool
}

// Embed reads and embeds image files of the formats of imaging.Decode. Files are read,
// decoded and resized in parallel while those before them are embedded. The error wraps
// ErrBroken and names the file if it cannot be read (imaging.Skippable), is another error of
// reading files, or is that of the context.
func Embed(ctx context.Context, model *likeness.Model, files []string, o Options) (*Collection, error) {
	metric, err := model.Metric()
	if err != nil {
		return nil, errors.Wrap(err, "embed files")
	}
	e := newEmbedder(model, o)
	c := &Collection{Metric: metric}
	rows := make([][][]float32, e.symmetries) // by symmetry
	err = e.each(ctx, files, func(g *group) error {
		for _, f := range g.files {
			if f.failure != nil {
				c.Skipped = append(c.Skipped, f.failure.Error())
				continue
			}
			c.Files = append(c.Files, f.path)
			for s := range rows {
				rows[s] = append(rows[s], f.embeddings[s])
			}
			if f.cached {
				c.Cached++
			}
		}
		if o.OnProgress != nil {
			o.OnProgress(g.end, len(files))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(c.Files) == 0 {
		return nil, errors.Wrapf(ErrBroken, "embed files: none of %d files is a readable image", len(files))
	}
	for s := range rows {
		embeddings, err := evaluate.FromRows(rows[s])
		if err != nil {
			return nil, err
		}
		rows[s] = nil // the memory of the copied rows is free from here on
		if o.Flips {
			c.Flips = append(c.Flips, embeddings)
		}
		if s == int(imaging.Unchanged) {
			c.Embeddings = embeddings
		}
	}
	return c, nil
}
