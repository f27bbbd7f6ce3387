package trainer

import (
	"math/rand/v2"

	"github.com/likeness-go/likeness/datasets"
)

// kind is one of the three kinds of examples: pairs, triplets and batches.
type kind interface {
	// towers name the inputs of images.
	towers() []string
	// sample draws n examples: for each tower the indices of its images, and
	// the values of the labels' input, if there is one.
	sample(r *rand.Rand, n int) (indices [][]int, labels inputs)
	// judged is the kind of examples as losses name it, with the name of the
	// labels' input, if there is one.
	judged() (kind datasets.Kind, labels string)
}

type pairs struct{ datasets.PairSampler }

func (pairs) towers() []string { return []string{"left", "right"} }

func (p pairs) sample(r *rand.Rand, n int) ([][]int, inputs) {
	indices, different := make([][]int, 2), []float32(nil)
	for _, pair := range p.Pairs(r, n) {
		indices[0], indices[1] = append(indices[0], pair.Left), append(indices[1], pair.Right)
		if pair.Different {
			different = append(different, 1)
		} else {
			different = append(different, 0)
		}
	}
	return indices, inputs{"different": different}
}

func (pairs) judged() (datasets.Kind, string) { return datasets.Pairs, "different" }

type triplets struct{ datasets.TripletSampler }

func (triplets) towers() []string { return []string{"anchor", "positive", "negative"} }

func (t triplets) sample(r *rand.Rand, n int) ([][]int, inputs) {
	indices := make([][]int, 3)
	for _, triplet := range t.Triplets(r, n) {
		indices[0] = append(indices[0], triplet.Anchor)
		indices[1] = append(indices[1], triplet.Positive)
		indices[2] = append(indices[2], triplet.Negative)
	}
	return indices, inputs{}
}

func (triplets) judged() (datasets.Kind, string) { return datasets.Triplets, "" }

// batches are labelled images, in which the objective finds its pairs or
// triplets by itself.
type batches struct {
	*datasets.ClassBatches
	classes []int // of all images
}

func (batches) towers() []string { return []string{"images"} }

func (c batches) sample(r *rand.Rand, n int) ([][]int, inputs) {
	indices, labels := c.Batch(r), make([]float32, n)
	for i, image := range indices {
		labels[i] = float32(c.classes[image])
	}
	return [][]int{indices}, inputs{"labels": labels}
}

func (batches) judged() (datasets.Kind, string) { return datasets.Labeled, "labels" }
