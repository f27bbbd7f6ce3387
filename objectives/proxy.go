package objectives

import (
	"math"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"gorgonia.org/tensor"
)

// The proxy losses compare images with one or more trainable vectors for each class,
// its proxies, instead of with each other, and so need no mining of pairs or triplets.

// SoftTriple is a softmax over the classes with Centers vectors for each class, whose
// similarity to an image is a mean of the cosines with these vectors that weights the
// nearer ones more:
//
//	S_c = Σₖ softmaxₖ(cos θ_ck/γ)·cos θ_ck
//	L   = −log( exp(λ(S_y − δ)) / (exp(λ(S_y − δ)) + Σ_{c≠y} exp(λ·S_c)) )
//
// with λ = Scale, γ = Temperature and δ = Margin, averaged over the images, where y is
// the class of the image. A class may form several clusters. The regularizer of the
// paper's equation 9, which merges centers, is not part of it.
//
// Inputs: labeled images without references, and Batch.Classes; see ClassVectorLoss.
// Requirements: cosine. With one center it is CosFace.
//
// Source: Qian et al. 2019, "SoftTriple Loss: Deep Metric Learning Without Triplet
// Sampling", equation 8, with λ = 20, γ = 0.1, δ = 0.01 and 10 centers.
type SoftTriple struct {
	Margin      float64 // δ, above 0 and at most 2
	Scale       float64 // λ, positive
	Temperature float64 // γ, positive
	Centers     int     // vectors of each class, at least 1
}

// Name is "soft-triple".
func (SoftTriple) Name() string { return "soft-triple" }

// Kind is datasets.Labeled.
func (SoftTriple) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (s SoftTriple) Check(head heads.Head) error {
	if err := checkCosineMargin(s, s.Margin, s.Scale, head); err != nil {
		return err
	}
	if err := checkPositive(s, "temperature", s.Temperature); err != nil {
		return err
	}
	return checkCenters(s, s.Centers)
}

// Cost implements Loss.
func (s SoftTriple) Cost(b *graph.Builder, batch Batch) *graph.Node {
	return classSoftmax{s.Scale, subtracted(s.Margin), softCenters(s.Centers, s.Temperature)}.cost(b, s, batch)
}

// LearningRateScale is 100.
func (SoftTriple) LearningRateScale(heads.Head) float64 { return proxyRate }

func (SoftTriple) defaultMargin(heads.Properties, int) float64 { return 0.01 }
func (SoftTriple) defaultScale() float64                       { return 20 }
func (SoftTriple) defaultTemperature(heads.Head) float64       { return 0.1 }
func (SoftTriple) defaultCenters() int                         { return 10 }

// softCenters is the mean of the cosines with the vectors of a class, weighted by their
// softmax. It keeps the weights.
func softCenters(centers int, temperature float64) pool {
	return pool{
		size: centers,
		value: func(cosines, kept []float64) float64 {
			largest := cosines[0]
			for _, cosine := range cosines {
				largest = max(largest, cosine) // NaN if one is
			}
			var sum, mean float64
			for k, cosine := range cosines {
				kept[k] = math.Exp((cosine - largest) / temperature)
				sum += kept[k]
			}
			sum = 1 / sum
			for k, cosine := range cosines {
				kept[k] *= sum
				mean += kept[k] * cosine
			}
			return mean
		},
		share: func(kept, cosines []float64, factor float64) {
			var mean float64
			for k, cosine := range cosines {
				mean += kept[k] * cosine
			}
			for k, cosine := range cosines {
				kept[k] *= factor * (1 + (cosine-mean)/temperature)
			}
		},
	}
}

// ProxyNCA makes each image nearer to the proxy of its own class y than to those of the
// other classes:
//
//	L = −log( exp(−D(a,y)/τ) / Σ_{c≠y} exp(−D(a,c)/τ) )
//
// with τ = Temperature, averaged over the images. The image's own class is not in the
// denominator, so the loss may be negative, has no lower bound if D has no upper bound,
// and pulls at an image however near to its proxy it is. ProxyNCAPlusPlus has that class
// in the denominator. So has the class ProxyNCALoss of pytorch-metric-learning.
//
// Inputs: labeled images without references, and Batch.Classes; see ClassVectorLoss.
// Requirements: a head whose values are distances.
//
// Source: Movshovitz-Attias et al. 2017, "No Fuss Distance Metric Learning using
// Proxies", equation 6, whose D is the squared L2 distance of unit vectors with τ = 1,
// which is cosine with τ = 1/2.
type ProxyNCA struct {
	Temperature float64 // τ, positive
}

// Name is "proxy-nca".
func (ProxyNCA) Name() string { return "proxy-nca" }

// Kind is datasets.Labeled.
func (ProxyNCA) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (p ProxyNCA) Check(head heads.Head) error { return checkSoftmax(p, p.Temperature, head) }

// Cost implements Loss.
func (p ProxyNCA) Cost(b *graph.Builder, batch Batch) *graph.Node {
	return proxyCost(b, p, batch, p.Temperature, func(r softmaxRow) (sum, count float64) {
		own, others := r.Positives[0], r.logSum(r.Negatives)
		r.addSlope(1, others, r.Negatives)
		r.Slopes[own] += 1 / r.temperature
		return others + r.Distances[own]/r.temperature, 1
	})
}

// LearningRateScale is 100 with cosine and 1 with other heads.
func (ProxyNCA) LearningRateScale(head heads.Head) float64 { return proxyRateFor(head) }

func (ProxyNCA) defaultTemperature(head heads.Head) float64 {
	if head != nil && head.Properties().Max > 0 {
		return head.Properties().Max / 4
	}
	return 1
}

// ProxyNCAPlusPlus is NCA over the proxies of the classes, a softmax classifier by
// distance:
//
//	L = −log( exp(−D(a,y)/τ) / Σ_c exp(−D(a,c)/τ) )
//
// with τ = Temperature, averaged over the images, where y is the class of the image a.
//
// Inputs: labeled images without references, and Batch.Classes; see ClassVectorLoss.
// Requirements: a head whose values are distances. With cosine it is NormalizedSoftmax
// with other defaults.
//
// Source: Teh, DeVries & Taylor 2020, "ProxyNCA++: Revisiting and Revitalizing Proxy
// Neighborhood Component Analysis", equation 5. Their D is the squared L2 distance of unit
// vectors with τ = 1/9, which is cosine with τ = 1/18; see DefaultTemperature.
type ProxyNCAPlusPlus struct {
	Temperature float64 // τ, positive
}

// Name is "proxy-nca++".
func (ProxyNCAPlusPlus) Name() string { return "proxy-nca++" }

// Kind is datasets.Labeled.
func (ProxyNCAPlusPlus) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (p ProxyNCAPlusPlus) Check(head heads.Head) error { return checkSoftmax(p, p.Temperature, head) }

// Cost implements Loss.
func (p ProxyNCAPlusPlus) Cost(b *graph.Builder, batch Batch) *graph.Node {
	return proxyCost(b, p, batch, p.Temperature, ncaRow)
}

// LearningRateScale is 100 with cosine and 1 with other heads.
func (ProxyNCAPlusPlus) LearningRateScale(head heads.Head) float64 { return proxyRateFor(head) }

// proxyCost is PerAnchor with one proxy for each class as the references. The rule is called
// for images that have a proxy of their own class and one of another.
func proxyCost(b *graph.Builder, loss Loss, batch Batch, temperature float64, rule func(r softmaxRow) (sum, count float64)) *graph.Node {
	begin(b, loss, batch)
	batch.References = &References{Embeddings: batch.classVectors(b, loss, 1), Labels: batch.ClassLabels(b)}
	return PerAnchor(b, loss.Name(), batch, func(a Anchor) (sum, count float64) {
		switch {
		case len(a.Positives) == 0:
			panic(unknownClass(a.Index, len(a.Distances)))
		case len(a.Negatives) == 0:
			return 0, 0
		}
		return rule(softmaxRow{a, temperature})
	})
}

// ProxyAnchor takes the proxy of each class as the anchor and compares it with all images
// of the batch. With the images X⁺ of class p and all others X⁻,
//
//	L = 1/|P⁺| Σ_{p∈P⁺} log(1 + Σ_{x∈X⁺} exp(−α(cos θ_xp − δ)))
//	  + 1/|P| Σ_{p∈P} log(1 + Σ_{x∈X⁻} exp(α(cos θ_xp + δ)))
//
// with α = Scale and δ = Margin, where P are all classes and P⁺ those in the batch. Images
// of a class that are far from its proxy have the larger gradients.
//
// Inputs: labeled images without references, and Batch.Classes; see ClassVectorLoss.
// Requirements: cosine.
//
// Source: Kim, Kim, Cho & Kwak 2020, "Proxy Anchor Loss for Deep Metric Learning",
// equation 4, with α = 32 and δ = 0.1.
type ProxyAnchor struct {
	Margin float64 // δ, above 0 and at most 2
	Scale  float64 // α, positive
}

// Name is "proxy-anchor".
func (ProxyAnchor) Name() string { return "proxy-anchor" }

// Kind is datasets.Labeled.
func (ProxyAnchor) Kind() datasets.Kind { return datasets.Labeled }

// Check implements Loss.
func (p ProxyAnchor) Check(head heads.Head) error {
	return checkCosineMargin(p, p.Margin, p.Scale, head)
}

// Cost implements Loss.
func (p ProxyAnchor) Cost(b *graph.Builder, batch Batch) *graph.Node {
	matrix := cosines(b, p, batch, 1)
	return expression{b}.scalar(b.Apply(p.Name(), tensor.Shape{1},
		&proxyAnchor[float32]{ProxyAnchor: p, classes: batch.Classes}, &proxyAnchor[float64]{ProxyAnchor: p, classes: batch.Classes}, matrix, batch.Labels))
}

// LearningRateScale is 100.
func (ProxyAnchor) LearningRateScale(heads.Head) float64 { return proxyRate }

func (ProxyAnchor) defaultMargin(heads.Properties, int) float64 { return 0.1 }
func (ProxyAnchor) defaultScale() float64                       { return 32 }

// proxyAnchor finds the gradient in the same pass as the loss. Its operands are the
// cosines (N, Classes) and the labels (N).
type proxyAnchor[T graph.Float] struct {
	ProxyAnchor
	classes int
	slopes  []T // (N, Classes): of the loss by the cosines
}

// proxiesTogether is the number of classes that a thread works on at a time, whose cosines
// with an image are next to each other in memory.
const proxiesTogether = 64

func (f *proxyAnchor[T]) Forward(y []T, x ...[]T) {
	matrix, labels := x[0], x[1]
	rows := len(labels)
	if len(f.slopes) != len(matrix) {
		f.slopes = make([]T, len(matrix))
	}
	own, present := make([]int, rows), make([]int, f.classes) // images of each class
	for i := range labels {
		own[i] = classOf(labels, i, f.classes)
		present[own[i]]++
	}
	var classes float64 // in the batch
	for _, images := range present {
		classes += float64(min(images, 1))
	}
	losses := make([]float64, f.classes)
	graph.Parallel((f.classes+proxiesTogether-1)/proxiesTogether, func(unit int) {
		room := make([]float64, 2*rows)
		for p := unit * proxiesTogether; p < min((unit+1)*proxiesTogether, f.classes); p++ {
			positives, negatives := room[:0:present[p]], room[present[p]:present[p]]
			for i, class := range own {
				cosine := float64(matrix[i*f.classes+p])
				if class == p {
					positives = append(positives, -f.Scale*(cosine-f.Margin))
				} else {
					negatives = append(negatives, f.Scale*(cosine+f.Margin))
				}
			}
			pull, push := softplusOfSum(positives), softplusOfSum(negatives)
			losses[p] = pull/classes + push/float64(f.classes)
			for i, class := range own {
				slope := &f.slopes[i*f.classes+p]
				if class == p {
					*slope, positives = T(-f.Scale*positives[0]/classes), positives[1:]
				} else {
					*slope, negatives = T(f.Scale*negatives[0]/float64(f.classes)), negatives[1:]
				}
			}
		}
	})
	var sum float64
	for _, loss := range losses {
		sum += loss
	}
	y[0] = T(sum)
}

func (f *proxyAnchor[T]) Backward(dx, _ [][]T, _, dy []T) {
	if dx[0] != nil {
		for i, slope := range f.slopes {
			dx[0][i] = slope * dy[0]
		}
	}
	if dx[1] != nil {
		clear(dx[1])
	}
}

// softplusOfSum returns log(1 + Σ exp(v)), without overflow, and replaces the values by
// its derivatives.
func softplusOfSum(values []float64) float64 {
	largest := 0.0
	for _, v := range values {
		largest = max(largest, v) // NaN if one is
	}
	var sum float64
	for i, v := range values {
		values[i] = math.Exp(v - largest)
		sum += values[i]
	}
	rest := math.Exp(-largest)
	for i := range values {
		values[i] /= rest + sum
	}
	if largest == 0 {
		return math.Log1p(sum)
	}
	return largest + math.Log(rest+sum)
}
