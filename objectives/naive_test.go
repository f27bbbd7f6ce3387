package objectives_test

import (
	"math"
	"testing"

	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
)

// Every loss with every head that it can be combined with equals the loop over explicit
// pairs or triplets that its equation describes, in each arithmetic by a batch of its own.
func TestNaiveLoops(t *testing.T) {
	forEach(t, func(t *testing.T, o objectives.Loss, head heads.Head) {
		if samples(o) {
			return // see TestDistanceWeightedSampling
		}
		for seed, dtype := range arithmetics {
			for name, p := range problemFor(o, uint64(seed), 8, 4).forms(o) {
				r := p.run(t, o, head, dtype)
				// The factors of a weighted head are rounded to float32 for the loop.
				if want := p.naive(o, r); math.Abs(r.cost-want) > 2e-6*max(want, 1) || want == 0 {
					t.Errorf("%s, seed %d, %v: cost %v, the loop gives %v", name, seed, dtype, r.cost, want)
				}
			}
		}
	})
}

// naive is the cost by loops in float64.
func (p problem) naive(o objectives.Loss, r result) float64 {
	between := func(tower, i, otherTower, j int) float64 {
		return r.distance.Between(p.row(tower, i), p.row(otherTower, j))
	}
	references := p.rowsOfReferences()
	d := func(i, j int) float64 { return r.distance.Between(p.row(0, i), references[j]) }
	if easy(o) {
		p.positives = func(a int, all []int) []int { return nearest(all, func(j int) float64 { return d(a, j) }) }
	}
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
	case objectives.BatchRatio:
		var losses []float64
		p.eachTriplet(func(a, positive, negative int) {
			near, far := math.Exp(o.Scale*d(a, positive)), math.Exp(o.Scale*d(a, negative))
			losses = append(losses, math.Pow(near/(near+far), 2))
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
	case objectives.Prototypical:
		return p.naivePrototypical(o.Temperature, r.distance.Name() == "cosine")
	case objectives.Angular, objectives.Circle, objectives.FastAP, objectives.LiftedStructure, objectives.Margin,
		objectives.MultiSimilarity, objectives.SmoothAP, objectives.TupletMargin:
		among := func(i, j int) float64 { return r.distance.Between(references[i], references[j]) }
		return p.naiveBatch(o, r, d, among)
	}
	if hasVectors(o) {
		return p.naiveVectors(o, r)
	}
	return p.naiveSoftmax(o, d)
}

// naiveSoftmax is the mean over the anchors, of exponentials as they stand in
// the equations.
func (p problem) naiveSoftmax(o objectives.Loss, d func(i, j int) float64) float64 {
	var losses []float64
	for a := range p.rows {
		positives, negatives := p.others(a)
		if len(positives) == 0 || len(negatives) == 0 {
			continue
		}
		likeness := func(temperature float64, others []int) (sum float64) {
			for _, i := range others {
				sum += math.Exp(-d(a, i) / temperature)
			}
			return sum
		}
		switch o := o.(type) {
		case objectives.NPair:
			for _, positive := range positives {
				var sum float64
				for _, negative := range negatives {
					sum += math.Exp((d(a, positive) - d(a, negative)) / o.Temperature)
				}
				losses = append(losses, math.Log(1+sum))
			}
		case objectives.SupervisedContrastive:
			var own []float64
			for _, positive := range positives {
				all := likeness(o.Temperature, positives) + likeness(o.Temperature, negatives)
				own = append(own, -math.Log(likeness(o.Temperature, []int{positive})/all))
			}
			losses = append(losses, mean(own))
		case objectives.NCA:
			near := likeness(o.Temperature, positives)
			losses = append(losses, -math.Log(near/(near+likeness(o.Temperature, negatives))))
		default:
			return math.NaN()
		}
	}
	return mean(losses)
}

// others are the references of the class of anchor a, and all others.
func (p problem) others(a int) (positives, negatives []int) {
	labels := p.labelsOfReferences()
	for j, label := range labels {
		switch {
		case !p.compared(a, j):
		case label == p.labels[a]:
			positives = append(positives, j)
		default:
			negatives = append(negatives, j)
		}
	}
	if p.positives != nil && len(positives) > 0 {
		positives = p.positives(a, positives)
	}
	return positives, negatives
}

// naivePrototypical is by the prototypes themselves: means of embeddings, of
// unit length for cosine, whose distance is half the squared one.
func (p problem) naivePrototypical(temperature float64, cosine bool) float64 {
	vector := func(row []float32) []float64 {
		var norm float64
		for _, v := range row {
			norm += float64(v) * float64(v)
		}
		vector := make([]float64, len(row))
		for j, v := range row {
			if vector[j] = float64(v); cosine {
				vector[j] /= math.Sqrt(2 * norm)
			}
		}
		return vector
	}
	references, labels := p.rowsOfReferences(), p.labelsOfReferences()
	var losses []float64
	for a := range p.rows {
		if positives, negatives := p.others(a); len(positives) == 0 || len(negatives) == 0 {
			continue
		}
		anchor := vector(p.row(0, a))
		likeness := map[float64]float64{}
		for _, class := range labels {
			prototype, count := make([]float64, p.features), 0.0
			for i, reference := range references {
				if labels[i] == class && p.compared(a, i) {
					count++
					for j, v := range vector(reference) {
						prototype[j] += v
					}
				}
			}
			if count == 0 {
				continue
			}
			var d float64
			for j, v := range prototype {
				d += math.Pow(anchor[j]-v/count, 2)
			}
			likeness[class] = math.Exp(-d / temperature)
		}
		var sum float64
		for _, v := range likeness {
			sum += v
		}
		losses = append(losses, -math.Log(likeness[p.labels[a]]/sum))
	}
	return mean(losses)
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

// naivePairs is the mean over all pairs of an anchor and a reference, of which
// those of two anchors count once, or over those of each kind and then over the
// kinds there are.
func (p problem) naivePairs(balanced bool, loss func(i, j int, different bool) float64) float64 {
	labels := p.labelsOfReferences()
	kinds := map[bool][]float64{}
	for i := range p.rows {
		for j := range labels {
			anchors := p.references == nil || p.references.self
			ordered := anchors && p.references != nil && p.references.ordered && i != j
			if p.valid(j) && (!anchors || i < j || ordered) {
				different := p.labels[i] != labels[j]
				kinds[different] = append(kinds[different], loss(i, j, different))
			}
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
		positives, negatives := p.others(a)
		for _, positive := range positives {
			for _, negative := range negatives {
				visit(a, positive, negative)
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
