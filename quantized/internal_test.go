package quantized

import (
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/likeness-go/likeness/internal/integer"
	"github.com/likeness-go/likeness/internal/random"
)

// scaled is the product divided by the power of two, rounded to the nearest integer and halves away
// from zero, also where the product has more than 64 bits.
func TestScaled(t *testing.T) {
	r := random.New(1, "scaled")
	for i := range 20000 {
		x, m, s := int64(r.Uint64())>>r.IntN(64), int32(r.Uint32())>>r.IntN(32), int32(1+r.IntN(maxShift))
		if i%3 == 0 { // halves
			x, m = int64(2*r.IntN(1000)+1)<<(s-1), []int32{1, -1}[i%2]
			x >>= min(max(0, int32(11)+s-62), s-1)
		}
		product := new(big.Int).Mul(big.NewInt(x), big.NewInt(int64(m)))
		negative := product.Sign() < 0
		product.Abs(product).Add(product, new(big.Int).Lsh(big.NewInt(1), uint(s-1))).Rsh(product, uint(s))
		want := int64(1 << 60)
		if product.IsInt64() {
			want = min(product.Int64(), want)
		}
		if negative {
			want = -want
		}
		if found := scaled(x, m, s); found != want {
			t.Fatalf("scaled(%d, %d, %d) is %d, expected %d", x, m, s, found, want)
		}
	}
}

// Factors are within half a unit of their last digit, which is at most 2⁻³⁰ of the largest.
func TestFactors(t *testing.T) {
	r := random.New(1, "factors")
	for range 1000 {
		numbers := make([]float64, 5)
		var largest float64
		for i := range numbers {
			numbers[i] = r.NormFloat64() * math.Ldexp(1, r.IntN(40)-30)
			largest = max(largest, math.Abs(numbers[i]))
		}
		f := factorsOf(numbers)
		if err := f.check(); err != nil {
			t.Fatal(err)
		}
		for i, x := range numbers {
			if d := math.Abs(math.Ldexp(float64(f.multiplier[i]), -int(f.shift[0])) - x); d > largest*math.Ldexp(1, -30) {
				t.Fatalf("the factor of %v deviates by %v, the largest is %v", x, d, largest)
			}
		}
	}
	if f := factorsOf([]float64{0, 0}); f.check() != nil || f.multiplier[0] != 0 {
		t.Errorf("found %v for zeros", f)
	}
}

func TestSquareRoot(t *testing.T) {
	r := random.New(1, "root")
	for i := range 100000 {
		x := r.Uint64() >> r.IntN(64)
		if i < 1000 {
			x = uint64(i)
		}
		y := squareRoot(x)
		if high, low := mul(y, y); high > 0 || low > x {
			t.Fatalf("the root of %d is %d, expected less", x, y)
		}
		if high, low := mul(y+1, y+1); high == 0 && low <= x {
			t.Fatalf("the root of %d is %d, expected more", x, y)
		}
	}
}

func mul(a, b uint64) (high, low uint64) {
	p := new(big.Int).Mul(new(big.Int).SetUint64(a), new(big.Int).SetUint64(b))
	return new(big.Int).Rsh(p, 64).Uint64(), new(big.Int).And(p, new(big.Int).SetUint64(math.MaxUint64)).Uint64()
}

// Every sum has a place in the table of roots, the places ascend, and the number of a place is
// within half of a unit of the first digits.
func TestGemIndex(t *testing.T) {
	last := -1
	for sum := uint64(0); sum < 1<<gemBits; sum += max(1, sum>>12) {
		i := gemIndex(sum)
		if i < last || i >= gemRoots {
			t.Fatalf("the place of %d is %d, after %d of %d", sum, i, last, gemRoots)
		}
		last = i
		if d := math.Abs(gemNumber(i) - float64(sum)); d > float64(sum)/(1<<(gemDigits-1)) {
			t.Fatalf("the number of the place of %d is %v", sum, gemNumber(i))
		}
	}
	if i := gemIndex(1<<gemBits - 1); i >= gemRoots {
		t.Errorf("the largest sum has place %d of %d", i, gemRoots)
	}
}

// One number far from two million others is cut off, because the levels between serve the others
// more than it loses; the range of fewer numbers is whole.
func TestRange(t *testing.T) {
	r := random.New(1, "range")
	v := &value{channels: 1, kind: bytes, calibrated: true}
	values := make([]float32, 10000)
	for i := range values {
		values[i] = float32(min(math.Abs(r.NormFloat64()), 4))
	}
	for repeat, cut := range map[int]bool{1: false, 200: true} {
		s := &statistics{min: math.Inf(1), max: math.Inf(-1), mean: make([]float64, 1)}
		for pass := range 2 {
			for range repeat {
				if err := s.add(v, values, pass); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.add(v, []float32{8}, pass); err != nil {
				t.Fatal(err)
			}
		}
		s.choose(mostByte)
		if s.low != 0 || s.high > 8 || s.high < 3.5 || (s.high < 6) != cut {
			t.Errorf("of %d numbers found the range %v to %v, expected 0 to the outlier, 8, or less: %v", repeat*len(values), s.low, s.high, cut)
		}
		if err := s.add(v, []float32{float32(math.NaN())}, 0); err == nil {
			t.Error("found no error for NaN")
		}
	}
}

// fake computes a plan in float64 from the definitions: numbers are integers, sums of products are
// exact, and roundings are those of the documentation of package integer. It has none of the loops of
// the steps that it replaces.
func fake(p *plan, image []uint8) []float32 {
	n := &Network{plan: p}
	m := n.newMemory(1, slices.Repeat([]bool{true}, len(p.values)))
	m.pixels = [][]uint8{image}
	numbers := func(x, i int) float64 { // without the zero point
		v := p.values[x]
		if v.kind == words {
			return float64(m.words[x][i]) - float64(v.zero)
		}
		return float64(m.bytes[x][i]) - float64(v.zero)
	}
	// rounded is the byte of a sum of numbers times scales, of which the layer has others, too: in integers,
	// with the largest power of two up to 2³² for which all scales times it are below 2³¹.
	rounded := func(l limits, all [][]float32, factors ...[2]float64) uint8 {
		var largest float64
		for _, scale := range slices.Concat(all...) {
			largest = max(largest, math.Abs(float64(scale)))
		}
		shift := 32
		for math.Round(math.Ldexp(largest, shift)) >= 1<<31 {
			shift--
		}
		sum := new(big.Int).Lsh(big.NewInt(1), uint(shift-1))
		for _, f := range factors {
			sum.Add(sum, new(big.Int).Mul(big.NewInt(int64(f[0])), big.NewInt(int64(math.Round(math.Ldexp(f[1], shift))))))
		}
		y := sum.Rsh(sum, uint(shift)).Int64() // the floor
		return uint8(min(max(int64(l[0])+y, int64(l[1])), int64(l[2])))
	}
	// scaled16 is the byte of a sum of products, with an addend if its scale is not 0: in integers of 16 bits, with
	// as many binary digits, at most six, as fit.
	scaled16 := func(l limits, all [][]float32, sum, scale, other, zero, otherScale float64) uint8 {
		var largest float64
		for _, s := range slices.Concat(all...) {
			largest = max(largest, math.Abs(float64(s)))
		}
		const most = 1<<15 - 1
		reach, digits := float64(max(l[2]-l[0], l[0]-l[1]))+255*otherScale, 6
		for digits > 1 && (math.Ldexp(reach, digits) > most/2 || math.Ldexp(largest, digits+15) > most || math.Ldexp(otherScale, digits+8) > most) {
			digits--
		}
		shift := 0
		for shift < 31 && math.Ldexp(math.Abs(scale), shift+digits+16) <= most {
			shift++
		}
		saturate := func(x float64) float64 { return min(max(x, -most-1), most) }
		multiplier := min(max(math.Round(math.Ldexp(scale, shift+digits+15)), -most), most)
		t := math.Floor(math.Ldexp(saturate(math.Floor(math.Ldexp(sum, -shift)))*multiplier, -15) + 0.5)
		multiplier = math.Round(math.Ldexp(otherScale, digits+8))
		t = saturate(t + math.Floor((other+zero)*multiplier/256))
		t = saturate(t + math.Ldexp(float64(l[0]), digits) - math.Floor(zero*multiplier/256))
		return uint8(min(max(math.Floor(math.Ldexp(t, -digits)+0.5), float64(l[1])), float64(l[2])))
	}
	for _, s := range p.steps {
		switch s := s.(type) {
		case *convStep:
			c, in := s.shape, p.values[s.in[0]]
			c.Pool = integer.Pool{}
			out := c.Output()
			convolved := make([]uint8, out.Size())
			channels, filters := c.Input.Channels/max(1, c.Groups), c.Filters/max(1, c.Groups)
			for i := range convolved {
				f, column, row := i%c.Filters, i/c.Filters%out.Width, i/c.Filters/out.Width
				sum := float64(s.bias[f])
				for w, weight := range s.weight[f*s.patch():][:s.patch()] {
					x, y, channel := w%c.KernelWidth, w/c.KernelWidth%c.KernelHeight, w/c.KernelWidth/c.KernelHeight
					h, v := row*c.Stride+y-c.Padding.Top, column*c.Stride+x-c.Padding.Left
					if h >= 0 && v >= 0 && h < in.height && v < in.width {
						sum += float64(weight) * numbers(s.in[0], (h*in.width+v)*in.channels+f/filters*channels+channel)
					}
				}
				scale := s.scale[f]
				if sum < 0 && s.negative != nil {
					scale = s.negative[f]
				}
				var other, zero, otherScale float64
				if len(s.in) > 1 {
					other, zero, otherScale = numbers(s.in[1], i), float64(p.values[s.in[1]].zero), float64(s.addend[0])
				}
				convolved[i] = scaled16(s.limits, [][]float32{s.scale, s.negative}, sum, float64(scale), other, zero, otherScale)
			}
			copy(m.bytes[s.out], pooled(convolved, out, s.shape.Pool))
		case *linearStep:
			for u := range s.units {
				sum := float64(s.bias[u])
				for i, w := range s.weight[u*s.inputs:][:s.inputs] {
					sum += float64(w) * numbers(s.in[0], i)
				}
				m.sums[s.out][u] = int64(sum)
			}
		case *addStep:
			if p.values[s.out].kind == words {
				s.run(p, m)
				continue
			}
			for i := range m.bytes[s.out] {
				m.bytes[s.out][i] = rounded(s.limits, [][]float32{s.scale},
					[2]float64{numbers(s.in[0], i), float64(s.scale[0])}, [2]float64{numbers(s.in[1], i), float64(s.scale[1])})
			}
		case *sumStep:
			clear(m.sums[s.out])
			for i := range m.bytes[s.in[0]] {
				m.sums[s.out][i%p.values[s.in[0]].channels] += int64(numbers(s.in[0], i))
			}
		case *maxPoolStep:
			copy(m.bytes[s.out], pooled(m.bytes[s.in[0]], p.values[s.in[0]].shape(), s.pool))
		case *gateStep:
			for i := range m.bytes[s.out] {
				product := numbers(s.in[0], i) * numbers(s.in[1], i%p.values[s.out].channels)
				m.bytes[s.out][i] = rounded(s.limits, [][]float32{s.scale}, [2]float64{product, float64(s.scale[0])})
			}
		default:
			s.run(p, m)
		}
	}
	return m.result[0]
}

// pooled is a max pool of an image; a pool of size 0 changes nothing.
func pooled(x []uint8, in integer.Shape, pool integer.Pool) []uint8 {
	if pool.Size == 0 {
		return x
	}
	height, width := (in.Height+2*pool.Padding-pool.Size)/pool.Stride+1, (in.Width+2*pool.Padding-pool.Size)/pool.Stride+1
	y := make([]uint8, height*width*in.Channels)
	for i := range y {
		c, column, row := i%in.Channels, i/in.Channels%width, i/in.Channels/width
		for j := range pool.Size * pool.Size {
			h, v := row*pool.Stride-pool.Padding+j/pool.Size, column*pool.Stride-pool.Padding+j%pool.Size
			if h >= 0 && v >= 0 && h < in.Height && v < in.Width {
				y[i] = max(y[i], x[(h*in.Width+v)*in.Channels+c])
			}
		}
	}
	return y
}

// Fake returns the embedding by fake, for tests of all networks.
func Fake(n *Network, image []uint8) []float32 { return fake(n.plan, image) }

// Divide divides the first steps of a network into as many parts as it can, each of which computes twice as
// many images at a time as the one before, and returns their number.
func Divide(n *Network) int {
	images := 1
	n.divide(func([]step, int) int { images *= 2; return images / 2 })
	n.idle = nil
	return len(n.parts)
}
