package retrieval

import (
	"context"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/collective"
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

	ranks *collective.Communicator // that divide the work of Near; nil without Options.Communicator
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
	// Communicator, unless it is nil, divides the files over the ranks of a job, all of which must call Embed with
	// the same model, files and options. On rank 0 the collection is, bit for bit, the one of a single process;
	// on another rank it has the files of that rank only. The error of one rank is that of all. Near is then
	// divided, too: all ranks must call it, and rank 0 returns the pairs. Ranks of one machine can use one
	// Cache that is opened with cache.Options.Shared.
	Communicator *collective.Communicator
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
	s, err := newShare(newEmbedder(model, o), files)
	if err != nil {
		return nil, errors.WithMessage(err, "embed files")
	}
	c := &Collection{Metric: metric, ranks: o.Communicator}
	own := result{}
	rows := make([][][]float32, s.symmetries) // by symmetry
	err = s.each(ctx, s.own(), func(g *group) error {
		for _, f := range g.files {
			if f.failure != nil {
				c.Skipped = append(c.Skipped, f.failure.Error())
				own.Messages = append(own.Messages, []byte(f.failure.Error()))
				continue
			}
			own.Messages = append(own.Messages, nil)
			c.Files = append(c.Files, f.path)
			for s := range rows {
				rows[s] = append(rows[s], f.embeddings[s])
			}
			if f.cached {
				own.Cached++
			}
		}
		if o.OnProgress != nil {
			o.OnProgress(min(g.end*o.Communicator.Size(), len(files)), len(files)) // about, with several ranks
		}
		return s.finished()
	})
	if err = s.end(err); err != nil {
		return nil, err
	}
	if o.Communicator != nil {
		return s.gathered(c, own, rows)
	}
	c.Cached = own.Cached
	if len(c.Files) == 0 {
		return nil, s.nothing()
	}
	return c, c.addRows(rows, o)
}

// nothing is the error if there is no image.
func (s *share) nothing() error {
	return errors.Wrapf(ErrBroken, "embed files: none of %d files is a readable image", len(s.files))
}

// addRows adds the rows of all symmetries, which it copies.
func (c *Collection) addRows(rows [][][]float32, o Options) error {
	for s := range rows {
		embeddings, err := evaluate.FromRows(rows[s])
		if err != nil {
			return err
		}
		rows[s] = nil // the memory of the copied rows is free from here on
		c.add(imaging.Symmetry(s), embeddings, o)
	}
	return nil
}

// add adds the embeddings of the next symmetry.
func (c *Collection) add(s imaging.Symmetry, embeddings evaluate.Embeddings, o Options) {
	if o.Flips {
		c.Flips = append(c.Flips, embeddings)
	}
	if s == imaging.Unchanged {
		c.Embeddings = embeddings
	}
}
