package gallery

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/likeness-go/likeness/gallery/index"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// database is a gallery in PostgreSQL, which several processes may have open.
type database struct {
	location location
	options  Options
	header   header
	distance heads.Distance
	measure  measure
	features int
	checker  *index.Vectors // empty; checks embeddings

	pool   *pgxpool.Pool
	closed atomic.Bool
	purged atomic.Bool // old ids of requests were removed

	mutex   sync.Mutex // guards the following field
	indexed string     // type of the index, when it was last read
}

// openDatabase opens or creates a gallery in PostgreSQL; see openEmbedded.
func openDatabase(ctx context.Context, path string, o Options, own header, create bool, distance heads.Distance, features func() (int, error)) (backend, header, error) {
	l, err := parseLocation(path)
	if err != nil {
		return nil, header{}, err
	}
	n, err := features()
	if err != nil {
		return nil, header{}, err
	}
	d := &database{location: l, options: o, distance: distance, measure: measureOf(distance), features: n}
	if d.checker, err = index.NewVectors(distance, n); err != nil {
		return nil, header{}, err
	}
	if create {
		if err := l.create(ctx, o, own, n, func(context.Context, pgx.Tx) error { return nil }); err != nil {
			return nil, header{}, err
		}
	}
	if err := d.open(ctx, own, create); err != nil {
		return nil, header{}, err
	}
	return d, d.header, nil
}

// open opens the tables, which must be there.
func (d *database) open(ctx context.Context, own header, created bool) (err error) {
	config, err := d.location.config(d.options)
	if err != nil {
		return err
	}
	for {
		// Before there is a pool, whose connections need the extension.
		var found description
		err = d.location.once(ctx, d.options, func(ctx context.Context, conn *pgx.Conn) error {
			found, err = d.location.describe(ctx, conn)
			return err
		})
		if err != nil {
			return err
		}
		if found.version < len(migrations) && !d.options.ReadOnly {
			if err := d.location.migrate(ctx, d.options); err != nil {
				return err
			}
			continue
		}
		break
	}
	if d.pool, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), config); err != nil {
		return errors.New("the URI is not usable for a pool of connections")
	}
	// Again, since now no other program removes the gallery.
	var found description
	err = d.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		found, err = d.location.describe(ctx, conn)
		return err
	})
	if err == nil {
		err = found.check(own, d.features)
	}
	if err != nil {
		d.pool.Close()
		if created { // another program removed it
			err = errors.WithMessage(errGone, err.Error())
		}
		return err
	}
	d.header, d.indexed = found.header, found.indexed
	return nil
}

// do calls do with a connection, again if that is lost, until the context ends.
func (d *database) do(ctx context.Context, do func(ctx context.Context, conn *pgx.Conn) error) error {
	if d.closed.Load() {
		return ErrClosed
	}
	return d.location.clear(retry(ctx, d.options.Timeout, func(ctx context.Context) error {
		conn, err := d.pool.Acquire(ctx)
		if err != nil {
			if d.closed.Load() {
				return ErrClosed
			}
			return err
		}
		defer conn.Release()
		return lost(do(ctx, conn.Conn()), conn.Conn())
	}))
}

// change calls do in a transaction.
func (d *database) change(ctx context.Context, do func(ctx context.Context, tx pgx.Tx) error) error {
	if d.options.ReadOnly && !d.closed.Load() {
		return ErrReadOnly
	}
	return d.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return do(ctx, tx) })
	})
}

func (d *database) check(embedding []float32) error { return d.checker.Check(embedding) }

// value calls do with a single value that a query returns.
func value[T any](ctx context.Context, d *database, sql string, arguments ...any) (v T, err error) {
	err = d.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, sql, arguments...).Scan(&v)
	})
	return v, err
}

func (d *database) has(ctx context.Context, class string) (bool, error) {
	return value[bool](ctx, d, `SELECT EXISTS (SELECT FROM classes WHERE name = $1)`, []byte(class))
}

func (d *database) empty(ctx context.Context) (bool, error) {
	return value[bool](ctx, d, `SELECT NOT EXISTS (SELECT FROM examples)`)
}

func (d *database) count(ctx context.Context) (int, error) {
	return value[int](ctx, d, `SELECT coalesce(sum(examples), 0)::bigint FROM classes`)
}

func (d *database) classes(ctx context.Context) (classes []Class, err error) {
	err = d.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT name, examples FROM classes ORDER BY name`)
		if err != nil {
			return err
		}
		classes, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Class, err error) {
			var name []byte
			err = row.Scan(&name, &c.Examples)
			c.Name = string(name)
			return c, err
		})
		return err
	})
	if len(classes) == 0 {
		classes = nil
	}
	return classes, err
}

func (d *database) examples(ctx context.Context, class string) (examples []Example, err error) {
	err = d.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		id, err := classID(ctx, conn, class)
		if err != nil {
			return err
		}
		rows, err := conn.Query(ctx, `SELECT source, enrolled, nanoseconds FROM examples WHERE class = $1 ORDER BY id`, id)
		if err != nil {
			return err
		}
		examples, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Example, error) {
			var source []byte
			var t timestamp
			err := row.Scan(&source, &t.time, &t.nanoseconds)
			return Example{string(source), t.value()}, err
		})
		return err
	})
	return examples, err
}

// maxCompared is the maximum number of names that an unknown one is compared with.
const maxCompared = 10000

// classID returns the id of a class; ErrUnknownClass names similar ones.
func classID(ctx context.Context, q querier, class string) (id int64, err error) {
	err = q.QueryRow(ctx, `SELECT id FROM classes WHERE name = $1`, []byte(class)).Scan(&id)
	if !errors.Is(err, pgx.ErrNoRows) {
		return id, err
	}
	rows, err := q.Query(ctx, `SELECT name FROM classes ORDER BY name LIMIT $1`, maxCompared+1)
	if err != nil {
		return 0, err
	}
	names, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var name []byte
		err := row.Scan(&name)
		return string(name), err
	})
	if err != nil {
		return 0, err
	}
	if len(names) > maxCompared {
		return 0, fmt.Errorf("%w %q. The gallery has more than %d classes", ErrUnknownClass, class, maxCompared)
	}
	return 0, unknownClass(class, names)
}

// errRaced is the error if a class was forgotten while examples were added to it.
var errRaced = errors.New("a class was forgotten meanwhile")

func (d *database) calibration(ctx context.Context) (*Calibration, error) {
	text, err := value[*string](ctx, d, `SELECT calibration FROM about`)
	if err != nil {
		return nil, err
	}
	return parseCalibration(text)
}

func (d *database) calibrate(ctx context.Context, c Calibration) error {
	return d.change(ctx, func(ctx context.Context, tx pgx.Tx) error { return setCalibration(ctx, tx, c) })
}

func setCalibration(ctx context.Context, tx pgx.Tx, c Calibration) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE about SET calibration = $1`, string(text))
	return err
}

func (d *database) after(ctx context.Context, id uint64) (int, error) {
	if id > math.MaxInt64 {
		return 0, nil
	}
	return value[int](ctx, d, `SELECT count(*) FROM examples WHERE id > $1`, int64(id))
}

// snapshot reads all records in one transaction, which sees one state of the gallery. Unless
// the gallery is read-only, enrollments wait meanwhile: one that has ids already and is not
// committed would otherwise be missing, with ids that are not larger.
func (d *database) snapshot(ctx context.Context, use func(last uint64, records iter.Seq2[record, error]) error) error {
	if d.closed.Load() {
		return ErrClosed
	}
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		if !d.options.ReadOnly {
			if _, err := tx.Exec(ctx, `LOCK TABLE examples IN SHARE MODE`); err != nil {
				return err
			}
		}
		var last int64
		if err := tx.QueryRow(ctx, `SELECT coalesce(max(id), 0) FROM examples`).Scan(&last); err != nil {
			return err
		}
		return use(uint64(last), func(yield func(record, error) bool) {
			rows, err := tx.Query(ctx, scanSQL(Nearest, false))
			if err != nil {
				yield(record{}, err)
				return
			}
			defer rows.Close()
			for rows.Next() {
				h, embedding, err := scanHit(rows, Nearest)
				if err != nil {
					yield(record{}, err)
					return
				}
				if !yield(record{id: uint64(h.row), class: h.candidate.Class, example: h.candidate.Example, embedding: embedding}, nil) {
					return
				}
			}
			if err := rows.Err(); err != nil {
				yield(record{}, err)
			}
		})
	})
	return d.location.clear(err)
}

func (d *database) close() error {
	if !d.closed.Swap(true) {
		d.pool.Close()
	}
	return nil
}

func (d *database) discard() (bool, error) {
	if d.closed.Swap(true) {
		return false, nil
	}
	d.pool.Close()
	if d.options.ReadOnly {
		return false, nil
	}
	return d.location.remove(context.Background(), d.options)
}
