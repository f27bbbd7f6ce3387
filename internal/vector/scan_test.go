package vector

import (
	"math"
	"testing"
)

// randomScan returns a scan with codes of all sizes, and the sum of each row and query, at
// g·ScanRows·queries + q·ScanRows + row.
func randomScan(f *fuzz, unit int) (*Scan, []int32) {
	groups, queries, units := 1+f.IntN(4), 1+f.IntN(30), 1+f.IntN(9)
	c := &Scan{
		Codes: array[uint8](f, groups*units*ScanRows*unit), Queries: array[uint8](f, units*queries*unit),
		Limits: array[int32](f, queries), Near: array[uint32](f, groups*queries), Units: units,
	}
	extremes := f.IntN(3) == 0
	for _, codes := range [][]uint8{c.Codes, c.Queries} {
		for i := range codes {
			if codes[i] = uint8(f.IntN(256)); extremes {
				codes[i] = []uint8{0, 1, 127, 128, 129, 255}[f.IntN(6)]
			}
		}
	}
	if unit == ProductUnit {
		c.Base = array[int32](f, groups*ScanRows)
		for i := range c.Base {
			c.Base[i] = int32(f.IntN(1<<17) - 1<<16)
		}
	}
	sums := make([]int32, groups*queries*ScanRows)
	for i := range sums {
		g, q, row := i/ScanRows/queries, i/ScanRows%queries, i%ScanRows
		if unit == ProductUnit {
			sums[i] = c.Base[g*ScanRows+row]
		}
		for u := range units {
			for k := range unit {
				code, query := c.Codes[((g*units+u)*ScanRows+row)*unit+k], c.Queries[(u*queries+q)*unit+k]
				if unit == ProductUnit {
					sums[i] += int32(code) * int32(int8(query))
				} else {
					sums[i] += max(int32(code)-int32(query), int32(query)-int32(code))
				}
			}
		}
	}
	return c, sums
}

// Every engine gives the bits of explicit sums, with limits that equal a sum among them.
func TestScan(t *testing.T) {
	for name, unit := range map[string]int{"products": ProductUnit, "differences": DifferenceUnit} {
		t.Run(name, func(t *testing.T) {
			eachFuzz(t, 400, func(f *fuzz) {
				c, sums := randomScan(f, unit)
				queries := len(c.Limits)
				for q := range c.Limits {
					switch f.IntN(8) {
					case 0:
						c.Limits[q] = math.MaxInt32
					case 1:
						c.Limits[q] = 0
						if unit == ProductUnit {
							c.Limits[q] = math.MinInt32
						}
					default:
						c.Limits[q] = sums[q*ScanRows+f.IntN(ScanRows)]
					}
				}
				for i := range c.Near {
					c.Near[i] = f.Uint32() // what was there is overwritten
				}
				scan := f.engine.ScanProducts
				if unit == DifferenceUnit {
					scan = f.engine.ScanDifferences
				}
				scan(c)
				for i, bits := range c.Near {
					for row := range ScanRows {
						sum, limit := sums[i*ScanRows+row], c.Limits[i%queries]
						want := sum >= limit
						if unit == DifferenceUnit {
							want = sum <= limit
						}
						if got := bits>>row&1 == 1; got != want {
							f.Fatalf("call %d: group %d, query %d of %d, row %d: found %v with the sum %d and the limit %d", f.seed, i/queries, i%queries, queries, row, got, sum, limit)
						}
					}
				}
			})
		})
	}
}

// Arrays that are too short, and none, do not reach the assembly.
func TestScanLengths(t *testing.T) {
	for _, e := range Engines() {
		e.ScanProducts(&Scan{Units: 1})
		e.ScanDifferences(&Scan{Units: 1, Limits: []int32{1}})
		for name, shorten := range map[string]func(*Scan){
			"codes":   func(c *Scan) { c.Codes = c.Codes[1:] },
			"queries": func(c *Scan) { c.Queries = c.Queries[1:] },
			"base":    func(c *Scan) { c.Base = c.Base[1:] },
		} {
			c := &Scan{
				Codes: make([]uint8, 2*ScanRows*ProductUnit), Base: make([]int32, ScanRows),
				Queries: make([]uint8, 2*3*ProductUnit), Limits: make([]int32, 3), Near: make([]uint32, 3), Units: 2,
			}
			e.ScanProducts(c)
			shorten(c)
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: %s: found no panic", e.Name(), name)
					}
				}()
				e.ScanProducts(c)
			}()
		}
	}
}

func BenchmarkScan(b *testing.B) {
	for _, e := range Engines() {
		for _, queries := range []int{1, 240} {
			const units, groups = 16, 32
			c := &Scan{
				Codes: make([]uint8, groups*units*ScanRows*ProductUnit), Base: make([]int32, groups*ScanRows),
				Queries: make([]uint8, units*queries*ProductUnit), Limits: make([]int32, queries), Near: make([]uint32, groups*queries), Units: units,
			}
			for name, run := range map[string]func(){
				"products":    func() { e.ScanProducts(c) },
				"differences": func() { d := *c; d.Units /= 2; e.ScanDifferences(&d) },
			} {
				b.Run(e.Name()+"/"+name+"/"+map[bool]string{true: "one", false: "many"}[queries == 1], func(b *testing.B) {
					for b.Loop() {
						run()
					}
					b.ReportMetric(float64(queries*len(c.Codes))*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gcodes/s")
				})
			}
		}
	}
}
