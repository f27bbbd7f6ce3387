package gallery

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/gallery/index"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// Gallery is known classes with examples of each, in one file.
type Gallery struct {
	path     string
	model    *likeness.Model
	options  Options
	header   header
	distance heads.Distance

	store *store
	// writing is held by what changes the gallery, from before it is on the disk
	// until it is in memory, so that both have one order.
	writing sync.Mutex

	mutex       sync.RWMutex // of what follows
	closed      bool
	contents    *contents
	calibration *Calibration // nil without one
	graph       *index.Graph // of the first examples; nil without one
}

// Create makes a gallery of no classes at a path where there is none. The model
// must stay as it is while the gallery is open; its identity is kept.
//
// The errors are ErrExists, ErrLocked and ErrNotGallery where the file is
// something else, wrapped.
func Create(path string, model *likeness.Model, o Options) (*Gallery, error) {
	if o.Rule == "" {
		o.Rule = Nearest
	}
	g, err := open(context.Background(), path, model, o, true)
	return g, errors.Wrapf(err, "create gallery %s", path)
}

// OpenOrCreate opens the gallery at a path, or creates it where there is none, and
// says which. Of several that call it at the same time, in one process or many, one
// creates the gallery; the others wait, up to Options.Timeout and until the context
// ends, and open it. In Options the Rule is that of a new gallery; see Open for what it
// means for one that is there. The errors are those of Open but for fs.ErrNotExist, and
// the context's.
func OpenOrCreate(ctx context.Context, path string, model *likeness.Model, o Options) (g *Gallery, created bool, err error) {
	g, created, err = openOrCreate(ctx, path, model, o)
	return g, created, errors.Wrapf(err, "open or create gallery %s", path)
}

// errGone says that another process removed a gallery before it was opened.
var errGone = errors.New("another process removed the file")

// mostTries bounds how often openOrCreate begins again: far more often than other
// processes are faster, unless the path is such as a link to nowhere.
const mostTries = 1000

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
		faster := errors.Is(err, ErrExists) || errors.Is(err, errGone) // others were
		if !faster || tries == mostTries {
			return g, err == nil, err
		}
	}
}

// Open opens a gallery that Create made, with the model that it was made with,
// and reads all of it into memory: of n examples of d features 4·n·d bytes and
// about 100·n more, and under the cosine distance twice 4·n·d.
//
// The errors are fs.ErrNotExist, ErrLocked, ErrModel, ErrNotGallery and
// ErrDamaged, wrapped.
func Open(path string, model *likeness.Model, o Options) (*Gallery, error) {
	g, err := open(context.Background(), path, model, o, false)
	return g, errors.Wrapf(err, "open gallery %s", path)
}

func open(ctx context.Context, path string, model *likeness.Model, o Options, create bool) (opened *Gallery, err error) {
	defer recovered(&err)
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
		if create && errors.Is(err, fs.ErrNotExist) { // it was there, or could have been made
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

// read takes over what the file holds, after it has been given a header where an
// earlier attempt to create it was cut off.
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
	// The features are what the network gives; an image of nothing will do.
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
	g.graph = g.store.graph(g.contents)
	return nil
}

// isOpen reports whether Open or Create made the gallery: a nil one or a zero value is
// like one that is closed, with nothing in it.
func (g *Gallery) isOpen() bool { return g != nil && g.store != nil }

var (
	errNotOpened = errors.Wrap(ErrClosed, "it was not made by Open or Create")
	errNoContext = errors.New("the context is nil, expected one such as context.Background()")
)

// recovered makes an error of a panic in code that is not the gallery's: of a model that
// likeness did not make, or of an image that does not hold what it says.
func recovered(err *error) {
	if cause := recover(); cause != nil {
		*err = errors.Errorf("the model or an image cannot be used: %v", cause)
	}
}

// Path is the gallery's file.
func (g *Gallery) Path() string {
	if g == nil {
		return ""
	}
	return g.path
}

// Model is the model that the gallery was opened with; nil if it was not opened.
func (g *Gallery) Model() *likeness.Model {
	if g == nil {
		return nil
	}
	return g.model
}

// Rule is how an image is compared with a class.
func (g *Gallery) Rule() Rule {
	if g == nil {
		return ""
	}
	return g.header.Rule
}

// Close gives the file free for other processes, after changes that are under
// way. Afterwards all methods that can give an error give ErrClosed.
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

// Discard closes the gallery and, if it holds neither examples nor a calibration,
// removes its file, before any other process can open it: for whoever created it and
// could not enroll. It says whether the file is gone. Where the operating system does
// not remove files that are open, it stays, and that is the error.
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

// change prepares a change, which must end with g.writing.Unlock.
func (g *Gallery) change() error {
	if !g.isOpen() {
		return errNotOpened
	}
	g.writing.Lock()
	switch {
	case g.closed: // which changes under both locks
		g.writing.Unlock()
		return ErrClosed
	case g.options.ReadOnly:
		g.writing.Unlock()
		return ErrReadOnly
	}
	return nil
}

// wrap says which gallery an error is of and what was being done.
func (g *Gallery) wrap(err error, doing string) error {
	return errors.Wrapf(err, "gallery %s: %s", g.Path(), doing)
}

// Description is what a gallery's file says about itself.
type Description struct {
	Identity    likeness.Identity // of the model
	ModelName   string            // that Create was given
	Rule        Rule
	Calibration *Calibration // nil without one
}

// Describe reads what a gallery is of, without its model: to find out which one
// to load. Its errors are Open's.
func Describe(path string) (Description, error) {
	return DescribeWithin(context.Background(), path, 0)
}

// DescribeWithin is Describe that waits for another process to close the gallery up to
// the timeout, 0 for a second, and until the context ends.
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

// createFile makes the file of a new gallery, with its header, where there is
// none, whole or not at all: bbolt writes a new file in place, and would refuse for
// ever what a full disk left of it. It says whether the file was made; what is
// there already is for others to judge.
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
	if errors.Is(err, fs.ErrExist) { // somebody else made it by now
		return false, nil
	}
	return err == nil, err
}

var (
	// ErrExists says that there is a gallery where one was to be created.
	ErrExists = errors.New("it exists: open it, or choose another file")
	// ErrNotGallery says that a file is no gallery, or none of a known format.
	ErrNotGallery = errors.New("it is no gallery of a known format")
	// ErrDamaged says that a gallery's file cannot be read as it was written.
	ErrDamaged = errors.New("the file is damaged: restore a copy of it")
	// ErrModel says that a gallery is of another model.
	ErrModel = errors.New("the embeddings of two models cannot be compared: open it with its own, or enrol anew in another file")
	// ErrLocked says that another process has the gallery open.
	ErrLocked = errors.New("another process has it open")
	// ErrReadOnly says that a gallery was opened for reading.
	ErrReadOnly = errors.New("it was opened for reading only")
	// ErrClosed says that a gallery was closed.
	ErrClosed = errors.New("it is closed")
	// ErrClassName says that a name is none for a new class; see CheckClassName.
	ErrClassName = errors.New("invalid class name")
	// ErrUnknownClass says that a gallery has no class of a name.
	ErrUnknownClass = errors.New("unknown class")
	// ErrTooFewPairs says that so few pairs of images say nothing about so small a
	// rate.
	ErrTooFewPairs = errors.New("too few pairs of different classes")
	// ErrTooSmall says that an exact search takes less time than an index would.
	ErrTooSmall = errors.New("too few examples for an index")
)

// mostNamed is how many classes an error names.
const mostNamed = 10

// unknownClass is ErrUnknownClass with the name that was probably meant.
func unknownClass(found string, known []string) error {
	message := fmt.Sprintf("%q", found)
	if name := wording.Nearest(found, known); name != "" {
		message += fmt.Sprintf(": did you mean %q?", name)
	} else {
		message += "."
	}
	named := make([]string, min(len(known), mostNamed))
	for i := range named {
		named[i] = wording.Printable(known[i]) // an older gallery may hold any name
	}
	list := strings.Join(named, ", ")
	switch {
	case len(known) == 0:
		message += " There are none yet"
	case len(known) <= mostNamed:
		message += " There are " + list
	default:
		message += fmt.Sprintf(" There are %s and %d more", list, len(known)-mostNamed)
	}
	return fmt.Errorf("%w %s", ErrUnknownClass, message)
}
