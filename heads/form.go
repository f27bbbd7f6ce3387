package heads

import (
	"math"
	"slices"

	"github.com/pkg/errors"
)

// Form is a distance as a formula of embeddings x and y:
//
//	S = Scale · Σⱼ Weights[j] · |xⱼ − yⱼ|^Power
//	D = S, or √S with Root
//
// With Normalize, x and y are first divided by their Euclidean lengths, which
// makes D the cosine distance 2·Scale·(1 − x·y/(‖x‖‖y‖)); the cosine with the zero
// vector is taken to be 0. All heads of this package have a form.
type Form struct {
	Normalize bool      // compare directions; with Power 2 and no Weights
	Power     int       // 1 or 2
	Weights   []float32 // a factor for each feature; nil for ones
	Scale     float64   // from 1e-30 to 1e30; 0 stands for 1
	Root      bool      // take the square root; no weight may be negative
}

// FromForm returns the distance of a formula. The weights are copied.
func FromForm(name string, form Form) (Distance, error) {
	if err := form.check(); err != nil {
		return nil, errors.Wrapf(err, "distance %q", name)
	}
	form.Weights = slices.Clone(form.Weights)
	if form.Scale == 0 {
		form.Scale = 1
	}
	return &formed{name, form}, nil
}

func (f Form) check() error {
	switch {
	case f.Power != 1 && f.Power != 2:
		return errors.Errorf("field Power: found %d, expected 1 or 2", f.Power)
	case f.Normalize && (f.Power != 2 || f.Weights != nil):
		return errors.New("field Normalize: found true, expected it with Power 2 and without Weights only")
	case f.Scale != 0 && !(f.Scale >= 1e-30 && f.Scale <= 1e30):
		return errors.Errorf("field Scale: found %v, expected a number from 1e-30 to 1e30, or 0 for 1", f.Scale)
	case f.Root && f.Signed():
		return errors.New("field Root: found true, but some weights are negative, and sums may be: expected false")
	}
	return nil
}

// Signed reports whether a weight is negative, so that distances may be negative.
func (f Form) Signed() bool {
	return slices.ContainsFunc(f.Weights, func(w float32) bool { return w < 0 })
}

// Sum returns S of a distance D: the square of D with Root, otherwise D.
func (f Form) Sum(distance float64) float64 {
	if f.Root {
		return distance * distance
	}
	return distance
}

// formed is the distance of a form whose Scale is set.
type formed struct {
	name string
	form Form
}

func (f *formed) Name() string       { return f.name }
func (f *formed) Form() (Form, bool) { return f.form, true }

// Between implements Distance. The conversions keep compilers from fusing a product
// with a sum, which would round differently on some processors.
func (f *formed) Between(x, y []float32) float64 {
	if len(x) != len(y) || f.form.Weights != nil && len(x) != len(f.form.Weights) {
		return math.NaN()
	}
	scale, sum := f.form.Scale, 0.0
	switch {
	case f.form.Normalize:
		lengthX, lengthY := length(x), length(y)
		if lengthX == 0 || lengthY == 0 {
			sum = 2 * scale
			break
		}
		for j := range x {
			difference := float64(x[j])/lengthX - float64(y[j])/lengthY
			sum += float64(scale * float64(difference*difference))
		}
	default:
		for j := range x {
			difference, factor := math.Abs(float64(x[j])-float64(y[j])), scale
			if f.form.Power == 2 {
				difference *= difference
			}
			if f.form.Weights != nil {
				factor *= float64(f.form.Weights[j])
			}
			sum += float64(factor * difference)
		}
	}
	return f.rooted(sum)
}

func (f *formed) rooted(sum float64) float64 {
	if f.form.Root {
		return math.Sqrt(sum)
	}
	return sum
}

func length(x []float32) float64 {
	var squares float64
	for _, v := range x {
		squares += float64(float64(v) * float64(v))
	}
	return math.Sqrt(squares)
}

// Paired implements Distance.
func (f *formed) Paired(distances []float64, x, y []float32, columns int) error {
	if err := f.checkWeights(columns); err != nil {
		return err
	}
	if err := paired(distances, x, y, columns, f.term()); err != nil {
		return err
	}
	f.finish(distances)
	return nil
}

// Pairwise implements Distance, by a product of matrices where the form allows it.
func (f *formed) Pairwise(distances []float64, x, y []float32, columns int) error {
	if err := f.checkWeights(columns); err != nil {
		return err
	}
	if f.form.Power == 1 || f.form.Weights != nil {
		if err := pairwise(distances, x, y, columns, f.term()); err != nil {
			return err
		}
		f.finish(distances)
		return nil
	}
	rows, references, err := checkPairwise(distances, x, y, columns)
	if err != nil {
		return err
	}
	squares, referenceSquares := make([]float64, rows), make([]float64, references)
	products(distances, squares, referenceSquares, x, y, columns)
	// ‖x−y‖² = ‖x‖² + ‖y‖² − 2x·y loses digits where x and y are close: those few are
	// measured again by their differences, and equal rows are exactly 0 apart.
	const close = 1e-6
	for i := range rows {
		distances := distances[i*references : (i+1)*references]
		for j, product := range distances {
			if f.form.Normalize {
				distances[j] = oneMinusCosine(product, squares[i], referenceSquares[j])
				continue
			}
			sum := squares[i] + referenceSquares[j]
			distances[j] = sum - 2*product
			if distances[j] <= close*sum {
				distances[j] = squaredDifference(row(x, columns, i), row(y, columns, j))
			}
		}
	}
	f.finish(distances)
	return nil
}

func (f *formed) checkWeights(columns int) error {
	if f.form.Weights != nil && len(f.form.Weights) != columns {
		return errors.Errorf("distance %q: found embeddings of %d columns, expected %d, one for each weight", f.name, columns, len(f.form.Weights))
	}
	return nil
}

// term is S / Scale of two rows, and with Normalize S / (2·Scale).
func (f *formed) term() func(x, y []float32) float64 {
	switch {
	case f.form.Normalize:
		return func(x, y []float32) float64 { return oneMinusCosine(dot(x, y), dot(x, x), dot(y, y)) }
	case f.form.Power == 2 && f.form.Weights == nil:
		return squaredDifference
	case f.form.Weights == nil:
		return absoluteDifference
	}
	weights, square := f.form.Weights, f.form.Power == 2
	return func(x, y []float32) (sum float64) {
		y, weights := y[:len(x)], weights[:len(x)]
		for j := range x {
			difference := math.Abs(float64(x[j]) - float64(y[j]))
			if square {
				difference *= difference
			}
			sum += float64(weights[j]) * difference
		}
		return sum
	}
}

// finish makes distances of what term gives.
func (f *formed) finish(distances []float64) {
	scale := f.form.Scale
	if f.form.Normalize {
		scale *= 2
	}
	if scale == 1 && !f.form.Root {
		return
	}
	for i, sum := range distances {
		distances[i] = f.rooted(scale * sum)
	}
}

func oneMinusCosine(product, square, otherSquare float64) float64 {
	if square == 0 || otherSquare == 0 {
		return 1
	}
	// The root of a product, because with equal vectors it is exactly their square.
	return 1 - max(-1, min(1, product/math.Sqrt(square*otherSquare)))
}

// The sums below have four accumulators, so that an addition need not wait for
// the one before it. They are not gonum's because the order in which its
// float32 routines add depends on where in memory a row begins, and two equal
// rows must give one result.

func dot(x, y []float32) float64 {
	var a, b, c, d float64
	for len(x) >= 4 && len(y) >= 4 {
		a += float64(x[0]) * float64(y[0])
		b += float64(x[1]) * float64(y[1])
		c += float64(x[2]) * float64(y[2])
		d += float64(x[3]) * float64(y[3])
		x, y = x[4:], y[4:]
	}
	for j := range x {
		a += float64(x[j]) * float64(y[j])
	}
	return a + b + c + d
}

func squaredDifference(x, y []float32) float64 {
	var a, b, c, d float64
	for len(x) >= 4 && len(y) >= 4 {
		a += squared(float64(x[0]) - float64(y[0]))
		b += squared(float64(x[1]) - float64(y[1]))
		c += squared(float64(x[2]) - float64(y[2]))
		d += squared(float64(x[3]) - float64(y[3]))
		x, y = x[4:], y[4:]
	}
	for j := range x {
		a += squared(float64(x[j]) - float64(y[j]))
	}
	return a + b + c + d
}

func absoluteDifference(x, y []float32) float64 {
	var a, b, c, d float64
	for len(x) >= 4 && len(y) >= 4 {
		a += math.Abs(float64(x[0]) - float64(y[0]))
		b += math.Abs(float64(x[1]) - float64(y[1]))
		c += math.Abs(float64(x[2]) - float64(y[2]))
		d += math.Abs(float64(x[3]) - float64(y[3]))
		x, y = x[4:], y[4:]
	}
	for j := range x {
		a += math.Abs(float64(x[j]) - float64(y[j]))
	}
	return a + b + c + d
}

func squared(x float64) float64 { return x * x }
