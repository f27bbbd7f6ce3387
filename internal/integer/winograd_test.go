package integer

import (
	"slices"
	"testing"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// winogradExample returns a random convolution that may have a winograd.
func (r random) winogradExample() (s ConvShape, w Weights, q Requantize, batch int) {
	kernel := []int{3, 3, 4, 5, 7}[r.IntN(5)]
	s = ConvShape{
		Input: Shape{kernel + r.IntN(9), kernel + r.IntN(9), 32 * (1 + r.IntN(2))}, Filters: 16 * (1 + r.IntN(6)),
		KernelHeight: kernel, KernelWidth: kernel, Stride: 1, Padding: Padding{r.IntN(3), r.IntN(3), r.IntN(3), r.IntN(3)},
	}
	w, q, batch = r.weights(s.Filters, s.patch()), r.requantize(s.Filters, s.patch(), r.IntN(2) == 0), 1+r.IntN(4)
	q.NegativeScale, q.Table = nil, nil
	if out := s.convolved(); q.Addend == nil && r.IntN(2) == 0 && min(out.Height, out.Width) > 2 {
		size := 2 + r.IntN(2)
		s.Pool = Pool{Size: size, Stride: size}
	}
	return s, w, q, batch
}

// Winograd's algorithms give the bytes of plain loops, on any number of threads.
func TestWinograd(t *testing.T) {
	used := 0
	eachEngine(t, func(t *testing.T, e vector.ByteEngine) {
		if vector.WinogradOf(e) == nil {
			return
		}
		for seed := range 12 {
			r := newRandom(seed)
			s, w, q, batch := r.winogradExample()
			c, err := newConv(e, s, w, q)
			if err != nil {
				t.Fatal(err)
			}
			initial, err := w.sums(s.Filters, s.patch())
			if err != nil {
				t.Fatal(err)
			}
			if c.winograd = newWinograd(e, s, w, initial, &q, true); c.winograd == nil {
				continue // the sums may be too large
			}
			used++
			x := r.bytes(batch * s.Input.Size())
			var addend []uint8
			if q.Addend != nil {
				addend = r.bytes(batch * s.Output().Size())
			}
			y := make([]uint8, batch*s.Output().Size())
			c.winograd.forward(y, x, addend, batch)
			c.winograd = nil
			want := make([]uint8, len(y))
			if c.Forward(want, x, addend, batch); !slices.Equal(y, want) {
				t.Fatalf("example %d, %d threads: %+v: found other bytes than those of the products of windows", seed, parallel.Threads(), s)
			}
		}
	})
	if used == 0 && vector.WinogradOf(vector.ByteEngineOf(vector.For[float32]())) != nil {
		t.Error("found no example that Winograd's algorithms compute")
	}
}

// A convolution of 64 channels and filters on 56×56 pixels uses Winograd's algorithm for one image on two threads unless it is told
// not to, and then for two images only. Its products are 56·56·64·64·9/64 instructions.
func TestWinogradOfOneImage(t *testing.T) {
	if vector.WinogradOf(vector.ByteEngineOf(vector.For[float32]())) == nil {
		t.Skip("the instructions have no such algorithm")
	}
	defer parallel.SetThreads(parallel.Threads())
	parallel.SetThreads(2)
	r := newRandom(1)
	s := ConvShape{Input: Shape{56, 56, 64}, Filters: 64, KernelHeight: 3, KernelWidth: 3, Stride: 1, Padding: Padding{1, 1, 1, 1}}
	c, err := NewConv(s, r.weights(s.Filters, s.patch()), Requantize{Scale: []float32{1e-4}, High: 255})
	if err != nil {
		t.Fatal(err)
	}
	if products, saved := c.Instructions(); products != 1806336 || saved <= 0.2*products || saved >= products {
		t.Errorf("found %v instructions and %v that are saved, expected 1806336, and between a fifth and all of them", products, saved)
	}
	if !c.winograd.pays(1) {
		t.Error("the algorithm is not used for one image")
	}
	c.DivideWithoutWinograd()
	if c.winograd.pays(1) || !c.winograd.pays(2) {
		t.Error("without a division of images, the algorithm is used for one image, or is not used for two")
	}
}
