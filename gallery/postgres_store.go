package gallery

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/likeness-go/likeness/gallery/index"
	"github.com/likeness-go/likeness/heads"
	"github.com/pgvector/pgvector-go"
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

func (d *database) add(ctx context.Context, id string, records []record) (examples int, err error) {
	if id == "" { // so that a lost commit can be repeated
		id = rand.Text() // no result depends on it
	}
	if len(records) == 0 {
		return 0, nil
	}
	for {
		err = d.change(ctx, func(ctx context.Context, tx pgx.Tx) error {
			examples, err = d.tryAdd(ctx, tx, id, records)
			return err
		})
		if !errors.Is(err, errRaced) {
			return examples, err
		}
	}
}

// tryAdd adds records in a transaction. Classes are locked in the order of their names, so
// that transactions do not wait for each other in a circle, and until the end, so that the
// ids of examples of a class ascend in the order of the transactions.
func (d *database) tryAdd(ctx context.Context, tx pgx.Tx, id string, records []record) (examples int, err error) {
	done, err := d.use(ctx, tx, id, enrollmentOf(records))
	if err != nil {
		return 0, err
	}
	if done {
		err = tx.QueryRow(ctx, `SELECT examples FROM classes WHERE name = $1`, []byte(records[0].class)).Scan(&examples)
		if errors.Is(err, pgx.ErrNoRows) { // forgotten since the id was used
			return 0, nil
		}
		return examples, err
	}
	classes, err := d.lockClasses(ctx, tx, records)
	if err != nil {
		return 0, err
	}
	if err := d.copyExamples(ctx, tx, slices.Values(records), classes, false); err != nil {
		return 0, err
	}
	if err := d.updateClasses(ctx, tx, classes); err != nil {
		return 0, err
	}
	return classes[records[0].class].examples, nil
}

// use records the id of a request, and reports whether it was used before.
func (d *database) use(ctx context.Context, tx pgx.Tx, id string, e enrollment) (done bool, err error) {
	tag, err := tx.Exec(ctx, `INSERT INTO requests (id, class, examples) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, id, []byte(e.Class), e.Examples)
	if err != nil {
		return false, err
	}
	if tag.RowsAffected() == 0 {
		var before enrollment
		var class []byte
		if err := tx.QueryRow(ctx, `SELECT class, examples FROM requests WHERE id = $1`, id).Scan(&class, &before.Examples); err != nil {
			return false, err
		}
		before.Class = string(class)
		return true, before.check(e)
	}
	if d.purged.CompareAndSwap(false, true) {
		_, err = tx.Exec(ctx, `DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE made < now() - $1 * interval '1 second' FOR UPDATE SKIP LOCKED)`, keepIDs.Seconds())
	}
	return false, err
}

// row is a class in the database.
type row struct {
	id       int64
	examples int
	sum      []float64 // with the rule Prototype
}

// lockClasses creates the classes of records that are not there and locks all.
func (d *database) lockClasses(ctx context.Context, tx pgx.Tx, records []record) (map[string]*row, error) {
	var names [][]byte
	seen := map[string]bool{}
	for _, r := range records {
		if !seen[r.class] {
			seen[r.class] = true
			names = append(names, []byte(r.class))
		}
	}
	// New classes are numbered in the order of the records, and waited for in that of names.
	sorted := slices.Clone(names)
	slices.SortFunc(sorted, func(a, b []byte) int { return slices.Compare(a, b) })
	if _, err := tx.Exec(ctx, `INSERT INTO classes (id, name)
		SELECT new.id, new.name FROM (
			SELECT nextval(pg_get_serial_sequence('classes', 'id')) AS id, name FROM (
				SELECT name FROM unnest($1::bytea[]) WITH ORDINALITY AS given (name, position)
				WHERE NOT EXISTS (SELECT FROM classes c WHERE c.name = given.name) ORDER BY position) absent) new
		ORDER BY new.name ON CONFLICT DO NOTHING`, names); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `SELECT id, name, examples, sum FROM classes WHERE name = ANY($1) ORDER BY name FOR UPDATE`, sorted)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	classes := make(map[string]*row, len(names))
	for rows.Next() {
		var name, sum []byte
		r := new(row)
		if err := rows.Scan(&r.id, &name, &r.examples, &sum); err != nil {
			return nil, err
		}
		if r.sum, err = decodeSum(sum, d.features); err != nil {
			return nil, err
		}
		classes[string(name)] = r
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(classes) != len(names) {
		return nil, errRaced
	}
	return classes, nil
}

// copyExamples adds records to the table examples, with their ids or with new ones, and to the
// classes in memory.
func (d *database) copyExamples(ctx context.Context, tx pgx.Tx, records iter.Seq[record], classes map[string]*row, ids bool) error {
	columns := []string{"class", "source", "enrolled", "nanoseconds", "embedding", "searched"}
	if ids {
		columns = append(columns, "id")
	}
	next, stop := iter.Pull(records)
	defer stop()
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"examples"}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		r, more := next()
		if !more {
			return nil, nil
		}
		class := classes[r.class]
		class.examples++
		if d.header.Rule == Prototype {
			class.sum = addTo(class.sum, d.distance, r.embedding)
		}
		t := timestampOf(r.example.Time)
		values := []any{class.id, []byte(r.example.Source), t.time, t.nanoseconds, pgvector.NewVector(r.embedding), d.searched(r.embedding)}
		if ids {
			values = append(values, int64(r.id))
		}
		return values, nil
	}))
	return err
}

// searched is the value of the column searched: nil if it is the embedding itself.
func (d *database) searched(embedding []float32) any {
	if !d.measure.prepared() {
		return nil
	}
	return pgvector.NewVector(d.measure.prepare(embedding))
}

// updateClasses stores the numbers of examples and, with the rule Prototype, the means.
func (d *database) updateClasses(ctx context.Context, tx pgx.Tx, classes map[string]*row) error {
	batch := new(pgx.Batch)
	for _, c := range classes {
		if d.header.Rule != Prototype {
			batch.Queue(`UPDATE classes SET examples = $2 WHERE id = $1`, c.id, c.examples)
			continue
		}
		mean := meanOf(c.sum, c.examples)
		batch.Queue(`UPDATE classes SET examples = $2, sum = $3, embedding = $4, searched = $5 WHERE id = $1`, c.id, c.examples, encodeSum(c.sum), pgvector.NewVector(mean), d.searched(mean))
	}
	return tx.SendBatch(ctx, batch).Close()
}

func encodeSum(sum []float64) (text []byte) {
	for _, x := range sum {
		text = binary.LittleEndian.AppendUint64(text, math.Float64bits(x))
	}
	return text
}

func decodeSum(text []byte, features int) (sum []float64, err error) {
	if len(text) != 0 && len(text) != 8*features {
		return nil, errors.Wrapf(ErrDamaged, "a class has a sum of %d bytes, expected %d", len(text), 8*features)
	}
	for ; len(text) > 0; text = text[8:] {
		sum = append(sum, math.Float64frombits(binary.LittleEndian.Uint64(text)))
	}
	return sum, nil
}

func (d *database) forget(ctx context.Context, class string) (examples int, err error) {
	err = d.change(ctx, func(ctx context.Context, tx pgx.Tx) error {
		id, err := classID(ctx, tx, class)
		if err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `SELECT id FROM classes WHERE id = $1 FOR UPDATE`, id).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) { // another was faster
			_, err = classID(ctx, tx, class)
		}
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `DELETE FROM examples WHERE class = $1`, id)
		if err != nil {
			return err
		}
		examples = int(tag.RowsAffected())
		_, err = tx.Exec(ctx, `DELETE FROM classes WHERE id = $1`, id)
		return err
	})
	return examples, err
}

func (d *database) nearest(ctx context.Context, embeddings [][]float32, k int) (a answer, err error) {
	err = d.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		for {
			kind := d.kind()
			var known string
			if a, known, err = d.tryNearest(ctx, conn, embeddings, k, kind); err != nil || !d.changed(known) {
				return err
			} // else the index was built or removed by another process
		}
	})
	return a, err
}

// kind returns the type of the index to search, "" for an exact search.
func (d *database) kind() string {
	if d.location.exact || d.header.Rule == Prototype || d.measure.operator == "" {
		return ""
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.indexed
}

// changed keeps the type of the index and reports whether it is another than before.
func (d *database) changed(indexed string) bool {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	before := d.indexed
	d.indexed = indexed
	return before != indexed
}

// tryNearest searches with an index of a type, and returns the type of the index that there
// is. What is always needed is asked for in one batch, which is one transaction.
func (d *database) tryNearest(ctx context.Context, conn *pgx.Conn, embeddings [][]float32, k int, kind string) (a answer, indexed string, err error) {
	batch := new(pgx.Batch)
	batch.Queue(`SELECT calibration, coalesce(indexed, '') FROM about`)
	if kind != "" { // the planner may think that reading all rows is faster
		batch.Queue(`SELECT set_config('enable_seqscan', 'off', true)`)
	}
	searches := make([]search, len(embeddings))
	for i, query := range embeddings {
		s := search{d: d, query: query, prepared: d.measure.prepare(query), k: k, kind: kind}
		searches[i] = s
		if d.measure.operator != "" {
			batch.Queue(s.sql(false), s.arguments(s.firstLimit())...)
		}
	}
	results := conn.SendBatch(ctx, batch)
	defer results.Close()
	var calibration *string
	if err := results.QueryRow().Scan(&calibration, &indexed); err != nil {
		return a, "", err
	}
	if a.calibration, err = parseCalibration(calibration); err != nil {
		return a, "", err
	}
	if kind != "" {
		if _, err := results.Exec(); err != nil {
			return a, "", err
		}
	}
	all := make([][]hit, len(embeddings))
	if d.measure.operator != "" {
		for i, s := range searches {
			if all[i], err = s.collect(results.Query()); err != nil {
				return a, "", err
			}
		}
	}
	if err := results.Close(); err != nil {
		return a, "", err
	}
	if d.measure.operator == "" {
		if all, err = d.scan(ctx, conn, embeddings, k, 0); err != nil {
			return a, "", err
		}
	} else {
		for i, s := range searches {
			if all[i], err = d.finish(ctx, conn, s, all[i]); err != nil {
				return a, "", err
			}
		}
	}
	a.found, a.approximate = make([][]Candidate, len(all)), kind != ""
	fewest := k
	for i, hits := range all {
		fewest = min(fewest, len(hits))
		for _, h := range hits {
			a.found[i] = append(a.found[i], h.candidate)
		}
	}
	if kind != "" && fewest < k {
		var classes int
		if err := conn.QueryRow(ctx, `SELECT count(*) FROM (SELECT FROM classes LIMIT $1) AS few`, k).Scan(&classes); err != nil {
			return a, "", err
		}
		a.incomplete = make([]bool, len(all))
		for i, hits := range all {
			a.incomplete[i] = len(hits) < classes
		}
	}
	return a, indexed, nil
}

// finish continues a search in a transaction, if it needs more rows.
func (d *database) finish(ctx context.Context, conn *pgx.Conn, s search, hits []hit) (best []hit, err error) {
	if len(hits) < s.firstLimit() {
		return ranked(hits, s.k), nil
	}
	if s.kind == "" {
		return s.complete(ctx, conn, hits, s.firstLimit())
	}
	if best = ranked(hits, s.k); len(best) == s.k {
		return best, nil
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT set_config('enable_seqscan', 'off', true)`); err != nil {
			return err
		}
		best, err = s.complete(ctx, tx, hits, s.firstLimit())
		return err
	})
	return best, err
}

func (d *database) compare(ctx context.Context, class string, embedding []float32) (candidate Candidate, calibration *Calibration, err error) {
	err = d.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		var text *string
		if err := conn.QueryRow(ctx, `SELECT calibration FROM about`).Scan(&text); err != nil {
			return err
		}
		if calibration, err = parseCalibration(text); err != nil {
			return err
		}
		id, err := classID(ctx, conn, class)
		if err != nil {
			return err
		}
		var best []hit
		if d.measure.operator == "" {
			found, err := d.scan(ctx, conn, [][]float32{embedding}, 1, id)
			if err != nil {
				return err
			}
			best = found[0]
		} else {
			s := search{d: d, query: embedding, prepared: d.measure.prepare(embedding), k: 1, single: id}
			hits, err := s.collect(conn.Query(ctx, s.sql(false), s.arguments(s.firstLimit())...))
			if err != nil {
				return err
			}
			if best, err = s.complete(ctx, conn, hits, s.firstLimit()); err != nil {
				return err
			}
		}
		if len(best) == 0 { // it was forgotten meanwhile
			if _, err = classID(ctx, conn, class); err == nil {
				err = errors.Errorf("class %q: no example has a distance that is a number", class)
			}
			return err
		}
		candidate = best[0].candidate
		return nil
	})
	return candidate, calibration, err
}

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

var errPrototypes = errors.New("the gallery's rule is prototype, expected nearest: prototypes change with every enrollment and are searched exactly")

// index builds the index anew, by the parameters of the URI. Meanwhile other processes
// search exactly and can enroll.
func (d *database) index(ctx context.Context) error {
	switch {
	case d.closed.Load():
		return ErrClosed
	case d.options.ReadOnly:
		return ErrReadOnly
	case d.header.Rule == Prototype:
		return errPrototypes
	}
	if err := d.measure.indexable(); err != nil {
		return err
	}
	kind, err := indexType(d.features, d.location.half)
	if err != nil {
		return err
	}
	return d.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		// Processes that build at once wait for each other, but not in a statement, for whose
		// end CREATE INDEX CONCURRENTLY would wait.
		for locked := false; !locked; {
			if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, d.location.key("index")).Scan(&locked); err != nil {
				return err
			}
			if locked {
				break
			}
			select {
			case <-time.After(lastPause):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		defer conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, d.location.key("index"))
		for _, sql := range []string{
			`UPDATE about SET indexed = NULL`,
			`DROP INDEX CONCURRENTLY IF EXISTS examples_hnsw`, // also one whose building was interrupted
			indexSQL(d.measure, d.features, kind, d.location.links, d.location.width),
		} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return err
			}
		}
		if _, err := conn.Exec(ctx, `UPDATE about SET indexed = $1`, kind); err != nil {
			return err
		}
		d.changed(kind)
		return nil
	})
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
