package integer

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// random is one of many random cases; its seed is its number.
type random struct {
	*rand.Rand
	extremes bool // only the least and the largest values
}

func newRandom(seed int) random {
	r := random{Rand: rand.New(rand.NewPCG(1, uint64(seed)))}
	r.extremes = r.IntN(4) == 0
	return r
}

func (r random) bytes(n int) []uint8 {
	x := make([]uint8, n)
	for i := range x {
		if x[i] = uint8(r.Uint32()); r.extremes {
			x[i] = []uint8{0, 255, 255}[r.IntN(3)]
		}
	}
	return x
}

func (r random) weights(filters, patch int) Weights {
	w := Weights{Values: make([]int8, filters*patch), Zero: uint8(r.IntN(256))}
	sign := r.IntN(3) - 1
	for i := range w.Values {
		if w.Values[i] = int8(r.IntN(255) - 127); r.extremes {
			w.Values[i] = []int8{-127, 127, 127, -127}[r.IntN(2)+sign+1]
		}
	}
	if r.IntN(3) > 0 {
		for range filters {
			w.Bias = append(w.Bias, int32(r.IntN(1<<16)-1<<15))
		}
	}
	return w
}

// requantize returns parameters for sums of patch products.
func (r random) requantize(channels, patch int, addend bool) Requantize {
	q := Requantize{Zero: uint8(r.IntN(256)), Low: uint8(r.IntN(60)), High: uint8(200 + r.IntN(56))}
	scales := func() []float32 {
		s := make([]float32, []int{1, channels}[r.IntN(2)])
		for i := range s {
			s[i] = float32(math.Exp2(-1-14*r.Float64()) / math.Sqrt(float64(patch)))
		}
		return s
	}
	q.Scale = scales()
	switch r.IntN(4) {
	case 0:
		q.Zero, q.Low, q.High = 0, 0, 255
	case 1:
		q.Table = r.bytes(256)
	case 2:
		if !addend {
			q.NegativeScale = scales()
		}
	}
	if addend {
		q.Addend = &Addend{Zero: uint8(r.IntN(256)), Scale: float32(2 * r.Float64())}
	}
	return q
}

// convolution is the definition of Conv, in plain loops and in float64 where that is exact.
func convolution(s ConvShape, w Weights, q Requantize, x, addend []uint8, batch int) []uint8 {
	in, out, groups := s.Input, s.convolved(), s.groups()
	channels, filters := in.Channels/groups, s.Filters/groups
	y := make([]uint8, batch*out.Size())
	for i := range y {
		image, row, column, f := i/out.Size(), i/(out.Width*out.Channels)%out.Height, i/out.Channels%out.Width, i%out.Channels
		sum := 0
		if w.Bias != nil {
			sum = int(w.Bias[f])
		}
		for c := range channels {
			for k := range s.KernelHeight {
				for l := range s.KernelWidth {
					h, v := row*s.Stride+k-s.Padding.Top, column*s.Stride+l-s.Padding.Left
					if h >= 0 && h < in.Height && v >= 0 && v < in.Width {
						a := x[((image*in.Height+h)*in.Width+v)*in.Channels+f/filters*channels+c]
						sum += (int(a) - int(w.Zero)) * int(w.Values[((f*channels+c)*s.KernelHeight+k)*s.KernelWidth+l])
					}
				}
			}
		}
		var a *uint8
		if addend != nil {
			a = &addend[i]
		}
		y[i] = sumByte(q, sum, f, a)
	}
	if s.Pool.Size > 0 {
		return maxima(y, out, s.Pool, batch)
	}
	return y
}

// sumByte is the definition of Requantize for sums of products.
func sumByte(q Requantize, sum, channel int, addend *uint8) uint8 {
	largest, reach, other := max(slices.Max(q.Scale), 0), float64(max(int(q.High)-int(q.Zero), int(q.Zero)-int(q.Low))), 0.0
	for _, scale := range q.NegativeScale {
		largest = max(largest, scale, -scale)
	}
	if q.Addend != nil {
		other = float64(q.Addend.Scale)
		reach += 255 * other
	}
	digits := math.Exp2(6)
	for digits > 2 && (reach*digits > 16383 || float64(largest)*digits > 32767./32768 || other*digits > 32767./256) {
		digits /= 2
	}
	scale := float64(q.Scale[channel%len(q.Scale)])
	if sum < 0 && q.NegativeScale != nil {
		scale = float64(q.NegativeScale[channel%len(q.NegativeScale)])
	}
	power := 1.0
	for power < math.Exp2(31) && math.Abs(scale)*2*power*digits <= 32767./32768 {
		power *= 2
	}
	saturate := func(x float64) float64 { return min(max(x, -32768), 32767) }
	multiplier := min(max(math.Round(scale*power*digits*32768), -32767), 32767)
	t := math.Floor(saturate(math.Floor(float64(sum)/power))*multiplier/32768 + 0.5)
	offset := float64(q.Zero) * digits
	if q.Addend != nil {
		multiplier = math.Round(other * digits * 256)
		t = saturate(t + math.Floor(float64(*addend)*multiplier/256))
		offset -= math.Floor(float64(q.Addend.Zero) * multiplier / 256)
	}
	rounded := math.Floor(saturate(t+offset)/digits + 0.5)
	y := uint8(min(max(rounded, float64(q.Low)), float64(q.High)))
	if q.Table != nil {
		y = q.Table[y]
	}
	return y
}

// Within its limits, the byte of a sum is that of its exact product with the scale, except near halves.
func TestSumByteIsNearTheExactOne(t *testing.T) {
	r := newRandom(7)
	different, near := 0, 0
	for range 20000 {
		q := r.requantize(1, 1, r.IntN(2) == 0)
		q.Scale, q.NegativeScale, q.Table = []float32{float32(math.Exp2(-5 - 12*r.Float64()))}, nil, nil
		exact := (r.Float64() - 0.5) * 600
		sum := int(exact / float64(q.Scale[0]))
		exact = float64(q.Zero) + float64(sum)*float64(q.Scale[0])
		var addend *uint8
		if q.Addend != nil {
			a := uint8(r.IntN(256))
			addend = &a
			exact += (float64(a) - float64(q.Addend.Zero)) * float64(q.Addend.Scale)
		}
		want := min(max(exact, float64(q.Low)), float64(q.High))
		got := float64(sumByte(q, sum, 0, addend))
		if math.Abs(got-want) > 0.5+0.15 {
			t.Fatalf("%+v: the byte of the sum %d is %v, expected about %v", q, sum, got, want)
		}
		if near++; math.Abs(got-want) > 0.5 {
			different++
		}
	}
	if different > near/20 {
		t.Errorf("%d of %d bytes are not the nearest, expected at most one of 20", different, near)
	}
}

// requantized is the definition of Requantize for other numbers.
func requantized(q Requantize, sum, channel int, addend *uint8) uint8 {
	largest := max(slices.Max(q.Scale), 0)
	for _, scale := range q.NegativeScale {
		largest = max(largest, scale, -scale)
	}
	if q.Addend != nil {
		largest = max(largest, q.Addend.Scale)
	}
	unit := math.Exp2(32) // the power of two that is 1
	for math.Round(float64(largest)*unit) >= math.Exp2(31) {
		unit /= 2
	}
	scale := q.Scale[channel%len(q.Scale)]
	if sum < 0 && q.NegativeScale != nil {
		scale = q.NegativeScale[channel%len(q.NegativeScale)]
	}
	product := int64(sum) * int64(math.Round(float64(scale)*unit))
	if addend != nil {
		product += int64(int(*addend)-int(q.Addend.Zero)) * int64(math.Round(float64(q.Addend.Scale)*unit))
	}
	product += int64(unit) / 2
	rounded := product / int64(unit)
	if product%int64(unit) < 0 {
		rounded-- // the floor
	}
	y := uint8(min(max(int64(q.Zero)+rounded, int64(q.Low)), int64(q.High)))
	if q.Table != nil {
		y = q.Table[y]
	}
	return y
}

// maxima is the definition of MaxPool.
func maxima(x []uint8, in Shape, p Pool, batch int) []uint8 {
	out := p.output(in)
	y := make([]uint8, batch*out.Size())
	for i := range y {
		image, row, column, c := i/out.Size(), i/(out.Width*out.Channels)%out.Height, i/out.Channels%out.Width, i%out.Channels
		for k := range p.Size * p.Size {
			h, v := row*p.Stride-p.Padding+k/p.Size, column*p.Stride-p.Padding+k%p.Size
			if h >= 0 && h < in.Height && v >= 0 && v < in.Width {
				y[i] = max(y[i], x[((image*in.Height+h)*in.Width+v)*in.Channels+c])
			}
		}
	}
	return y
}

// eachEngine calls test for all engines, and for one to three threads.
func eachEngine(t *testing.T, test func(t *testing.T, e vector.ByteEngine)) {
	defer parallel.SetThreads(parallel.Threads())
	for _, engine := range vector.Engines() {
		e := vector.ByteEngineOf(engine)
		t.Run(engine.Name(), func(t *testing.T) {
			for threads := 1; threads <= 3; threads++ {
				parallel.SetThreads(threads)
				test(t, e)
			}
		})
	}
}

func (r random) convShape() ConvShape {
	channels := []int{1, 3, 4, 5, 8, 16, 20}[r.IntN(7)]
	s := ConvShape{
		Input: Shape{1 + r.IntN(12), 1 + r.IntN(12), channels}, Filters: 1 + r.IntN(80),
		KernelHeight: 1 + r.IntN(4), KernelWidth: 1 + r.IntN(4), Stride: 1 + r.IntN(3),
	}
	if r.IntN(3) > 0 {
		s.Padding = Padding{r.IntN(3), r.IntN(3), r.IntN(3), r.IntN(3)}
	}
	switch r.IntN(5) {
	case 0: // depthwise
		s.Groups = channels * []int{1, 1, 5, 4, 9}[r.IntN(5)]
		s.Input.Channels, s.Filters = s.Groups, s.Groups
		if k := []int{3, 5}[r.IntN(2)]; r.IntN(2) == 0 {
			s.KernelHeight, s.KernelWidth = k, k
			s.Padding = Padding{k / 2, k / 2, k / 2, k / 2}
		}
	case 1:
		s.Groups = []int{1, 2, 3}[r.IntN(3)]
		s.Input.Channels, s.Filters = s.Groups*(1+r.IntN(9)), s.Groups*(1+r.IntN(20))
	case 2:
		s.KernelHeight, s.KernelWidth, s.Padding = 1, 1, Padding{}
	}
	if s.KernelHeight > s.Input.Height+s.Padding.Top+s.Padding.Bottom {
		s.KernelHeight = 1
	}
	if s.KernelWidth > s.Input.Width+s.Padding.Left+s.Padding.Right {
		s.KernelWidth = 1
	}
	if out := s.convolved(); r.IntN(4) == 0 && min(out.Height, out.Width) > 2 {
		s.Pool = Pool{Size: 2 + r.IntN(2), Stride: 1 + r.IntN(3), Padding: r.IntN(2)}
	}
	return s
}

// Every engine gives the bytes of plain loops, on any number of threads.
func TestConv(t *testing.T) {
	type example struct {
		s         ConvShape
		w         Weights
		q         Requantize
		x, addend []uint8
		batch     int
		want      []uint8
	}
	var examples []example
	for seed := range 100 {
		r := newRandom(seed)
		s := r.convShape()
		c := example{s: s, w: r.weights(s.Filters, s.patch()), batch: 1 + r.IntN(3)}
		c.q = r.requantize(s.Filters, s.patch(), s.Pool.Size == 0 && r.IntN(3) == 0)
		c.x = r.bytes(c.batch * s.Input.Size())
		if c.q.Addend != nil {
			c.addend = r.bytes(c.batch * s.Output().Size())
		}
		c.want = convolution(s, c.w, c.q, c.x, c.addend, c.batch)
		examples = append(examples, c)
	}
	eachEngine(t, func(t *testing.T, e vector.ByteEngine) {
		for i, c := range examples {
			conv, err := newConv(e, c.s, c.w, c.q)
			if err != nil {
				t.Fatalf("example %d: %+v: %v", i, c.s, err)
			}
			y := make([]uint8, len(c.want))
			addend := c.addend
			if addend != nil && i%2 == 0 {
				copy(y, addend) // in place
				addend = y
			}
			if conv.Forward(y, c.x, addend, c.batch); !slices.Equal(y, c.want) {
				t.Fatalf("example %d, %d threads: %+v: found other bytes than those of plain loops", i, parallel.Threads(), c.s)
			}
		}
	})
}

func TestLinear(t *testing.T) {
	eachEngine(t, func(t *testing.T, e vector.ByteEngine) {
		for seed := range 30 {
			r := newRandom(seed)
			image, batch, outputs := Shape{1 + r.IntN(4), 1 + r.IntN(4), 1 + r.IntN(20)}, 1+r.IntN(8), 1+r.IntN(100)
			features := image.Size()
			w := r.weights(outputs, features)
			q := r.requantize(outputs, features, r.IntN(3) == 0)
			x := r.bytes(batch * features)
			var addend []uint8
			if q.Addend != nil {
				addend = r.bytes(batch * outputs)
			}
			// A fully connected layer is a convolution whose kernel is the image.
			s := ConvShape{Input: image, Filters: outputs, KernelHeight: image.Height, KernelWidth: image.Width, Stride: 1}
			want := convolution(s, w, q, x, addend, batch)
			l, err := newLinear(e, features, outputs, image, w, &q)
			if err != nil {
				t.Fatal(err)
			}
			y := make([]uint8, batch*outputs)
			if l.Forward(y, x, addend, batch); !slices.Equal(y, want) {
				t.Fatalf("example %d: %v to %d: found other bytes than those of plain loops", seed, image, outputs)
			}
			// The same by sums, with features in the order of the weights.
			flat := make([]uint8, len(x))
			Flatten(flat, x, image, batch)
			if l, err = newLinear(e, features, outputs, Shape{}, w, nil); err != nil {
				t.Fatal(err)
			}
			sums := make([]int32, batch*outputs)
			l.Sums(sums, flat, batch)
			for i, sum := range sums {
				var a *uint8
				if addend != nil {
					a = &addend[i]
				}
				if got := sumByte(q, int(sum), i%outputs, a); got != want[i] {
					t.Fatalf("example %d: output %d: found the sum %d, whose byte is %d, expected %d", seed, i, sum, got, want[i])
				}
			}
		}
	})
}

// The combination gives the bytes of its convolutions.
func TestInverted(t *testing.T) {
	eachEngine(t, func(t *testing.T, e vector.ByteEngine) {
		for seed := range 16 {
			r := newRandom(seed)
			make := func(s ConvShape, addend bool) *Conv {
				c, err := newConv(e, s, r.weights(s.Filters, s.patch()), r.requantize(s.Filters, s.patch(), addend))
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			in := Shape{1 + r.IntN(20), 1 + r.IntN(20), 4 * (1 + r.IntN(5))}
			wide, filters, stride, kernel := 16*(1+r.IntN(5)), 1+r.IntN(40), 1+r.IntN(2), []int{3, 5}[r.IntN(2)]
			if r.IntN(4) == 0 {
				wide = 200
			}
			var expand *Conv
			if r.IntN(4) > 0 {
				expand = make(ConvShape{Input: in, Filters: wide, KernelHeight: 1, KernelWidth: 1, Stride: 1}, false)
			} else {
				in.Channels = wide
			}
			s := ConvShape{Input: Shape{in.Height, in.Width, wide}, Filters: wide, KernelHeight: kernel, KernelWidth: kernel, Stride: stride, Groups: wide, Padding: Padding{kernel / 2, kernel / 2, kernel / 2, kernel / 2}}
			depthwise := make(s, false)
			residual := r.IntN(2) == 0
			project := make(ConvShape{Input: s.Output(), Filters: filters, KernelHeight: 1, KernelWidth: 1, Stride: 1}, residual)
			k, err := NewInverted(expand, depthwise, project)
			if err != nil {
				t.Fatal(err)
			}
			batch := 1 + r.IntN(5)
			x := r.bytes(batch * in.Size())
			var addend []uint8
			if residual {
				addend = r.bytes(batch * project.shape.Output().Size())
			}
			want, got := r.bytes(batch*project.shape.Output().Size()), r.bytes(batch*project.shape.Output().Size())
			k.separate(want, x, addend, batch)
			if k.Forward(got, x, addend, batch); !slices.Equal(got, want) {
				t.Fatalf("example %d: %d threads: %v, %d channels, kernel %d/%d: found other bytes than those of the convolutions", seed, parallel.Threads(), in, wide, kernel, stride)
			}
		}
	})
}

// The other layers, by their definitions.
func TestLayers(t *testing.T) {
	eachEngine(t, func(t *testing.T, e vector.ByteEngine) {
		for seed := range 30 {
			r := newRandom(seed)
			in, batch := Shape{2 + r.IntN(9), 2 + r.IntN(9), 1 + r.IntN(100)}, 1+r.IntN(3)
			x := r.bytes(batch * in.Size())
			pool := Pool{Size: 1 + r.IntN(2), Stride: 1 + r.IntN(3), Padding: r.IntN(2)}
			pool.Padding = min(pool.Padding, pool.Size/2)
			m, err := newMaxPool(e, in, pool)
			if err != nil {
				t.Fatal(err)
			}
			y := r.bytes(batch * m.Output().Size())
			if m.Forward(y, x, batch); !slices.Equal(y, maxima(x, in, pool, batch)) {
				t.Fatalf("example %d: max pool %+v of %v: found other bytes than those of plain loops", seed, pool, in)
			}

			height, width, stride, zero := 1+r.IntN(in.Height), 1+r.IntN(in.Width), 1+r.IntN(2), uint8(r.IntN(256))
			q := r.requantize(in.Channels, height*width, false)
			a, err := newAveragePool(e, in, height, width, stride, zero, &q)
			if err != nil {
				t.Fatal(err)
			}
			out := a.Output()
			y, sums := r.bytes(batch*out.Size()), make([]int32, batch*out.Size())
			a.Forward(y, x, batch)
			a.Sums(sums, x, batch)
			for i, got := range y {
				image, row, column, c := i/out.Size(), i/(out.Width*out.Channels)%out.Height, i/out.Channels%out.Width, i%out.Channels
				sum := 0
				for k := range height * width {
					sum += int(x[((image*in.Height+row*stride+k/width)*in.Width+column*stride+k%width)*in.Channels+c]) - int(zero)
				}
				if want := requantized(q, sum, c, nil); got != want || int(sums[i]) != sum {
					t.Fatalf("example %d: average %d: found %d and the sum %d, expected %d and %d", seed, i, got, sums[i], want, sum)
				}
			}

			q = r.requantize(1, 1, true)
			q.Scale = q.Scale[:1]
			add, err := newAdd(e, zero, q)
			if err != nil {
				t.Fatal(err)
			}
			b := r.bytes(len(x))
			y = slices.Clone(x)
			add.Forward(y, y, b)
			for i, got := range y {
				if want := requantized(q, int(x[i])-int(zero), 0, &b[i]); got != want {
					t.Fatalf("example %d: sum %d: found %d, expected %d", seed, i, got, want)
				}
			}

			q = r.requantize(1, 100, false)
			multiply, err := newMultiply(e, zero, zero/2, q)
			if err != nil {
				t.Fatal(err)
			}
			gate, pixels := r.bytes(batch*in.Channels), in.Height*in.Width
			multiply.Forward(y, x, gate, pixels, in.Channels, batch)
			for i, got := range y {
				by := gate[i/in.Size()*in.Channels+i%in.Channels]
				if want := requantized(q, (int(x[i])-int(zero))*(int(by)-int(zero/2)), 0, nil); got != want {
					t.Fatalf("example %d: product %d: found %d, expected %d", seed, i, got, want)
				}
			}

			Flatten(y, x, in, batch)
			table := r.bytes(256)
			Lookup(b, x, table)
			for i := range x {
				image, c, pixel := i/in.Size(), i%in.Channels, i%in.Size()/in.Channels
				if y[image*in.Size()+c*pixels+pixel] != x[i] || b[i] != table[x[i]] {
					t.Fatalf("example %d: element %d: found another one flattened or in the table", seed, i)
				}
			}
		}
	})
}

// What cannot be computed is refused, with a reason.
func TestRefusals(t *testing.T) {
	s := ConvShape{Input: Shape{4, 4, 2}, Filters: 2, KernelHeight: 3, KernelWidth: 3, Stride: 1}
	w := Weights{Values: make([]int8, 36)}
	q := Requantize{Scale: []float32{0.1}, High: 255}
	conv := func(change func(s *ConvShape, w *Weights, q *Requantize)) error {
		s, w, q := s, w, q
		w.Values = slices.Clone(w.Values)
		change(&s, &w, &q)
		_, err := NewConv(s, w, q)
		return err
	}
	if err := conv(func(*ConvShape, *Weights, *Requantize) {}); err != nil {
		t.Fatal(err)
	}
	many := Weights{Values: make([]int8, 70000)}
	for i := range many.Values {
		many.Values[i] = 127
	}
	_, tooMany := NewLinear(70000, 1, Shape{}, many, nil)
	_, image := NewLinear(12, 1, Shape{2, 2, 2}, Weights{Values: make([]int8, 12)}, nil)
	_, window := NewAveragePool(Shape{2, 2, 1}, 3, 1, 1, 0, nil)
	_, addend := NewAdd(0, q)
	_, large := NewMultiply(0, 0, Requantize{Scale: []float32{1 << 20}, High: 255})
	_, addendScale := NewLinear(1, 1, Shape{}, Weights{Values: []int8{1}}, &Requantize{Scale: []float32{0.1}, High: 255, Addend: &Addend{Scale: 32}})
	_, scales := NewMultiply(0, 0, Requantize{Scale: []float32{1, 2}})
	_, inverted := NewInverted(nil, nil, nil)
	_, pool := NewMaxPool(Shape{2, 2, 1}, Pool{Size: 3, Stride: 1})
	for words, err := range map[string]error{
		"must be at least 1":            conv(func(s *ConvShape, _ *Weights, _ *Requantize) { s.Input.Height = 0 }),
		"less than 2^31":                conv(func(s *ConvShape, _ *Weights, _ *Requantize) { s.Input = Shape{1 << 20, 1 << 20, 2} }),
		"the stride is 0":               conv(func(s *ConvShape, _ *Weights, _ *Requantize) { s.Stride = 0 }),
		"divisible":                     conv(func(s *ConvShape, _ *Weights, _ *Requantize) { s.Groups = 3 }),
		"the kernel 3×9 is larger":      conv(func(s *ConvShape, _ *Weights, _ *Requantize) { s.KernelWidth = 9 }),
		"pool window 3×3 is larger":     conv(func(s *ConvShape, _ *Weights, _ *Requantize) { s.Pool = Pool{Size: 3, Stride: 1} }),
		"from 0 to half of the size":    conv(func(s *ConvShape, _ *Weights, _ *Requantize) { s.Pool = Pool{Size: 2, Stride: 1, Padding: 2} }),
		"found 35 weights, expected 36": conv(func(_ *ConvShape, w *Weights, _ *Requantize) { w.Values = w.Values[1:] }),
		"found 3 biases, expected 2":    conv(func(_ *ConvShape, w *Weights, _ *Requantize) { w.Bias = make([]int32, 3) }),
		"filter 1: its sums can reach":  conv(func(_ *ConvShape, w *Weights, _ *Requantize) { w.Bias = []int32{0, math.MaxInt32}; w.Values[18] = 1 }),
		"its sums can reach 2266950000": tooMany,
		"found 3 scales":                conv(func(_ *ConvShape, _ *Weights, q *Requantize) { q.Scale = make([]float32, 3) }),
		"scale of channel 0 is NaN":     conv(func(_ *ConvShape, _ *Weights, q *Requantize) { q.Scale = []float32{float32(math.NaN())} }),
		"scale of channel 0 is -1":      conv(func(_ *ConvShape, _ *Weights, q *Requantize) { q.Scale = []float32{-1} }),
		"it must be from 0 to 0.5":      conv(func(_ *ConvShape, w *Weights, q *Requantize) { w.Values[0], q.Scale = 127, []float32{1} }),
		"may exceed 2^30":               large,
		"found 5 scales of negative":    conv(func(_ *ConvShape, _ *Weights, q *Requantize) { q.NegativeScale = make([]float32, 5) }),
		"the lower bound of the result": conv(func(_ *ConvShape, _ *Weights, q *Requantize) { q.Low, q.High = 9, 8 }),
		"found a table of 255 bytes":    conv(func(_ *ConvShape, _ *Weights, q *Requantize) { q.Table = make([]uint8, 255) }),
		"the scale of the addend is":    conv(func(_ *ConvShape, _ *Weights, q *Requantize) { q.Addend = &Addend{Scale: -1} }),
		"cannot be combined: compute the sum by Add": conv(func(_ *ConvShape, _ *Weights, q *Requantize) {
			q.Addend, q.NegativeScale = &Addend{}, []float32{1}
		}),
		"cannot be combined: use MaxPool": conv(func(s *ConvShape, _ *Weights, q *Requantize) {
			s.Pool, q.Addend = Pool{Size: 2, Stride: 2}, &Addend{}
		}),
		"it must be from 0 to 31":            addendScale,
		"found images of 2×2×2":              image,
		"found windows of 3×1":               window,
		"expected one scale and an addend":   addend,
		"expected one scale and no addend":   scales,
		"needs a depthwise convolution":      inverted,
		"the pool window 3×3 is larger than": pool,
	} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("found the error %v, expected it to contain %q", err, words)
		}
	}
}

// Layers allocate nothing but what the thread pool needs once their memory is there.
func TestForwardKeepsItsMemory(t *testing.T) {
	defer parallel.SetThreads(parallel.Threads())
	parallel.SetThreads(1)
	defer Retain()()
	r := newRandom(1)
	s := ConvShape{Input: Shape{12, 12, 3}, Filters: 20, KernelHeight: 3, KernelWidth: 3, Stride: 1, Padding: Padding{1, 1, 1, 1}, Pool: Pool{Size: 2, Stride: 2}}
	c, err := NewConv(s, r.weights(20, 27), r.requantize(20, 27, false))
	if err != nil {
		t.Fatal(err)
	}
	x, y := r.bytes(s.Input.Size()), make([]uint8, s.Output().Size())
	if n := testing.AllocsPerRun(10, func() { c.Forward(y, x, nil, 1) }); n > 2 {
		t.Errorf("found %v allocations, expected at most 2", n)
	}
}
