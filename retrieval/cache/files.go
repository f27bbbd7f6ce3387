package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// Hash is the SHA-256 of the content of a file.
type Hash [sha256.Size]byte

// Computation identifies everything but the content of an image file that determines the
// bits of its embedding or of other values.
type Computation [sha256.Size]byte

// ComputationOf returns the computation of a model: its identity, which includes the
// preprocessing, with test-time augmentation unless that is the zero value, the arithmetic
// of graph.Arithmetic, and the program, whose decoders and kernels may differ from those of
// another version. The error is that of likeness.Model.Identity or of reading the file of the
// program.
func ComputationOf(model *likeness.Model, tta likeness.TTA) (Computation, error) {
	identity, err := model.Identity()
	if err != nil {
		return Computation{}, err
	}
	program, err := programSum()
	if err != nil {
		return Computation{}, errors.Wrap(err, "identify the program")
	}
	text, err := json.Marshal([]any{"embedding/1", identity, tta, graph.Arithmetic(), program})
	return sha256.Sum256(text), errors.WithStack(err)
}

// Of returns the computation of the same model for images to which a symmetry is applied
// before they are embedded; that of imaging.Unchanged is c itself.
func (c Computation) Of(s imaging.Symmetry) Computation {
	if s == imaging.Unchanged {
		return c
	}
	return sha256.Sum256(append(append([]byte("symmetry/1"), c[:]...), byte(s)))
}

// TraitsOf returns the computation of the properties of images that are measured with a
// preprocessing (retrieval.MeasureFiles): the preprocessing and the program. The error is that
// of a preprocessing that is not valid or of reading the file of the program.
func TraitsOf(p imaging.Preprocessing) (Computation, error) {
	if err := p.Validate(); err != nil {
		return Computation{}, err
	}
	program, err := programSum()
	if err != nil {
		return Computation{}, errors.Wrap(err, "identify the program")
	}
	text, err := json.Marshal([]any{"traits/1", p, program})
	return sha256.Sum256(text), errors.WithStack(err)
}

// programSum is the size and the CRC-32C of the file of the program. That identifies a build,
// takes milliseconds, and cannot be forgotten as a version number could.
var programSum = sync.OnceValues(func() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := crc32.New(castagnoli)
	size, err := io.Copy(sum, file)
	return fmt.Sprintf("%d %08x", size, sum.Sum32()), err
})

// Source is an image file as it was found before its content was read.
type Source struct {
	path string // absolute
	stat string // size, modification time, device and inode, encoded
	// settled reports that the modification time is so old that a change after the file was
	// read would show in it.
	settled bool
}

// settling is the time after a modification within which another one may leave the
// modification time as it is. That of FAT has a resolution of two seconds.
const settling = 2 * time.Second

// SourceOf finds a file. Its error is that of the operating system.
func SourceOf(path string) (Source, error) {
	before := now() // the file can be modified from here on
	absolute, err := filepath.Abs(path)
	if err != nil {
		return Source{}, errors.WithStack(err)
	}
	info, err := os.Stat(absolute)
	if err != nil {
		return Source{}, errors.WithStack(err)
	}
	stat := binary.BigEndian.AppendUint64(nil, uint64(info.Size()))
	stat = binary.BigEndian.AppendUint64(stat, uint64(info.ModTime().Unix()))
	stat = binary.BigEndian.AppendUint64(stat, uint64(info.ModTime().Nanosecond()))
	device, inode := identify(info)
	stat = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(stat, device), inode)
	return Source{path: absolute, stat: string(stat), settled: before.Sub(info.ModTime()) > settling}, nil
}

// The first byte of a key is the kind of the entry.
const (
	fileKind      = 'f' // the absolute path: the state of the file and the hash of its content
	embeddingKind = 'e' // hash, computation and batch size: float32 values
	valuesKind    = 'v' // hash and computation: float64 values
)

func (s Source) key() []byte { return append([]byte{fileKind}, s.path...) }

// Hash returns the hash of the content of a file that was recorded in its present state. It
// is unknown for any other file, and for all with Options.Verify.
func (c *Cache) Hash(s Source) (hash Hash, known bool) {
	if c == nil || c.options.Verify || s.path == "" {
		return hash, false
	}
	known = c.get(s.key(), func(content []byte) bool {
		if len(content) != len(s.stat)+len(hash) || string(content[:len(s.stat)]) != s.stat {
			return false
		}
		copy(hash[:], content[len(s.stat):])
		return true
	})
	return hash, known
}

func embeddingKey(hash Hash, computation Computation, batch int) []byte {
	key := append([]byte{embeddingKind}, hash[:]...)
	return binary.BigEndian.AppendUint32(append(key, computation[:]...), uint32(batch))
}

// Embedding returns the embedding of an image that was computed in a batch of the given
// size, or nil. The size is part of the key because layers may add up in another order for
// one image than for many.
func (c *Cache) Embedding(hash Hash, computation Computation, batch int) (embedding []float32) {
	c.get(embeddingKey(hash, computation, batch), func(content []byte) bool {
		if len(content) == 0 || len(content)%4 != 0 {
			return false
		}
		embedding = make([]float32, len(content)/4)
		for i := range embedding {
			embedding[i] = math.Float32frombits(binary.LittleEndian.Uint32(content[4*i:]))
		}
		return true
	})
	return embedding
}

func valuesKey(hash Hash, computation Computation) []byte {
	return append(append([]byte{valuesKind}, hash[:]...), computation[:]...)
}

// Values returns the values of an image that were stored for a computation, or nil.
func (c *Cache) Values(hash Hash, computation Computation) (values []float64) {
	c.get(valuesKey(hash, computation), func(content []byte) bool {
		if len(content) == 0 || len(content)%8 != 0 {
			return false
		}
		values = make([]float64, len(content)/8)
		for i := range values {
			values[i] = math.Float64frombits(binary.LittleEndian.Uint64(content[8*i:]))
		}
		return true
	})
	return values
}

// Record is what is stored about an image file.
type Record struct {
	Source Source
	Hash   Hash
	// Embedding was computed in a batch of size Batch. Where it and Values are empty, only the
	// hash of the file is stored.
	Embedding   []float32
	Computation Computation // of Embedding and Values
	Batch       int
	Values      []float64
}

// Store stores records of files that were found by SourceOf before their contents were read
// and that have not changed since, see Source.Unchanged. The hash of a file that was modified
// less than two seconds before is not stored, but its embedding is. A failure is an error of
// Err. The records are on disk when Store returns, unless there is no room for them.
func (c *Cache) Store(records ...Record) {
	if !c.usable() {
		return
	}
	var entries []entry
	for _, r := range records {
		if r.Source.settled && len(r.Source.path) < maxKey {
			entries = append(entries, entry{r.Source.key(), append([]byte(r.Source.stat), r.Hash[:]...)})
		}
		if len(r.Embedding) > 0 {
			content := make([]byte, 0, 4*len(r.Embedding))
			for _, v := range r.Embedding {
				content = binary.LittleEndian.AppendUint32(content, math.Float32bits(v))
			}
			entries = append(entries, entry{embeddingKey(r.Hash, r.Computation, r.Batch), content})
		}
		if len(r.Values) > 0 {
			content := make([]byte, 0, 8*len(r.Values))
			for _, v := range r.Values {
				content = binary.LittleEndian.AppendUint64(content, math.Float64bits(v))
			}
			entries = append(entries, entry{valuesKey(r.Hash, r.Computation), content})
		}
	}
	c.write(entries)
}

// Settled reports that the file was modified so long before it was found that another
// modification after that would show in the modification time.
func (s Source) Settled() bool { return s.settled }

// Unchanged reports whether the file is still as SourceOf found it.
func (s Source) Unchanged() bool {
	found, err := SourceOf(s.path)
	return err == nil && found.stat == s.stat
}
