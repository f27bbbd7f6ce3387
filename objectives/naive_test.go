package objectives_test

import (
	"math"
	"testing"

	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
)

// Every objective with every head that goes with it is the loop over explicit
// pairs or triplets that its equation describes.
func TestNaiveLoops(t *testing.T) {
	forEach(t, func(t *testing.T, o objectives.Objective, head heads.Head) {
		for seed := range uint64(3) {
			p := problemFor(o, seed, 8, 4)
			for _, dtype := range arithmetics {
				r := p.run(t, o, head, dtype)
				// A head's learned factors are rounded to float32 for the loop.
				if want := p.naive(o, r); math.Abs(r.cost-want) > 2e-6*max(want, 1) || want == 0 {
					t.Errorf("seed %d, %v: cost %v, the loop gives %v", seed, dtype, r.cost, want)
				}
			}
		}
	})
}

// naive is the cost by loops in float64.
func (p problem) naive(o objectives.Objective, r result) float64 {
	between := func(tower, i, otherTower, j int) float64 {
		return r.distance.Between(p.row(tower, i), p.row(otherTower, j))
	}
	d := func(i, j int) float64 { return between(0, i, 0, j) }
	switch o := o.(type) {
	case objectives.Contrastive:
		return meanOver(p.rows, func(i int) float64 { return contrastive(between(0, i, 1, i), o.Margin, p.labels[i] == 1) })
	case objectives.CrossEntropy:
		return meanOver(p.rows, func(i int) float64 { return crossEntropy(between(0, i, 1, i), r.bias, p.labels[i] == 1) })
	case objectives.Triplet:
		return meanOver(p.rows, func(i int) float64 {
			return triplet(between(0, i, 1, i)-between(0, i, 2, i), o.Margin, o.Soft)
		})
	case objectives.TripletRatio:
		return meanOver(p.rows, func(i int) float64 {
			near, far := math.Exp(o.Scale*between(0, i, 1, i)), math.Exp(o.Scale*between(0, i, 2, i))
			return math.Pow(near/(near+far), 2)
		})
	case objectives.BatchContrastive:
		return p.naivePairs(o.Balanced, func(i, j int, different bool) float64 { return contrastive(d(i, j), o.Margin, different) })
	case objectives.BatchCrossEntropy:
		return p.naivePairs(o.Balanced, func(i, j int, different bool) float64 { return crossEntropy(d(i, j), r.bias, different) })
	case objectives.BatchAll:
		var losses []float64
		p.eachTriplet(func(a, positive, negative int) {
			if loss := triplet(d(a, positive)-d(a, negative), o.Margin, o.Soft); loss > 0 {
				losses = append(losses, loss)
			}
		})
		return mean(losses)
	case objectives.BatchHard:
		farthest, nearest := map[int]float64{}, map[int]float64{}
		p.eachTriplet(func(a, positive, negative int) {
			if _, seen := nearest[a]; !seen {
				nearest[a] = math.Inf(1)
			}
			farthest[a] = max(farthest[a], d(a, positive))
			nearest[a] = min(nearest[a], d(a, negative))
		})
		var losses []float64
		for a := range nearest {
			losses = append(losses, triplet(farthest[a]-nearest[a], o.Margin, o.Soft))
		}
		return mean(losses)
	case objectives.SemiHard:
		hardest := map[[2]int]float64{} // loss by anchor and positive
		p.eachTriplet(func(a, positive, negative int) {
			if gap := d(a, positive) - d(a, negative); gap < 0 && gap > -o.Margin {
				hardest[[2]int{a, positive}] = max(hardest[[2]int{a, positive}], gap+o.Margin)
			}
		})
		var losses []float64
		for _, loss := range hardest {
			losses = append(losses, loss)
		}
		return mean(losses)
	}
	return math.NaN()
}

func contrastive(d, margin float64, different bool) float64 {
	if different {
		return math.Pow(max(0, margin-d), 2) / 2
	}
	return d * d / 2
}

func crossEntropy(d, bias float64, different bool) float64 {
	p := 1 / (1 + math.Exp(d-bias))
	if different {
		return -math.Log(1 - p)
	}
	return -math.Log(p)
}

func triplet(gap, margin float64, soft bool) float64 {
	if soft {
		return math.Log(1 + math.Exp(gap))
	}
	return max(0, gap+margin)
}

// naivePairs is the mean over all pairs, or over those of each kind and then
// over the kinds there are.
func (p problem) naivePairs(balanced bool, loss func(i, j int, different bool) float64) float64 {
	kinds := map[bool][]float64{}
	for i := range p.rows {
		for j := i + 1; j < p.rows; j++ {
			different := p.labels[i] != p.labels[j]
			kinds[different] = append(kinds[different], loss(i, j, different))
		}
	}
	if !balanced {
		return mean(append(kinds[true], kinds[false]...))
	}
	var means []float64
	for _, losses := range kinds {
		means = append(means, mean(losses))
	}
	return mean(means)
}

// eachTriplet visits each anchor with each positive and each negative.
func (p problem) eachTriplet(visit func(anchor, positive, negative int)) {
	for a := range p.rows {
		for positive := range p.rows {
			for negative := range p.rows {
				if a != positive && p.labels[a] == p.labels[positive] && p.labels[a] != p.labels[negative] {
					visit(a, positive, negative)
				}
			}
		}
	}
}

func meanOver(n int, value func(i int) float64) float64 {
	var values []float64
	for i := range n {
		values = append(values, value(i))
	}
	return mean(values)
}

// mean is 0 over nothing.
func mean(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / max(float64(len(values)), 1)
}
