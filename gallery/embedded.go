package gallery

import (
	"context"
	"io/fs"
	"iter"
	"os"
	"slices"
	"sync"

	"github.com/likeness-go/likeness/gallery/index"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

// embedded is a gallery in a file, with its contents in memory.
type embedded struct {
	path    string
	options Options
	rule    Rule
	store   *store
	// writing is held during a change of the file and of the contents in memory, so
	// that both have the same order.
	writing sync.Mutex

	mutex      sync.RWMutex // guards the following fields
	closed     bool
	contents   *contents
	calibrated *Calibration // nil without one
}

// openEmbedded opens the file or, with create, creates it. The header is the one that is
// expected, and features returns the length of an embedding.
func openEmbedded(ctx context.Context, path string, o Options, own header, create bool, distance heads.Distance, features func() (int, error)) (backend, header, error) {
	made := false
	var err error
	if create {
		if made, err = createFile(ctx, path, o, own); err != nil {
			return nil, header{}, err
		}
	}
	e := &embedded{path: path, options: o}
	if e.store, err = openStore(ctx, path, o, create && !made); err != nil {
		if create && errors.Is(err, fs.ErrNotExist) { // another process removed it after createFile
			err = errors.WithMessage(errGone, err.Error())
		}
		return nil, header{}, err
	}
	found, err := e.read(own, create && !made, distance, features)
	if err != nil {
		_ = e.store.close()
		return nil, header{}, err
	}
	return e, found, nil
}

// read reads the file. With create it first writes the header of a file whose creation
// was interrupted.
func (e *embedded) read(own header, create bool, distance heads.Distance, features func() (int, error)) (found header, err error) {
	if create {
		err = e.store.create(own)
	}
	if err == nil {
		found, err = e.store.header()
	}
	if err == nil {
		err = found.check(own)
	}
	if err != nil {
		return found, err
	}
	e.rule = found.Rule
	length, err := features()
	if err != nil {
		return found, err
	}
	if e.contents, err = newContents(distance, length, found.Rule); err != nil {
		return found, err
	}
	if err := e.store.examples(length, e.contents.reserve, e.contents.add); err != nil {
		return found, err
	}
	if e.calibrated, err = e.store.calibration(); err != nil {
		return found, err
	}
	return found, nil
}

// createFile creates the file of a new gallery with its header atomically, and reports
// whether it did; an existing file is not touched. Without this, bbolt would write a new
// file in place and could not open the incomplete file that a full disk leaves.
func createFile(ctx context.Context, path string, o Options, h header) (made bool, err error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	err = writeFile(ctx, path, o, h, func(*store) error { return nil })
	if errors.Is(err, fs.ErrExist) { // another process created it meanwhile
		return false, nil
	}
	return err == nil, err
}

// writeFile creates a file with a header and what fill adds to it, atomically.
func writeFile(ctx context.Context, path string, o Options, h header, fill func(*store) error) error {
	return atomicfile.Create(path, func(temporary string) error {
		s, err := openStore(ctx, temporary, o, true)
		if err != nil {
			return err
		}
		if err = s.create(h); err == nil {
			err = fill(s)
		}
		if closing := s.close(); err == nil {
			err = closing
		}
		return err
	})
}

// reading locks the contents for reading, which must end with e.mutex.RUnlock.
func (e *embedded) reading() error {
	e.mutex.RLock()
	if e.closed {
		e.mutex.RUnlock()
		return ErrClosed
	}
	return nil
}

// change locks the gallery for a change, which must end with e.writing.Unlock.
func (e *embedded) change() error {
	e.writing.Lock()
	switch {
	case e.closed: // may be read, because it changes only with both locks held
		e.writing.Unlock()
		return ErrClosed
	case e.options.ReadOnly:
		e.writing.Unlock()
		return ErrReadOnly
	}
	return nil
}

func (e *embedded) check(embedding []float32) error {
	e.mutex.RLock()
	defer e.mutex.RUnlock()
	return e.contents.vectors.Check(embedding)
}

func (e *embedded) has(_ context.Context, class string) (bool, error) {
	e.mutex.RLock()
	defer e.mutex.RUnlock()
	_, known := e.contents.numbers[class]
	return known, nil
}

func (e *embedded) empty(ctx context.Context) (bool, error) {
	n, err := e.count(ctx)
	return n == 0, err
}

func (e *embedded) count(context.Context) (int, error) {
	e.mutex.RLock()
	defer e.mutex.RUnlock()
	return e.contents.vectors.Len(), nil
}

func (e *embedded) classes(context.Context) (classes []Class, err error) {
	e.mutex.RLock()
	defer e.mutex.RUnlock()
	for _, name := range e.contents.names() {
		classes = append(classes, Class{name, e.contents.classes[e.contents.numbers[name]].examples})
	}
	return classes, nil
}

func (e *embedded) examples(_ context.Context, class string) (examples []Example, err error) {
	e.mutex.RLock()
	defer e.mutex.RUnlock()
	number, err := e.contents.number(class)
	if err != nil {
		return nil, err
	}
	for row, of := range e.contents.classOf {
		if of == number {
			examples = append(examples, e.contents.examples[row])
		}
	}
	return examples, nil
}

// add adds records to the file and then to the contents in memory.
func (e *embedded) add(ctx context.Context, id string, records []record) (examples int, err error) {
	if err := e.change(); err != nil {
		return 0, err
	}
	defer e.writing.Unlock()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	done, err := e.store.put(id, records)
	if err != nil {
		return 0, err
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if !done {
		for _, r := range records {
			if err := e.contents.add(r); err != nil {
				return 0, err
			}
		}
	}
	if len(records) == 0 {
		return 0, nil
	}
	number, known := e.contents.numbers[records[0].class]
	if !known { // forgotten since the id was used
		return 0, nil
	}
	return e.contents.classes[number].examples, nil
}

func (e *embedded) forget(ctx context.Context, class string) (int, error) {
	if err := e.change(); err != nil {
		return 0, err
	}
	defer e.writing.Unlock()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	number, err := e.contents.number(class)
	if err != nil {
		return 0, err
	}
	ids := e.contents.idsOf(number)
	if err := e.store.remove(ids); err != nil {
		return 0, err
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return len(ids), e.contents.forget(number)
}

func (e *embedded) nearest(_ context.Context, embeddings [][]float32, k int) (a answer, err error) {
	if err := e.reading(); err != nil {
		return a, err
	}
	defer e.mutex.RUnlock()
	found, err := e.search(embeddings, k)
	if err != nil {
		return a, err
	}
	a = answer{found: make([][]Candidate, len(embeddings)), calibration: e.calibrated}
	for i, neighbors := range found {
		for _, neighbor := range neighbors {
			a.found[i] = append(a.found[i], e.contents.candidate(neighbor))
		}
	}
	return a, nil
}

// search finds the k nearest classes of each embedding.
func (e *embedded) search(embeddings [][]float32, k int) ([][]index.Neighbor, error) {
	vectors, classOf := e.contents.searched()
	k = max(1, min(k, len(e.contents.classes)))
	return vectors.Nearest(embeddings, k, classOf)
}

func (e *embedded) compare(_ context.Context, class string, embedding []float32) (Candidate, *Calibration, error) {
	if err := e.reading(); err != nil {
		return Candidate{}, nil, err
	}
	defer e.mutex.RUnlock()
	number, err := e.contents.number(class)
	if err != nil {
		return Candidate{}, nil, err
	}
	return e.contents.of(number, embedding), e.calibrated, nil
}

func (e *embedded) calibration(context.Context) (*Calibration, error) {
	e.mutex.RLock()
	defer e.mutex.RUnlock()
	return e.calibrated, nil
}

func (e *embedded) calibrate(_ context.Context, c Calibration) error {
	if err := e.change(); err != nil {
		return err
	}
	defer e.writing.Unlock()
	if err := e.store.calibrate(c); err != nil {
		return err
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.calibrated = &c
	return nil
}

func (e *embedded) index(context.Context) error {
	return errors.New("a gallery in a file has no index and is searched exactly, expected one in PostgreSQL")
}

func (e *embedded) after(_ context.Context, id uint64) (int, error) {
	if err := e.reading(); err != nil {
		return 0, err
	}
	defer e.mutex.RUnlock()
	at, _ := slices.BinarySearch(e.contents.ids, id+1)
	return len(e.contents.ids) - at, nil
}

func (e *embedded) snapshot(_ context.Context, use func(last uint64, records iter.Seq2[record, error]) error) error {
	if err := e.reading(); err != nil {
		return err
	}
	defer e.mutex.RUnlock()
	c := e.contents
	last := uint64(0)
	if n := len(c.ids); n > 0 {
		last = c.ids[n-1]
	}
	return use(last, func(yield func(record, error) bool) {
		for row, id := range c.ids {
			r := record{id: id, class: c.classes[c.classOf[row]].name, example: c.examples[row], embedding: c.vectors.Row(row)}
			if !yield(r, nil) {
				return
			}
		}
	})
}

func (e *embedded) close() error {
	e.writing.Lock()
	defer e.writing.Unlock()
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	return e.store.close()
}

func (e *embedded) discard() (removed bool, err error) {
	e.writing.Lock()
	defer e.writing.Unlock()
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.closed {
		return false, nil
	}
	e.closed = true
	if !e.options.ReadOnly && e.contents.vectors.Len() == 0 && e.calibrated == nil && e.store.isAt(e.path) {
		err = os.Remove(e.path)
		removed = err == nil
	}
	if closing := e.store.close(); err == nil {
		err = closing
	}
	return removed, err
}
