package retrieval

import (
	"cmp"
	"container/heap"
	"context"
	"math"
	"os"
	"slices"
	"sync/atomic"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// ErrTooMany is the error if more than MaxPairs pairs are within a threshold.
var ErrTooMany = errors.New("too many pairs: choose a smaller threshold")

// MaxPairs is the maximum number of pairs that Near returns.
const MaxPairs = 1 << 20

// NearPair is a pair of images of a collection, by their indices, and its distance.
type NearPair struct {
	A, B     int // A < B
	Distance float64
	// Symmetry is the one that makes B of A, such as imaging.FlipLeftRight if B is A mirrored;
	// imaging.Unchanged in a collection without Flips.
	Symmetry imaging.Symmetry
}

// The size of a tile of the distance matrix. Only one tile for each thread is in memory at
// a time.
const (
	tileRows    = 128
	tileColumns = 2048
)

// Near returns the pairs whose distance is at most the threshold, sorted by distance and
// then by index. onProgress, unless it is nil, is called with the number of parts of the
// work that are done. The error wraps ErrTooMany, or reports a distance that is not finite,
// or is that of the context.
//
// In a collection with Flips, the distance of two images is the smallest over the symmetries:
// for imaging.Unchanged it is that of the images, and for another symmetry s the mean of the
// distance of s(A) from B and that of A from s⁻¹(B), so that it does not depend on the order
// of the images. Of symmetries of equal distance the pair has the first.
func (c *Collection) Near(ctx context.Context, threshold float64, onProgress func(done, total int)) ([]NearPair, error) {
	if math.IsNaN(threshold) || math.IsInf(threshold, 0) {
		return nil, errors.Errorf("near images: the threshold is %v, expected a finite number", threshold)
	}
	var pairs []NearPair
	var err error
	if c != nil && c.ranks.Size() > 1 {
		pairs, err = c.nearOnRanks(ctx, threshold, onProgress)
	} else if err = c.check(); err == nil {
		pairs, err = c.strips(ctx, threshold, 0, 1, onProgress)
	}
	if err != nil {
		return nil, errors.WithMessage(err, "near images")
	}
	return pairs, nil
}

// strips returns the pairs whose first image is in one of every so many strips of the distance matrix, from the first on, sorted.
func (c *Collection) strips(ctx context.Context, threshold float64, first, every int, onProgress func(done, total int)) ([]NearPair, error) {
	rows := c.Embeddings.Rows
	found := make([][]NearPair, max(0, ((rows+tileRows-1)/tileRows-first+every-1)/every))
	var count atomic.Int64
	err := parallel.EachProgress(ctx, 0, len(found), onProgress, func(strip int) error {
		begin := (first + strip*every) * tileRows
		end := min(begin+tileRows, rows)
		for from := begin; from < rows; from += tileColumns {
			to := min(from+tileColumns, rows)
			distances, symmetries, err := c.tile(begin, end, from, to)
			if err != nil {
				return err
			}
			for a := begin; a < end; a++ {
				for b := max(a+1, from); b < to; b++ {
					at := (a-begin)*(to-from) + b - from
					if d := distances[at]; d <= threshold {
						found[strip] = append(found[strip], NearPair{a, b, d, symmetries[at]})
					}
				}
			}
			if len(found[strip]) > MaxPairs {
				return errTooMany(threshold)
			}
		}
		if count.Add(int64(len(found[strip]))) > MaxPairs {
			return errTooMany(threshold)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return sorted(slices.Concat(found...)), nil
}

// sorted sorts pairs by distance and then by index.
func sorted(pairs []NearPair) []NearPair {
	slices.SortFunc(pairs, func(x, y NearPair) int {
		return cmp.Or(cmp.Compare(x.Distance, y.Distance), x.A-y.A, x.B-y.B)
	})
	return pairs
}

// tile returns the distances of the images from begin to end from those from from to to, and
// the symmetries of Near.
func (c *Collection) tile(begin, end, from, to int) ([]float64, []imaging.Symmetry, error) {
	distances, err := c.distances(part(c.Embeddings, begin, end), part(c.Embeddings, from, to))
	if err != nil {
		return nil, nil, err
	}
	// The smaller of the two distances in place of their mean would be within a threshold for
	// many more pairs of different images: noise has two chances.
	symmetries := make([]imaging.Symmetry, len(distances))
	for i := range c.Flips {
		s := imaging.Symmetry(i)
		if s == imaging.Unchanged {
			continue
		}
		first, err := c.distances(part(c.Flips[s], begin, end), part(c.Embeddings, from, to))
		if err != nil {
			return nil, nil, err
		}
		second, err := c.distances(part(c.Embeddings, begin, end), part(c.Flips[s.Inverse()], from, to))
		if err != nil {
			return nil, nil, err
		}
		for i, d := range first {
			if d = (d + second[i]) / 2; d < distances[i] {
				distances[i], symmetries[i] = d, s
			}
		}
	}
	return distances, symmetries, nil
}

func errTooMany(threshold float64) error {
	return errors.Wrapf(ErrTooMany, "found more than %d pairs within %g", MaxPairs, threshold)
}

// check returns an error if the collection lacks a field that Embed sets.
func (c *Collection) check() error {
	switch {
	case c == nil:
		return errors.New("the collection is nil, expected a collection of Embed")
	case c.Metric == nil:
		return errors.New("the collection has no Metric, expected that of likeness.Model.Metric")
	case len(c.Flips) != 0 && len(c.Flips) != imaging.Symmetries:
		return errors.Errorf("the collection has Flips of %d symmetries, expected none or %d", len(c.Flips), imaging.Symmetries)
	}
	for s, flipped := range c.Flips {
		if flipped.Rows != c.Embeddings.Rows || flipped.Columns != c.Embeddings.Columns {
			return errors.Errorf("the collection has %d×%d embeddings of images that are %v, expected %d×%d as of those that are unchanged", flipped.Rows, flipped.Columns, imaging.Symmetry(s), c.Embeddings.Rows, c.Embeddings.Columns)
		}
		if _, err := evaluate.NewEmbeddings(flipped.Rows, flipped.Columns, flipped.Data); err != nil {
			return err
		}
	}
	_, err := evaluate.NewEmbeddings(c.Embeddings.Rows, c.Embeddings.Columns, c.Embeddings.Data)
	return err
}

// part returns the embeddings from begin to end without copying them.
func part(all evaluate.Embeddings, begin, end int) evaluate.Embeddings {
	return evaluate.Embeddings{Rows: end - begin, Columns: all.Columns, Data: all.Data[begin*all.Columns : end*all.Columns]}
}

// distances returns the distances from each query to each reference, (queries, references).
func (c *Collection) distances(queries, references evaluate.Embeddings) ([]float64, error) {
	distances := make([]float64, queries.Rows*references.Rows)
	if err := c.Metric.Pairwise(distances, queries.Data, references.Data, queries.Columns); err != nil {
		return nil, err
	}
	for _, d := range distances {
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return nil, errors.Errorf("found the distance %v, expected a finite number", d)
		}
	}
	return distances, nil
}

// Group is a set of images of which each is near another one of the group (single-linkage
// clustering); two of them may have a large distance. They are in an order in which each
// image is near an earlier one.
type Group []Member

// Member is an image of a group.
type Member struct {
	Image int
	// Nearest is the nearest of the earlier images of the group, and Distance is the
	// distance to it. For the first image it is the image itself, with distance 0.
	Nearest  int
	Distance float64
	// Symmetry is the one that makes the image of the nearest one.
	Symmetry imaging.Symmetry
}

// Groups returns the connected components of the pairs, which must be sorted by distance as
// those of Near. Groups are sorted by the distance of their nearest pair. A group begins
// with its nearest pair, followed by the image that is nearest to any earlier one, and so on
// (Prim 1957, "Shortest connection networks and some generalizations").
func Groups(pairs []NearPair) []Group {
	forest := spanningForest(pairs)
	branches := map[int][]NearPair{} // by image
	for _, p := range forest {
		branches[p.A] = append(branches[p.A], p)
		branches[p.B] = append(branches[p.B], p)
	}
	var groups []Group
	seen := map[int]bool{}
	for _, p := range forest {
		if !seen[p.A] {
			groups = append(groups, grow(p.A, branches, seen))
		}
	}
	return groups
}

// spanningForest returns the pairs of a minimum spanning forest, in their order (Kruskal
// 1956, "On the shortest spanning subtree of a graph and the traveling salesman problem").
func spanningForest(pairs []NearPair) []NearPair {
	parents := map[int]int{}
	root := func(image int) int {
		for {
			parent, known := parents[image]
			if !known || parent == image {
				return image
			}
			if grandparent, known := parents[parent]; known {
				parents[image] = grandparent // path halving
			}
			image = parent
		}
	}
	var forest []NearPair
	for _, p := range pairs {
		if a, b := root(p.A), root(p.B); a != b {
			parents[b] = a
			forest = append(forest, p)
		}
	}
	return forest
}

// grow returns the group of an image and marks all its members as seen.
func grow(first int, branches map[int][]NearPair, seen map[int]bool) Group {
	group := Group{}
	reach := &queue{{A: first, B: first}}
	for reach.Len() > 0 {
		p := heap.Pop(reach).(NearPair)
		from, to, symmetry := p.A, p.B, p.Symmetry
		if seen[to] {
			from, to, symmetry = to, from, symmetry.Inverse()
		}
		if seen[to] {
			continue
		}
		seen[to] = true
		group = append(group, Member{Image: to, Nearest: from, Distance: p.Distance, Symmetry: symmetry})
		for _, branch := range branches[to] {
			heap.Push(reach, branch)
		}
	}
	return group
}

// queue is a heap of pairs with the nearest first.
type queue []NearPair

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q queue) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].Distance, q[j].Distance), q[i].A-q[j].A, q[i].B-q[j].B) < 0
}
func (q *queue) Push(pair interface{}) { *q = append(*q, pair.(NearPair)) }
func (q *queue) Pop() interface{} {
	last := len(*q) - 1
	pair := (*q)[last]
	*q = (*q)[:last]
	return pair
}

// Match is an image of a collection, by its index, with its distance from a query.
type Match struct {
	Image    int
	Distance float64
}

// Nearest returns the k images of the collection that are nearest to an embedding, or all
// if there are fewer, sorted by distance and then by index. The embedding must have as many
// features as those of the collection. An image of the collection finds itself, at distance
// 0: ask for one more than needed.
func (c *Collection) Nearest(query []float32, k int) ([]Match, error) {
	if k < 1 {
		return nil, errors.Errorf("nearest images: found k = %d, expected at least 1", k)
	}
	if err := c.check(); err != nil {
		return nil, errors.WithMessage(err, "nearest images")
	}
	queries, err := evaluate.NewEmbeddings(1, len(query), query)
	if err != nil {
		return nil, errors.WithMessage(err, "nearest images")
	}
	matches := make([]Match, c.Embeddings.Rows)
	err = parallel.Each(context.Background(), 0, (len(matches)+tileColumns-1)/tileColumns, func(tile int) error {
		begin := tile * tileColumns
		distances, err := c.distances(queries, part(c.Embeddings, begin, min(begin+tileColumns, len(matches))))
		for i, d := range distances {
			matches[begin+i] = Match{begin + i, d}
		}
		return err
	})
	if err != nil {
		return nil, errors.WithMessage(err, "nearest images")
	}
	slices.SortStableFunc(matches, func(x, y Match) int { return cmp.Compare(x.Distance, y.Distance) })
	return matches[:min(k, len(matches))], nil
}

// NearestFile returns the k images of the collection that are nearest to an image file,
// embedded by the model of the collection. If the file is in the collection itself, by
// whatever path, it is left out. The rest is as with Nearest.
func (c *Collection) NearestFile(model *likeness.Model, file string, k int) ([]Match, error) {
	if k < 1 {
		return nil, errors.Errorf("nearest images: found k = %d, expected at least 1", k)
	}
	if model == nil {
		return nil, errors.New("nearest images: found no model")
	}
	img, err := model.Preprocessing.DecodeFile(file)
	if err != nil {
		return nil, errors.WithMessage(err, "nearest images")
	}
	embeddings, err := model.Embed(img)
	if err != nil {
		return nil, errors.WithMessage(err, "nearest images")
	}
	matches, err := c.Nearest(embeddings[0], max(1, len(c.Files)))
	if err != nil {
		return nil, err
	}
	others := map[string]bool{}
	kept, err := Without(c.Files, file)
	if err != nil {
		return nil, errors.WithMessage(err, "nearest images")
	}
	for _, other := range kept {
		others[other] = true
	}
	matches = slices.DeleteFunc(matches, func(m Match) bool { return !others[c.Files[m.Image]] })
	return matches[:min(k, len(matches))], nil
}

// Without returns the files that are not the given one, by whatever path. An error is
// that of finding the given one.
func Without(files []string, file string) ([]string, error) {
	itself, err := os.Stat(file)
	if err != nil {
		return nil, errors.Wrap(err, "find image")
	}
	return slices.DeleteFunc(slices.Clone(files), func(other string) bool {
		info, err := os.Stat(other)
		return err == nil && os.SameFile(info, itself)
	}), nil
}
