package gallery

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/guard"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// Gallery is a set of classes with examples of each, in a file or in PostgreSQL.
type Gallery struct {
	path     string // without passwords
	model    *likeness.Model
	options  Options
	header   header
	distance heads.Distance
	backend  backend
	cached   atomic.Int64 // embeddings of enrolled files that Options.Cache had

	mutex   sync.Mutex // guards the following field
	skipped []string   // see Skipped
}

// backend keeps the examples of a gallery and compares embeddings with them. It may be
// used by several goroutines at once. Its methods return ErrClosed after close.
type backend interface {
	// check returns an error for an embedding that does not fit or is not finite.
	check(embedding []float32) error
	// has reports whether there is a class of the name.
	has(ctx context.Context, class string) (bool, error)
	// empty reports whether there are no examples, and count counts them.
	empty(ctx context.Context) (bool, error)
	count(ctx context.Context) (int, error)
	// classes returns all classes in alphabetical order.
	classes(ctx context.Context) ([]Class, error)
	// examples returns those of a class in the order of their enrollment.
	examples(ctx context.Context, class string) ([]Example, error)
	// add adds all of the records or none, whose embeddings are checked, and returns the
	// number of examples of the first one's class. An id that was used before adds nothing.
	add(ctx context.Context, id string, records []record) (examples int, err error)
	// forget removes a class and returns the number of its examples.
	forget(ctx context.Context, class string) (int, error)
	// nearest finds the k nearest classes of each embedding, or all if there are fewer.
	nearest(ctx context.Context, embeddings [][]float32, k int) (answer, error)
	// compare compares an embedding with one class.
	compare(ctx context.Context, class string, embedding []float32) (Candidate, *Calibration, error)
	// calibration returns nil if there is none.
	calibration(ctx context.Context) (*Calibration, error)
	calibrate(ctx context.Context, c Calibration) error
	// index builds an index for faster searches, if the backend has one.
	index(ctx context.Context) error
	// after returns the number of examples with larger ids.
	after(ctx context.Context, id uint64) (int, error)
	// snapshot calls use with all records in the order of their enrollment, as they are at one
	// time, and the id of the last one, 0 without any. All that are enrolled afterwards have
	// larger ids. Records must not be kept; an error is the last element.
	snapshot(ctx context.Context, use func(last uint64, records iter.Seq2[record, error]) error) error
	// discard closes the gallery and, if it is empty, removes it.
	discard() (removed bool, err error)
	close() error
}

// answer is the result of a search.
type answer struct {
	found       [][]Candidate // for each embedding, nearest first
	approximate bool          // an index was searched
	incomplete  []bool        // nil, or whether an index gave fewer classes than there are
	calibration *Calibration
}

// Create creates an empty gallery at a path, which is a file or a PostgreSQL URI; see
// package gallery. The model must not be changed while the gallery is open; its identity is
// stored in the gallery.
//
// The error wraps ErrExists if there is a gallery at the path, ErrNotGallery if there is
// another file or another table, ErrLocked, or ErrUnavailable.
func Create(path string, model *likeness.Model, o Options) (*Gallery, error) {
	if o.Rule == "" {
		o.Rule = Nearest
	}
	g, err := open(context.Background(), path, model, o, true)
	return g, errors.Wrapf(err, "create gallery %s", shown(path))
}

// OpenOrCreate opens the gallery at a path or creates it if there is none, and reports
// whether it was created. Of concurrent calls, in one or several processes, one creates
// the gallery; the others wait, up to Options.Timeout and until the context ends, and
// open it. Options.Rule is the rule of a new gallery; see Open for an existing one. The
// errors are those of Open except fs.ErrNotExist, and that of the context.
func OpenOrCreate(ctx context.Context, path string, model *likeness.Model, o Options) (g *Gallery, created bool, err error) {
	g, created, err = openOrCreate(ctx, path, model, o)
	return g, created, errors.Wrapf(err, "open or create gallery %s", shown(path))
}

// errGone is the error if another process removed a gallery before it was opened.
var errGone = errors.New("another process removed the file")

// maxTries limits the attempts of openOrCreate, for paths at which a file can neither be
// opened nor created, such as a dangling link.
const maxTries = 1000

func openOrCreate(ctx context.Context, path string, model *likeness.Model, o Options) (g *Gallery, created bool, err error) {
	if ctx == nil {
		return nil, false, errNoContext
	}
	for tries := 1; ; tries++ {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		g, err = open(ctx, path, model, o, false)
		if !errors.Is(err, fs.ErrNotExist) {
			return g, false, err
		}
		anew := o
		if anew.Rule == "" {
			anew.Rule = Nearest
		}
		g, err = open(ctx, path, model, anew, true)
		raced := errors.Is(err, ErrExists) || errors.Is(err, errGone) // another process was faster
		if !raced || tries == maxTries {
			return g, err == nil, err
		}
	}
}

// Open opens a gallery with the model of its creation. It reads a file into memory: for n
// examples of d features it takes about 4·n·d + 100·n bytes and 4·n·d more with the cosine
// distance, and another n·d for the distances that package index compresses. Of a gallery in
// PostgreSQL it reads the metadata only.
//
// The error wraps fs.ErrNotExist, ErrLocked, ErrModel, ErrNotGallery, ErrDamaged or, for
// PostgreSQL, ErrUnavailable.
func Open(path string, model *likeness.Model, o Options) (*Gallery, error) {
	g, err := open(context.Background(), path, model, o, false)
	return g, errors.Wrapf(err, "open gallery %s", shown(path))
}

func open(ctx context.Context, path string, model *likeness.Model, o Options, create bool) (opened *Gallery, err error) {
	defer guard.Recover(&err, "the model cannot be used") // a model of another package may panic
	if create && o.ReadOnly {
		return nil, errors.Wrap(ErrReadOnly, "a new gallery")
	}
	if o.Rule != "" {
		if err := o.Rule.check(); err != nil {
			return nil, err
		}
	}
	identity, err := model.Identity()
	if err != nil {
		return nil, err
	}
	g := &Gallery{path: shown(path), model: model, options: o}
	if g.distance, err = heads.DistanceOf(model.Head, model.Weights); err != nil {
		return nil, err
	}
	own := newHeader(identity, o)
	if isDatabase(path) {
		g.backend, g.header, err = openDatabase(ctx, path, o, own, create, g.distance, g.features)
	} else {
		g.backend, g.header, err = openEmbedded(ctx, path, o, own, create, g.distance, g.features)
	}
	if err != nil {
		return nil, err
	}
	return g, nil
}

// features returns the length of the model's embeddings, by that of a blank image.
func (g *Gallery) features() (int, error) {
	blank, err := g.model.EmbedPixels([][]uint8{make([]uint8, g.model.Preprocessing.Size.Len())})
	if err != nil {
		return 0, err
	}
	return len(blank[0]), nil
}

// isOpen reports whether Open or Create returned the gallery. A nil gallery or a zero
// value behaves like a closed, empty one.
func (g *Gallery) isOpen() bool { return g != nil && g.backend != nil }

var (
	errNotOpened = errors.Wrap(ErrClosed, "the gallery is nil or was not returned by Open or Create")
	errNoContext = errors.New("the context is nil, expected one such as context.Background()")
)

// Path returns the path of the gallery's file or its PostgreSQL URI without passwords.
func (g *Gallery) Path() string {
	if g == nil {
		return ""
	}
	return g.path
}

// Model returns the model with which the gallery was opened, or nil.
func (g *Gallery) Model() *likeness.Model {
	if g == nil {
		return nil
	}
	return g.model
}

// Cached returns the number of embeddings of enrolled files that Options.Cache had.
func (g *Gallery) Cached() int {
	if g == nil {
		return 0
	}
	return int(g.cached.Load())
}

// Skipped returns the image files that enrolling has skipped, with the reasons; see
// Options.SkipBroken.
func (g *Gallery) Skipped() []string {
	if g == nil {
		return nil
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return slices.Clone(g.skipped)
}

// Rule returns the rule by which images are compared with classes.
func (g *Gallery) Rule() Rule {
	if g == nil {
		return ""
	}
	return g.header.Rule
}

// Close waits for pending changes and releases the file for other processes. Later calls
// of methods that return errors return ErrClosed.
func (g *Gallery) Close() error {
	if !g.isOpen() {
		return nil
	}
	return errors.Wrapf(g.backend.close(), "close gallery %s", g.path)
}

// Discard closes the gallery and, if it has neither examples nor a calibration, removes it
// before another process can open it, and reports whether it did. A program that created
// a gallery can call it if enrolling fails. It is an error if the operating system cannot
// remove open files. In PostgreSQL a gallery that another process has open is not removed.
func (g *Gallery) Discard() (removed bool, err error) {
	if !g.isOpen() {
		return false, nil
	}
	removed, err = g.backend.discard()
	return removed, errors.Wrapf(err, "discard gallery %s", g.path)
}

// wrap adds the gallery and the operation to an error.
func (g *Gallery) wrap(err error, doing string) error {
	return errors.Wrapf(err, "gallery %s: %s", g.Path(), doing)
}

// Description is the metadata of a gallery.
type Description struct {
	Identity    likeness.Identity // identity of the model
	ModelName   string            // Options.ModelName of Create
	Rule        Rule
	Calibration *Calibration // nil without one
}

// Describe reads the metadata of a gallery without its model, for example to find out
// which model to load. Its errors are those of Open.
func Describe(path string) (Description, error) {
	return DescribeWithin(context.Background(), path, 0)
}

// DescribeWithin is Describe with a maximum time to wait for another process to close the
// gallery, 0 for one second, and a context that ends the wait.
func DescribeWithin(ctx context.Context, path string, timeout time.Duration) (Description, error) {
	d, err := describe(ctx, path, timeout)
	return d, errors.Wrapf(err, "describe gallery %s", shown(path))
}

func describe(ctx context.Context, path string, timeout time.Duration) (Description, error) {
	if ctx == nil {
		return Description{}, errNoContext
	}
	if isDatabase(path) {
		return describeDatabase(ctx, path, timeout)
	}
	s, err := openStore(ctx, path, Options{ReadOnly: true, Timeout: timeout}, false)
	if err != nil {
		return Description{}, err
	}
	h, err := s.header()
	var calibration *Calibration
	if err == nil {
		calibration, err = s.calibration()
	}
	if closing := s.close(); err == nil {
		err = closing
	}
	if err != nil {
		return Description{}, err
	}
	return Description{Identity: h.Identity, ModelName: h.ModelName, Rule: h.Rule, Calibration: calibration}, nil
}

var (
	// ErrExists is the error of Create if there is a gallery at the path.
	ErrExists = errors.New("the gallery exists: open it or choose another one")
	// ErrNotGallery is the error for a file that is not a gallery of a known format.
	ErrNotGallery = errors.New("not a gallery of a known format")
	// ErrDamaged is the error for a gallery whose file is damaged.
	ErrDamaged = errors.New("the file is damaged: restore a copy of it")
	// ErrModel is the error for a gallery that was created with another model.
	ErrModel = errors.New("embeddings of different models are not comparable: open the gallery with its own model, or enroll the images in a new file")
	// ErrLocked is the error if another process has the gallery open.
	ErrLocked = errors.New("another process has the gallery open, such as likeness serve, which answers over HTTP")
	// ErrReadOnly is the error of changing a gallery that was opened read-only.
	ErrReadOnly = errors.New("the gallery was opened read-only")
	// ErrClosed is the error of using a closed gallery.
	ErrClosed = errors.New("the gallery is closed")
	// ErrClassName is the error for an invalid name of a new class; see CheckClassName.
	ErrClassName = errors.New("invalid class name")
	// ErrUnknownClass is the error for the name of a class that the gallery does not have.
	ErrUnknownClass = errors.New("unknown class")
	// ErrTooFewPairs is the error if there are too few pairs of images to estimate a false
	// accept rate.
	ErrTooFewPairs = errors.New("too few pairs of different classes")
	// ErrUnavailable is the error if the database of a gallery could not be reached within
	// the time of the context, or of Options.Timeout.
	ErrUnavailable = errors.New("the database cannot be reached")
	// ErrRequestID is the error for the id of a request that was used for another enrollment.
	ErrRequestID = errors.New("the id of the request is not usable")
)

// maxNamed is the maximum number of classes that an error lists.
const maxNamed = 10

// unknownClass returns ErrUnknownClass with the most similar name or the known classes.
func unknownClass(found string, known []string) error {
	message := fmt.Sprintf("%q", found)
	if name := wording.Nearest(found, known); name != "" {
		message += fmt.Sprintf(": did you mean %q?", name)
	} else {
		message += "."
	}
	named := make([]string, min(len(known), maxNamed))
	for i := range named {
		named[i] = wording.Printable(known[i]) // galleries created before the rules for names may contain any name
	}
	list := strings.Join(named, ", ")
	switch {
	case len(known) == 0:
		message += " The gallery has no classes"
	case len(known) <= maxNamed:
		message += " The classes are " + list
	default:
		message += fmt.Sprintf(" The classes are %s and %d more", list, len(known)-maxNamed)
	}
	return fmt.Errorf("%w %s", ErrUnknownClass, message)
}
