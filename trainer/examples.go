package trainer

import (
	"fmt"

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
	kind   kind
	count  int    // pairs, triplets or images in a step
	drawn  string // how, for the identity of a training; from which images is said apart
}

// For draws what the objective judges from labelled images: batch balanced
// pairs, batch triplets, or a labelled batch of so many images, perClass of
// each class (4 when it is 0). Where there are not batch/perClass classes, a
// labelled batch has all classes and as many images of each as fit.
func For(objective objectives.Loss, images *datasets.Dataset, batch, perClass int) (*Examples, error) {
	return draw(objective, images, batch, perClass, sampling{datasets.NewClassBatches, "any classes"})
}

// ForGroups is For a labelled batch whose classes come from one group of
// classes, or from a few where one has too few; see datasets.NewGroupBatches.
func ForGroups(objective objectives.Loss, images *datasets.Dataset, batch, perClass int) (*Examples, error) {
	return draw(objective, images, batch, perClass, sampling{datasets.NewGroupBatches, "classes of one group"})
}

// sampling makes a sampler of labelled batches, and says which classes it draws.
type sampling struct {
	newBatches func(images *datasets.Dataset, classes, perClass int) (*datasets.ClassBatches, error)
	drawn      string
}

func draw(objective objectives.Loss, images *datasets.Dataset, batch, perClass int, from sampling) (examples *Examples, err error) {
	defer panics(&err, "draw examples: the objective")
	if objective == nil || images == nil {
		return nil, errors.New("draw examples: there must be an objective and images")
	}
	if batch < 1 {
		return nil, errors.Errorf("draw examples: found a batch of %d, expected at least 1", batch)
	}
	if err := images.Validate(); err != nil {
		return nil, errors.Wrap(err, "draw examples")
	}
	e := &Examples{images: images, count: batch}
	switch objective.Kind() {
	case datasets.Pairs:
		var sampler datasets.PairSampler
		sampler, err = datasets.BalancedPairs(images)
		e.kind, e.drawn = pairs{sampler}, "balanced pairs"
	case datasets.Triplets:
		var sampler datasets.TripletSampler
		sampler, err = datasets.RandomTriplets(images)
		e.kind, e.drawn = triplets{sampler}, "random triplets"
	case datasets.Labeled:
		var sampler *datasets.ClassBatches
		if sampler, err = classBatches(images, batch, perClass, from); err == nil {
			e.kind, e.count = batches{sampler, images.Labels}, sampler.Classes*sampler.Images
			e.drawn = fmt.Sprintf("batches of %d images of %d classes, %s", sampler.Images, sampler.Classes, from.drawn)
		}
	default:
		err = errors.New("it judges neither pairs nor triplets nor batches")
	}
	if err != nil {
		return nil, errors.Wrapf(err, "draw examples for %s", objective.Name())
	}
	return e, nil
}

func classBatches(images *datasets.Dataset, batch, perClass int, from sampling) (*datasets.ClassBatches, error) {
	if perClass == 0 {
		perClass = 4
	}
	if perClass < 2 {
		return nil, errors.Errorf("found %d image of each class, expected at least 2: a comparison needs two", perClass)
	}
	classes := batch / perClass
	if populated := images.Populated(2); classes > populated && populated > 1 {
		classes, perClass = populated, batch/populated
	}
	if classes < 2 {
		return nil, errors.Errorf("a batch of %d images has room for %d class of %d, expected at least 2: take a larger batch", batch, classes, perClass)
	}
	return from.newBatches(images, classes, perClass)
}

// Pairs draws batch of the listed pairs in each step.
func Pairs(list *datasets.PairList, batch int) *Examples {
	if list == nil || len(list.Pairs) == 0 {
		return &Examples{}
	}
	return &Examples{images: list.Dataset, kind: pairs{datasets.ListedPairs(list.Pairs)}, count: batch, drawn: "listed pairs " + digestOf(list.Pairs)}
}

// Triplets draws batch of the listed triplets in each step.
func Triplets(list *datasets.TripletList, batch int) *Examples {
	if list == nil || len(list.Triplets) == 0 {
		return &Examples{}
	}
	return &Examples{images: list.Dataset, kind: triplets{datasets.ListedTriplets(list.Triplets)}, count: batch, drawn: "listed triplets " + digestOf(list.Triplets)}
}

// check reports what For has seen to, and Pairs and Triplets have not.
func (e *Examples) check() error {
	if e.kind == nil || e.images == nil || e.images.Len() == 0 {
		return errors.New("there is nothing to draw from: no images, or none of the listed pairs or triplets")
	}
	if e.count < 1 {
		return errors.Errorf("found a batch of %d, expected at least 1", e.count)
	}
	return e.images.Validate()
}

// perStep is the number of images that a step looks at.
func (e *Examples) perStep() int { return len(e.kind.towers()) * e.count }

// draw adds to the graph the towers, the head and the objective; it is an
// error when the objective does not judge such examples.
func (e *Examples) draw(b *graph.Builder, embed func(*graph.Node) *graph.Node, head heads.Head, objective objectives.Loss) *graph.Node {
	size := e.images.Size
	var embeddings []*graph.Node
	for _, tower := range e.kind.towers() {
		embeddings = append(embeddings, embed(b.Input(tower, e.count, size.Height, size.Width, size.Channels)))
	}
	return e.cost(b, embeddings, head, objective)
}

// cost adds the head and the objective on the towers' embeddings.
func (e *Examples) cost(b *graph.Builder, embeddings []*graph.Node, head heads.Head, objective objectives.Loss) *graph.Node {
	kind, labels := e.kind.judged()
	if objective.Kind() != kind {
		b.Fail("objective %s does not judge the examples it is given, which have the inputs %q", objective.Name(), e.kind.towers())
	}
	batch := objectives.Batch{Embeddings: embeddings, Head: head, Classes: len(e.images.Classes)}
	if labels != "" {
		batch.Labels = b.Input(labels, e.count)
	}
	return objective.Cost(b, batch)
}

// inputs are the values of the graph's inputs in one step, by name.
type inputs map[string][]float32

// step draws the inputs of a step: a function of the seed and the step alone.
func (e *Examples) step(step int, seed uint64, p imaging.Preprocessing, augment *datasets.Augmentation) (inputs, error) {
	indices, values := e.kind.sample(random.New(seed, "examples", step), e.count)
	for i, tower := range e.kind.towers() {
		values[tower] = make([]float32, e.count*e.images.Size.Len())
		if err := datasets.Fill(values[tower], e.images, indices[i], p, augment, seed, step, tower); err != nil {
			return nil, err
		}
	}
	return values, nil
}
