package vector

import (
	"encoding/binary"
	"testing"
)

// eachByteWinograd calls test for random calls of the engines that have Winograd's algorithms.
func eachByteWinograd(t *testing.T, calls int, test func(f *fuzz, e ByteEngine, w ByteWinograd)) {
	eachFuzz(t, calls, func(f *fuzz) {
		e := ByteEngineOf(f.engine)
		if w := WinogradOf(e); w != nil {
			test(f, e, w)
		}
	})
}

// winogradMatrices are Bᵀ, G and Aᵀ of ByteTiles, of which the rows of Aᵀ give these multiples of the
// results.
func winogradMatrices(kernel int) (input, weights, output [][]int, multiples []int) {
	input = [][]int{{4, 0, -5, 0, 1, 0}, {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}}
	weights = [][]int{{6, 0, 0, 0}, {-1, -1, -1, -1}, {-1, 1, -1, 1}, {1, 2, 4, 8}, {1, -2, 4, -8}, {0, 0, 0, 6}}
	output = [][]int{{1, 4, 4, 1, 1, 0}, {0, 2, -2, 1, -1, 0}, {0, 1, 1, 1, 1, 1}}
	if kernel == 3 {
		for i := range weights {
			weights[i] = weights[i][:3]
		}
		weights[5] = []int{0, 0, 6}
		output = [][]int{{1, 4, 4, 1, 1, 0}, {0, 2, -2, 1, -1, 0}, {0, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 1}}
	}
	return input, weights, output, []int{24, 12, 6, 6}
}

// both returns m·x·mᵀ.
func both(m [][]int, x func(i, j int) int) [][]int {
	y := make([][]int, len(m))
	for i := range m {
		y[i] = make([]int, len(m))
		for j := range m {
			for k, a := range m[i] {
				for l, b := range m[j] {
					y[i][j] += a * b * x(k, l)
				}
			}
		}
	}
	return y
}

// The transforms together are a convolution.
func TestWinogradMatrices(t *testing.T) {
	eachFuzz(t, 20, func(f *fuzz) {
		for _, kernel := range []int{3, 4} {
			g, x := f.weights(kernel*kernel), f.activations(36)
			input, weights, output, multiples := winogradMatrices(kernel)
			u, v := both(weights, func(i, j int) int { return int(g[i*kernel+j]) }), both(input, func(i, j int) int { return int(x[6*i+j]) })
			var transformed [36]int16
			WinogradTransform(&transformed, g, kernel)
			for i, got := range transformed {
				if int(got) != u[i/6][i%6] {
					f.Fatalf("transformed weight %d is %d, expected %d", i, got, u[i/6][i%6])
				}
				if v := v[i/6][i%6]; v != int(int16(v)) {
					f.Fatalf("transformed pixel %d is %d, expected a number of 16 bits", i, v)
				}
			}
			for i, row := range both(output, func(i, j int) int { return u[i][j] * v[i][j] }) {
				for j, got := range row {
					sum := 0
					for k := range kernel {
						for l := range kernel {
							sum += int(g[k*kernel+l]) * int(x[(i+k)*6+j+l])
						}
					}
					if want := sum * multiples[i] * multiples[j]; got != want {
						f.Fatalf("kernel %d, result (%d, %d): found %d, expected %d times %d", kernel, i, j, got, multiples[i]*multiples[j], sum)
					}
				}
			}
		}
	})
}

func TestByteWinogradInput(t *testing.T) {
	eachByteWinograd(t, 200, func(f *fuzz, _ ByteEngine, w ByteWinograd) {
		channels, tiles := 32*(1+f.IntN(3)), f.IntN(4)
		a := &ByteTiles{InputChannels: channels, XPixel: channels + f.IntN(40), VStride: 2*channels + 2*f.IntN(9), XOffsets: array[int32](f, tiles), Scratch: array[uint8](f, ByteTilesScratch)}
		a.XRow, a.VTile = 6*a.XPixel+f.IntN(50), 36*a.VStride+2*f.IntN(9)
		for i := range a.XOffsets {
			a.XOffsets[i] = int32(f.IntN(300))
		}
		if tiles > 0 {
			a.XOffsets[f.IntN(tiles)] = 300
		}
		a.X, a.V = f.activations(300+5*a.XRow+5*a.XPixel+channels), array[uint8](f, max(0, tiles-1)*a.VTile+35*a.VStride+2*channels)
		w.WinogradInput(a)
		input, _, _, _ := winogradMatrices(3)
		for tile, offset := range a.XOffsets {
			for c := range channels {
				want := both(input, func(i, j int) int { return int(a.X[int(offset)+i*a.XRow+j*a.XPixel+c]) })
				for p := range 36 {
					if got := int16(binary.LittleEndian.Uint16(a.V[tile*a.VTile+p*a.VStride+2*c:])); int(got) != want[p/6][p%6] {
						f.Fatalf("call %d: tile %d, value %d, channel %d: found %d, expected %d", f.seed, tile, p, c, got, want[p/6][p%6])
					}
				}
			}
		}
	})
}

// Products of words are those of plain loops, modulo 2³².
func TestWords(t *testing.T) {
	eachByteWinograd(t, 300, func(f *fuzz, e ByteEngine, w ByteWinograd) {
		width, rows, depth := 1+f.IntN(e.MaxWidth()), 1+f.IntN(30), 2*(1+f.IntN(40))
		columns := width*e.Lanes() - f.IntN(e.Lanes())
		weights := array[int16](f, columns*depth)
		for i := range weights {
			weights[i] = int16(f.Uint32())
		}
		r := &ByteRows{Width: width, Columns: columns, Segments: 1, Length: 2 * depth, Stride: 2 * depth, B: array[uint8](f, e.PanelSize(2*depth, width)), Initial: array[int32](f, width*e.Lanes())}
		w.PackWords(r.B, weights, depth, columns, width)
		clear(r.Initial)
		r.X, r.Sums = f.activations(2*rows*depth), array[int32](f, rows*columns)
		r.XOffsets, r.YOffsets = array[int32](f, rows), array[int32](f, rows)
		for i := range rows {
			r.XOffsets[i], r.YOffsets[i] = int32(2*i*depth), int32(i*columns)
		}
		w.Words(r)
		for i, got := range r.Sums {
			var want int32
			for k := range depth {
				want += int32(int16(binary.LittleEndian.Uint16(r.X[2*(i/columns*depth+k):]))) * int32(weights[i%columns*depth+k])
			}
			if got != want {
				f.Fatalf("call %d: width %d, %d columns, %d rows of %d: sum %d is %d, expected %d", f.seed, width, columns, rows, depth, i, got, want)
			}
		}
	})
}

func TestByteWinogradOutput(t *testing.T) {
	eachByteWinograd(t, 300, func(f *fuzz, e ByteEngine, w ByteWinograd) {
		kernel, channels, tiles := 3+f.IntN(2), 16*(1+f.IntN(4)), f.IntN(4)
		size := 7 - kernel
		a := &ByteTiles{
			Kernel: kernel, Channels: channels, MStride: channels + f.IntN(9), YPixel: channels + f.IntN(9), Rows: 1 + f.IntN(size), Columns: 1 + f.IntN(size),
			Initial: array[int32](f, channels), Result: f.byteResult(channels, 1<<24), YOffsets: array[int32](f, tiles),
		}
		a.Result.NegativeShift, a.Result.NegativeMultiplier = nil, nil
		a.MTile, a.YRow = 36*a.MStride+f.IntN(9), size*a.YPixel+f.IntN(9)
		last := 0
		for i, place := range f.Perm(tiles) {
			a.YOffsets[i] = int32(place * (size*a.YRow + f.IntN(9)))
			last = max(last, int(a.YOffsets[i]))
		}
		for c := range a.Initial {
			a.Initial[c] = int32(f.IntN(1<<24) - 1<<23)
		}
		a.M = array[int32](f, max(0, tiles-1)*a.MTile+35*a.MStride+channels)
		a.Y = array[uint8](f, last+(a.Rows-1)*a.YRow+(a.Columns-1)*a.YPixel+channels)
		for i := range a.Y {
			a.Y[i] = uint8(i)
		}
		want := append([]uint8{}, a.Y...)
		addend := append([]uint8{}, a.Y...)
		if f.IntN(2) == 0 {
			a.Addend = a.Y
			if f.IntN(2) == 0 {
				a.Addend = f.activations(len(a.Y))
				addend = append(addend[:0], a.Addend...)
			}
		}
		input, weights, _, _ := winogradMatrices(kernel)
		for tile, offset := range a.YOffsets {
			for c := range channels {
				// The products of transformed pixels and weights of some channels.
				var m [36]int32
				sums := map[[2]int]int64{}
				for range 1 + f.IntN(3) {
					g, x := f.weights(kernel*kernel), f.activations(36)
					many := 1 + f.IntN(30)
					u, v := both(weights, func(i, j int) int { return int(g[i*kernel+j]) }), both(input, func(i, j int) int { return int(x[6*i+j]) })
					for p := range m {
						m[p] += int32(u[p/6][p%6] * v[p/6][p%6] * many)
					}
					for i := range size * size {
						for k := range kernel * kernel {
							sums[[2]int{i / size, i % size}] += int64(many) * int64(g[k]) * int64(x[(i/size+k/kernel)*6+i%size+k%kernel])
						}
					}
				}
				for p, value := range m {
					a.M[tile*a.MTile+p*a.MStride+c] = value
				}
				for i := range a.Rows {
					for j := range a.Columns {
						at := int(offset) + i*a.YRow + j*a.YPixel + c
						var other *uint8
						if a.Addend != nil {
							other = &addend[at]
						}
						want[at] = a.Result.result(sums[[2]int{i, j}]+int64(a.Initial[c]), c, other)
					}
				}
			}
		}
		w.WinogradOutput(a)
		for i, got := range a.Y {
			if got != want[i] {
				f.Fatalf("call %d: kernel %d, %d channels, %d tiles of %d×%d: byte %d is %d, expected %d", f.seed, kernel, channels, tiles, a.Rows, a.Columns, i, got, want[i])
			}
		}
	})
}
