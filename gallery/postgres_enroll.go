package gallery

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"iter"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/pgvector/pgvector-go"
	"github.com/pkg/errors"
)

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
