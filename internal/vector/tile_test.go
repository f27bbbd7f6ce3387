package vector

import (
	"fmt"
	"math"
	"math/rand"
	"testing"
)

func TestQuick(t *testing.T) {
	for _, s := range sets() {
		for width := 1; width <= s.MaxWidth(); width++ {
			for rows := 1; rows < 30; rows++ {
				for _, tail := range []int{1, s.lanes / 2, s.lanes} {
					cols := (width-1)*s.lanes + tail
					seg, length, stride := 3, 7, 11
					a := make([]float32, 1000)
					for i := range a {
						a[i] = rand.Float32()
					}
					b := make([]float32, seg*length*width*s.lanes)
					for i := range b {
						b[i] = rand.Float32()
					}
					ini := make([]float32, cols)
					for i := range ini {
						ini[i] = rand.Float32()
					}
					c := make([]float32, rows*100)
					for i := range c {
						c[i] = float32(i)
					}
					ao, co := make([]int32, rows), make([]int32, rows)
					for i := range ao {
						ao[i] = int32(rand.Intn(900))
						co[i] = int32(i * 100)
					}
					for _, add := range []bool{false, true} {
						want := append([]float32(nil), c...)
						for i := range rows {
							for j := range cols {
								v := ini[j]
								if add {
									v += want[i*100+j]
								}
								for g := range seg {
									for k := range length {
										v += a[int(ao[i])+g*stride+k] * b[(g*length+k)*width*s.lanes+j]
									}
								}
								want[i*100+j] = v
							}
						}
						s.Rows(&Rows[float32]{C: c, A: a, B: b, Initial: ini, Width: width, Columns: cols, Segments: seg, Length: length, Stride: stride, COffsets: co, AOffsets: ao, Add: add})
						for i := range c {
							if math.Abs(float64(c[i]-want[i])) > 1e-3 {
								t.Fatal(s.name, width, rows, tail, add, i, c[i], want[i])
							}
						}
					}
				}
			}
		}
		for _, cols := range []int{1, 5, 16, 17, 31, 64, 70} {
			for run := 1; run < 20; run++ {
				n := 13
				a := make([]float32, 1000)
				for i := range a {
					a[i] = rand.Float32()
				}
				b := make([]float32, n*cols)
				for i := range b {
					b[i] = rand.Float32()
				}
				c := make([]float32, run*100)
				for i := range c {
					c[i] = float32(i)
				}
				ao := make([]int32, n)
				bo := make([]int32, n)
				for i := range ao {
					ao[i] = int32(rand.Intn(900))
					bo[i] = int32(i * cols)
				}
				for _, add := range []bool{false, true} {
					want := append([]float32(nil), c...)
					for i := range run {
						for j := range cols {
							v := float32(0)
							if add {
								v += want[i*100+j]
							}
							for p := range n {
								v += a[int(ao[p])+i] * b[p*cols+j]
							}
							want[i*100+j] = v
						}
					}
					s.Outer(&Outer[float32]{C: c, A: a, B: b, AOffsets: ao, Run: run, Columns: cols, CStride: 100, BOffsets: bo, Add: add})
					for i := range c {
						if math.Abs(float64(c[i]-want[i])) > 1e-3 {
							t.Fatal("outer", s.name, cols, run, add, i, c[i], want[i])
						}
					}
				}
			}
		}
	}
}

func BenchmarkRows(b *testing.B) {
	for _, s := range sets() {
		for width := 1; width <= s.MaxWidth(); width++ {
			for _, length := range []int{64, 192, 576} {
				n := 196
				cols := width * s.lanes
				r := &Rows[float32]{C: make([]float32, n*cols), A: make([]float32, 16*16*64+10000), B: make([]float32, length*cols), Width: width, Columns: cols, Segments: 1, Length: length, Stride: length, COffsets: make([]int32, n), AOffsets: make([]int32, n), Add: true}
				for i := range n {
					r.AOffsets[i] = int32((i/14*16 + i%14) * 64)
					r.COffsets[i] = int32(i * cols)
				}
				b.Run(fmt.Sprintf("%s/%d/%d", s.name, width, length), func(b *testing.B) {
					for b.Loop() {
						s.Rows(r)
					}
					b.ReportMetric(2*float64(n*cols*length)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}

func BenchmarkOuter(b *testing.B) {
	for _, s := range sets() {
		for _, cols := range []int{16, 32, 48, 64, 128} {
			n := 196
			r := &Outer[float32]{C: make([]float32, 192*cols), A: make([]float32, 16*16*64+10000), B: make([]float32, n*cols), Run: 192, Columns: cols, CStride: cols, BOffsets: make([]int32, n), AOffsets: make([]int32, n), Add: true}
			for i := range n {
				r.AOffsets[i] = int32((i/14*16 + i%14) * 64)
				r.BOffsets[i] = int32(i * cols)
			}
			b.Run(fmt.Sprintf("%s/%d", s.name, cols), func(b *testing.B) {
				for b.Loop() {
					s.Outer(r)
				}
				b.ReportMetric(2*float64(n*cols*192)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
