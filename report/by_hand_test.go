package report

import (
	"math"
	"slices"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
)

// space tells how far two images are apart, for one contender.
type space func(a, b []uint8) float64

func modelSpace(t *testing.T, model *likeness.Model) space {
	return func(a, b []uint8) float64 {
		rows, err := model.EmbedPixels([][]uint8{a, b})
		if err != nil {
			t.Fatal(err)
		}
		return euclidean(rows[0], rows[1])
	}
}

func pixelSpace(a, b []uint8) float64 { return euclidean(a, b) }

func euclidean[T uint8 | float32](a, b []T) float64 {
	var sum float64
	for i := range a {
		sum += math.Pow(float64(a[i])-float64(b[i]), 2)
	}
	return math.Sqrt(sum)
}

// distances are of the pairs, apart from one another by kind.
func (s space) distances(images *datasets.Dataset, pairs []datasets.Pair) (same, different []float64) {
	for _, pair := range pairs {
		d := s(images.Images[pair.Left], images.Images[pair.Right])
		if pair.Different {
			different = append(different, d)
		} else {
			same = append(same, d)
		}
	}
	return same, different
}

// byHand works the figures out anew, all but the equal error rate and MAP@R,
// which are evaluate's. No two different pairs are equally far apart here.
func (s space) byHand(p *Plan) map[string]float64 {
	figures := map[string]float64{}
	for i, image := range p.seen.Images {
		nearest := slices.MinFunc(p.references.Images, func(a, b []uint8) int { return compare(s(a, image), s(b, image)) })
		if class := p.references.Labels[index(p.references, nearest)]; class == p.seen.Labels[i] {
			figures[knnAccuracy] += 1 / float64(p.seen.Len())
		}
	}
	same, different := s.distances(p.unseen, p.testPairs)
	for _, near := range same {
		for _, far := range different {
			if near < far {
				figures[verificationAUC] += 1 / float64(len(same)*len(different))
			}
		}
	}
	threshold := s.threshold(p)
	for _, d := range same {
		if d <= threshold {
			figures[verificationAccuracy] += 1 / float64(len(p.testPairs))
		}
	}
	for _, d := range different {
		if d > threshold {
			figures[verificationAccuracy] += 1 / float64(len(p.testPairs))
		}
	}
	for _, trial := range p.trials {
		query, nearest := p.unseen.Images[trial.Query], 0
		for class, support := range trial.Support {
			if s(p.unseen.Images[support[0]], query) < s(p.unseen.Images[trial.Support[nearest][0]], query) {
				nearest = class
			}
		}
		if nearest == trial.Answer {
			figures[oneShotAccuracy] += 1 / float64(len(p.trials))
		}
	}
	for i, image := range p.retrieval.Images {
		others := slices.Concat(p.retrieval.Images[:i], p.retrieval.Images[i+1:])
		nearest := slices.MinFunc(others, func(a, b []uint8) int { return compare(s(a, image), s(b, image)) })
		if p.retrieval.Labels[index(p.retrieval, nearest)] == p.retrieval.Labels[i] {
			figures[recallAt1] += 1 / float64(p.retrieval.Len())
		}
	}
	return figures
}

// threshold is the lowest of those that decide the most of the validation pairs
// rightly, halfway between two distances.
func (s space) threshold(p *Plan) float64 {
	same, different := s.distances(p.validation, p.thresholdPairs)
	all := slices.Compact(slices.Sorted(slices.Values(slices.Concat(same, different))))
	best, right := 0.0, -1
	for i := range all[1:] {
		threshold, hits := (all[i]+all[i+1])/2, 0
		for _, d := range same {
			if d <= threshold {
				hits++
			}
		}
		for _, d := range different {
			if d > threshold {
				hits++
			}
		}
		if hits > right {
			best, right = threshold, hits
		}
	}
	return best
}

func compare(a, b float64) int {
	if a < b {
		return -1
	}
	return 1
}

func index(d *datasets.Dataset, image []uint8) int {
	return slices.IndexFunc(d.Images, func(other []uint8) bool { return &other[0] == &image[0] })
}
