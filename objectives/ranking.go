package objectives

import (
	"math"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// The losses of this file are 1 minus an approximation of the average precision (AP) of the
// references when they are sorted by their distances from an anchor.

// FastAP approximates the average precision by histograms of the distances of each anchor: with
// h⁺ and h the numbers of positives and of references in each of Bins bins, and H⁺ and H their
// cumulative sums, nearest first,
//
//	L = 1 − 1/|P| Σ h⁺ᵢ H⁺ᵢ / Hᵢ
//
// averaged over the anchors with a positive and a negative. A reference counts in the two
// nearest of the Bins + 1 bin centers, which lie from 0 to the head's largest distance, in
// proportion, so that the loss has a derivative.
//
// Inputs: labeled images, with or without references. Requirements: a head whose distances are
// bounded, such as cosine, whose histogram is that of the paper's squared distance between
// unit vectors. Default: 10 bins. The average precision is an average over many references:
// use large batches.
//
// Source: Cakir, He, Xia, Kulis & Sclaroff 2019, "Deep Metric Learning to Rank", equation 8.
type FastAP struct {
	Bins int // from 1 to 10,000
}

// Name is "fastap".
func (FastAP) Name() string { return "fastap" }

// Kind is datasets.Labeled.
func (FastAP) Kind() datasets.Kind { return datasets.Labeled }

// maxBins bounds the memory of a histogram.
const maxBins = 10_000

// Check implements Loss.
func (f FastAP) Check(head heads.Head) error {
	if err := checkSign(f, head); err != nil {
		return err
	}
	switch {
	case !(head.Properties().Max > 0):
		return errors.Errorf("%s with %s: a histogram needs distances with an upper bound: use cosine", f.Name(), head.Name())
	case f.Bins < 1 || f.Bins > maxBins:
		return errors.Errorf("%s: found %d bins, expected 1 to %d", f.Name(), f.Bins, maxBins)
	}
	return nil
}

// Cost implements Loss.
func (f FastAP) Cost(b *graph.Builder, batch Batch) *graph.Node {
	begin(b, f, batch)
	longest := batch.Head.Properties().Max
	width := longest / float64(f.Bins)
	return PerAnchor(b, f.Name(), batch, func(a Anchor) (sum, count float64) {
		if len(a.Positives) == 0 || len(a.Negatives) == 0 {
			return 0, 0
		}
		// place is the lower of the two bins of a reference and its share of the upper one.
		place := func(j int) (bin int, share float64) {
			at := min(max(a.Distances[j], 0), longest) / width
			if !(at < float64(f.Bins)) { // or NaN, which PerAnchor reports
				return f.Bins, 0
			}
			return int(at), at - math.Floor(at)
		}
		histogram := func(references []int) []float64 {
			h := make([]float64, f.Bins+2)
			for _, j := range references {
				bin, share := place(j)
				h[bin] += 1 - share
				h[bin+1] += share
			}
			return h
		}
		positives, negatives := histogram(a.Positives), histogram(a.Negatives)
		var own, all, precision float64
		// The derivatives of the sum by the two terms of bin i, before the sums over later bins.
		ratio, later, others := make([]float64, len(positives)), make([]float64, len(positives)), make([]float64, len(positives))
		for i := range positives {
			own += positives[i]
			all += positives[i] + negatives[i]
			if positives[i]*own > 0 {
				ratio[i] = own / all
				later[i] = positives[i] / all
				others[i] = positives[i] * own / (all * all)
				precision += positives[i] * ratio[i]
			}
		}
		for i := len(later) - 2; i >= 0; i-- {
			later[i] += later[i+1]
			others[i] += others[i+1]
		}
		share := 1 / float64(len(a.Positives))
		slope := func(references []int, byBin func(i int) float64) {
			for _, j := range references {
				// At a bin center the derivative does not exist and is taken for 0.
				if bin, part := place(j); part > 0 {
					a.Slopes[j] -= share * (byBin(bin+1) - byBin(bin)) / width
				}
			}
		}
		slope(a.Positives, func(i int) float64 { return ratio[i] + later[i] - others[i] })
		slope(a.Negatives, func(i int) float64 { return -others[i] })
		return 1 - share*precision, 1
	})
}

func (FastAP) defaults() Options { return Options{Bins: 10} }

// SmoothAP replaces the indicators in the average precision by sigmoids: for each anchor a, whose
// positives P include a itself at distance 0, with τ = Temperature,
//
//	L = 1 − 1/|P| Σₖ R⁺(k)/R(k)    R(k) = 1 + Σ_{j≠k} σ((D(a,k) − D(a,j))/τ)
//
// where k and, in R⁺, j are positives, and j in R is any reference or a. It is averaged over
// the anchors with a positive and a negative. With separate references, P does not include a.
//
// Inputs: labeled images, with or without references; classes may have any numbers of images,
// whereas the authors' code and pytorch-metric-learning need equal ones. Requirements: a head
// whose values are distances. Default: 0.01 with cosine, as in the paper, and otherwise 0.2,
// in the ratio of DefaultTemperature. The gradient of a pair vanishes where its distances
// differ by many times the temperature: a larger one is easier to train.
//
// Source: Brown, Xie, Kalogeiton & Zisserman 2020, "Smooth-AP: Smoothing the Path Towards
// Large-Scale Image Retrieval", equation 5, with cosine.
type SmoothAP struct {
	Temperature float64 // positive
}

// Name is "smooth-ap".
func (SmoothAP) Name() string { return "smooth-ap" }

// Kind is datasets.Labeled.
func (SmoothAP) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (s SmoothAP) Check(head heads.Head) error { return checkSoftmax(s, s.Temperature, head) }

// Cost implements Loss.
func (s SmoothAP) Cost(b *graph.Builder, batch Batch) *graph.Node {
	begin(b, s, batch)
	self := batch.references().Self
	return PerAnchor(b, s.Name(), batch, func(a Anchor) (sum, count float64) {
		if len(a.Positives) == 0 || len(a.Negatives) == 0 {
			return 0, 0
		}
		// The positives, and the anchor itself, whose distance 0 has no derivative.
		ranked := len(a.Positives)
		distances, slopes := make([]float64, 0, ranked+1), make([]float64, ranked+1)
		for _, p := range a.Positives {
			distances = append(distances, a.Distances[p])
		}
		if self {
			distances = append(distances, 0)
			ranked++
		}
		own, others := make([]float64, ranked), make([]float64, len(a.Negatives)) // derivatives of σ
		share := 1 / float64(ranked)
		sum = 1
		for k, d := range distances {
			positives, negatives := 1.0, 0.0 // R⁺, and R − R⁺
			for j, other := range distances {
				if own[j] = 0; j != k {
					var rank float64
					rank, own[j] = graph.Sigmoid((d - other) / s.Temperature)
					positives += rank
				}
			}
			for j, n := range a.Negatives {
				var rank float64
				rank, others[j] = graph.Sigmoid((d - a.Distances[n]) / s.Temperature)
				negatives += rank
			}
			rank := positives + negatives
			sum -= share * positives / rank
			factor := share / (rank * rank * s.Temperature)
			for j, slope := range own {
				slopes[k] -= factor * negatives * slope
				slopes[j] += factor * negatives * slope
			}
			for j, slope := range others {
				slopes[k] += factor * positives * slope
				a.Slopes[a.Negatives[j]] -= factor * positives * slope
			}
		}
		for k, p := range a.Positives {
			a.Slopes[p] += slopes[k]
		}
		return sum, 1
	})
}

func (SmoothAP) defaultTemperature(head heads.Head) float64 { return DefaultTemperature(head) / 5 }
