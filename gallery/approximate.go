package gallery

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"
	"slices"

	"github.com/likeness-go/likeness/gallery/index"
	"github.com/pkg/errors"
	bolt "go.etcd.io/bbolt"
)

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
