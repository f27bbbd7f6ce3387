package objectives

import (
	"math"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// The losses of this file need no labels: they compare two views of each image, which are two
// random augmentations of it.

// SimCLR selects for each view the other view of the same image among all other views of the
// batch. With N images there are 2N views; for a view a and the other view p of its image
//
//	L = −log( exp(−D(a,p)/τ) / Σ_{i≠a} exp(−D(a,i)/τ) )
//
// with τ = Temperature, averaged over the 2N views. It is NPair of the 2N views with one class
// for each image.
//
// Inputs: views of at least 2 images. Requirements: a head whose values are distances. Large
// batches and a strong augmentation.
//
// Source: Chen, Kornblith, Norouzi & Hinton 2020, "A Simple Framework for Contrastive Learning
// of Visual Representations", equation 1 (NT-Xent), whose head is cosine and whose τ is 0.1 on
// ImageNet and 0.5 on CIFAR-10.
type SimCLR struct {
	Temperature float64 // positive
}

// Name is "simclr".
func (SimCLR) Name() string { return "simclr" }

// Kind is datasets.Views.
func (SimCLR) Kind() datasets.Kind { return datasets.Views }

// Check implements Loss.
func (s SimCLR) Check(head heads.Head) error { return checkSoftmax(s, s.Temperature, head) }

// Cost implements Loss.
func (s SimCLR) Cost(b *graph.Builder, batch Batch) *graph.Node {
	e := begin(b, s, batch)
	e.must(checkImages(s, batch))
	n, features := batch.Embeddings[0].Shape()[0], batch.Embeddings[0].Shape()[1]
	views := batch
	views.Embeddings = []*graph.Node{b.Apply("views", tensor.Shape{2 * n, features}, stack[float32]{}, stack[float64]{}, batch.Embeddings...)}
	views.Labels = b.Apply("images of views", tensor.Shape{2 * n}, fixed[float32](numberTwice[float32]), fixed[float64](numberTwice[float64]), batch.Embeddings[0])
	return NPair{Temperature: s.Temperature}.Cost(b, views)
}

func (SimCLR) defaultHead() string { return "cosine" }

func (SimCLR) defaultTemperature(head heads.Head) float64 {
	if head != nil && head.Properties().Max > 0 {
		return head.Properties().Max / 20 // 0.1 with cosine
	}
	return DefaultTemperature(head)
}

// stack puts the rows of its second operand below those of the first.
type stack[T graph.Float] struct{}

func (stack[T]) Forward(y []T, x ...[]T) {
	copy(y, x[0])
	copy(y[len(x[0]):], x[1])
}

func (stack[T]) Backward(dx, _ [][]T, _, dy []T) {
	copy(dx[0], dy)
	copy(dx[1], dy[len(dx[0]):])
}

// numberTwice numbers N images, once for each of their two views.
func numberTwice[T graph.Float](labels []T, _ ...[]T) {
	for i := range labels {
		labels[i] = T(i % (len(labels) / 2))
	}
}

// VICReg makes the two views of an image equal (invariance), while each feature keeps a standard
// deviation of 1 over the batch (variance) and different features are not correlated
// (covariance). For the N views z of D features and the other views z′ of the same images
//
//	L = Invariance·Σ(z − z′)²/(N·D) + Variance·(v(z) + v(z′)) + Covariance·(c(z) + c(z′))
//	v(z) = Σⱼ max(0, 1 − √(Var(zⱼ) + 1e-4)) / (2D)
//	c(z) = Σ_{j≠k} Cov(zⱼ, zₖ)² / D
//
// with variances and covariances that have N − 1 in the denominator. It compares no image with
// another.
//
// Inputs: views of at least 2 images. Requirements: a head without weights, which measures
// distances after the training; the loss does not depend on it.
//
// Source: Bardes, Ponce & LeCun 2022, "VICReg: Variance-Invariance-Covariance Regularization for
// Self-Supervised Learning", equation 6, with the divisors of the authors' code: D in the
// invariance and 2 in the variance, which the equations do not have. The weights of the paper are
// 25, 25 and 1.
type VICReg struct {
	Invariance float64 // weights of the three terms, at least 0
	Variance   float64
	Covariance float64
}

// Name is "vicreg".
func (VICReg) Name() string { return "vicreg" }

// Kind is datasets.Views.
func (VICReg) Kind() datasets.Kind { return datasets.Views }

// Check implements Loss.
func (v VICReg) Check(head heads.Head) error {
	for _, weight := range []struct {
		name  string
		value float64
	}{{"invariance", v.Invariance}, {"variance", v.Variance}, {"covariance", v.Covariance}} {
		if !(weight.value >= 0) || math.IsInf(weight.value, 0) {
			return errors.Errorf("%s: found %s %v, expected a number of at least 0", v.Name(), weight.name, weight.value)
		}
	}
	return checkNoWeights(v, head)
}

func (VICReg) defaults() Options { return Options{Invariance: 25, Variance: 25, Covariance: 1} }

func (VICReg) defaultHead() string { return "cosine" }

// Cost implements Loss.
func (v VICReg) Cost(b *graph.Builder, batch Batch) *graph.Node {
	return costOfViews(b, v, batch, v.evaluate)
}

// varianceEpsilon is added to variances before their square root, as in the authors' code.
const varianceEpsilon = 1e-4

// evaluate returns the loss of two views and its derivatives by their elements.
func (v VICReg) evaluate(views [2]matrix) (cost float64, slopes [2]matrix) {
	rows, columns := float64(views[0].rows), float64(views[0].columns)
	for i := range slopes {
		slopes[i] = newMatrix(views[i].rows, views[i].columns)
	}
	for i, x := range views[0].elements {
		difference := x - views[1].elements[i]
		cost += v.Invariance * difference * difference / (rows * columns)
		slope := 2 * v.Invariance * difference / (rows * columns)
		slopes[0].elements[i], slopes[1].elements[i] = slope, -slope
	}
	for i, view := range views {
		centered, variances := view.centered(rows - 1)
		// The sum of the squares of all covariances is that of the products of images, which are
		// fewer than pairs of features in most batches.
		products := centered.products()
		for _, p := range products.elements {
			cost += v.Covariance * p * p / ((rows - 1) * (rows - 1) * columns)
		}
		by := products.times(centered)
		for j, variance := range variances {
			deviation := math.Sqrt(variance + varianceEpsilon)
			cost += v.Variance*max(0, 1-deviation)/(2*columns) - v.Covariance*variance*variance/columns
			factor := -4 * v.Covariance * variance / ((rows - 1) * columns)
			if deviation < 1 {
				factor -= v.Variance / (2 * columns * deviation * (rows - 1))
			}
			for row := range view.rows {
				k := row*view.columns + j
				slopes[i].elements[k] += factor*centered.elements[k] + 4*v.Covariance*by.elements[k]/((rows-1)*(rows-1)*columns)
			}
		}
	}
	return cost, slopes
}

// BarlowTwins makes the correlation of each feature between the two views of the images of a
// batch 1 and that of different features 0. With the correlation matrix C of the D features of
// the first views and the D features of the second ones
//
//	L = Σⱼ (1 − Cⱼⱼ)² + Redundancy·Σ_{j≠k} Cⱼₖ²
//
// where 1e-5 is added to the variances of the features. It compares no image with another.
//
// Inputs: views of at least 2 images. Requirements: a head without weights, which measures
// distances after the training; the loss does not depend on it.
//
// Source: Zbontar, Jing, Misra, LeCun & Deny 2021, "Barlow Twins: Self-Supervised Learning via
// Redundancy Reduction", equation 1, whose weight of the redundancy, λ, is 5e-3.
type BarlowTwins struct {
	Redundancy float64 // weight of the correlations of different features, at least 0
}

// Name is "barlow-twins".
func (BarlowTwins) Name() string { return "barlow-twins" }

// Kind is datasets.Views.
func (BarlowTwins) Kind() datasets.Kind { return datasets.Views }

// Check implements Loss.
func (t BarlowTwins) Check(head heads.Head) error {
	if !(t.Redundancy >= 0) || math.IsInf(t.Redundancy, 0) {
		return errors.Errorf("%s: found redundancy %v, expected a number of at least 0", t.Name(), t.Redundancy)
	}
	return checkNoWeights(t, head)
}

func (BarlowTwins) defaults() Options { return Options{Redundancy: 5e-3} }

func (BarlowTwins) defaultHead() string { return "cosine" }

// Cost implements Loss.
func (t BarlowTwins) Cost(b *graph.Builder, batch Batch) *graph.Node {
	return costOfViews(b, t, batch, t.evaluate)
}

// normEpsilon is that of the batch normalization in the authors' code.
const normEpsilon = 1e-5

// evaluate returns the loss of two views and its derivatives by their elements.
func (t BarlowTwins) evaluate(views [2]matrix) (cost float64, slopes [2]matrix) {
	rows, columns := float64(views[0].rows), views[0].columns
	var normalized, products [2]matrix
	var deviations [2][]float64
	for i, view := range views {
		normalized[i], deviations[i] = view.centered(rows)
		for j := range deviations[i] {
			deviations[i][j] = math.Sqrt(deviations[i][j] + normEpsilon)
		}
		for k := range normalized[i].elements {
			normalized[i].elements[k] /= deviations[i][k%columns]
		}
		products[i] = normalized[i].products()
	}
	// The sum of the squares of all correlations is that of the products of the images' products.
	for k, p := range products[0].elements {
		cost += t.Redundancy * p * products[1].elements[k] / (rows * rows)
	}
	diagonal := make([]float64, columns)
	for k, x := range normalized[0].elements {
		diagonal[k%columns] += x * normalized[1].elements[k] / rows
	}
	for _, c := range diagonal {
		cost += (1-c)*(1-c) - t.Redundancy*c*c
	}
	for i := range slopes {
		other := normalized[1-i]
		slope := products[1-i].times(normalized[i])
		for k := range slope.elements {
			c := diagonal[k%columns]
			slope.elements[k] = 2*t.Redundancy*slope.elements[k]/(rows*rows) - 2*(1-c+t.Redundancy*c)*other.elements[k]/rows
		}
		slope.throughNormalization(normalized[i], deviations[i])
		slopes[i] = slope
	}
	return cost, slopes
}

// throughNormalization replaces the derivatives by normalized elements by those by the elements.
func (m matrix) throughNormalization(normalized matrix, deviations []float64) {
	sums, weighted := make([]float64, m.columns), make([]float64, m.columns)
	for k, slope := range m.elements {
		sums[k%m.columns] += slope / float64(m.rows)
		weighted[k%m.columns] += slope * normalized.elements[k] / float64(m.rows)
	}
	for k := range m.elements {
		j := k % m.columns
		m.elements[k] = (m.elements[k] - sums[j] - normalized.elements[k]*weighted[j]) / deviations[j]
	}
}

// KoLeo is a regularizer that spreads embeddings over the unit sphere: it increases the distance
// of each embedding from its nearest neighbor in the batch. With unit vectors u of the N
// embeddings
//
//	L = −Σᵢ log(min_{j≠i} ‖uᵢ − uⱼ‖ + 1e-8) / N
//
// averaged over the towers, of which each is a batch of its own. It is the differential entropy
// estimator of Kozachenko and Leonenko, up to a constant.
//
// It needs no labels and goes into a Sum with losses of any kind of examples, with a small
// weight such as 0.1; by itself its kind is datasets.Labeled:
//
//	objectives.Sum{{Weight: 1, Loss: objectives.NPair{Temperature: 0.05}}, {Weight: 0.1, Loss: objectives.KoLeo{}}}
//
// Inputs: examples of any kind. Requirements: none; it does not depend on the head. The zero
// vector and an embedding that is equal to its nearest neighbor have the gradient zero. The loss
// of one embedding is 0.
//
// Source: Sablayrolles, Douze, Schmid & Jégou 2019, "Spreading vectors for similarity search",
// equation 4, with the 1e-8 of DINOv2 (Oquab et al. 2023).
type KoLeo struct{}

// Name is "koleo".
func (KoLeo) Name() string { return "koleo" }

// Kind is datasets.Labeled.
func (KoLeo) Kind() datasets.Kind { return datasets.Labeled }

func (KoLeo) takesAnyKind() {}

// takesAnyKind reports whether a loss may be in a Sum with losses of any kind.
func takesAnyKind(loss Loss) bool {
	_, ok := loss.(interface{ takesAnyKind() })
	return ok
}

// Check implements Loss.
func (k KoLeo) Check(head heads.Head) error {
	_, err := propertiesFor(k, head)
	return err
}

// Cost implements Loss.
func (k KoLeo) Cost(b *graph.Builder, batch Batch) *graph.Node {
	e := expression{b}
	if len(batch.Embeddings) == 0 {
		b.Fail("%s: found no embeddings, expected those of a tower", k.Name())
	}
	e.must(errors.WithMessage(batch.checkEmbeddings(), k.Name()))
	e.must(k.Check(batch.Head))
	e.Describe(k.Name(), k)
	columns := batch.Embeddings[0].Shape()[1]
	return e.scalar(b.Apply(k.Name(), tensor.Shape{1}, &spread[float32]{columns: columns}, &spread[float64]{columns: columns}, batch.Embeddings...))
}

// spread computes KoLeo and its gradient in one pass.
type spread[T graph.Float] struct {
	columns int
	slopes  []matrix // by tower
}

// nearestEpsilon is added to the distance from the nearest neighbor.
const nearestEpsilon = 1e-8

func (f *spread[T]) Forward(y []T, x ...[]T) {
	var cost float64
	f.slopes = nil
	for _, tower := range x {
		value, slopes := spreadOf(matrixOf(tower, f.columns))
		for k := range slopes.elements {
			slopes.elements[k] /= float64(len(x))
		}
		cost += value / float64(len(x))
		f.slopes = append(f.slopes, slopes)
	}
	y[0] = T(cost)
}

func (f *spread[T]) Backward(dx, _ [][]T, _, dy []T) { backward(dx, f.slopes, dy) }

// spreadOf returns KoLeo of one tower and its derivatives.
func spreadOf(x matrix) (cost float64, slopes matrix) {
	units, norms := newMatrix(x.rows, x.columns), make([]float64, x.rows)
	for i := range x.rows {
		norms[i] = math.Sqrt(dot(x.row(i), x.row(i)))
		for k, v := range x.row(i) {
			if units.row(i)[k] = v; norms[i] != 0 {
				units.row(i)[k] /= norms[i]
			}
		}
	}
	slopes = newMatrix(x.rows, x.columns)
	if x.rows < 2 {
		return 0 * norms[0], slopes // shows a norm that is not finite
	}
	products, by := units.products(), newMatrix(x.rows, x.columns)
	for i := range x.rows {
		nearest := -1
		for j, p := range products.row(i) {
			if norms[j] == 0 {
				p = 0.5 // that of unit vectors at a distance of 1, which is that of the zero vector
				products.row(i)[j] = p
			}
			if j != i && (nearest < 0 || p > products.row(i)[nearest] || p != p) {
				nearest = j
			}
		}
		var squares float64
		for k, v := range units.row(i) {
			difference := v - units.row(nearest)[k]
			squares += difference * difference
		}
		distance := math.Sqrt(squares)
		cost -= math.Log(distance+nearestEpsilon) / float64(x.rows)
		if distance == 0 {
			continue
		}
		factor := -1 / (float64(x.rows) * (distance + nearestEpsilon) * distance)
		for k, v := range units.row(i) {
			slope := factor * (v - units.row(nearest)[k])
			by.row(i)[k] += slope
			by.row(nearest)[k] -= slope
		}
	}
	for i, norm := range norms {
		if norm == 0 {
			continue
		}
		along := dot(by.row(i), units.row(i))
		for k, slope := range by.row(i) {
			slopes.row(i)[k] = (slope - along*units.row(i)[k]) / norm
		}
	}
	return cost, slopes
}

// costOfViews is a loss that is a function of the embeddings of two views of each image.
func costOfViews(b *graph.Builder, loss Loss, batch Batch, evaluate func(views [2]matrix) (cost float64, slopes [2]matrix)) *graph.Node {
	e := begin(b, loss, batch)
	e.must(checkImages(loss, batch))
	columns := batch.Embeddings[0].Shape()[1]
	return e.scalar(b.Apply(loss.Name(), tensor.Shape{1},
		&ofViews[float32]{columns: columns, evaluate: evaluate}, &ofViews[float64]{columns: columns, evaluate: evaluate}, batch.Embeddings...))
}

// ofViews finds the gradient in the same pass as the loss, in float64.
type ofViews[T graph.Float] struct {
	columns  int
	evaluate func(views [2]matrix) (cost float64, slopes [2]matrix)
	slopes   [2]matrix
}

func (f *ofViews[T]) Forward(y []T, x ...[]T) {
	cost, slopes := f.evaluate([2]matrix{matrixOf(x[0], f.columns), matrixOf(x[1], f.columns)})
	y[0], f.slopes = T(cost), slopes
}

func (f *ofViews[T]) Backward(dx, _ [][]T, _, dy []T) { backward(dx, f.slopes[:], dy) }

func backward[T graph.Float](dx [][]T, slopes []matrix, dy []T) {
	for i, gradient := range dx {
		for k := range gradient {
			gradient[k] = T(slopes[i].elements[k] * float64(dy[0]))
		}
	}
}

// checkImages refuses a batch of one image, which has nothing to be compared with and no variance.
func checkImages(loss Loss, batch Batch) error {
	if n := batch.Embeddings[0].Shape()[0]; n < 2 {
		return errors.Errorf("%s: found a batch of %d image, expected at least 2: use a larger batch", loss.Name(), n)
	}
	return nil
}

// checkNoWeights refuses heads whose weights a loss that does not depend on them would not train.
func checkNoWeights(loss Loss, head heads.Head) error {
	if _, err := propertiesFor(loss, head); err != nil {
		return err
	}
	switch head.(type) {
	case heads.WeightedL1, *heads.WeightedL1:
		return errors.Errorf("%s with %s: the loss does not depend on distances, so that the weights of this head would not be trained: use cosine, l2, squared-l2 or l1", loss.Name(), heads.Identifier(head))
	}
	return nil
}

// matrix is rows of equal length, in float64.
type matrix struct {
	rows, columns int
	elements      []float64
}

func newMatrix(rows, columns int) matrix { return matrix{rows, columns, make([]float64, rows*columns)} }

func matrixOf[T graph.Float](elements []T, columns int) matrix {
	return matrix{len(elements) / columns, columns, widen(elements)}
}

func (m matrix) row(i int) []float64 { return m.elements[i*m.columns:][:m.columns:m.columns] }

// centered is the matrix without the means of its columns, and the variances of the columns with
// this divisor.
func (m matrix) centered(divisor float64) (result matrix, variances []float64) {
	means := make([]float64, m.columns)
	for k, v := range m.elements {
		means[k%m.columns] += v / float64(m.rows)
	}
	result, variances = newMatrix(m.rows, m.columns), make([]float64, m.columns)
	for k, v := range m.elements {
		v -= means[k%m.columns]
		result.elements[k] = v
		variances[k%m.columns] += v * v / divisor
	}
	return result, variances
}

// products are the inner products of all pairs of rows.
func (m matrix) products() matrix {
	result := newMatrix(m.rows, m.rows)
	graph.Parallel(m.rows, func(i int) {
		for j := range m.rows {
			result.row(i)[j] = dot(m.row(i), m.row(j))
		}
	})
	return result
}

// times is the matrix product.
func (m matrix) times(other matrix) matrix {
	result := newMatrix(m.rows, other.columns)
	graph.Parallel(m.rows, func(i int) {
		row := result.row(i)
		for j, factor := range m.row(i) {
			for k, v := range other.row(j) {
				row[k] += factor * v
			}
		}
	})
	return result
}

func dot(x, y []float64) (sum float64) {
	for i, v := range x {
		sum += v * y[i]
	}
	return sum
}
