package objectives

import (
	"fmt"
	"math"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// ClassVectorLoss is a loss with trainable vectors of its own for each class of the
// training data, with which images are compared instead of with each other. They are
// called the weights of a classifier, proxies or centers.
//
// The vectors are the weight "loss.vectors" of Batch.Weight, of shape (Classes·K, D) for
// embeddings of D features and K vectors for each class; row c·K is the first vector of
// class c. They are drawn with the random seed from a normal distribution with standard
// deviation 1/√D, so their length is about 1. Checkpoints contain them; model files do
// not. The loss needs Batch.Classes and no Batch.References.
type ClassVectorLoss interface {
	Loss
	// LearningRateScale is the factor on the learning rate of the class vectors that
	// package trainer uses with this head unless its solver.Config has a Layer for them.
	LearningRateScale(head heads.Head) float64
}

// vectorsName is the name of the class vectors within Batch.Weight.
const vectorsName = "vectors"

// Factors on the learning rate of class vectors.
const (
	// classifierRate is that of softmax classifiers, whose authors train classifier and
	// network with one learning rate (Deng et al. 2019; Wang et al. 2018; Zhai & Wu 2019).
	classifierRate = 1
	// proxyRate is that of Kim et al. 2020, section 4.1, and of Qian et al. 2019, section 4
	// (1e-2 for centers, 1e-4 for the network), for directions: a proxy has a large gradient
	// only in the few steps whose batch contains its class.
	proxyRate = 100
)

// proxyRateFor is proxyRate for heads with bounded values, which measure directions. With
// other heads the lengths of proxies count, and few steps of 100 times the learning rate
// would put them farther from all images than images are from each other.
func proxyRateFor(head heads.Head) float64 {
	if head != nil && head.Properties().Max > 0 {
		return proxyRate
	}
	return 1
}

// classVectors returns the class vectors, (Classes·perClass, D).
func (batch Batch) classVectors(b *graph.Builder, loss Loss, perClass int) *graph.Node {
	switch {
	case batch.Classes < 1:
		b.Fail("%s: found %d classes, expected the number of classes of the training data in Batch.Classes", loss.Name(), batch.Classes)
	case batch.References != nil:
		b.Fail("%s: found references, but its class vectors are what images are compared with: leave out Batch.References", loss.Name())
	}
	features := batch.Embeddings[0].Shape()[1]
	return batch.Weight(b, vectorsName, graph.Kernel, graph.Normal(0, 1/math.Sqrt(float64(features))), batch.Classes*perClass, features)
}

// cosines begins the loss and returns the cosines (N, Classes·perClass) between the
// embeddings and the class vectors, as one matrix product. A zero vector has the cosine 0
// and gradient zero, as in heads.Cosine.
func cosines(b *graph.Builder, loss Loss, batch Batch, perClass int) *graph.Node {
	begin(b, loss, batch)
	vectors := batch.classVectors(b, loss, perClass)
	return b.Products(b.Normalize(batch.Embeddings[0]), b.Normalize(vectors))
}

// checkCosine refuses all heads but cosine.
func checkCosine(loss Loss, head heads.Head) error {
	if _, err := propertiesFor(loss, head); err != nil {
		return err
	}
	switch head.(type) {
	case heads.Cosine, *heads.Cosine:
		return nil
	}
	return errors.Errorf("%s with %s: the equation compares directions by the cosine of their angle: use cosine", loss.Name(), heads.Identifier(head))
}

// classOf returns the label of an image as the number of its class.
func classOf[T graph.Float](labels []T, image, classes int) int {
	class := int(labels[image])
	if T(class) != labels[image] || class < 0 || class >= classes {
		panic(unknownClass(image, classes))
	}
	return class
}

// unknownClass says of an image of the batch that no class vector is that of its label.
func unknownClass(image, classes int) string {
	return fmt.Sprintf("the label of image %d of the batch is not a whole number from 0 to %d: found %d classes in Batch.Classes", image, classes-1, classes)
}

// pool combines the cosines between an image and the K vectors of one class into the
// similarity of the image to that class.
type pool struct {
	size int // K
	// value returns the similarity for K cosines and may keep K numbers for share; nil for
	// K = 1.
	value func(cosines, kept []float64) float64
	// share replaces the numbers kept by factor times the derivatives of value.
	share func(kept, cosines []float64, factor float64)
}

// one is the pool of one vector for each class.
var one = pool{size: 1}

// classSoftmax is the cross-entropy of a softmax over the classes, whose logit is Scale
// times the similarity s of the image to the class, and for the image's own class Scale
// times target(s):
//
//	L = −log( exp(Scale·target(s_y)) / (exp(Scale·target(s_y)) + Σ_{c≠y} exp(Scale·s_c)) )
//
// averaged over the images. All of it, the gradient by the cosines too, is computed in
// one pass over each row of the cosines (N, Classes·K), in float64.
type classSoftmax struct {
	scale  float64
	target func(similarity float64) (value, slope float64)
	pool   pool
}

func (s classSoftmax) cost(b *graph.Builder, loss Loss, batch Batch) *graph.Node {
	matrix := cosines(b, loss, batch, s.pool.size)
	return expression{b}.scalar(b.Apply(loss.Name(), tensor.Shape{1},
		&imageSoftmax[float32]{classSoftmax: s, classes: batch.Classes}, &imageSoftmax[float64]{classSoftmax: s, classes: batch.Classes}, matrix, batch.Labels))
}

// row returns the loss of an image of the class own and writes its derivatives by the
// cosines, both (Classes·K). It needs room for the logits of the classes.
func (s classSoftmax) row(slopes, cosines, logits []float64, own int) float64 {
	k, targetSlope := s.pool.size, 1.0
	for c := range logits {
		similarity := cosines[c*k]
		if s.pool.value != nil {
			similarity = s.pool.value(cosines[c*k:][:k], slopes[c*k:][:k])
		}
		if c == own {
			similarity, targetSlope = s.target(similarity)
		}
		logits[c] = s.scale * similarity
	}
	loss := crossEntropyOf(logits, own)
	logits[own] *= targetSlope
	for c, derivative := range logits {
		if derivative *= s.scale; s.pool.share == nil {
			slopes[c] = derivative
		} else {
			s.pool.share(slopes[c*k:][:k], cosines[c*k:][:k], derivative)
		}
	}
	return loss
}

// crossEntropyOf returns log Σ exp(l) − l_own, without overflow and with a small relative
// error near zero, and replaces the logits by its derivatives.
func crossEntropyOf(logits []float64, own int) float64 {
	largest := logits[0]
	for _, l := range logits {
		largest = max(largest, l) // NaN if one is
	}
	correct := logits[own]
	var others float64 // Σ exp(l − largest) over the other classes
	for c, l := range logits {
		if c == own {
			continue
		}
		logits[c] = math.Exp(l - largest)
		others += logits[c]
	}
	mine := math.Exp(correct - largest)
	loss := largest - correct + math.Log(mine+others)
	if correct == largest {
		loss = math.Log1p(others)
	}
	total := mine + others
	for c := range logits {
		logits[c] /= total
	}
	logits[own] = -others / total
	return loss
}

// imageSoftmax finds the gradient in the same pass as the loss. Its operands are the
// cosines (N, Classes·K) and the labels (N).
type imageSoftmax[T graph.Float] struct {
	classSoftmax
	classes int
	slopes  []T         // (N, Classes·K): of the sum of the losses by the cosines
	scratch [][]float64 // of each thread, for one row; kept because it is large if K is
}

func (f *imageSoftmax[T]) Forward(y []T, x ...[]T) {
	matrix, labels := x[0], x[1]
	rows, columns := len(labels), len(matrix)/len(labels)
	if len(f.slopes) != len(matrix) {
		f.slopes = make([]T, len(matrix))
	}
	losses := make([]float64, rows)
	threads := graph.Threads()
	for len(f.scratch) < threads {
		f.scratch = append(f.scratch, nil)
	}
	parallel.ForWorkers(threads, rows, func(worker, i int) {
		own := classOf(labels, i, f.classes)
		if len(f.scratch[worker]) == 0 {
			f.scratch[worker] = make([]float64, 2*columns+f.classes)
		}
		scratch := f.scratch[worker]
		cosines, slopes, logits := scratch[:columns], scratch[columns:2*columns], scratch[2*columns:]
		for j, v := range matrix[i*columns:][:columns] {
			cosines[j] = float64(v)
		}
		losses[i] = f.row(slopes, cosines, logits, own)
		for j, slope := range slopes {
			f.slopes[i*columns+j] = T(slope)
		}
	})
	var sum float64
	for _, loss := range losses {
		sum += loss
	}
	y[0] = T(sum / float64(rows))
}

func (f *imageSoftmax[T]) Backward(dx, x [][]T, _, dy []T) {
	factor := dy[0] / T(len(x[1]))
	if dx[0] != nil {
		columns := len(f.slopes) / len(x[1])
		graph.Parallel(len(x[1]), func(i int) {
			for j, slope := range f.slopes[i*columns:][:columns] {
				dx[0][i*columns+j] = slope * factor
			}
		})
	}
	if dx[1] != nil {
		clear(dx[1])
	}
}
