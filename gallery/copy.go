package gallery

import (
	"cmp"
	"context"
	"io/fs"
	"iter"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/likeness-go/likeness"
	"github.com/pkg/errors"
)

// copied is the number of records that are written to a file in one transaction.
const copied = 10000

// Copy copies a gallery with its classes, examples, rule and calibration to a new one, each a
// file or a PostgreSQL URI, and returns the number of examples. The model is that of the
// gallery. Both give the same answers to exact searches, bit for bit. An index and the ids
// of requests are not copied. If Copy returns an error, there is no new gallery.
//
// Options.ModelName, unless it is empty, replaces the name of the model. The error wraps
// ErrExists if there is a gallery at the second path, and otherwise those of Open and Create.
func Copy(ctx context.Context, from, to string, model *likeness.Model, o Options) (examples int, err error) {
	examples, err = copyGallery(ctx, from, to, model, o)
	return examples, errors.Wrapf(err, "copy gallery %s to %s", shown(from), shown(to))
}

func copyGallery(ctx context.Context, from, to string, model *likeness.Model, o Options) (examples int, err error) {
	if ctx == nil {
		return 0, errNoContext
	}
	read := o
	read.ReadOnly = true
	g, err := open(ctx, from, model, read, false)
	if err != nil {
		return 0, err
	}
	defer g.Close()
	h := g.header
	if o.ModelName != "" {
		h.ModelName, h.NameBytes = o.ModelName, bytesOf(o.ModelName)
	}
	calibration, err := g.backend.calibration(ctx)
	if err != nil {
		return 0, err
	}
	// Ids are kept, since a calibration refers to one.
	err = g.backend.snapshot(ctx, func(last uint64, all iter.Seq2[record, error]) error {
		if calibration != nil {
			last = max(last, calibration.LastExample)
		}
		c := &copying{ctx: ctx, options: o, header: h, calibration: calibration, last: last, all: all}
		if isDatabase(to) {
			err = c.toDatabase(to, g)
		} else {
			err = c.toFile(to)
		}
		examples = c.examples
		return err
	})
	if err != nil {
		return 0, err
	}
	return examples, nil
}

// copying is what is copied to a new gallery.
type copying struct {
	ctx         context.Context
	options     Options
	header      header
	calibration *Calibration
	last        uint64 // the largest id that was used
	all         iter.Seq2[record, error]
	examples    int   // number of records that were read
	failed      error // of reading them
}

// records returns the records until the context ends or reading fails.
func (c *copying) records(yield func(record) bool) {
	for r, err := range c.all {
		if err == nil && c.ctx.Err() != nil {
			err = context.Cause(c.ctx)
		}
		if err != nil {
			c.failed = err
			return
		}
		c.examples++
		if !yield(r) {
			return
		}
	}
}

func (c *copying) toFile(path string) error {
	err := writeFile(c.ctx, path, c.options, c.header, func(s *store) error {
		some := make([]record, 0, copied)
		put := func() error {
			err := s.restore(c.last, some)
			some = some[:0]
			return err
		}
		for r := range c.records {
			if some = append(some, r); len(some) == copied {
				if err := put(); err != nil {
					return err
				}
			}
		}
		if c.failed != nil {
			return c.failed
		}
		if err := put(); err != nil || c.calibration == nil {
			return err
		}
		return s.calibrate(*c.calibration)
	})
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	return err
}

// toDatabase creates a gallery with the records in one transaction. The other gallery has the
// model.
func (c *copying) toDatabase(path string, other *Gallery) error {
	l, err := parseLocation(path)
	if err != nil {
		return err
	}
	features, err := other.features()
	if err != nil {
		return err
	}
	o := c.options
	o.ReadOnly = false
	d := &database{location: l, options: o, header: c.header, distance: other.distance, measure: measureOf(other.distance), features: features}
	return l.create(c.ctx, o, c.header, features, func(ctx context.Context, tx pgx.Tx) error {
		if c.examples > 0 { // the connection was lost, and the transaction is repeated
			c.examples, c.failed = 0, nil
		}
		if _, err := tx.Exec(ctx, `SET CONSTRAINTS ALL DEFERRED`); err != nil { // classes are known afterwards
			return err
		}
		// Classes are numbered in the order of their first examples.
		classes := map[string]*row{}
		numbered := func(yield func(record) bool) {
			for r := range c.records {
				if classes[r.class] == nil {
					classes[r.class] = &row{id: int64(len(classes) + 1)}
				}
				if !yield(r) {
					return
				}
			}
		}
		if err := registerTypes(ctx, tx.Conn()); err != nil {
			return err
		}
		if err := d.copyExamples(ctx, tx, numbered, classes, true); err != nil {
			return err
		}
		if c.failed != nil {
			return c.failed
		}
		if _, err := tx.Exec(ctx, `SELECT setval(pg_get_serial_sequence('examples', 'id'), $1, false)`, int64(c.last)+1); err != nil {
			return err
		}
		if err := d.insertClasses(ctx, tx, classes); err != nil {
			return err
		}
		if c.calibration == nil {
			return nil
		}
		return setCalibration(ctx, tx, *c.calibration)
	})
}

// insertClasses adds the classes of a new gallery.
func (d *database) insertClasses(ctx context.Context, tx pgx.Tx, classes map[string]*row) error {
	names := make([]string, 0, len(classes))
	for name := range classes {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(classes[a].id, classes[b].id) })
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"classes"}, []string{"id", "name"}, pgx.CopyFromSlice(len(names), func(i int) ([]any, error) {
		return []any{classes[names[i]].id, []byte(names[i])}, nil
	})); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `SELECT setval(pg_get_serial_sequence('classes', 'id'), $1, false)`, len(classes)+1); err != nil {
		return err
	}
	return d.updateClasses(ctx, tx, classes)
}
