package trainer

import (
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/pkg/errors"
)

// Examples are what an objective is shown: images, and how they are drawn.
// Make them with For, Pairs or Triplets.
type Examples struct {
	images *datasets.Dataset
	pairs  datasets.PairSampler
	tuples datasets.TripletSampler
	batch  *datasets.ClassBatches
	count  int // pairs, triplets or images in a step
}

// For draws what the objective judges from labelled images: batch balanced
// pairs, batch triplets, or a labelled batch of so many images, perClass of
// each class (4 when it is 0). Where there are not batch/perClass classes, a
// labelled batch has all classes and as many images of each as fit.
func For(objective objectives.Objective, images *datasets.Dataset, batch, perClass int) (*Examples, error) {
	if batch < 1 {
		return nil, errors.Errorf("found a batch of %d, expected at least 1", batch)
	}
	e := &Examples{images: images, count: batch}
	var err error
	switch objective.(type) {
	case objectives.PairObjective:
		e.pairs, err = datasets.BalancedPairs(images)
	case objectives.TripletObjective:
		e.tuples, err = datasets.RandomTriplets(images)
	case objectives.BatchObjective:
		err = e.classBatches(batch, perClass)
	default:
		err = errors.Errorf("objective %s judges neither pairs nor triplets nor batches", objective.Name())
	}
	return e, errors.Wrapf(err, "draw examples for %s", objective.Name())
}

func (e *Examples) classBatches(batch, perClass int) error {
	if perClass == 0 {
		perClass = 4
	}
	populated := 0
	for _, images := range e.images.ByClass() {
		if len(images) > 1 {
			populated++
		}
	}
	classes := batch / perClass
	if classes > populated && populated > 0 {
		classes, perClass = populated, batch/populated
	}
	if classes < 2 || perClass < 2 {
		return errors.Errorf("a batch of %d images makes %d classes of %d: a comparison needs two of two; take a larger batch", batch, classes, perClass)
	}
	e.count = classes * perClass
	var err error
	e.batch, err = datasets.NewClassBatches(e.images, classes, perClass)
	return err
}

// Pairs draws batch of the listed pairs in each step.
func Pairs(list *datasets.PairList, batch int) *Examples {
	return &Examples{images: list.Dataset, pairs: datasets.ListedPairs(list.Pairs), count: batch}
}

// Triplets draws batch of the listed triplets in each step.
func Triplets(list *datasets.TripletList, batch int) *Examples {
	return &Examples{images: list.Dataset, tuples: datasets.ListedTriplets(list.Triplets), count: batch}
}

// perStep is the number of images that a step looks at.
func (e *Examples) perStep() int {
	switch {
	case e.pairs != nil:
		return 2 * e.count
	case e.tuples != nil:
		return 3 * e.count
	}
	return e.count
}

// towers name the inputs of images.
func (e *Examples) towers() []string {
	switch {
	case e.pairs != nil:
		return []string{"left", "right"}
	case e.tuples != nil:
		return []string{"anchor", "positive", "negative"}
	}
	return []string{"images"}
}

// draw adds to the graph the towers, the head and the objective; it is an
// error when the objective does not judge such examples.
func (e *Examples) draw(b *graph.Builder, embed func(*graph.Node) *graph.Node, head heads.Head, objective objectives.Objective) *graph.Node {
	size := e.images.Size
	var embeddings []*graph.Node
	for _, tower := range e.towers() {
		embeddings = append(embeddings, embed(b.Input(tower, e.count, size.Height, size.Width, size.Channels)))
	}
	switch o := objective.(type) {
	case objectives.PairObjective:
		if e.pairs != nil {
			return o.PairCost(b, head.Between(b, embeddings[0], embeddings[1]), b.Input("different", e.count))
		}
	case objectives.TripletObjective:
		if e.tuples != nil {
			return o.TripletCost(b, head.Between(b, embeddings[0], embeddings[1]), head.Between(b, embeddings[0], embeddings[2]))
		}
	case objectives.BatchObjective:
		if e.batch != nil {
			return o.BatchCost(b, head.Matrix(b, embeddings[0]), b.Input("labels", e.count))
		}
	}
	b.Fail("objective %s does not judge the examples it is given, which have the inputs %q", objective.Name(), e.towers())
	return nil
}

// inputs are the values of the graph's inputs in one step, by name.
type inputs map[string][]float32

// step draws the inputs of a step: a function of the seed and the step alone.
func (e *Examples) step(step int, seed uint64, p imaging.Preprocessing, augment *datasets.Affine) (inputs, error) {
	r := random.New(seed, "examples", step)
	towers := e.towers()
	indices := make([][]int, len(towers))
	values := inputs{}
	switch {
	case e.pairs != nil:
		different := make([]float32, 0, e.count)
		for _, pair := range e.pairs.Pairs(r, e.count) {
			indices[0], indices[1] = append(indices[0], pair.Left), append(indices[1], pair.Right)
			different = append(different, indicator(pair.Different))
		}
		values["different"] = different
	case e.tuples != nil:
		for _, triplet := range e.tuples.Triplets(r, e.count) {
			indices[0] = append(indices[0], triplet.Anchor)
			indices[1] = append(indices[1], triplet.Positive)
			indices[2] = append(indices[2], triplet.Negative)
		}
	default:
		indices[0] = e.batch.Batch(r)
		labels := make([]float32, 0, e.count)
		for _, i := range indices[0] {
			labels = append(labels, float32(e.images.Labels[i]))
		}
		values["labels"] = labels
	}
	return values, e.fill(values, indices, step, seed, p, augment)
}

func (e *Examples) fill(values inputs, indices [][]int, step int, seed uint64, p imaging.Preprocessing, augment *datasets.Affine) error {
	for i, tower := range e.towers() {
		values[tower] = make([]float32, e.count*e.images.Size.Len())
		// Each tower distorts its images in its own way.
		own := random.Seed(seed, "tower", tower)
		if err := datasets.Fill(values[tower], e.images, indices[i], p, augment, own, step); err != nil {
			return err
		}
	}
	return nil
}

func indicator(b bool) float32 {
	if b {
		return 1
	}
	return 0
}
