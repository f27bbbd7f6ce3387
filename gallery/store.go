package gallery

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io/fs"
	"os"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/internal/boltfile"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/likeness-go/likeness/retrieval/cache"
	"github.com/pkg/errors"
	bolt "go.etcd.io/bbolt"
)

// The file is a bbolt database with these buckets: about has the header and, if there is
// one, the calibration, both in JSON; examples has a record for each id, whose key is 8
// bytes big-endian. Earlier versions stored an approximate index in the bucket index, which
// is ignored and removed by the next change.
var (
	aboutBucket    = []byte("about")
	examplesBucket = []byte("examples")
	indexBucket    = []byte("index")
	requestsBucket = []byte("requests")

	headerKey      = []byte("header")
	calibrationKey = []byte("calibration")
)

// store is the file of a gallery.
type store struct {
	db     *bolt.DB
	file   *os.File // opened and closed by db
	purged bool     // old ids of requests were removed
}

func (s *store) view(read func(tx *bolt.Tx) error) error {
	return callBolt(func() error { return s.db.View(read) })
}

// update changes the file. When it returns without an error, the change is on disk.
func (s *store) update(change func(tx *bolt.Tx) error) error {
	return callBolt(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			if tx.Bucket(aboutBucket) != nil && tx.Bucket(indexBucket) != nil {
				if err := tx.DeleteBucket(indexBucket); err != nil {
					return err
				}
			}
			return change(tx)
		})
	})
}

// create writes the header, which is the last step of creating a gallery: a file without a
// header is incomplete and may be created again.
func (s *store) create(h header) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return s.update(func(tx *bolt.Tx) error {
		err := tx.ForEach(func(name []byte, _ *bolt.Bucket) error {
			if string(name) == string(aboutBucket) {
				return ErrExists
			}
			return errors.Wrapf(ErrNotGallery, "found the bucket %q", name)
		})
		if err != nil {
			return err
		}
		about, err := tx.CreateBucket(aboutBucket)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucket(examplesBucket); err != nil {
			return err
		}
		return about.Put(headerKey, text)
	})
}

// header reads the header.
func (s *store) header() (h header, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		about := tx.Bucket(aboutBucket)
		if first, _ := tx.Cursor().First(); first == nil {
			return errInterrupted
		}
		if about == nil || tx.Bucket(examplesBucket) == nil {
			return errors.Wrap(ErrNotGallery, "the bbolt database has other buckets")
		}
		h, err = parseHeader(about.Get(headerKey))
		return err
	})
	return h, err
}

// portion is the number of examples that are decoded at a time, by all threads.
const portion = 4096

// examples calls add for all examples in the order of their enrollment, a portion at a time. The
// embeddings are valid until add returns. Before, it calls reserve with a number that is at least
// that of the examples if the file is not damaged, and that the file has room for.
func (s *store) examples(features int, reserve func(int), add func(...record) error) error {
	const smallest = 8 + 2*4 // bytes of an example besides its embedding: its key, a length and a checksum
	return s.view(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(examplesBucket)
		reserve(int(min(bucket.Sequence(), uint64(tx.Size())/uint64(4*features+smallest))))
		p := portionOf{features: features, embeddings: make([]float32, portion*features)}
		err := bucket.ForEach(func(key, value []byte) error {
			if len(key) != 8 {
				if err := p.flush(add); err != nil {
					return err
				}
				return errors.Wrapf(ErrDamaged, "found an example with the key %q, expected 8 bytes", key)
			}
			p.ids, p.values = append(p.ids, binary.BigEndian.Uint64(key)), append(p.values, value)
			if len(p.ids) == portion {
				return p.flush(add)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return p.flush(add)
	})
}

// portionOf is examples that were read, and memory for their embeddings.
type portionOf struct {
	features   int
	ids        []uint64
	values     [][]byte // in the mapped file
	embeddings []float32
}

// flush decodes the examples and adds them.
func (p *portionOf) flush(add func(...record) error) error {
	records := make([]record, len(p.ids))
	const share = 256 // of the examples, for a thread
	err := parallel.Each(context.Background(), 0, (len(p.ids)+share-1)/share, func(s int) error {
		return boltfile.Call(func() error { // the mapped file may be damaged
			class := ""
			for i := s * share; i < min(len(p.ids), (s+1)*share); i++ {
				memory := p.embeddings[i*p.features : i*p.features : (i+1)*p.features]
				var err error
				if records[i], err = decode(p.ids[i], p.values[i], class, memory); err != nil {
					return err
				}
				class = records[i].class
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	p.ids, p.values = p.ids[:0], p.values[:0]
	return add(records...)
}

// enrollment is the use of an id of a request.
type enrollment struct {
	Class    string    `json:"class"`
	Examples int       `json:"examples"` // number of those that it added
	Time     time.Time `json:"time"`
}

func enrollmentOf(records []record) enrollment {
	e := enrollment{Examples: len(records), Time: now()}
	if len(records) > 0 {
		e.Class = records[0].class
	}
	return e
}

// keepIDs is how long ids of requests are kept.
const keepIDs = 7 * 24 * time.Hour

// check returns an error if the same id is used for another enrollment.
func (e enrollment) check(other enrollment) error {
	if e.Class != other.Class || e.Examples != other.Examples {
		return errors.Wrapf(ErrRequestID, "it was used to enroll %d images of class %q, found %d of class %q", e.Examples, e.Class, other.Examples, other.Class)
	}
	return nil
}

// put adds all examples or none, and sets their ids. If the id of the request was used
// before, it adds nothing and reports so.
func (s *store) put(id string, records []record) (done bool, err error) {
	err = s.update(func(tx *bolt.Tx) error {
		if id != "" {
			if done, err = s.use(tx, id, enrollmentOf(records)); done || err != nil {
				return err
			}
		}
		bucket := tx.Bucket(examplesBucket)
		for i := range records {
			id, err := bucket.NextSequence()
			if err != nil {
				return err
			}
			records[i].id = id
			value, err := records[i].encode()
			if err != nil {
				return err
			}
			if err := bucket.Put(keyOf(id), value); err != nil {
				return err
			}
		}
		return nil
	})
	return done, err
}

// restore adds examples with their ids to a new file. New examples will have ids above the
// last one.
func (s *store) restore(last uint64, records []record) error {
	return s.update(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(examplesBucket)
		for _, r := range records {
			value, err := r.encode()
			if err != nil {
				return err
			}
			if err := bucket.Put(keyOf(r.id), value); err != nil {
				return err
			}
		}
		return bucket.SetSequence(last)
	})
}

// use records the id of a request, and reports whether it was used before.
func (s *store) use(tx *bolt.Tx, id string, e enrollment) (done bool, err error) {
	bucket, err := tx.CreateBucketIfNotExists(requestsBucket)
	if err != nil {
		return false, err
	}
	if text := bucket.Get([]byte(id)); text != nil {
		var before enrollment
		if err := json.Unmarshal(text, &before); err != nil {
			return false, errors.Wrapf(ErrDamaged, "request %s: %v", id, err)
		}
		return true, before.check(e)
	}
	if !s.purged { // once, because it reads all of them
		s.purged = true
		var old [][]byte
		err := bucket.ForEach(func(key, text []byte) error {
			var before enrollment
			if json.Unmarshal(text, &before) != nil || e.Time.Sub(before.Time) > keepIDs {
				old = append(old, bytes.Clone(key))
			}
			return nil
		})
		if err != nil {
			return false, err
		}
		for _, key := range old {
			if err := bucket.Delete(key); err != nil {
				return false, err
			}
		}
	}
	text, err := json.Marshal(e)
	if err != nil {
		return false, err
	}
	return false, bucket.Put([]byte(id), text)
}

// remove removes all of the examples or none.
func (s *store) remove(ids []uint64) error {
	return s.update(func(tx *bolt.Tx) error {
		for _, id := range ids {
			if err := tx.Bucket(examplesBucket).Delete(keyOf(id)); err != nil {
				return err
			}
		}
		return nil
	})
}

// errInterrupted is the error for a file without a header, which is written last.
var errInterrupted = errors.Wrap(fs.ErrNotExist, "its creation was interrupted: create it again")

func keyOf(number uint64) []byte { return binary.BigEndian.AppendUint64(nil, number) }

// calibration reads the calibration; nil if there is none.
func (s *store) calibration() (c *Calibration, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		text := tx.Bucket(aboutBucket).Get(calibrationKey)
		if text == nil {
			return nil
		}
		c = new(Calibration)
		if err := json.Unmarshal(text, c); err != nil {
			return errors.Wrapf(ErrDamaged, "calibration: %v", err)
		}
		return nil
	})
	return c, err
}

// calibrate replaces the calibration.
func (s *store) calibrate(c Calibration) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return s.update(func(tx *bolt.Tx) error { return tx.Bucket(aboutBucket).Put(calibrationKey, text) })
}

// now returns the time to record for an enrollment or a calibration.
func now() time.Time { return time.Now().UTC().Round(0) }

// fileFormat is the format version of files that Create creates.
const fileFormat = "likeness-gallery/1"

// header is the metadata of a gallery's file.
type header struct {
	Format    string            `json:"format"`
	Identity  likeness.Identity `json:"identity"`
	ModelName string            `json:"model_name,omitempty"`
	NameBytes []byte            `json:"model_name_bytes,omitempty"` // only if the name is not UTF-8
	Rule      Rule              `json:"rule"`
}

func newHeader(identity likeness.Identity, o Options) header {
	return header{Format: fileFormat, Identity: identity, ModelName: o.ModelName, NameBytes: bytesOf(o.ModelName), Rule: o.Rule}
}

// parseHeader decodes and validates a header.
func parseHeader(text []byte) (h header, err error) {
	if err := json.Unmarshal(text, &h); err != nil {
		return h, errors.Wrapf(ErrDamaged, "header: %v", err)
	}
	h.ModelName = textOf(h.ModelName, h.NameBytes)
	h.NameBytes = bytesOf(h.ModelName)
	if h.Format != fileFormat {
		return h, errors.Wrapf(ErrNotGallery, "header: found format %q, expected %q", h.Format, fileFormat)
	}
	if err := h.Rule.check(); err != nil {
		return h, errors.Wrapf(ErrDamaged, "header: %v", err)
	}
	return h, nil
}

// check returns an error if the header does not have the model and the rule that were requested.
func (h header) check(own header) error {
	if h.Identity.Checksum != own.Identity.Checksum {
		return errors.Wrapf(ErrModel, "the gallery was created with the model %s, found the model %s", h.name(), own.name())
	}
	if own.Rule != "" && own.Rule != h.Rule {
		return errors.Errorf("the gallery's rule is %s, found %s: the rule cannot be changed after creation", h.Rule, own.Rule)
	}
	return nil
}

// name describes the model in errors.
func (h header) name() string {
	if h.ModelName == "" {
		return "(" + h.Identity.String() + ")"
	}
	return h.ModelName + " (" + h.Identity.String() + ")"
}

// Options sets how a gallery is created or opened. The zero value is useful.
type Options struct {
	// ModelName is a readable name of the model, such as the path of its file. Create
	// stores it, and errors use it.
	ModelName string
	// Rule is the rule by which an image is compared with a class of several examples.
	// The zero value means Nearest in Create and the rule of the gallery in Open, where
	// another rule is an error.
	Rule Rule
	// ReadOnly opens a gallery for reading only, which several processes can do at the
	// same time.
	ReadOnly bool
	// Timeout is the maximum time to wait for another process to close the file, 0 for one
	// second, or for a database that cannot be reached, 0 for five seconds. Requests with a
	// deadline wait for the database until then.
	Timeout time.Duration
	// Cache, unless it is nil, has embeddings of image files and receives those of files that
	// are enrolled; see retrieval.Options.
	Cache *cache.Cache
	// SkipBroken makes enrolling skip image files that cannot be read, see imaging.Skippable,
	// instead of enrolling nothing; Gallery.Skipped lists them.
	SkipBroken bool
	// OnProgress, unless it is nil, is called with the progress of enrolling files and of
	// calibrating.
	OnProgress func(done, total int)
}

// progress calls OnProgress.
func (o Options) progress(done, total int) {
	if o.OnProgress != nil {
		o.OnProgress(done, total)
	}
}

const defaultTimeout = time.Second

// Rule is the rule by which an image is compared with a class of several examples.
type Rule string

const (
	// Nearest is the distance to the nearest example of the class. It suits classes with
	// varied images, and its accuracy increases with the number of examples.
	Nearest Rule = "nearest"
	// Prototype is the distance to the mean embedding of the class (Snell, Swersky & Zemel
	// 2017, "Prototypical Networks for Few-shot Learning", equation 1), which is less
	// sensitive to single bad examples. For the cosine distance it is the mean of the
	// normalized embeddings.
	Prototype Rule = "prototype"
)

// Rules lists the names of the rules.
var Rules = []string{string(Nearest), string(Prototype)}

func (r Rule) check() error {
	if r != Nearest && r != Prototype {
		return wording.Unknown("rule", string(r), Rules)
	}
	return nil
}
