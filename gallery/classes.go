package gallery

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/likeness-go/likeness/gallery/index"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// Class is a class with the number of its examples.
type Class struct {
	Name     string
	Examples int
}

// CheckClassName returns an error that wraps ErrClassName unless a new class may have the
// name. A name must be valid UTF-8 that
//
//   - has a visible character and neither begins nor ends with white space;
//   - has no characters that could imitate other lines of a list or reverse its text: no
//     control characters, line or paragraph separators, or characters that change the
//     direction of text (Unicode's Bidi_Control);
//   - does not contain U+FFFD, by which decoders replace invalid bytes, so that different
//     names would become equal;
//   - is not ".", ".." or "/", with which the path of a URL cannot end.
//
// Galleries that were created before these rules may have classes with other names, which
// can be used and forgotten by their exact names.
func CheckClassName(name string) error {
	refuse := func(found, expected string) error {
		return fmt.Errorf("%w %q: found %s, expected %s", ErrClassName, name, found, expected)
	}
	switch {
	case strings.TrimSpace(name) == "":
		return refuse("an empty name", "a name with a visible character")
	case strings.IndexFunc(name, wording.Visible) < 0:
		return refuse("only invisible characters", "a name with a visible character")
	case !utf8.ValidString(name):
		return refuse("bytes that are not UTF-8", "UTF-8")
	case strings.ContainsRune(name, utf8.RuneError):
		return refuse("the character U+FFFD, which stands for bytes that were not UTF-8", "the name itself in UTF-8")
	}
	for _, r := range name {
		if wording.Breaks(r) {
			return refuse(fmt.Sprintf("the character %U", r), "no control characters, line separators or characters that change the direction of text")
		}
	}
	switch {
	case strings.TrimSpace(name) != name:
		return refuse("white space at its beginning or end", "none")
	case name == "." || name == ".." || name == "/":
		return refuse("a name that a URL path cannot end with", "another name")
	}
	return nil
}

// Classes returns the classes in alphabetical order. It returns none if the database of the
// gallery cannot be asked; Request.Classes returns the error.
func (g *Gallery) Classes() []Class {
	classes, err := g.Request(context.Background(), "").Classes()
	if err != nil {
		return nil
	}
	return classes
}

// Len returns the number of examples of all classes. It returns 0 if the database of the
// gallery cannot be asked; Request.Len returns the error.
func (g *Gallery) Len() int {
	n, err := g.Request(context.Background(), "").Len()
	if err != nil {
		return 0
	}
	return n
}

// Examples returns the examples of a class in the order of their enrollment. The error
// wraps ErrUnknownClass if there is no class of that name.
func (g *Gallery) Examples(class string) ([]Example, error) {
	return g.Request(context.Background(), "").Examples(class)
}

// Forget removes a class with all of its examples and returns their number. When it
// returns without an error, the change is on disk. A file does not shrink: it may contain
// the bytes of removed examples until others are written in their place. The error wraps
// ErrUnknownClass if there is no class of that name.
func (g *Gallery) Forget(class string) (examples int, err error) {
	return g.Request(context.Background(), "").Forget(class)
}

// contents is a gallery in memory. Examples are rows in the order of their enrollment, and
// classes are numbered in the order of their first examples.
type contents struct {
	distance heads.Distance
	vectors  *index.Vectors // one for each example
	ids      []uint64       // ids in the file, ascending
	examples []Example
	classOf  index.Groups

	classes []class
	numbers map[string]int32 // by name

	// means are the prototypes, one for each class by its number; nil unless the rule is
	// Prototype.
	means *index.Vectors
}

// class is a class with the sum from which its prototype is computed.
type class struct {
	name     string
	examples int
	sum      []float64 // sum of the embeddings, normalized for the cosine distance
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

// add appends records as the last rows. It is an error if an embedding has another length
// or if an id is not larger than all before.
func (c *contents) add(records ...record) error {
	last, ordered := uint64(0), len(records)
	if len(c.ids) > 0 {
		last = c.ids[len(c.ids)-1]
	}
	embeddings := make([][]float32, 0, len(records))
	for i, r := range records {
		if len(c.ids)+i > 0 && r.id <= last {
			ordered = i
			break
		}
		last = r.id
		embeddings = append(embeddings, r.embedding)
	}
	if len(embeddings) > 0 {
		if wrong, err := c.vectors.AppendAll(embeddings); err != nil {
			return errors.Wrapf(ErrDamaged, "example %d: %v", records[wrong].id, err)
		}
	}
	if ordered < len(records) {
		return errors.Wrapf(ErrDamaged, "found example %d after example %d, expected ascending ids", records[ordered].id, last)
	}
	for _, r := range records {
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
		if err := c.average(number, r.embedding); err != nil {
			return err
		}
	}
	return nil
}

// reserve makes room for so many further examples.
func (c *contents) reserve(examples int) {
	c.vectors.Reserve(examples)
	c.ids = slices.Grow(c.ids, examples)
	c.examples = slices.Grow(c.examples, examples)
	c.classOf = slices.Grow(c.classOf, examples)
}

// average updates the prototype of a class with another embedding.
func (c *contents) average(number int32, embedding []float32) error {
	if c.means == nil {
		return nil
	}
	k := &c.classes[number]
	k.sum = addTo(k.sum, c.distance, embedding)
	mean := meanOf(k.sum, k.examples)
	if int(number) == c.means.Len() {
		return c.means.Append(mean)
	}
	return c.means.Set(int(number), mean)
}

// addTo adds an embedding, normalized for the cosine distance, to a sum, which is nil before
// the first one.
func addTo(sum []float64, distance heads.Distance, embedding []float32) []float64 {
	factor := 1.0
	if form, known := distance.Form(); known && form.Normalize {
		factor = inverseLength(embedding)
	}
	if sum == nil {
		sum = make([]float64, len(embedding))
	}
	for j, x := range embedding {
		sum[j] += factor * float64(x)
	}
	return sum
}

// meanOf returns the prototype of a class with a sum of so many examples.
func meanOf(sum []float64, examples int) []float32 {
	mean := make([]float32, len(sum))
	for j, x := range sum {
		mean[j] = float32(x / float64(examples))
	}
	return mean
}

// inverseLength returns 1 / ‖x‖, or 0 for the zero vector.
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

// number returns the number of the class of a name.
func (c *contents) number(name string) (int32, error) {
	number, known := c.numbers[name]
	if !known {
		return 0, unknownClass(name, c.names())
	}
	return number, nil
}

// names returns the names of the classes in alphabetical order.
func (c *contents) names() []string { return slices.Sorted(maps.Keys(c.numbers)) }

// idsOf returns the ids of the examples of a class.
func (c *contents) idsOf(number int32) (ids []uint64) {
	for row, of := range c.classOf {
		if of == number {
			ids = append(ids, c.ids[row])
		}
	}
	return ids
}

// forget removes a class with its examples.
func (c *contents) forget(number int32) error {
	rows := c.vectors.Renumber(func(row int) bool { return c.classOf[row] == number })
	if err := c.vectors.Remove(rows); err != nil {
		return err
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
		return nil
	}
	return c.means.Remove(c.means.Renumber(func(row int) bool { return int32(row) == number }))
}

// searched returns the vectors with which images are compared, and the class of each; nil classes: row i is class i.
func (c *contents) searched() (*index.Vectors, index.Groups) {
	if c.means == nil {
		return c.vectors, c.classOf
	}
	return c.means, nil
}

// candidate converts a search result to a candidate.
func (c *contents) candidate(n index.Neighbor) Candidate {
	if c.means != nil {
		return Candidate{Class: c.classes[n.Row].name, Distance: n.Distance}
	}
	return Candidate{Class: c.classes[c.classOf[n.Row]].name, Distance: n.Distance, Example: c.examples[n.Row]}
}

// of compares an embedding with one class.
func (c *contents) of(number int32, embedding []float32) Candidate {
	searched, classOf := c.searched()
	best := index.Neighbor{Row: -1}
	for row := range searched.Len() {
		if classOf == nil && int32(row) != number || classOf != nil && classOf[row] != number {
			continue
		}
		if d := c.distance.Between(embedding, searched.Row(row)); best.Row < 0 || d < best.Distance {
			best = index.Neighbor{Row: row, Distance: d}
		}
	}
	return c.candidate(best)
}
