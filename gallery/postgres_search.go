package gallery

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/likeness-go/likeness/heads"
	"github.com/pgvector/pgvector-go"
	"github.com/pkg/errors"
)

// measure is how the database orders embeddings for a distance. The database selects
// candidates; the distance itself, computed in this process, orders them.
type measure struct {
	operator string // of pgvector; "" means that it has none for the distance
	class    string // operator class of an index
	reason   string // why there is no operator
	form     heads.Form
	factors  []float32 // by which features are multiplied; nil for ones
	largest  float64   // the largest weight, by which factors are divided
}

// maxWeight is the largest weight with which no float32 sum of the database overflows.
const maxWeight = 1e15

// measureOf returns the measure of a distance:
//
//   - Form.Normalize: <=> of the normalized embeddings;
//   - Form.Power 2: <->, of embeddings multiplied by the square roots of the weights;
//   - Form.Power 1: <+>, of embeddings multiplied by the weights.
//
// Weights are divided by the largest one, so that no product is larger than the embedding.
func measureOf(distance heads.Distance) measure {
	form, known := distance.Form()
	m := measure{form: form, largest: 1}
	switch {
	case !known:
		m.reason = fmt.Sprintf("the head %s has no form, for which pgvector could have an operator", distance.Name())
		return m
	case form.Signed():
		j := slices.IndexFunc(form.Weights, func(w float32) bool { return w < 0 })
		m.reason = fmt.Sprintf("the head %s has a negative weight (%v for feature %d), so that its distances may be negative and no index fits", distance.Name(), form.Weights[j], j)
		return m
	case form.Weights != nil:
		m.largest = float64(slices.Max(form.Weights))
		if !(m.largest > 0 && m.largest <= maxWeight) {
			m.reason = fmt.Sprintf("the head %s has the largest weight %v, expected one above 0 and up to %g", distance.Name(), m.largest, float64(maxWeight))
			return m
		}
		m.factors = make([]float32, len(form.Weights))
		for j, w := range form.Weights {
			m.factors[j] = float32(float64(w) / m.largest)
			if form.Power == 2 {
				m.factors[j] = float32(math.Sqrt(float64(w) / m.largest))
			}
		}
	}
	switch {
	case form.Normalize:
		m.operator, m.class = "<=>", "cosine_ops"
	case form.Power == 2:
		m.operator, m.class = "<->", "l2_ops"
	default:
		m.operator, m.class = "<+>", "l1_ops"
	}
	return m
}

// prepared reports whether the database compares other vectors than the embeddings.
func (m measure) prepared() bool { return m.operator != "" && (m.form.Normalize || m.factors != nil) }

// prepare returns what the database compares of an embedding.
func (m measure) prepare(embedding []float32) []float32 {
	if !m.prepared() {
		return embedding
	}
	out := make([]float32, len(embedding))
	if m.form.Normalize {
		factor := inverseLength(embedding)
		for j, x := range embedding {
			out[j] = float32(float64(x) * factor)
		}
		return out
	}
	for j, x := range embedding {
		out[j] = x * m.factors[j]
	}
	return out
}

// bound returns the largest value that the database may compute for an embedding at a
// distance from a query, which is prepared. With u = 2⁻²⁴, the database adds n terms in
// float32 in any order, each with a relative error of up to 3u, so that a sum is exact to
// (n+3)u of itself. Preparing rounds each element to u of itself, which moves the difference
// of two vectors by up to u(‖x‖+‖y‖) ≤ u(2‖x‖+‖x−y‖). The result is twice these errors, and
// a constant for differences that are too small for float32.
func (m measure) bound(distance float64, query []float32) float64 {
	const u = 0x1p-24
	const tiny = 1e-18
	n := float64(len(query) + 16)
	sum := m.form.Sum(distance) / m.form.Scale / m.largest
	if m.form.Normalize { // sum is that of squared differences of unit vectors, 2(1 − cosine)
		return sum/2 + 8*n*u + 16*u
	}
	exact, norm := sum, 0.0
	if m.form.Power == 2 {
		exact = math.Sqrt(sum)
	}
	if m.factors != nil {
		for _, x := range query {
			if m.form.Power == 2 {
				norm += float64(x) * float64(x)
			} else {
				norm += math.Abs(float64(x))
			}
		}
		if m.form.Power == 2 {
			norm = math.Sqrt(norm)
		}
	}
	return (exact+2*u*(2*norm+exact))*(1+2*n*u) + tiny*n
}

// indexable returns an error unless an index can be built.
func (m measure) indexable() error {
	if m.operator == "" {
		return errors.Errorf("%s: it is searched exactly", m.reason)
	}
	return nil
}

// Maximum numbers of features that pgvector can index.
const (
	maxIndexed     = 2000
	maxIndexedHalf = 4000
)

// Types of an index.
const (
	fullPrecision = "vector"
	halfPrecision = "halfvec"
)

// indexType returns the type of an index.
func indexType(features int, half bool) (string, error) {
	switch {
	case features > maxIndexedHalf:
		return "", errors.Errorf("the embeddings have %d features, expected up to %d, which is the limit of pgvector's indexes: they are searched exactly", features, maxIndexedHalf)
	case half || features > maxIndexed:
		return halfPrecision, nil
	}
	return fullPrecision, nil
}

// indexSQL builds an index without blocking others that enroll. The parameters m and
// ef_construction are numbers, and the rest are names of pgvector.
func indexSQL(m measure, features int, kind string, links, width int) string {
	column := "embedding"
	if m.prepared() {
		column = "searched"
	}
	if kind == halfPrecision {
		column = fmt.Sprintf("(%s::halfvec(%d))", column, features)
	}
	return fmt.Sprintf("CREATE INDEX CONCURRENTLY examples_hnsw ON examples USING hnsw (%s %s_%s) WITH (m = %d, ef_construction = %d)",
		column, kind, m.class, links, width)
}

// searchSQL selects candidates. $1 is the prepared query and $2 the maximum number of rows
// or, if bounded, the largest distance. If single, $3 is the class to which the search is
// restricted. kind is the type of an index that is to be used, "" for an exact search.
//
// The planner uses an index only for an ordering by the operator itself: an exact search
// orders by an expression of it. The cosine with the zero vector is NaN for the database.
func searchSQL(m measure, rule Rule, features int, kind string, bounded, single bool) string {
	table, column := "examples", "embedding"
	if rule == Prototype {
		table = "classes"
	}
	if m.prepared() {
		column = "searched"
	}
	distance := fmt.Sprintf("%s %s $1::vector", column, m.operator)
	switch {
	case kind == halfPrecision:
		distance = fmt.Sprintf("%s::halfvec(%d) %s $1::vector::halfvec(%d)", column, features, m.operator, features)
	case kind == "" && m.form.Normalize:
		distance = fmt.Sprintf("coalesce(nullif(%s, 'NaN'), 1)", distance)
	case kind == "":
		distance = fmt.Sprintf("(%s) + 0", distance)
	}
	where := "embedding IS NOT NULL"
	if rule != Prototype {
		where = "true"
	}
	if single {
		where += map[bool]string{true: " AND id = $3", false: " AND class = $3"}[rule == Prototype]
	}
	end := "ORDER BY distance LIMIT $2"
	if bounded {
		where, end = fmt.Sprintf("%s AND %s <= $2", where, distance), "ORDER BY distance"
	}
	if rule == Prototype {
		return fmt.Sprintf("SELECT id, name, ''::bytea, 'epoch'::timestamptz, 0::smallint, embedding, %s AS distance FROM %s WHERE %s %s", distance, table, where, end)
	}
	return fmt.Sprintf(`SELECT e.id, c.name, e.source, e.enrolled, e.nanoseconds, e.embedding, e.distance
FROM (SELECT id, class, source, enrolled, nanoseconds, embedding, %s AS distance FROM %s WHERE %s %s) e
JOIN classes c ON c.id = e.class ORDER BY e.distance`, distance, table, where, end)
}

// scanSQL selects all rows, for distances without an operator.
func scanSQL(rule Rule, single bool) string {
	if rule == Prototype {
		where := ""
		if single {
			where = " AND id = $1"
		}
		return `SELECT id, name, ''::bytea, 'epoch'::timestamptz, 0::smallint, embedding, 0::float8 FROM classes WHERE embedding IS NOT NULL` + where + ` ORDER BY id`
	}
	where := ""
	if single {
		where = " WHERE e.class = $1"
	}
	return `SELECT e.id, c.name, e.source, e.enrolled, e.nanoseconds, e.embedding, 0::float8 FROM examples e JOIN classes c ON c.id = e.class` + where + ` ORDER BY e.id`
}

// hit is a row with its distance, and that of the database.
type hit struct {
	row       int64
	candidate Candidate
	selected  float64
}

// scanHit reads a row of searchSQL or scanSQL.
func scanHit(rows pgx.Rows, rule Rule) (h hit, embedding []float32, err error) {
	var name, source []byte
	var enrolled timestamp
	var v pgvector.Vector
	if err := rows.Scan(&h.row, &name, &source, &enrolled.time, &enrolled.nanoseconds, &v, &h.selected); err != nil {
		return h, nil, err
	}
	h.candidate.Class = string(name)
	if rule != Prototype {
		h.candidate.Example = Example{string(source), enrolled.value()}
	}
	return h, v.Slice(), nil
}

// better orders hits by distance, and by row among equals, as an exact search in memory does.
func better(a, b hit) int {
	return cmp.Or(cmp.Compare(a.candidate.Distance, b.candidate.Distance), cmp.Compare(a.row, b.row))
}

// ranked returns the nearest hit of each of the k nearest classes. A distance that is NaN is
// never a hit.
func ranked(hits []hit, k int) []hit {
	best := map[string]hit{}
	for _, h := range hits {
		if math.IsNaN(h.candidate.Distance) {
			continue
		}
		if other, found := best[h.candidate.Class]; !found || better(h, other) < 0 {
			best[h.candidate.Class] = h
		}
	}
	all := make([]hit, 0, len(best))
	for _, h := range best {
		all = append(all, h)
	}
	slices.SortFunc(all, better)
	return all[:min(k, len(all))]
}

// search is a search for the k nearest classes of a query.
type search struct {
	d        *database
	query    []float32
	prepared []float32
	k        int
	kind     string // type of the index, "" for an exact search
	single   int64  // id of the class to which it is restricted; 0 for none
}

// firstLimit is the number of rows that are selected at first: some more than needed, for
// classes with several near examples and for rounding.
func (s search) firstLimit() int { return 4*min(s.k, 1<<20) + 32 }

// maxRows limits the rows that a search by index selects if they are of too few classes.
const maxRows = 4096

// arguments are those of searchSQL.
func (s search) arguments(second any) []any {
	arguments := []any{pgvector.NewVector(s.prepared), second}
	if s.single != 0 {
		arguments = append(arguments, s.single)
	}
	return arguments
}

func (s search) sql(bounded bool) string {
	return searchSQL(s.d.measure, s.d.header.Rule, s.d.features, s.kind, bounded, s.single != 0)
}

// collect measures the rows of a result.
func (s search) collect(rows pgx.Rows, failed error) (hits []hit, err error) {
	if failed != nil {
		return nil, failed
	}
	defer rows.Close()
	for rows.Next() {
		h, embedding, err := scanHit(rows, s.d.header.Rule)
		if err != nil {
			return nil, err
		}
		h.candidate.Distance = s.d.distance.Between(s.query, embedding)
		hits = append(hits, h)
	}
	return hits, rows.Err()
}

// complete continues a search until its result is certain, from the hits of the first
// selection of so many rows.
//
// An exact search is certain if all rows were selected, or if all that are not are farther
// for the database than the k-th nearest class can be. A search by index ends if it has k
// classes or if the index gives no more rows.
func (s search) complete(ctx context.Context, q querier, hits []hit, limit int) ([]hit, error) {
	var err error
	for {
		best := ranked(hits, s.k)
		if len(hits) < limit || s.kind != "" && (len(best) == s.k || limit >= maxRows) {
			return best, nil
		}
		if len(best) == s.k {
			bound := s.d.measure.bound(best[s.k-1].candidate.Distance, s.prepared)
			if hits[len(hits)-1].selected > bound {
				return best, nil
			}
			if hits, err = s.collect(q.Query(ctx, s.sql(true), s.arguments(bound)...)); err != nil {
				return nil, err
			}
			if best = ranked(hits, s.k); len(best) == s.k {
				return best, nil
			} // else a class was forgotten meanwhile
		}
		limit *= 8
		if hits, err = s.collect(q.Query(ctx, s.sql(false), s.arguments(limit)...)); err != nil {
			return nil, err
		}
	}
}

// scan compares all rows in this process, for distances without an operator.
func (d *database) scan(ctx context.Context, q querier, queries [][]float32, k int, single int64) ([][]hit, error) {
	var arguments []any
	if single != 0 {
		arguments = append(arguments, single)
	}
	rows, err := q.Query(ctx, scanSQL(d.header.Rule, single != 0), arguments...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	best := make([][]hit, len(queries))
	for rows.Next() {
		h, embedding, err := scanHit(rows, d.header.Rule)
		if err != nil {
			return nil, err
		}
		for i, query := range queries {
			h.candidate.Distance = d.distance.Between(query, embedding)
			best[i] = append(best[i], h)
			if len(best[i]) > 4*k+1024 {
				best[i] = ranked(best[i], k)
			}
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for i := range best {
		best[i] = ranked(best[i], k)
	}
	return best, nil
}

// timestamp is a time as it is stored: a timestamp in microseconds, and the nanoseconds
// after it.
type timestamp struct {
	time        time.Time
	nanoseconds int16
}

func timestampOf(t time.Time) timestamp {
	whole := t.Truncate(time.Microsecond)
	return timestamp{whole, int16(t.Sub(whole))}
}

func (t timestamp) value() time.Time { return t.time.Add(time.Duration(t.nanoseconds)).UTC() }
