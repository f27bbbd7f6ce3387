package gallery

import (
	"encoding/binary"
	"encoding/json"
	"io/fs"
	"os"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
	bolt "go.etcd.io/bbolt"
)

// The file is a bbolt database with these buckets: about has a header and perhaps
// a calibration, both JSON; examples has a record for each number, 8 bytes
// big-endian; index has the parts of an index, if there is one.
var (
	aboutBucket    = []byte("about")
	examplesBucket = []byte("examples")
	indexBucket    = []byte("index")

	headerKey      = []byte("header")
	calibrationKey = []byte("calibration")
)

// store is the file.
type store struct {
	db   *bolt.DB
	file *os.File // which db has open and closes
}

func (s *store) view(look func(tx *bolt.Tx) error) error {
	return guard(func() error { return s.db.View(look) })
}

// update changes the file; when it returns without an error the change is on the
// disk.
func (s *store) update(change func(tx *bolt.Tx) error) error {
	return guard(func() error { return s.db.Update(change) })
}

// create writes the header, the last step of creating: a file without one was not
// created to the end, and may be created again.
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
			return errors.Wrapf(ErrNotGallery, "it has a bucket %q", name)
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
			return errors.Wrap(ErrNotGallery, "it is a bbolt database of something else")
		}
		h, err = parseHeader(about.Get(headerKey))
		return err
	})
	return h, err
}

// examples calls add for all examples, in the order in which they were enrolled.
func (s *store) examples(add func(record) error) error {
	return s.view(func(tx *bolt.Tx) error {
		return tx.Bucket(examplesBucket).ForEach(func(key, value []byte) error {
			if len(key) != 8 {
				return errors.Wrapf(ErrDamaged, "found the example %q", key)
			}
			r, err := decode(binary.BigEndian.Uint64(key), value)
			if err == nil {
				err = add(r)
			}
			return err
		})
	})
}

// put adds examples, all or none, and numbers them.
func (s *store) put(records []record) error {
	return s.update(func(tx *bolt.Tx) error {
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
}

// remove removes examples, all or none.
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

// errInterrupted says that a file has no header, the last that creating writes.
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

// now is the time of an enrolment or a calibration.
func now() time.Time { return time.Now().UTC().Round(0) }

// fileFormat is the version of the file that Create makes.
const fileFormat = "likeness-gallery/1"

// header is what a file says about itself.
type header struct {
	Format    string            `json:"format"`
	Identity  likeness.Identity `json:"identity"`
	ModelName string            `json:"model_name,omitempty"`
	NameBytes []byte            `json:"model_name_bytes,omitempty"` // where it is not UTF-8
	Rule      Rule              `json:"rule"`
}

func newHeader(identity likeness.Identity, o Options) header {
	return header{Format: fileFormat, Identity: identity, ModelName: o.ModelName, NameBytes: bytesOf(o.ModelName), Rule: o.Rule}
}

// parseHeader also says whether this is the header of a gallery at all.
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

// check compares the header with that of a gallery as it was asked for.
func (h header) check(own header) error {
	if h.Identity.Checksum != own.Identity.Checksum {
		return errors.Wrapf(ErrModel, "it is of the model %s, found the model %s", h.name(), own.name())
	}
	if own.Rule != "" && own.Rule != h.Rule {
		return errors.Errorf("its rule is %s, found %s: a gallery keeps the rule that it was created with", h.Rule, own.Rule)
	}
	return nil
}

// name is the model's, for people.
func (h header) name() string {
	if h.ModelName == "" {
		return "(" + h.Identity.String() + ")"
	}
	return h.ModelName + " (" + h.Identity.String() + ")"
}

// Options says how a gallery is created or opened. The zero value is useful.
type Options struct {
	// ModelName is what people call the model, such as its file's path. Create
	// keeps it, and errors name both models by it.
	ModelName string
	// Rule is how an image is compared with a class of several examples: the zero
	// value is Nearest in Create and whatever the gallery has in Open, where
	// another is an error.
	Rule Rule
	// ReadOnly opens a gallery that nothing is to be enrolled in, which several
	// processes may do at once.
	ReadOnly bool
	// Timeout is how long to wait for another process to close the gallery; 0
	// means a second.
	Timeout time.Duration
	// IndexFrom is from how many examples on Index makes an index; 0 means
	// index.Crossover, below which an exact search takes less time.
	IndexFrom int
	// OnProgress, unless it is nil, is told while images are read and embedded to
	// enrol them, and while they are compared to calibrate, how far that is.
	OnProgress func(done, total int)
}

// progress tells it to whoever listens.
func (o Options) progress(done, total int) {
	if o.OnProgress != nil {
		o.OnProgress(done, total)
	}
}

const usualTimeout = time.Second

// Rule is how an image is compared with a class.
type Rule string

const (
	// Nearest takes the distance from the nearest example. Classes whose images
	// vary need it, and more examples make it better for all of them.
	Nearest Rule = "nearest"
	// Prototype takes the distance from the mean of the examples (Snell, Swersky &
	// Zemel 2017, "Prototypical Networks for Few-shot Learning", equation 1), which
	// one bad example spoils less. Under the cosine distance it is the mean of
	// their directions.
	Prototype Rule = "prototype"
)

// Rules are the names of the rules.
var Rules = []string{string(Nearest), string(Prototype)}

func (r Rule) check() error {
	if r != Nearest && r != Prototype {
		return wording.Unknown("rule", string(r), Rules)
	}
	return nil
}
