package gallery

import (
	"maps"
	"math"
	"slices"

	"github.com/likeness-go/likeness/gallery/index"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// contents is a gallery in memory. Examples are rows, in the order in which they
// were enrolled, and classes have numbers, in the order of their first examples.
type contents struct {
	distance heads.Distance
	vectors  *index.Vectors // one an example
	ids      []uint64       // in the file, ascending
	examples []Example
	classOf  index.Groups

	classes []class
	numbers map[string]int32 // by name

	// means are the prototypes, one a class by its number; nil where the rule is
	// not Prototype.
	means *index.Vectors
}

// class is a class with what its prototype is calculated of.
type class struct {
	name     string
	examples int
	sum      []float64 // of the embeddings, or of their directions under cosine
}

func newContents(distance heads.Distance, features int, rule Rule) (*contents, error) {
	c := &contents{distance: distance, numbers: map[string]int32{}}
	var err error
	if c.vectors, err = index.NewVectors(distance, features); err != nil {
		return nil, err
	}
	if rule == Prototype {
		c.means, err = index.NewVectors(distance, features)
	}
	return c, err
}

// add takes a record as the last row. It is an error if its embedding is not one
// of this model, or its number not above all others.
func (c *contents) add(r record) error {
	if len(c.ids) > 0 && r.id <= c.ids[len(c.ids)-1] {
		return errors.Wrapf(ErrDamaged, "example %d comes after %d", r.id, c.ids[len(c.ids)-1])
	}
	if err := c.vectors.Append(r.embedding); err != nil {
		return errors.Wrapf(ErrDamaged, "example %d: %v", r.id, err)
	}
	number, known := c.numbers[r.class]
	if !known {
		number = int32(len(c.classes))
		c.numbers[r.class] = number
		c.classes = append(c.classes, class{name: r.class})
	}
	c.ids = append(c.ids, r.id)
	c.examples = append(c.examples, r.example)
	c.classOf = append(c.classOf, number)
	c.classes[number].examples++
	return c.average(number, r.embedding)
}

// average moves a class's prototype by one more embedding.
func (c *contents) average(number int32, embedding []float32) error {
	if c.means == nil {
		return nil
	}
	k := &c.classes[number]
	factor := 1.0
	if _, cosine := c.distance.Builtin().(heads.Cosine); cosine {
		factor = inverseLength(embedding)
	}
	if k.sum == nil {
		k.sum = make([]float64, len(embedding))
	}
	mean := make([]float32, len(embedding))
	for j, x := range embedding {
		k.sum[j] += factor * float64(x)
		mean[j] = float32(k.sum[j] / float64(k.examples))
	}
	if int(number) == c.means.Len() {
		return c.means.Append(mean)
	}
	return c.means.Set(int(number), mean)
}

// inverseLength is 0 for a vector of zeros.
func inverseLength(x []float32) float64 {
	var squares float64
	for _, v := range x {
		squares += float64(v) * float64(v)
	}
	if squares == 0 {
		return 0
	}
	return 1 / math.Sqrt(squares)
}

// number finds a class by its name.
func (c *contents) number(name string) (int32, error) {
	number, known := c.numbers[name]
	if !known {
		return 0, unknownClass(name, c.names())
	}
	return number, nil
}

// names are the classes' in alphabetical order.
func (c *contents) names() []string { return slices.Sorted(maps.Keys(c.numbers)) }

// idsOf are the numbers in the file of a class's examples.
func (c *contents) idsOf(number int32) (ids []uint64) {
	for row, of := range c.classOf {
		if of == number {
			ids = append(ids, c.ids[row])
		}
	}
	return ids
}

// forget removes a class with its examples, and says where the other rows are
// now: -1 for those that are gone.
func (c *contents) forget(number int32) ([]int32, error) {
	rows := c.vectors.Renumber(func(row int) bool { return c.classOf[row] == number })
	if err := c.vectors.Remove(rows); err != nil {
		return nil, err
	}
	kept := 0
	for from, to := range rows {
		if to < 0 {
			continue
		}
		c.ids[to], c.examples[to], c.classOf[to] = c.ids[from], c.examples[from], c.classOf[from]
		if c.classOf[to] > number {
			c.classOf[to]--
		}
		kept++
	}
	clear(c.examples[kept:])
	c.ids, c.examples, c.classOf = c.ids[:kept], c.examples[:kept], c.classOf[:kept]

	c.classes = slices.Delete(c.classes, int(number), int(number)+1)
	clear(c.numbers)
	for i, k := range c.classes {
		c.numbers[k.name] = int32(i)
	}
	if c.means == nil {
		return rows, nil
	}
	return rows, c.means.Remove(c.means.Renumber(func(row int) bool { return int32(row) == number }))
}

// searched are the vectors that an image is compared with, and the class of each.
func (c *contents) searched() (*index.Vectors, index.Groups) {
	if c.means == nil {
		return c.vectors, c.classOf
	}
	return c.means, nil
}

// candidate is a row of searched as an answer.
func (c *contents) candidate(n index.Neighbour) Candidate {
	if c.means != nil {
		return Candidate{Class: c.classes[n.Row].name, Distance: n.Distance}
	}
	return Candidate{Class: c.classes[c.classOf[n.Row]].name, Distance: n.Distance, Example: c.examples[n.Row]}
}

// of is the candidate that one class is, for an embedding.
func (c *contents) of(number int32, embedding []float32) Candidate {
	searched, classOf := c.searched()
	best := index.Neighbour{Row: -1}
	for row := range searched.Len() {
		if classOf == nil && int32(row) != number || classOf != nil && classOf[row] != number {
			continue
		}
		if d := c.distance.Between(embedding, searched.Row(row)); best.Row < 0 || d < best.Distance {
			best = index.Neighbour{Row: row, Distance: d}
		}
	}
	return c.candidate(best)
}
