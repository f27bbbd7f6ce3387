package gallery

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/internal/guard"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// Gallery is a file of classes with examples of each.
type Gallery struct {
	path     string
	model    *likeness.Model
	options  Options
	header   header
	distance heads.Distance

	store  *store
	cached atomic.Int64 // embeddings of enrolled files that Options.Cache had
	// writing is held during a change of the file and of the contents in memory, so
	// that both have the same order.
	writing sync.Mutex

	mutex       sync.RWMutex // guards the following fields
	closed      bool
	contents    *contents
	calibration *Calibration // nil without one
	skipped     []string     // see Skipped
}

// Create creates an empty gallery at a path. The model must not be changed while the
// gallery is open; its identity is stored in the file.
//
// The error wraps ErrExists if there is a gallery at the path, ErrNotGallery if there is
// another file, or ErrLocked.
func Create(path string, model *likeness.Model, o Options) (*Gallery, error) {
	if o.Rule == "" {
		o.Rule = Nearest
	}
	g, err := open(context.Background(), path, model, o, true)
	return g, errors.Wrapf(err, "create gallery %s", path)
}

// OpenOrCreate opens the gallery at a path or creates it if there is none, and reports
// whether it was created. Of concurrent calls, in one or several processes, one creates
// the gallery; the others wait, up to Options.Timeout and until the context ends, and
// open it. Options.Rule is the rule of a new gallery; see Open for an existing one. The
// errors are those of Open except fs.ErrNotExist, and that of the context.
func OpenOrCreate(ctx context.Context, path string, model *likeness.Model, o Options) (g *Gallery, created bool, err error) {
	g, created, err = openOrCreate(ctx, path, model, o)
	return g, created, errors.Wrapf(err, "open or create gallery %s", path)
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

// Open opens a gallery with the model of its creation and reads it into memory. For n
// examples of d features it takes about 4·n·d + 100·n bytes and 4·n·d more with the cosine
// distance, and another n·d for the distances that package index compresses.
//
// The error wraps fs.ErrNotExist, ErrLocked, ErrModel, ErrNotGallery or ErrDamaged.
func Open(path string, model *likeness.Model, o Options) (*Gallery, error) {
	g, err := open(context.Background(), path, model, o, false)
	return g, errors.Wrapf(err, "open gallery %s", path)
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
	g := &Gallery{path: path, model: model, options: o}
	if g.distance, err = heads.DistanceOf(model.Head, model.Weights); err != nil {
		return nil, err
	}
	own, made := newHeader(identity, o), false
	if create {
		if made, err = createFile(ctx, path, o, own); err != nil {
			return nil, err
		}
	}
	if g.store, err = openStore(ctx, path, o, create && !made); err != nil {
		if create && errors.Is(err, fs.ErrNotExist) { // another process removed it after createFile
			err = errors.WithMessage(errGone, err.Error())
		}
		return nil, err
	}
	if err := g.read(own, create && !made); err != nil {
		_ = g.store.close()
		return nil, err
	}
	return g, nil
}

// read reads the file. With create it first writes the header of a file whose creation
// was interrupted.
func (g *Gallery) read(own header, create bool) (err error) {
	if create {
		err = g.store.create(own)
	}
	if err == nil {
		g.header, err = g.store.header()
	}
	if err == nil {
		err = g.header.check(own)
	}
	if err != nil {
		return err
	}
	// Embed a blank image to get the number of features.
	blank, err := g.model.EmbedPixels([][]uint8{make([]uint8, g.model.Preprocessing.Size.Len())})
	if err != nil {
		return err
	}
	if g.contents, err = newContents(g.distance, len(blank[0]), g.header.Rule); err != nil {
		return err
	}
	if err := g.store.examples(g.contents.add); err != nil {
		return err
	}
	if g.calibration, err = g.store.calibration(); err != nil {
		return err
	}
	return nil
}

// isOpen reports whether Open or Create returned the gallery. A nil gallery or a zero
// value behaves like a closed, empty one.
func (g *Gallery) isOpen() bool { return g != nil && g.store != nil }

var (
	errNotOpened = errors.Wrap(ErrClosed, "the gallery is nil or was not returned by Open or Create")
	errNoContext = errors.New("the context is nil, expected one such as context.Background()")
)

// Path returns the path of the gallery's file.
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
	g.mutex.RLock()
	defer g.mutex.RUnlock()
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
	g.writing.Lock()
	defer g.writing.Unlock()
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	return errors.Wrapf(g.store.close(), "close gallery %s", g.path)
}

// Discard closes the gallery and, if it has neither examples nor a calibration, removes
// its file before another process can open it, and reports whether it did. A program
// that created a gallery can call it if enrolling fails. It is an error if the operating
// system cannot remove open files.
func (g *Gallery) Discard() (removed bool, err error) {
	if !g.isOpen() {
		return false, nil
	}
	g.writing.Lock()
	defer g.writing.Unlock()
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.closed {
		return false, nil
	}
	g.closed = true
	if !g.options.ReadOnly && g.contents.vectors.Len() == 0 && g.calibration == nil && g.store.isAt(g.path) {
		err = os.Remove(g.path)
		removed = err == nil
	}
	if closing := g.store.close(); err == nil {
		err = closing
	}
	return removed, errors.Wrapf(err, "discard gallery %s", g.path)
}

// change locks the gallery for a change, which must end with g.writing.Unlock.
func (g *Gallery) change() error {
	if !g.isOpen() {
		return errNotOpened
	}
	g.writing.Lock()
	switch {
	case g.closed: // may be read, because it changes only with both locks held
		g.writing.Unlock()
		return ErrClosed
	case g.options.ReadOnly:
		g.writing.Unlock()
		return ErrReadOnly
	}
	return nil
}

// wrap adds the gallery and the operation to an error.
func (g *Gallery) wrap(err error, doing string) error {
	return errors.Wrapf(err, "gallery %s: %s", g.Path(), doing)
}

// Description is the metadata of a gallery's file.
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
	return d, errors.Wrapf(err, "describe gallery %s", path)
}

func describe(ctx context.Context, path string, timeout time.Duration) (Description, error) {
	if ctx == nil {
		return Description{}, errNoContext
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

// createFile creates the file of a new gallery with its header atomically, and reports
// whether it did; an existing file is not touched. Without this, bbolt would write a new
// file in place and could not open the incomplete file that a full disk leaves.
func createFile(ctx context.Context, path string, o Options, h header) (made bool, err error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	err = atomicfile.Create(path, func(temporary string) error {
		s, err := openStore(ctx, temporary, o, true)
		if err != nil {
			return err
		}
		err = s.create(h)
		if closing := s.close(); err == nil {
			err = closing
		}
		return err
	})
	if errors.Is(err, fs.ErrExist) { // another process created it meanwhile
		return false, nil
	}
	return err == nil, err
}

var (
	// ErrExists is the error of Create if there is a gallery at the path.
	ErrExists = errors.New("the gallery exists: open it or choose another file")
	// ErrNotGallery is the error for a file that is not a gallery of a known format.
	ErrNotGallery = errors.New("not a gallery of a known format")
	// ErrDamaged is the error for a gallery whose file is damaged.
	ErrDamaged = errors.New("the file is damaged: restore a copy of it")
	// ErrModel is the error for a gallery that was created with another model.
	ErrModel = errors.New("embeddings of different models are not comparable: open the gallery with its own model, or enroll the images in a new file")
	// ErrLocked is the error if another process has the gallery open.
	ErrLocked = errors.New("another process has the gallery open")
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
