package gallery

import (
	"sync"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/gallery/index"
	"github.com/likeness-go/likeness/heads"
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
	g, err := open(path, model, o, true)
	return g, errors.Wrapf(err, "create gallery %s", path)
}

// Open opens a gallery that Create made, with the model that it was made with,
// and reads all of it into memory: of n examples of d features 4·n·d bytes and
// about 100·n more, and under the cosine distance twice 4·n·d.
//
// The errors are fs.ErrNotExist, ErrLocked, ErrModel, ErrNotGallery and
// ErrDamaged, wrapped.
func Open(path string, model *likeness.Model, o Options) (*Gallery, error) {
	g, err := open(path, model, o, false)
	return g, errors.Wrapf(err, "open gallery %s", path)
}

func open(path string, model *likeness.Model, o Options, create bool) (*Gallery, error) {
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
		if made, err = createFile(path, o, own); err != nil {
			return nil, err
		}
	}
	if g.store, err = openStore(path, o, create && !made); err != nil {
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

// Path is the gallery's file.
func (g *Gallery) Path() string { return g.path }

// Model is the model that the gallery was opened with.
func (g *Gallery) Model() *likeness.Model { return g.model }

// Rule is how an image is compared with a class.
func (g *Gallery) Rule() Rule { return g.header.Rule }

// Close gives the file free for other processes, after changes that are under
// way. Afterwards all methods that can give an error give ErrClosed.
func (g *Gallery) Close() error {
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

// change prepares a change, which must end with g.writing.Unlock.
func (g *Gallery) change() error {
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
	return errors.Wrapf(err, "gallery %s: %s", g.path, doing)
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
	d, err := describe(path)
	return d, errors.Wrapf(err, "describe gallery %s", path)
}

func describe(path string) (Description, error) {
	s, err := openStore(path, Options{ReadOnly: true}, false)
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
