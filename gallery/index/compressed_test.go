package index

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/vector"
	"pgregory.net/rapid"
)

// magnitudes are of vectors whose distances are hard to bound: from denormal numbers to the
// largest that are allowed.
var magnitudes = []float32{0, 1, 0x1p-149, 1e-40, 1e-30, 1e-20, 1e-3, 127, 1e6, 1e14, MaxValue / 2}

// adversary draws rows of several blocks and queries: one magnitude for all or one for each
// row, few different values so that many distances are equal, copies of rows that differ in
// one bit, and zeros.
func adversary(seed uint64) (rows, queries [][]float32, columns int) {
	chance := random.New(seed, "adversary")
	columns = 1 + chance.IntN(20)
	one := magnitudes[chance.IntN(len(magnitudes))]
	mixed, coarse := chance.IntN(3) == 0, chance.IntN(3) == 0
	draw := func() []float32 {
		x, magnitude := make([]float32, columns), one
		if mixed {
			magnitude = magnitudes[chance.IntN(len(magnitudes))]
		}
		for j := range x {
			x[j] = magnitude * float32(2*chance.Float64()-1)
			if coarse {
				x[j] = magnitude * float32(chance.IntN(5)-2) / 2
			}
		}
		return x
	}
	for len(rows) < 2*blockRows+chance.IntN(blockRows) {
		x := draw()
		if len(rows) > 0 && chance.IntN(4) == 0 {
			x = slices.Clone(rows[chance.IntN(len(rows))])
			if j := chance.IntN(columns); chance.IntN(2) == 0 {
				if near := math.Float32frombits(math.Float32bits(x[j]) ^ 1); math.Abs(float64(near)) <= MaxValue {
					x[j] = near
				}
			}
		}
		rows = append(rows, x)
	}
	for range 3 {
		queries = append(queries, draw(), slices.Clone(rows[chance.IntN(len(rows))]))
	}
	return rows, queries, columns
}

// compressible are the distances with a compressed pass: the filter's forms with other
// scales and roots.
func compressible(t testing.TB) (all []heads.Distance) {
	t.Helper()
	for name, form := range map[string]heads.Form{
		"l2": {Power: 2, Root: true}, "squared": {Power: 2, Scale: 1e-3}, "cosine": {Power: 2, Normalize: true, Scale: 0.5},
		"l1": {Power: 1}, "root of l1": {Power: 1, Scale: 3, Root: true},
	} {
		distance, err := heads.FromForm(name, form)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, distance)
	}
	return all
}

func matrix(t testing.TB, distance heads.Distance, rows [][]float32) *Vectors {
	t.Helper()
	v, err := NewVectors(distance, len(rows[0]))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if err := v.Append(row); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := v.compressed.rows(), len(rows)/blockRows*blockRows; got != want {
		t.Fatalf("%d of %d rows are compressed, expected %d", got, len(rows), want)
	}
	return v
}

// wantSorted compares what is found with all distances, sorted.
func wantSorted(t testing.TB, v *Vectors, queries [][]float32, k int) {
	t.Helper()
	found, err := v.Nearest(queries, k, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, query := range queries {
		all := make([]Neighbor, v.Len())
		for row := range all {
			all[row] = Neighbor{Row: row, Distance: v.distance.Between(query, v.Row(row))}
		}
		slices.SortFunc(all, order)
		if !slices.Equal(found[i], all[:min(k, len(all))]) {
			t.Fatalf("%s, query %d of %d: found %v, expected %v", v.distance.Name(), i, len(queries), found[i], all[:min(k, len(all))])
		}
	}
}

// The compressed pass excludes no row that is among the nearest, whatever the magnitudes,
// with many equal distances, and after rows are changed and removed.
func TestCompressedEqualsASort(t *testing.T) {
	for seed := range uint64(12) {
		rows, queries, columns := adversary(seed)
		for _, distance := range compressible(t) {
			v := matrix(t, distance, rows)
			k := 1 + int(seed)%7
			wantSorted(t, v, queries, k)
			wantSorted(t, v, queries[:1], k)
			chance := random.New(seed, "changes")
			for range 20 { // some fit the step of their block, some do not
				i, x := chance.IntN(len(rows)), slices.Clone(rows[chance.IntN(len(rows))])
				x[chance.IntN(columns)] = magnitudes[chance.IntN(len(magnitudes))]
				if err := v.Set(i, x); err != nil {
					t.Fatal(err)
				}
			}
			wantSorted(t, v, queries, k)
			if err := v.Remove(v.Renumber(func(row int) bool { return row > 1500 && row%5 == 0 })); err != nil {
				t.Fatal(err)
			}
			wantSorted(t, v, queries, k)
		}
	}
}

// For any two vectors and any limit, a row at the limit or nearer passes, in every engine.
func TestScanLimitIsABound(t *testing.T) {
	number := rapid.OneOf(
		rapid.Float32Range(-1, 1), rapid.Float32Range(-MaxValue, MaxValue), rapid.Float32Range(-1e-40, 1e-40),
		rapid.Map(rapid.IntRange(-3, 3), func(i int) float32 { return float32(i) }), rapid.SampledFrom(magnitudes),
	)
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(1, 40).Draw(t, "columns")
		x := rapid.SliceOfN(number, columns, columns).Draw(t, "row")
		y := rapid.SliceOfN(number, columns, columns).Draw(t, "query")
		checkBound(t, x, y, rapid.Float64Range(0, 4).Draw(t, "larger"))
	})
}

type failer interface {
	Helper()
	Fatalf(format string, arguments ...any)
}

// checkBound compares a query with a block that begins with the row x. The block's step is
// that of its largest row, which is larger times as large.
func checkBound(t failer, x, y []float32, larger float64) {
	t.Helper()
	for _, f := range []filter{{squares: true}, {absolute: true}} {
		c := newCompressed(f, len(x))
		b := c.compress(0, func(i int) []float32 {
			if i != blockRows-1 {
				return x
			}
			scaled := make([]float32, len(x))
			for j, v := range x {
				scaled[j] = float32(max(-MaxValue, min(larger*float64(v), MaxValue)))
			}
			return scaled
		})
		var sum float64 // of squares, or of absolute differences
		for j := range x {
			if d := math.Abs(float64(x[j]) - float64(y[j])); f.squares {
				sum += d * d
			} else {
				sum += d
			}
		}
		p := &panel{questions: []question{{y, y}}, coded: map[step]*codedQueries{}}
		coded := p.with(b.step, c)
		limit := c.scanLimit(sum, coded.encoded[0], &b)
		for _, engine := range vector.Engines() {
			scan := vector.Scan{Codes: b.codes, Base: b.base, Queries: coded.codes, Limits: []int32{limit}, Near: make([]uint32, blockRows/vector.ScanRows), Units: c.units}
			if f.squares {
				engine.ScanProducts(&scan)
			} else {
				engine.ScanDifferences(&scan)
			}
			if scan.Near[0]&1 == 0 {
				t.Fatalf("%s, %+v: the row %v is excluded for the query %v at the limit %v, %d", engine.Name(), f, x, y, sum, limit)
			}
		}
	}
}

// FuzzScanLimit reads a row and a query from bytes.
func FuzzScanLimit(f *testing.F) {
	f.Add([]byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 1, 0, 0, 0, 0xff, 0xff, 0x7f, 0x58}, 1.0)
	f.Add(make([]byte, 64), 2.0)
	f.Fuzz(func(t *testing.T, data []byte, larger float64) {
		columns := min(len(data)/8, 64)
		if columns == 0 || !(larger >= 0 && larger < 1e20) {
			return
		}
		values := make([]float32, 2*columns)
		for i := range values {
			v := math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
			if !(math.Abs(float64(v)) <= MaxValue) {
				return // Check refuses it
			}
			values[i] = v
		}
		checkBound(t, values[:columns], values[columns:], larger)
	})
}

// A step is the smallest with which the magnitude has a code.
func TestStepFor(t *testing.T) {
	for _, magnitude := range append(magnitudes, MaxValue, 127*0x1p-20, 0x1p-149*127) {
		s := stepFor(float64(magnitude))
		if 127*s.value() < float64(magnitude) {
			t.Errorf("%g: 127 steps are %g", magnitude, 127*s.value())
		}
		if s > minStep && 127*(s-1).value() >= float64(magnitude) {
			t.Errorf("%g: found the step %g, expected at most %g", magnitude, s.value(), (s - 1).value())
		}
	}
	for s := minStep; s < 400; s++ { // products with codes are exact
		if x := s.value(); x != float64(float32(math.Ldexp(x, -int(s>>2))))*math.Ldexp(1, int(s>>2)) || x >= (s+1).value() {
			t.Fatalf("step %d is %g", s, x)
		}
	}
}

func BenchmarkNearest(b *testing.B) {
	for _, distance := range compressible(b)[:] {
		v, err := NewVectors(distance, 64)
		if err != nil {
			b.Fatal(err)
		}
		chance := random.New(1, "benchmark")
		x := make([]float32, 64)
		for range 100_000 {
			for j := range x {
				x[j] = float32(chance.NormFloat64())
			}
			if err := v.Append(x); err != nil {
				b.Fatal(err)
			}
		}
		queries := make([][]float32, 1000)
		for i := range queries {
			queries[i] = v.Row(i)
		}
		for name, n := range map[string]int{"one": 1, "many": len(queries)} {
			b.Run(distance.Name()+"/"+name, func(b *testing.B) {
				for b.Loop() {
					if _, err := v.Nearest(queries[:n], 10, nil); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(n*b.N), "µs/query")
			})
		}
	}
}
