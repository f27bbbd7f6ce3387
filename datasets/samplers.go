package datasets

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// Sampler draws the examples of one training step. BalancedPairs, ListedPairs,
// RandomTriplets, ListedTriplets, ClassBatches, GroupBatches and RandomViews return Samplers; a
// user-defined type needs only these three methods.
type Sampler interface {
	// Kind is the kind of the examples.
	Kind() Kind
	// Sample draws n pairs, n triplets, n labeled images or n images with two views each; the result must depend on r
	// and n only. A sampler that draws whole classes may draw fewer than n images, but
	// always the same number for the same n. Samplers of this package draw nothing if r
	// is nil or n is negative.
	Sample(r *rand.Rand, n int) Tuples
	// Identity describes how examples are drawn. A checkpoint records it and is resumed
	// only with a Sampler of the same identity.
	Identity() string
}

// Tuples are the examples of one training step, by the indices of their images.
type Tuples struct {
	// Indices has one list for each image of an example: two for pairs, three for
	// triplets (anchors, positives, negatives), one for labeled images, and for views two
	// that are equal. The lists have the same length.
	Indices [][]int
	// Different reports for each pair whether its classes differ. It is nil for triplets,
	// labeled images and views.
	Different []bool
}

// Len is the number of examples.
func (t Tuples) Len() int {
	if len(t.Indices) == 0 {
		return 0
	}
	return len(t.Indices[0])
}

// Pairs lists the examples as pairs; it is nil for other kinds.
func (t Tuples) Pairs() []Pair {
	if len(t.Indices) != 2 || len(t.Indices[1]) != t.Len() || len(t.Different) != t.Len() {
		return nil
	}
	pairs := make([]Pair, t.Len())
	for i := range pairs {
		pairs[i] = Pair{Left: t.Indices[0][i], Right: t.Indices[1][i], Different: t.Different[i]}
	}
	return pairs
}

// Triplets lists the examples as triplets; it is nil for other kinds.
func (t Tuples) Triplets() []Triplet {
	if len(t.Indices) != 3 || len(t.Indices[1]) != t.Len() || len(t.Indices[2]) != t.Len() {
		return nil
	}
	triplets := make([]Triplet, t.Len())
	for i := range triplets {
		triplets[i] = Triplet{Anchor: t.Indices[0][i], Positive: t.Indices[1][i], Negative: t.Indices[2][i]}
	}
	return triplets
}

// Pair is two images of a dataset by their indices, and whether their classes
// differ.
type Pair = evaluate.Pair

// Triplet is three images of a dataset by their indices: the positive has the
// anchor's class and the negative another.
type Triplet struct{ Anchor, Positive, Negative int }

func tuplesOfPairs(pairs []Pair) Tuples {
	t := Tuples{Indices: [][]int{make([]int, len(pairs)), make([]int, len(pairs))}, Different: make([]bool, len(pairs))}
	for i, pair := range pairs {
		t.Indices[0][i], t.Indices[1][i], t.Different[i] = pair.Left, pair.Right, pair.Different
	}
	return t
}

func tuplesOfTriplets(triplets []Triplet) Tuples {
	t := Tuples{Indices: [][]int{make([]int, len(triplets)), make([]int, len(triplets)), make([]int, len(triplets))}}
	for i, triplet := range triplets {
		t.Indices[0][i], t.Indices[1][i], t.Indices[2][i] = triplet.Anchor, triplet.Positive, triplet.Negative
	}
	return t
}

// DefaultSampler returns the sampler that a training uses by default: BalancedPairs,
// RandomTriplets, RandomViews, or ClassBatches of the size that FitBatch chooses. perClass is the
// number of images of each class in a labeled batch, 4 if it is 0; pairs, triplets and views
// ignore it.
func DefaultSampler(kind Kind, images Images, batch, perClass int) (Sampler, error) {
	switch kind {
	case Pairs:
		if batch == 1 {
			return nil, errors.New("default sampler: found a batch of 1 pair, expected at least 2, of which one is of different classes: use a larger batch")
		}
		return BalancedPairs(images)
	case Triplets:
		return RandomTriplets(images)
	case Labeled:
		classes, each, err := FitBatch(images, batch, perClass)
		if err != nil {
			return nil, err
		}
		return ClassBatches(images, classes, each)
	case Views:
		return RandomViews(images)
	}
	return nil, errors.Errorf("default sampler: found the kind %d, expected Pairs, Triplets, Labeled or Views", kind)
}

// RandomViews returns a sampler of images of which each has two views, which are two random
// augmentations of it. All images are equally likely, whatever their classes, and need none.
// The images of a step are different: if there are fewer than n, Sample draws all of them.
//
// The error is ErrTooFew if there are fewer than two images.
func RandomViews(images Images) (Sampler, error) {
	if err := CheckImages(images); err != nil {
		return nil, errors.Wrap(err, "random views")
	}
	if images.Len() < 2 {
		return nil, errors.Wrapf(ErrTooFew, "random views: %s has %d image, at least two are needed", nameOf(images), images.Len())
	}
	return randomViews(images.Len()), nil
}

// randomViews is the number of images.
type randomViews int

func (randomViews) Kind() Kind       { return Views }
func (randomViews) Identity() string { return "random views" }

func (v randomViews) Sample(r *rand.Rand, n int) Tuples {
	if r == nil || n < 0 {
		return Tuples{}
	}
	drawn := choose(r, int(v), min(n, int(v)))
	return Tuples{Indices: [][]int{drawn, drawn}}
}

// BalancedPairs returns a sampler of pairs that are alternately of the same class and of
// different classes: of n pairs, ⌊n/2⌋ differ. Classes are drawn uniformly, whatever
// their sizes, then their images; the two images of a pair are never the same. A class of
// one image occurs only in pairs of different classes.
//
// The error is ErrTooFew if there are fewer than two classes, or if no class has two
// images.
func BalancedPairs(images Images) (Sampler, error) {
	classes, err := newClassDraw(images)
	if err != nil {
		return nil, errors.Wrap(err, "balanced pairs")
	}
	return balancedPairs{classes}, nil
}

type balancedPairs struct{ *classDraw }

func (balancedPairs) Kind() Kind       { return Pairs }
func (balancedPairs) Identity() string { return "balanced pairs" }

func (b balancedPairs) Sample(r *rand.Rand, n int) Tuples {
	if r == nil || n < 0 {
		return Tuples{}
	}
	pairs := make([]Pair, n)
	for i := range pairs {
		if i%2 == 0 {
			_, left, right := b.same(r)
			pairs[i] = Pair{Left: left, Right: right}
		} else {
			class := r.IntN(len(b.classes))
			pairs[i] = Pair{Left: b.image(r, class), Right: b.outside(r, class), Different: true}
		}
	}
	return tuplesOfPairs(pairs)
}

// ListedPairs returns a sampler of given pairs. Sample draws n of them without
// replacement; if there are fewer, the numbers of their occurrences differ by at most
// one. An empty list yields no pairs.
func ListedPairs(pairs []Pair) Sampler { return listedPairs(pairs) }

type listedPairs []Pair

func (listedPairs) Kind() Kind         { return Pairs }
func (l listedPairs) Identity() string { return "listed pairs " + digestOf(l) }
func (l listedPairs) Sample(r *rand.Rand, n int) Tuples {
	return tuplesOfPairs(drawListed(r, l, n))
}

// RandomTriplets returns a sampler that draws the class of the anchor and the class of
// the negative uniformly, whatever their sizes, then their images; anchor and positive
// are never the same image. A class of one image yields negatives only.
//
// The error is ErrTooFew if there are fewer than two classes, or if no class has two
// images.
func RandomTriplets(images Images) (Sampler, error) {
	classes, err := newClassDraw(images)
	if err != nil {
		return nil, errors.Wrap(err, "random triplets")
	}
	return randomTriplets{classes}, nil
}

type randomTriplets struct{ *classDraw }

func (randomTriplets) Kind() Kind       { return Triplets }
func (randomTriplets) Identity() string { return "random triplets" }

func (t randomTriplets) Sample(r *rand.Rand, n int) Tuples {
	if r == nil || n < 0 {
		return Tuples{}
	}
	triplets := make([]Triplet, n)
	for i := range triplets {
		class, anchor, positive := t.same(r)
		triplets[i] = Triplet{Anchor: anchor, Positive: positive, Negative: t.outside(r, class)}
	}
	return tuplesOfTriplets(triplets)
}

// ListedTriplets returns a sampler of given triplets. Sample draws n of them without
// replacement; if there are fewer, the numbers of their occurrences differ by at most
// one. An empty list yields no triplets.
func ListedTriplets(triplets []Triplet) Sampler { return listedTriplets(triplets) }

type listedTriplets []Triplet

func (listedTriplets) Kind() Kind         { return Triplets }
func (l listedTriplets) Identity() string { return "listed triplets " + digestOf(l) }
func (l listedTriplets) Sample(r *rand.Rand, n int) Tuples {
	return tuplesOfTriplets(drawListed(r, l, n))
}

// drawListed draws n of a list without replacement, and begins anew with the whole
// list each time that all are drawn.
func drawListed[T any](r *rand.Rand, list []T, n int) []T {
	if len(list) == 0 || r == nil || n < 0 {
		return nil
	}
	drawn := make([]T, 0, n)
	for len(drawn) < n {
		drawn = append(drawn, pick(list, choose(r, len(list), min(n-len(drawn), len(list))))...)
	}
	return drawn
}

// digestOf distinguishes a list of pairs or triplets from others.
func digestOf[T any](list []T) string {
	hash := sha256.New()
	for _, item := range list {
		fmt.Fprintln(hash, item)
	}
	return fmt.Sprintf("%d of digest %x", len(list), hash.Sum(nil)[:8])
}

// FitBatch chooses the numbers of classes and of images of each class for a batch of
// labeled images: perClass images (4 if it is 0) of batch/perClass classes. If fewer
// classes have two or more images, it chooses all of these classes and as many images of
// each as fit.
func FitBatch(images Images, batch, perClass int) (classes, each int, err error) {
	if batch < 1 {
		return 0, 0, errors.Errorf("found a batch of %d, expected at least 1", batch)
	}
	if err := checkLabeled(images); err != nil {
		return 0, 0, err
	}
	if perClass == 0 {
		perClass = 4
	}
	if perClass < 2 {
		return 0, 0, errors.Errorf("found %d image of each class, expected at least 2: a comparison needs two", perClass)
	}
	classes = batch / perClass
	if populated := len(classesOf(images, 2)); classes > populated && populated > 1 {
		classes, perClass = populated, batch/populated
	}
	if classes < 2 {
		return 0, 0, errors.Errorf("a batch of %d images with %d of each class has %d, expected at least 2 classes: use a larger batch", batch, perClass, classes)
	}
	return classes, perClass, nil
}

// ClassBatches returns a sampler of batches of P classes × K images, from which
// losses that compare all images of a batch choose their tuples (Hermans, Beyer &
// Leibe 2017, "In Defense of the Triplet Loss", section 2).
//
// The images of a batch are ordered by class. The classes of a batch are different, and
// so are the images of a class, except that a class with fewer than perClass images
// repeats them. If perClass is above one, classes of one image are not used, because the
// image would be compared with itself. Sample draws classes × perClass images if n is at
// least that, and nothing if n is less.
//
// The error is ErrTooFew if there are fewer classes than a batch has.
func ClassBatches(images Images, classes, perClass int) (Sampler, error) {
	return newClassBatches(images, classes, perClass)
}

// GroupBatches is ClassBatches with all classes of a batch from one group (see GroupOf),
// such as an alphabet, whose characters are harder to distinguish than those of several
// alphabets. Groups are drawn with probabilities proportional to their numbers of
// classes. If a group has too few classes for a batch, further groups are added.
func GroupBatches(images Images, classes, perClass int) (Sampler, error) {
	b, err := newClassBatches(images, classes, perClass)
	if err != nil {
		return nil, err
	}
	names, position := images.ClassNames(), map[string]int{}
	for i, candidate := range b.candidates {
		name := GroupOf(names[images.Label(candidate[0])])
		at, known := position[name]
		if !known {
			at = len(b.groups)
			position[name] = at
			b.groups = append(b.groups, nil)
		}
		b.groups[at] = append(b.groups[at], i)
	}
	return b, nil
}

type classBatches struct {
	classes, images int     // P and K
	candidates      [][]int // the images of each class that takes part
	groups          [][]int // indices into candidates; nil where classes come from anywhere
}

func newClassBatches(images Images, classes, perClass int) (*classBatches, error) {
	if classes < 1 || perClass < 1 {
		return nil, errors.Errorf("class batches: found %d classes x %d images, expected at least 1 x 1", classes, perClass)
	}
	if err := checkLabeled(images); err != nil {
		return nil, errors.Wrap(err, "class batches")
	}
	b := &classBatches{classes: classes, images: perClass, candidates: classesOf(images, min(perClass, 2))}
	if len(b.candidates) < classes {
		return nil, errors.Wrapf(ErrTooFew, "class batches of %d classes x %d images: %s has %d classes of %d images or more",
			classes, perClass, nameOf(images), len(b.candidates), min(perClass, 2))
	}
	return b, nil
}

func (*classBatches) Kind() Kind { return Labeled }

func (b *classBatches) Identity() string {
	from := "any classes"
	if b.groups != nil {
		from = "classes of one group"
	}
	return fmt.Sprintf("batches of %d images of %d classes, %s", b.images, b.classes, from)
}

func (b *classBatches) Sample(r *rand.Rand, n int) Tuples {
	if r == nil || n < b.classes*b.images {
		return Tuples{}
	}
	batch := make([]int, 0, b.classes*b.images)
	for _, class := range b.draw(r) {
		batch = append(batch, drawListed(r, b.candidates[class], b.images)...)
	}
	return Tuples{Indices: [][]int{batch}}
}

// draw returns the classes of a batch.
func (b *classBatches) draw(r *rand.Rand) []int {
	if b.groups == nil {
		return choose(r, len(b.candidates), b.classes)
	}
	drawn := make([]int, 0, b.classes)
	left := slices.Clone(b.groups)
	for count := len(b.candidates); len(drawn) < b.classes; {
		class, at := r.IntN(count), 0
		for class >= len(left[at]) {
			class -= len(left[at])
			at++
		}
		group := left[at]
		for _, i := range choose(r, len(group), min(len(group), b.classes-len(drawn))) {
			drawn = append(drawn, group[i])
		}
		count -= len(group)
		left = slices.Delete(left, at, at+1)
	}
	return drawn
}

// classesOf returns the images of each class that has at least the given number
// of them.
func classesOf(images Images, minimum int) [][]int {
	var classes [][]int
	for _, members := range byClass(images) {
		if len(members) >= minimum {
			classes = append(classes, members)
		}
	}
	return classes
}

// classDraw draws images by their classes, which are equally likely whatever
// their sizes.
type classDraw struct {
	classes [][]int // the images of each class that has any
	several []int   // those of classes that have two images or more
}

// newClassDraw is ErrTooFew without two classes, or when no class has two
// images.
func newClassDraw(images Images) (*classDraw, error) {
	if err := checkLabeled(images); err != nil {
		return nil, err
	}
	c := &classDraw{}
	var present []string
	for class, members := range byClass(images) {
		if len(members) == 0 {
			continue
		}
		if len(members) > 1 {
			c.several = append(c.several, len(c.classes))
		}
		c.classes = append(c.classes, members)
		present = append(present, images.ClassNames()[class])
	}
	if len(c.classes) < 2 {
		return nil, errors.Wrapf(ErrTooFew, "%s has images of one class only (%s), at least two are needed", nameOf(images), listing(present))
	}
	if len(c.several) == 0 {
		return nil, errors.Wrapf(ErrTooFew, "%s has one image in each of its classes (%s), at least one class needs two", nameOf(images), listing(present))
	}
	return c, nil
}

// same returns a class and two different images of it.
func (c *classDraw) same(r *rand.Rand) (class, left, right int) {
	class = c.several[r.IntN(len(c.several))]
	images := c.classes[class]
	i := r.IntN(len(images))
	return class, images[i], images[other(r, len(images), i)]
}

// image returns an image of the class.
func (c *classDraw) image(r *rand.Rand, class int) int {
	images := c.classes[class]
	return images[r.IntN(len(images))]
}

// outside returns an image of another class.
func (c *classDraw) outside(r *rand.Rand, class int) int {
	return c.image(r, other(r, len(c.classes), class))
}

func shuffle[T any](r *rand.Rand, values []T) {
	r.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
}

// choose returns k different ones of 0 to n−1 in random order (Floyd's
// algorithm: Bentley & Floyd 1987, then shuffled), k at most n.
func choose(r *rand.Rand, n, k int) []int {
	chosen := make([]int, 0, k)
	for last := n - k; last < n; last++ {
		candidate := r.IntN(last + 1)
		if slices.Contains(chosen, candidate) {
			candidate = last
		}
		chosen = append(chosen, candidate)
	}
	shuffle(r, chosen)
	return chosen
}

// other returns one of 0 to n−1 that is not i.
func other(r *rand.Rand, n, i int) int {
	j := r.IntN(n - 1)
	if j >= i {
		j++
	}
	return j
}

// Episode is one task of few-shot classification, by the indices of its images. Row c of
// Support and row c of Queries have the same class; all images are different.
type Episode struct {
	Support [][]int // way × shot: the examples
	Queries [][]int // way × queries: the images to classify
}

// Episodes samples episodes of Way classes with Shot examples and Queries queries each.
type Episodes struct {
	Way, Shot, Queries int

	candidates [][]int
}

// NewEpisodes returns a sampler of episodes. Only classes of at least shot + queries
// images are used; if there are fewer than way, the error is ErrTooFew.
//
// The classes of an episode are drawn from all classes. For episodes within one alphabet,
// select one of Groups by OnlyClasses first.
func NewEpisodes(images Images, way, shot, queries int) (*Episodes, error) {
	if way < 2 || shot < 1 || queries < 1 {
		return nil, errors.Errorf("episodes: found way %d, shot %d, queries %d, expected at least 2, 1 and 1", way, shot, queries)
	}
	if err := checkLabeled(images); err != nil {
		return nil, errors.Wrap(err, "episodes")
	}
	e := &Episodes{Way: way, Shot: shot, Queries: queries, candidates: classesOf(images, shot+queries)}
	if len(e.candidates) < way {
		return nil, errors.Wrapf(ErrTooFew, "%d-way episodes of %d examples and %d queries: %s has %d classes of %d images or more",
			way, shot, queries, nameOf(images), len(e.candidates), shot+queries)
	}
	return e, nil
}

// Episode draws one episode: its classes uniformly and without replacement, then the
// images of each. It returns the zero Episode if r is nil, if e was not made by
// NewEpisodes, or if Way, Shot or Queries have been changed to more than the images have.
func (e *Episodes) Episode(r *rand.Rand) Episode {
	if e == nil || r == nil || e.Way < 1 || e.Shot < 1 || e.Queries < 1 || e.Way > len(e.candidates) {
		return Episode{}
	}
	for _, images := range e.candidates {
		if e.Shot > len(images) || e.Queries > len(images)-e.Shot {
			return Episode{}
		}
	}
	var episode Episode
	for _, class := range choose(r, len(e.candidates), e.Way) {
		images := e.candidates[class]
		drawn := pick(images, choose(r, len(images), e.Shot+e.Queries))
		episode.Support = append(episode.Support, drawn[:e.Shot])
		episode.Queries = append(episode.Queries, drawn[e.Shot:])
	}
	return episode
}

// OneShotTrials draws the one-shot trials of a number of episodes, with one query
// for each class. An episode is a function of the seed, the stream and its number.
func OneShotTrials(images Images, way, episodes int, seed uint64, stream string) ([]evaluate.Trial, error) {
	sampler, err := NewEpisodes(images, way, 1, 1)
	if err != nil {
		return nil, err
	}
	var trials []evaluate.Trial
	for episode := range episodes {
		drawn := sampler.Episode(random.New(seed, stream, episode))
		for class, queries := range drawn.Queries {
			trials = append(trials, evaluate.Trial{Support: drawn.Support, Query: queries[0], Answer: class})
		}
	}
	return trials, nil
}
