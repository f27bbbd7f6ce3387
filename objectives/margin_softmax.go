package objectives

import (
	"math"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// The margin softmax losses are softmax classifiers over the cosines cos θ between
// an image and the vector of each class. A margin makes the logit of the image's own class
// smaller, so that an image must be nearer to its class than to all others by the margin.

// ArcFace adds an angle to that between an image and the vector of its own class y:
//
//	L = −log( exp(s·cos(θ_y + m)) / (exp(s·cos(θ_y + m)) + Σ_{c≠y} exp(s·cos θ_c)) )
//
// with m = Margin and s = Scale, averaged over the images.
//
// Beyond θ_y = 180° − m, cos(θ_y + m) would grow with the angle. There it is replaced by
// cos θ_y − m·sin m (m in radians), which falls: the continuation of the authors' code,
// also called the hard margin.
// The gradient is finite at every angle: where θ is 0° or 180° the direction in which it
// changes does not exist, and the derivative by the cosine is taken to be cos m or 1.
//
// Inputs: labeled images without references, and Batch.Classes; see ClassVectorLoss.
// Requirements: cosine. See CosFace, whose margin is a cosine, and SubCenterArcFace for
// data with wrong labels.
//
// Source: Deng, Guo, Xue & Zafeiriou 2019, "ArcFace: Additive Angular Margin Loss for
// Deep Face Recognition", equation 3, with m = 0.5 = 28.6° and s = 64.
type ArcFace struct {
	Margin float64 // m in degrees, above 0 and below 180
	Scale  float64 // s, positive: the inverse of a temperature
}

// Name is "arcface".
func (ArcFace) Name() string { return "arcface" }

// Kind is datasets.Labeled.
func (ArcFace) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (a ArcFace) Check(head heads.Head) error { return checkAngle(a, a.Margin, a.Scale, head) }

// Cost implements Loss.
func (a ArcFace) Cost(b *graph.Builder, batch Batch) *graph.Node {
	return classSoftmax{a.Scale, addedAngle(a.Margin), one}.cost(b, a, batch)
}

// LearningRateScale is 1.
func (ArcFace) LearningRateScale(heads.Head) float64 { return classifierRate }

func (ArcFace) defaultMargin(heads.Properties, int) float64 { return 28.6 }
func (ArcFace) defaultScale() float64                       { return 64 }

// SubCenterArcFace is ArcFace with Centers vectors for each class, of which the one
// nearest to the image counts: cos θ_c is the largest cosine with a vector of class c, the
// first one of several that are equal. Wrongly labeled images then gather at vectors of
// their own and do not pull at the others.
//
// Inputs and requirements are those of ArcFace.
//
// Source: Deng, Guo, Liu, Gong & Zafeiriou 2020, "Sub-center ArcFace: Boosting Face
// Recognition by Large-scale Noisy Web Faces", equation 3, with 3 sub-centers.
type SubCenterArcFace struct {
	Margin  float64 // in degrees, above 0 and below 180
	Scale   float64 // positive
	Centers int     // vectors of each class, at least 1; 3 in the paper
}

// Name is "subcenter-arcface".
func (SubCenterArcFace) Name() string { return "subcenter-arcface" }

// Kind is datasets.Labeled.
func (SubCenterArcFace) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (s SubCenterArcFace) Check(head heads.Head) error {
	if err := checkAngle(s, s.Margin, s.Scale, head); err != nil {
		return err
	}
	return checkCenters(s, s.Centers)
}

// Cost implements Loss.
func (s SubCenterArcFace) Cost(b *graph.Builder, batch Batch) *graph.Node {
	return classSoftmax{s.Scale, addedAngle(s.Margin), nearestCenter(s.Centers)}.cost(b, s, batch)
}

// LearningRateScale is 1.
func (SubCenterArcFace) LearningRateScale(heads.Head) float64 { return classifierRate }

func (SubCenterArcFace) defaultMargin(heads.Properties, int) float64 { return 28.6 }
func (SubCenterArcFace) defaultScale() float64                       { return 64 }
func (SubCenterArcFace) defaultCenters() int                         { return 3 }

// CosFace subtracts a margin from the cosine between an image and the vector of its own
// class y:
//
//	L = −log( exp(s·(cos θ_y − m)) / (exp(s·(cos θ_y − m)) + Σ_{c≠y} exp(s·cos θ_c)) )
//
// with m = Margin and s = Scale, averaged over the images.
//
// Inputs: labeled images without references, and Batch.Classes; see ClassVectorLoss.
// Requirements: cosine. See ArcFace, whose margin is an angle. It is also called the
// additive margin softmax.
//
// Source: Wang et al. 2018, "CosFace: Large Margin Cosine Loss for Deep Face
// Recognition", equation 4, with m = 0.35 and s = 64.
type CosFace struct {
	Margin float64 // m, above 0 and at most 2
	Scale  float64 // s, positive
}

// Name is "cosface".
func (CosFace) Name() string { return "cosface" }

// Kind is datasets.Labeled.
func (CosFace) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (c CosFace) Check(head heads.Head) error { return checkCosineMargin(c, c.Margin, c.Scale, head) }

// Cost implements Loss.
func (c CosFace) Cost(b *graph.Builder, batch Batch) *graph.Node {
	return classSoftmax{c.Scale, subtracted(c.Margin), one}.cost(b, c, batch)
}

// LearningRateScale is 1.
func (CosFace) LearningRateScale(heads.Head) float64 { return classifierRate }

func (CosFace) defaultMargin(heads.Properties, int) float64 { return 0.35 }
func (CosFace) defaultScale() float64                       { return 64 }

// NormalizedSoftmax is a softmax classifier over the cosines, without a margin:
//
//	L = −log( exp(cos θ_y/τ) / Σ_c exp(cos θ_c/τ) )
//
// with τ = Temperature, averaged over the images.
//
// Inputs: labeled images without references, and Batch.Classes; see ClassVectorLoss.
// Requirements: cosine. With other heads ProxyNCAPlusPlus is the same softmax, over
// distances.
//
// Source: Zhai & Wu 2019, "Classification is a Strong Baseline for Deep Metric Learning",
// equation 2, with τ = 0.05.
type NormalizedSoftmax struct {
	Temperature float64 // τ, positive
}

// Name is "normalized-softmax".
func (NormalizedSoftmax) Name() string { return "normalized-softmax" }

// Kind is datasets.Labeled.
func (NormalizedSoftmax) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (n NormalizedSoftmax) Check(head heads.Head) error {
	if err := checkCosine(n, head); err != nil {
		return err
	}
	return checkPositive(n, "temperature", n.Temperature)
}

// Cost implements Loss.
func (n NormalizedSoftmax) Cost(b *graph.Builder, batch Batch) *graph.Node {
	return classSoftmax{1 / n.Temperature, subtracted(0), one}.cost(b, n, batch)
}

// LearningRateScale is 1.
func (NormalizedSoftmax) LearningRateScale(heads.Head) float64 { return classifierRate }

// addedAngle returns, as a function of cos θ, cos(θ + m) up to θ = 180° − m and its
// continuation beyond, for a margin in degrees.
func addedAngle(degrees float64) func(cosine float64) (value, slope float64) {
	m := degrees * math.Pi / 180
	sin, cos := math.Sincos(m)
	return func(cosine float64) (value, slope float64) {
		switch {
		case cosine < -cos:
			return max(cosine, -1) - m*sin, 1
		case cosine >= 1: // rounding may exceed 1
			return cos, cos
		}
		sine := math.Sqrt((1 - cosine) * (1 + cosine))
		slope = cos
		if sine > 0 { // it is 0 where m is so small that θ = 180° is within 180° − m
			slope += cosine / sine * sin
		}
		return cosine*cos - sine*sin, slope
	}
}

// subtracted is a cosine less a margin.
func subtracted(margin float64) func(cosine float64) (value, slope float64) {
	return func(cosine float64) (value, slope float64) { return cosine - margin, 1 }
}

// nearestCenter is the largest of the cosines with the vectors of a class.
func nearestCenter(centers int) pool {
	nearest := func(cosines []float64) int {
		best := 0
		for k, cosine := range cosines {
			if cosine > cosines[best] || cosine != cosine {
				best = k
			}
		}
		return best
	}
	return pool{
		size:  centers,
		value: func(cosines, _ []float64) float64 { return cosines[nearest(cosines)] },
		share: func(kept, cosines []float64, factor float64) {
			clear(kept)
			kept[nearest(cosines)] = factor
		},
	}
}

func checkAngle(loss Loss, margin, scale float64, head heads.Head) error {
	if err := checkCosine(loss, head); err != nil {
		return err
	}
	if !(margin > 0 && margin < 180) {
		return errors.Errorf("%s: found margin %v, expected an angle in degrees, above 0 and below 180", loss.Name(), margin)
	}
	return checkPositive(loss, "scale", scale)
}

func checkCosineMargin(loss Loss, margin, scale float64, head heads.Head) error {
	if err := checkCosine(loss, head); err != nil {
		return err
	}
	if err := checkMargin(loss, margin, head); err != nil {
		return err
	}
	return checkPositive(loss, "scale", scale)
}

func checkCenters(loss Loss, centers int) error {
	if centers < 1 {
		return errors.Errorf("%s: found %d centers, expected at least 1", loss.Name(), centers)
	}
	return nil
}
