package gallery

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// The parameters of a URI that are the gallery's are taken, and the others are left to pgx.
func TestParseLocation(t *testing.T) {
	found, err := parseLocation("postgres://u:p%40w@h:5433/db?sslmode=require&schema=faces&search=exact&ef_search=400&iterative_scan=off&index_type=halfvec&m=8&ef_construction=32")
	want := location{
		address: "postgres://u:p%40w@h:5433/db?sslmode=require", shown: "postgres://u:xxxxx@h:5433/db?sslmode=require&schema=faces&search=exact&ef_search=400&iterative_scan=off&index_type=halfvec&m=8&ef_construction=32",
		schema: "faces", exact: true, breadth: 400, iterative: "off", half: true, links: 8, width: 32,
	}
	if diff := cmp.Diff(want, found, cmp.AllowUnexported(location{})); diff != "" || err != nil {
		t.Errorf("%v (-want +found):\n%s", err, diff)
	}
	found, err = parseLocation("postgresql:///db")
	want = location{address: "postgresql:///db", shown: "postgresql:///db", schema: "likeness", breadth: 200, iterative: "strict_order", links: 16, width: 64}
	if diff := cmp.Diff(want, found, cmp.AllowUnexported(location{})); diff != "" || err != nil {
		t.Errorf("defaults: %v (-want +found):\n%s", err, diff)
	}
	for parameters, says := range map[string]string{
		"schema=":                 "parameter schema: found \"\"",
		"schema=pg_x":             "does not begin with pg_",
		"schema=a&schema=b":       "parameter schema: found 2 values",
		"search=fast":             `parameter search: unknown value "fast"`,
		"ef_search=0":             `parameter ef_search: found "0", expected a number from 1 to 1000`,
		"ef_search=many":          `parameter ef_search: found "many"`,
		"iterative_scan=strict":   "strict_order",
		"m=1":                     "parameter m",
		"m=64":                    "parameter ef_construction: found 64, expected at least twice m, 128",
		"index_type=half":         "halfvec",
		"sslpassword=%zz":         "not escaped",
		"schema=" + long(64, 'a'): "1 to 63 bytes",
	} {
		if _, err := parseLocation("postgres://u:secret@h/db?" + parameters); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: found error %v, want %q", parameters, err, says)
		}
	}
	if isDatabase("postgres.gallery") || isDatabase("folder/postgres:") || !isDatabase("postgresql://") {
		t.Error("a file is taken for a URI or a URI for a file")
	}
}

func long(n int, c byte) string { return strings.Repeat(string(c), n) }

// No part of a password is shown, however it is written.
func TestPasswordsAreHidden(t *testing.T) {
	for path, want := range map[string]string{
		"postgres://u:secret@h/db":                     "postgres://u:xxxxx@h/db",
		"postgres://u:se@cret@h/db":                    "postgres://u:xxxxx@h/db",
		"postgres://u:se/secret@h/db":                  "postgres://u:xxxxx@h/db",
		"postgres://u:se?secret@h/db":                  "postgres://xxxxx@h/db",
		"postgres://u:secret@h":                        "postgres://u:xxxxx@h",
		"postgres://u:secret%zz@h/db":                  "postgres://u:xxxxx@h/db",
		"postgres://u@h/db?password=secret&a=b":        "postgres://u@h/db?password=xxxxx&a=b",
		"postgres://u@h/db?PassWord=secret":            "postgres://u@h/db?password=xxxxx",
		"postgres://u@h/db?pass%77ord=secret":          "postgres://u@h/db?password=xxxxx",
		"postgres://u@h/db?sslpassword=secret":         "postgres://u@h/db?sslpassword=xxxxx",
		"postgres://u@h/db":                            "postgres://u@h/db",
		"postgres://u:@h/db":                           "postgres://u:@h/db",
		"postgres:///db?host=/run/postgres&user=u":     "postgres:///db?host=/run/postgres&user=u",
		"postgresql://u:secret@a:1,b:2/db?schema=x#sh": "postgresql://u:xxxxx@a:1,b:2/db?schema=x#sh",
		"folder/u:secret@h.gallery":                    "folder/u:secret@h.gallery",
	} {
		if found := shown(path); found != want {
			t.Errorf("%s: shown as %s, want %s", path, found, want)
		}
	}
	text := HidePasswords(`unexpected argument postgres://u:secret@h/db, or "postgresql://u@h/db?password=secret"; and a@b:c`)
	if text != `unexpected argument postgres://u:xxxxx@h/db, or "postgresql://u@h/db?password=xxxxx"; and a@b:c` {
		t.Errorf("found %s", text)
	}
}

// URIs that cannot be parsed, or not by pgx, are errors without the password.
func TestErrorsHavePasswordsHidden(t *testing.T) {
	for _, path := range []string{
		"postgres://u:secret%zz@h/db", "postgres://u:secret@h:port/db", "postgres://u:sec\x7fret@h/db", "postgres://u:secret@[h/db",
		"postgres://u:secret@h/db?sslmode=wrong", "postgres://u:secret@h/db?connect_timeout=wrong", "postgres://u:secret@h/db?pool_max_conns=wrong",
		"postgres://u@h/db?password=secret&port=wrong", "postgres://u:se/secret@h/db", "postgres://u:secret@h/db?schema=pg_secret2",
	} {
		for way, call := range map[string]func() error{
			"describe": func() error {
				_, err := DescribeWithin(context.Background(), path, time.Millisecond)
				return err
			},
			"copy": func() error {
				_, err := Copy(context.Background(), "missing.gallery", path, nil, Options{})
				return err
			},
		} {
			err := call()
			if err == nil || strings.Contains(strings.ReplaceAll(fmt.Sprintf("%v %+v", err, err), "pg_secret2", ""), "secret") {
				t.Errorf("%s: %s: found error %v", path, way, err)
			}
		}
	}
}

// The SQL of searches has the operator of each distance, and an exact search is not an
// ordering that an index has.
func TestSearchSQL(t *testing.T) {
	form := func(form heads.Form) measure {
		d, err := heads.FromForm("form", form)
		if err != nil {
			t.Fatal(err)
		}
		return measureOf(d)
	}
	l2, cosine := form(heads.Form{Power: 2, Root: true}), form(heads.Form{Normalize: true, Power: 2})
	weighted := form(heads.Form{Power: 1, Weights: []float32{1, 0, 4}})
	for want, found := range map[string]string{
		"(embedding <-> $1::vector) + 0 AS distance FROM examples WHERE true ORDER BY distance LIMIT $2":                    searchSQL(l2, Nearest, 3, "", false, false),
		"embedding <-> $1::vector AS distance FROM examples WHERE true ORDER BY distance LIMIT $2":                          searchSQL(l2, Nearest, 3, fullPrecision, false, false),
		"embedding::halfvec(3) <-> $1::vector::halfvec(3) AS distance FROM examples WHERE true ORDER BY":                    searchSQL(l2, Nearest, 3, halfPrecision, false, false),
		"WHERE true AND (embedding <-> $1::vector) + 0 <= $2 ORDER BY distance":                                             searchSQL(l2, Nearest, 3, "", true, false),
		"coalesce(nullif(searched <=> $1::vector, 'NaN'), 1) AS distance FROM classes WHERE embedding IS NOT NULL ORDER BY": searchSQL(cosine, Prototype, 3, "", false, false),
		"(searched <+> $1::vector) + 0 AS distance FROM examples WHERE true AND class = $3 ORDER BY distance LIMIT $2":      searchSQL(weighted, Nearest, 3, "", false, true),
		"USING hnsw (searched vector_cosine_ops) WITH (m = 16, ef_construction = 64)":                                       indexSQL(cosine, 3, fullPrecision, 16, 64),
		"USING hnsw ((embedding::halfvec(3)) halfvec_l2_ops)":                                                               indexSQL(l2, 3, halfPrecision, 16, 64),
		"USING hnsw (searched vector_l1_ops)":                                                                               indexSQL(weighted, 3, fullPrecision, 16, 64),
		"FROM examples e JOIN classes c ON c.id = e.class WHERE e.class = $1 ORDER BY e.id":                                 scanSQL(Nearest, true),
		"FROM classes WHERE embedding IS NOT NULL AND id = $1 ORDER BY id":                                                  scanSQL(Prototype, true),
	} {
		if !strings.Contains(strings.Join(strings.Fields(found), " "), want) {
			t.Errorf("found\n%s\nwant\n%s", found, want)
		}
	}
	if diff := cmp.Diff([]float32{0.25, 0, 1}, weighted.factors); diff != "" {
		t.Errorf("factors (-want +found):\n%s", diff)
	}
	if diff := cmp.Diff([]float32{0.5, 0, 1}, form(heads.Form{Power: 2, Weights: []float32{1, 0, 4}}).factors); diff != "" {
		t.Errorf("square roots (-want +found):\n%s", diff)
	}
	for _, m := range []measure{form(heads.Form{Power: 1, Weights: []float32{1, -1}}), form(heads.Form{Power: 1, Weights: []float32{0, 0}})} {
		if m.operator != "" || m.indexable() == nil {
			t.Errorf("found the operator %s, expected none", m.operator)
		}
	}
	for _, test := range []struct {
		features int
		half     bool
		want     string
	}{{64, false, "vector"}, {64, true, "halfvec"}, {2000, false, "vector"}, {2001, false, "halfvec"}, {4000, false, "halfvec"}, {4001, false, ""}} {
		if kind, err := indexType(test.features, test.half); kind != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%d features, half %v: found %q, %v", test.features, test.half, kind, err)
		}
	}
}

// The bound is never less than the float32 sums of the database, in this order or another,
// and not much more than the distance.
func TestBound(t *testing.T) {
	r := random.New(1, "bound")
	for trial := range 2000 {
		n := 1 + r.IntN(40)
		form := []heads.Form{{Power: 2, Root: true}, {Power: 2}, {Power: 1, Scale: 3}, {Normalize: true, Power: 2, Scale: 0.5}, {Power: 1}, {Power: 2, Root: true}}[trial%6]
		if trial%6 > 3 {
			for range n {
				form.Weights = append(form.Weights, float32(math.Exp(4*r.NormFloat64())))
			}
		}
		d, err := heads.FromForm("form", form)
		if err != nil {
			t.Fatal(err)
		}
		m := measureOf(d)
		scale := math.Pow(10, float64(r.IntN(30)-15))
		x, y := make([]float32, n), make([]float32, n)
		for j := range x {
			x[j] = float32(scale * r.NormFloat64())
			y[j] = x[j] + float32(scale*r.NormFloat64()*math.Pow(10, -float64(r.IntN(8))))
		}
		p, q := m.prepare(x), m.prepare(y)
		var sum, dot, pp, qq float32
		for i := range p {
			j := i
			if trial%2 == 0 {
				j = n - 1 - i
			}
			difference := p[j] - q[j]
			if form.Power == 2 {
				sum += difference * difference
			} else {
				sum += float32(math.Abs(float64(difference)))
			}
			dot, pp, qq = dot+p[j]*q[j], pp+p[j]*p[j], qq+q[j]*q[j]
		}
		found := float64(sum)
		switch {
		case form.Normalize:
			found = 1 - float64(dot)/math.Sqrt(float64(pp)*float64(qq))
		case form.Power == 2:
			found = math.Sqrt(found)
		}
		distance := d.Between(x, y)
		if bound := m.bound(distance, p); found > bound {
			t.Errorf("trial %d, %+v: the database finds %v, the bound is %v for the distance %v", trial, form, found, bound, distance)
		} else if !form.Normalize && form.Weights == nil && bound > found*1.001+1e-15 {
			t.Errorf("trial %d, %+v: the bound %v is much above %v", trial, form, bound, found)
		}
	}
}

// Errors after which another attempt may succeed.
func TestTransient(t *testing.T) {
	code := func(code string) error { return errors.WithStack(&pgconn.PgError{Code: code}) }
	for err, want := range map[error]bool{
		code("57P01"): true, code("57P03"): true, code("08006"): true, code("40001"): true, code("40P01"): true, code("53300"): true,
		code("28P01"): false, code("3D000"): false, code("42P01"): false, code("57014"): false,
		errors.WithStack(io.ErrUnexpectedEOF): true, &net.OpError{Op: "read", Err: io.EOF}: true, fmt.Errorf("%w: closed", errLost): true,
		context.DeadlineExceeded: false, ErrClosed: false, context.Canceled: false, errNoExtension: false, ErrExists: false,
	} {
		if found := transient(err); found != want {
			t.Errorf("%v: found %v, want %v", err, found, want)
		}
	}
}

// A lost connection is tried again until the deadline and then ErrUnavailable; other errors
// are returned at once.
func TestRetry(t *testing.T) {
	calls := 0
	err := retry(t.Context(), time.Second, func(context.Context) error {
		if calls++; calls < 3 {
			return io.ErrUnexpectedEOF
		}
		return nil
	})
	if err != nil || calls != 3 {
		t.Errorf("found error %v after %d calls", err, calls)
	}
	failing := func(context.Context) error { calls++; return io.ErrUnexpectedEOF }
	calls = 0
	if err := retry(t.Context(), time.Millisecond, failing); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "unexpected EOF") || calls != 1 {
		t.Errorf("found error %v after %d calls", err, calls)
	}
	late, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := retry(late, time.Hour, failing); !errors.Is(err, ErrUnavailable) {
		t.Errorf("at the deadline: found error %v", err)
	}
	gone := errors.New("the client is gone")
	ended, stop := context.WithCancelCause(t.Context())
	stop(gone)
	if err := retry(ended, time.Hour, failing); !errors.Is(err, gone) {
		t.Errorf("without a client: found error %v", err)
	}
	calls = 0
	if err := retry(t.Context(), time.Hour, func(context.Context) error { calls++; return ErrExists }); !errors.Is(err, ErrExists) || calls != 1 {
		t.Errorf("found error %v after %d calls", err, calls)
	}
}

// Times are stored to the nanosecond.
func TestTimestamp(t *testing.T) {
	for _, want := range []time.Time{now(), {}, time.Date(1969, 12, 31, 23, 59, 59, 999999999, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 1, time.UTC)} {
		stored := timestampOf(want)
		if found := stored.value(); !found.Equal(want) || stored.nanoseconds < 0 || stored.nanoseconds > 999 || stored.time.Nanosecond()%1000 != 0 {
			t.Errorf("%v is stored as %+v and read as %v", want, stored, found)
		}
	}
}

func TestExtensionVersion(t *testing.T) {
	for version, want := range map[string]bool{"0.8.0": true, "0.8.5": true, "0.10.1": true, "1.0": true, "0.7.4": false, "": false} {
		if err := checkVersion(version); (err == nil) != want {
			t.Errorf("%q: found error %v", version, err)
		}
	}
}
