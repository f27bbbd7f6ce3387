package gallery

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"image"
	"io"
	"slices"

	"github.com/likeness-go/likeness/gallery/index"
	"github.com/pkg/errors"
	bolt "go.etcd.io/bbolt"
)

// Candidate is a possible class of an image.
type Candidate struct {
	Class string
	// Distance is the distance between the image and the class by the gallery's rule.
	Distance float64
	// Example is the nearest example of the class; empty with the rule Prototype.
	Example Example
}

// DefaultCandidates is the number of candidates that likeness identify prints and the HTTP
// API returns by default.
const DefaultCandidates = 1

// Identification is the result of identifying the class of an image.
type Identification struct {
	// Candidates are the nearest classes, nearest first.
	Candidates []Candidate
	// Calibrated reports whether there is a rejection threshold, that of the gallery or
	// else of the model; Threshold and Known are meaningful only then.
	Calibrated bool
	Threshold  float64
	Known      bool // whether the distance of the nearest candidate is at most the threshold
	// Approximate reports whether an index was searched, which may miss some of the
	// nearest classes.
	Approximate bool
	// Set has the classes of which the image may be; nil unless it was requested, see
	// IdentifySets.
	Set *CandidateSet
}

// Class returns the class of the image; "" if the image is of no known class or if there
// is no threshold.
func (i Identification) Class() string {
	if !i.Calibrated || !i.Known || len(i.Candidates) == 0 {
		return ""
	}
	return i.Candidates[0].Class
}

// Identify finds the k nearest classes of an image, or all if there are fewer, and decides
// whether it is of the nearest class or unknown.
func (g *Gallery) Identify(img image.Image, k int) (Identification, error) {
	all, err := g.IdentifyAll([]image.Image{img}, k)
	if err != nil {
		return Identification{}, err
	}
	return all[0], nil
}

// IdentifyAll is Identify for several images, which takes less time for each image.
func (g *Gallery) IdentifyAll(images []image.Image, k int) ([]Identification, error) {
	all, err := g.identify(images, k)
	return all, g.wrap(err, "identify")
}

func (g *Gallery) identify(images []image.Image, k int) ([]Identification, error) {
	if k < 1 {
		return nil, errors.Errorf("found %d candidates, expected at least 1", k)
	}
	embeddings, err := g.embed(images)
	if err != nil {
		return nil, err
	}
	return g.identifyEmbeddings(embeddings, k)
}

func (g *Gallery) identifyEmbeddings(embeddings [][]float32, k int) ([]Identification, error) {
	if !g.isOpen() {
		return nil, errNotOpened
	}
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	if g.closed {
		return nil, ErrClosed
	}
	found, err := g.search(embeddings, k)
	if err != nil {
		return nil, err
	}
	all := make([]Identification, len(embeddings))
	for i, neighbors := range found {
		answer := &all[i]
		answer.Approximate = g.graph != nil
		for _, neighbor := range neighbors {
			answer.Candidates = append(answer.Candidates, g.contents.candidate(neighbor))
		}
		if answer.Threshold, answer.Calibrated = g.threshold(); answer.Calibrated && len(answer.Candidates) > 0 {
			answer.Known = answer.Candidates[0].Distance <= answer.Threshold
		}
	}
	return all, nil
}

// search finds the k nearest classes of each embedding.
func (g *Gallery) search(embeddings [][]float32, k int) ([][]index.Neighbor, error) {
	vectors, classOf := g.contents.searched()
	k = max(1, min(k, len(g.contents.classes)))
	if g.graph != nil {
		return g.graph.Nearest(embeddings, k, classOf, 0)
	}
	return vectors.Nearest(embeddings, k, classOf)
}

// threshold returns the rejection threshold, if there is one.
func (g *Gallery) threshold() (float64, bool) {
	switch {
	case g.calibration != nil:
		return g.calibration.Threshold, true
	case g.model.Threshold != nil:
		return *g.model.Threshold, true
	}
	return 0, false
}

// VerifyResult is the result of verifying whether an image is of a claimed class.
type VerifyResult struct {
	Candidate // the claimed class
	// Calibrated reports whether there is a threshold, that of the gallery or else of the
	// model; Threshold and Same are meaningful only then.
	Calibrated bool
	Threshold  float64
	Same       bool // whether the distance is at most the threshold
}

// Verify compares an image with one class. The error wraps ErrUnknownClass if there is no
// class of that name.
func (g *Gallery) Verify(class string, img image.Image) (VerifyResult, error) {
	v, err := g.verify(class, img)
	return v, g.wrap(err, "verify")
}

func (g *Gallery) verify(class string, img image.Image) (v VerifyResult, err error) {
	embeddings, err := g.embed([]image.Image{img})
	if err != nil {
		return v, err
	}
	return g.verifyEmbedding(class, embeddings[0])
}

func (g *Gallery) verifyEmbedding(class string, embedding []float32) (v VerifyResult, err error) {
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	if g.closed {
		return v, ErrClosed
	}
	number, err := g.contents.number(class)
	if err != nil {
		return v, err
	}
	v.Candidate = g.contents.of(number, embedding)
	if v.Threshold, v.Calibrated = g.threshold(); v.Calibrated {
		v.Same = v.Distance <= v.Threshold
	}
	return v, nil
}

// indexSeed is the random seed of indices.
const indexSeed = 1

// Index builds an index of all examples and stores it in the file. Later searches use it:
// they take less time and may miss some of the nearest classes. Examples that are enrolled
// afterwards are searched exactly until Index is called again; those of forgotten classes
// are removed from the index. It takes seconds to minutes, during which the gallery can be
// searched but not changed. Open ignores an index of an incompatible version.
//
// It is an error if the distance cannot be indexed (see index.Indexable), if the rule is
// Prototype, and if the context ends. The error wraps ErrTooSmall if there are fewer
// examples than Options.IndexFrom.
func (g *Gallery) Index(ctx context.Context) error {
	return g.wrap(g.index(ctx), "index")
}

func (g *Gallery) index(ctx context.Context) error {
	if ctx == nil {
		return errNoContext
	}
	if err := g.change(); err != nil {
		return err
	}
	defer g.writing.Unlock()
	from := g.options.IndexFrom
	if from == 0 {
		from = index.Crossover
	}
	if g.header.Rule == Prototype {
		return errors.New("the gallery's rule is prototype, expected nearest: prototypes change with every enrollment and are searched exactly")
	}
	if n := g.contents.vectors.Len(); n < from {
		return errors.Wrapf(ErrTooSmall, "found %d, expected at least %d: with fewer, an exact search is faster", n, from)
	}
	graph, err := index.Build(ctx, g.contents.vectors, indexSeed)
	if err != nil {
		return err
	}
	var file bytes.Buffer
	if _, err := graph.WriteTo(&file); err != nil {
		return err
	}
	if err := g.store.putGraph(g.contents.ids, file.Bytes()); err != nil {
		return err
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.graph = graph
	return nil
}

// partBytes is the length of the parts in which an index is stored.
const partBytes = 1 << 20

// putGraph replaces the index. It stores the number of examples and their ids, as 64-bit
// little-endian integers, and the graph, in parts with a CRC-32C each.
func (s *store) putGraph(ids []uint64, graph []byte) error {
	content := binary.LittleEndian.AppendUint64(nil, uint64(len(ids)))
	for _, id := range ids {
		content = binary.LittleEndian.AppendUint64(content, id)
	}
	content = append(content, graph...)
	return s.update(func(tx *bolt.Tx) error {
		if tx.Bucket(indexBucket) != nil {
			if err := tx.DeleteBucket(indexBucket); err != nil {
				return err
			}
		}
		bucket, err := tx.CreateBucket(indexBucket)
		if err != nil {
			return err
		}
		number := uint64(0)
		for part := range slices.Chunk(content, partBytes) {
			value := binary.LittleEndian.AppendUint32(slices.Clone(part), crc32.Checksum(part, castagnoli))
			if err := bucket.Put(keyOf(number), value); err != nil {
				return err
			}
			number++
		}
		return nil
	})
}

// graph reads the index without the examples that have been removed since. It returns nil
// if there is no readable index, because it is not needed to search.
func (s *store) graph(c *contents) *index.Graph {
	var content []byte
	err := s.view(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(indexBucket)
		if bucket == nil {
			return nil
		}
		return bucket.ForEach(func(_, value []byte) error {
			end := max(0, len(value)-4)
			if len(value) < 4 || crc32.Checksum(value[:end], castagnoli) != binary.LittleEndian.Uint32(value[end:]) {
				return ErrDamaged
			}
			content = append(content, value[:end]...)
			return nil
		})
	})
	if err != nil || content == nil {
		return nil
	}
	graph, err := readGraph(bytes.NewReader(content), c)
	if err != nil {
		return nil
	}
	return graph
}

// readGraph decodes an index that putGraph wrote.
func readGraph(r *bytes.Reader, c *contents) (*index.Graph, error) {
	var count uint64
	if err := binary.Read(r, binary.LittleEndian, &count); err != nil {
		return nil, err
	}
	if count > uint64(r.Len())/8 {
		return nil, io.ErrUnexpectedEOF
	}
	ids := make([]uint64, count)
	if err := binary.Read(r, binary.LittleEndian, ids); err != nil {
		return nil, err
	}
	numbers := make([]int32, count)
	for i, id := range ids {
		row, known := slices.BinarySearch(c.ids, id)
		if numbers[i] = int32(row); !known {
			numbers[i] = -1
		}
	}
	return index.Read(r, c.vectors, numbers)
}
