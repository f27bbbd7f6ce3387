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

// Candidate is a class that an image may be of.
type Candidate struct {
	Class string
	// Distance is the image's from the class by the gallery's rule.
	Distance float64
	// Example is the nearest of the class; with the rule Prototype it is empty,
	// as none is nearest.
	Example Example
}

// Identification is which class an image is of.
type Identification struct {
	// Candidates are the nearest classes, the nearest first.
	Candidates []Candidate
	// Calibrated says whether there is a threshold, the gallery's or else the
	// model's; Threshold and Known mean something only then.
	Calibrated bool
	Threshold  float64
	Known      bool // the nearest candidate's distance is at most the threshold
	// Approximate says that an index was asked, which finds most of the nearest
	// and not always all.
	Approximate bool
}

// Class is the class that the image is of; empty if it is of none that is known,
// or if nothing is decided for want of a threshold.
func (i Identification) Class() string {
	if !i.Calibrated || !i.Known || len(i.Candidates) == 0 {
		return ""
	}
	return i.Candidates[0].Class
}

// Identify finds the k classes that are nearest to an image, fewer where there
// are not so many, and says whether it is of the nearest one or of none.
func (g *Gallery) Identify(img image.Image, k int) (Identification, error) {
	all, err := g.IdentifyAll([]image.Image{img}, k)
	if err != nil {
		return Identification{}, err
	}
	return all[0], nil
}

// IdentifyAll is Identify for several images, which takes less time for each.
func (g *Gallery) IdentifyAll(images []image.Image, k int) ([]Identification, error) {
	all, err := g.identify(images, k)
	return all, g.wrap(err, "identify")
}

func (g *Gallery) identify(images []image.Image, k int) ([]Identification, error) {
	if k < 1 {
		return nil, errors.Errorf("%d candidates, expected at least one", k)
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
	for i, neighbours := range found {
		answer := &all[i]
		answer.Approximate = g.graph != nil
		for _, neighbour := range neighbours {
			answer.Candidates = append(answer.Candidates, g.contents.candidate(neighbour))
		}
		if answer.Threshold, answer.Calibrated = g.threshold(); answer.Calibrated && len(answer.Candidates) > 0 {
			answer.Known = answer.Candidates[0].Distance <= answer.Threshold
		}
	}
	return all, nil
}

// search finds the k nearest classes of each embedding.
func (g *Gallery) search(embeddings [][]float32, k int) ([][]index.Neighbour, error) {
	vectors, classOf := g.contents.searched()
	k = max(1, min(k, len(g.contents.classes)))
	if g.graph != nil {
		return g.graph.Nearest(embeddings, k, classOf, 0)
	}
	return vectors.Nearest(embeddings, k, classOf)
}

// threshold is the distance up to which an image is of a class, if there is one.
func (g *Gallery) threshold() (float64, bool) {
	switch {
	case g.calibration != nil:
		return g.calibration.Threshold, true
	case g.model.Threshold != nil:
		return *g.model.Threshold, true
	}
	return 0, false
}

// Verification is whether an image is of the class that it is said to be of.
type Verification struct {
	Candidate // the class
	// Calibrated says whether there is a threshold, the gallery's or else the
	// model's; Threshold and Same mean something only then.
	Calibrated bool
	Threshold  float64
	Same       bool // the distance is at most the threshold
}

// Verify compares an image with one class. The error is ErrUnknownClass, wrapped,
// if there is none of that name.
func (g *Gallery) Verify(class string, img image.Image) (Verification, error) {
	v, err := g.verify(class, img)
	return v, g.wrap(err, "verify")
}

func (g *Gallery) verify(class string, img image.Image) (v Verification, err error) {
	embeddings, err := g.embed([]image.Image{img})
	if err != nil {
		return v, err
	}
	return g.verifyEmbedding(class, embeddings[0])
}

func (g *Gallery) verifyEmbedding(class string, embedding []float32) (v Verification, err error) {
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

// indexSeed is what indices are drawn from.
const indexSeed = 1

// Index makes an index of all examples, keeps it in the file, and lets searches
// ask it from then on: they take less time and find most of the nearest classes,
// not always all. Examples that are enrolled later are searched exactly beside
// it, until Index is called again; those that are forgotten leave it. It takes
// seconds to minutes, during which the gallery can be asked but not changed.
//
// It is an error if the distance allows no index, see index.Indexable, if the rule
// is Prototype, and if the context ends; and ErrTooSmall, wrapped, below
// Options.IndexFrom examples.
func (g *Gallery) Index(ctx context.Context) error {
	return g.wrap(g.index(ctx), "index")
}

// Indexed is how many examples are in an index; 0 without one. An index that
// cannot be read, because another version made it, is left out in Open.
func (g *Gallery) Indexed() int {
	if !g.isOpen() {
		return 0
	}
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	if g.graph == nil {
		return 0
	}
	return g.graph.Len()
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
		return errors.New("its prototypes move with every enrolment: they are searched exactly")
	}
	if n := g.contents.vectors.Len(); n < from {
		return errors.Wrapf(ErrTooSmall, "found %d, expected %d or more, below which an exact search takes less time", n, from)
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

// partBytes is how long the parts are in which an index is kept.
const partBytes = 1 << 20

// putGraph replaces the index: the number of examples, their numbers in the file,
// 64-bit little-endian, and the graph, in parts with their CRC-32C.
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

// graph reads the index, without the examples that have been forgotten since; nil
// if there is none or it cannot be read, as searches do without it.
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

// readGraph reads the index that putGraph wrote.
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
