package gallery

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pkg/errors"
)

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

// tryNearest searches with an index of the given type, and returns the type of the existing
// index. It sends the first selection of all queries, the calibration and the type of the
// index in one batch: one round trip, and one transaction.
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
