package retrieval

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"image"
	"io"
	"os"
	"slices"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/guard"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/retrieval/cache"
	"github.com/pkg/errors"
)

// embedder embeds files in groups. While a group is embedded, the files of the next one are
// read, so that at most two groups are in memory.
type embedder struct {
	model        *likeness.Model
	options      Options
	computations [imaging.Symmetries]cache.Computation // by symmetry
	symmetries   imaging.Symmetry                      // number of those in which images are embedded, 1 or all
}

const (
	// groupFiles is the number of files of a group, and maxGroupBytes the memory of its
	// pixels above which it has fewer.
	groupFiles    = 64
	maxGroupBytes = 64 << 20
	// maxContent is the size of a file up to which it is read into memory once, so that its
	// checksum and its pixels are of the same bytes even if it is written meanwhile.
	maxContent = 32 << 20
)

// newEmbedder returns an embedder for a valid model. It uses no cache if the computation
// cannot be identified.
func newEmbedder(model *likeness.Model, o Options) *embedder {
	e := &embedder{model: model, options: o, symmetries: 1}
	if o.Flips {
		e.symmetries = imaging.Symmetries
	}
	if o.Cache != nil {
		computation, err := cache.ComputationOf(model, o.TTA)
		if err != nil {
			o.Cache.Disable(err)
			e.options.Cache = nil
		}
		for s := range e.symmetries {
			e.computations[s] = computation.Of(s)
		}
	}
	return e
}

// augmented reports whether images are embedded with test-time augmentation, image by image,
// so that the embedding does not depend on the number of images.
func (e *embedder) augmented() bool { return e.options.TTA != likeness.TTA{} }

// imageFile is a file of a group.
type imageFile struct {
	path    string
	failure error // of decoding, if that is skipped
	pixels  []uint8
	// exchanged are the pixels at the size of the model with height and width exchanged, for
	// the symmetries that exchange them; nil if the size is square or they are not needed.
	exchanged  []uint8
	embeddings [imaging.Symmetries][]float32 // nil for those that are missing
	computed   []imaging.Symmetry            // of embeddings, which the cache did not have
	cached     bool                          // the cache had all embeddings
	batch      int                           // in which it is embedded; 0 with test-time augmentation

	// For the cache; source is nil if the file is not to be stored.
	source *cache.Source
	hash   cache.Hash
	known  bool // hash is that of the content
	stored bool // the cache has the hash of the file in its present state
}

// group is consecutive files.
type group struct {
	files []imageFile
	end   int // number of files up to its last one
	err   error
}

// each reads and embeds all files and calls done with each group, in order.
func (e *embedder) each(ctx context.Context, paths []string, done func(*group) error) error {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := context.WithCancel(ctx)
	size := e.groupSize()
	groups := make(chan *group)
	go func() {
		defer close(groups)
		for begin := 0; begin < len(paths); begin += size {
			g := &group{end: min(begin+size, len(paths))}
			for _, path := range paths[begin:g.end] {
				g.files = append(g.files, imageFile{path: path})
			}
			g.err = e.read(ctx, g)
			groups <- g // the caller receives all groups
			if g.err != nil {
				return
			}
		}
	}()
	var failure error
	for g := range groups {
		if failure != nil {
			continue // until the reader has ended
		}
		if failure = g.err; failure == nil {
			failure = e.embed(g)
		}
		if failure == nil {
			failure = done(g)
		}
		if failure != nil {
			stop()
		}
	}
	stop()
	return failure
}

// groupSize is the number of files in a group, or the batch size of a group if its pixels
// take much memory.
func (e *embedder) groupSize() int {
	sizes := e.model.BatchSizes(groupFiles)
	if len(sizes) > 0 && groupFiles*e.model.Preprocessing.Size.Len() > maxGroupBytes {
		return sizes[0]
	}
	return groupFiles
}

// read looks the files of a group up in the cache and decodes the others.
func (e *embedder) read(ctx context.Context, g *group) (err error) {
	defer guard.Recover(&err, "read images")
	files := g.files
	// A file that is in the cache with any batch size is an image.
	sizes := e.possibleBatches()
	err = parallel.Each(ctx, parallel.MaxOpenFiles, len(files), func(i int) error {
		f := &files[i]
		if e.lookup(f) {
			if e.embedded(f, sizes) {
				return nil
			}
		}
		return e.decode(f, sizes)
	})
	if err != nil {
		return err
	}
	// The batch of an image is the one that it has without a cache.
	images := 0
	for i := range files {
		if files[i].failure == nil {
			images++
		}
	}
	batches := e.batches(images)
	if len(batches) != images {
		return errors.New("the model is not valid")
	}
	for i, image := 0, 0; i < len(files); i++ {
		if files[i].failure == nil {
			files[i].batch = batches[image]
			image++
		}
	}
	return parallel.Each(ctx, parallel.MaxOpenFiles, len(files), func(i int) error {
		f := &files[i]
		if f.failure != nil {
			return nil
		}
		if f.known {
			f.cached = true
			for s := range e.symmetries {
				f.embeddings[s] = e.options.Cache.Embedding(f.hash, e.computations[s], f.batch)
				f.cached = f.cached && f.embeddings[s] != nil
			}
			if f.cached {
				f.pixels, f.exchanged = nil, nil
				return nil
			}
		}
		if f.pixels == nil {
			return e.decode(f, nil)
		}
		return nil
	})
}

// embedded reports whether the cache has the embedding of a file, as it is, for one of the
// batch sizes.
func (e *embedder) embedded(f *imageFile, sizes []int) bool {
	return slices.ContainsFunc(sizes, func(size int) bool {
		return e.options.Cache.Embedding(f.hash, e.computations[imaging.Unchanged], size) != nil
	})
}

// possibleBatches are the batch sizes in which an image may have been embedded.
func (e *embedder) possibleBatches() []int {
	if e.augmented() {
		return []int{0}
	}
	sizes := []int{}
	for _, n := range []int{1, 8, groupFiles} {
		if batches := e.model.BatchSizes(n); len(batches) > 0 && !slices.Contains(sizes, batches[0]) {
			sizes = append(sizes, batches[0])
		}
	}
	return sizes
}

// batches are the batch sizes of the images of a group.
func (e *embedder) batches(images int) []int {
	if e.augmented() {
		return make([]int, images)
	}
	return e.model.BatchSizes(images)
}

// lookup finds the hash of a file in the cache, and reports whether it is there.
func (e *embedder) lookup(f *imageFile) bool {
	if e.options.Cache == nil {
		return false
	}
	source, err := cache.SourceOf(f.path)
	if err != nil {
		return false // decode reports it
	}
	f.source = &source
	f.hash, f.known = e.options.Cache.Hash(source)
	f.stored = f.known
	return f.known
}

// decode reads a file and converts it to pixels, unless the cache has an embedding of its
// content for one of the batch sizes.
func (e *embedder) decode(f *imageFile, sizes []int) error {
	pixels, err := e.pixels(f, sizes)
	switch {
	case err == nil:
		f.pixels = pixels
		return nil
	case !imaging.Skippable(err):
		return err
	case !e.options.SkipBroken:
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	f.failure = err
	return nil
}

// pixels returns the pixels of a file, or nil if the cache has its embedding.
func (e *embedder) pixels(f *imageFile, sizes []int) ([]uint8, error) {
	img, err := e.image(f, e.model.Preprocessing, func() bool { return e.embedded(f, sizes) })
	if img == nil || err != nil {
		return nil, err
	}
	return e.prepare(f, img)
}

// image decodes a file for a preprocessing, unless it is in the cache: then the image is nil.
// stored reports that for the hash of the file.
func (e *embedder) image(f *imageFile, p imaging.Preprocessing, stored func() bool) (image.Image, error) {
	if f.source == nil {
		return p.DecodeFile(f.path)
	}
	file, err := imaging.OpenFile(f.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := e.content(f, file)
	if err != nil {
		return nil, err
	}
	if f.known && stored() {
		return nil, nil
	}
	img, err := p.Decode(content, f.path)
	if err != nil {
		return nil, err
	}
	if content == io.Reader(file) && !f.source.Unchanged() {
		f.source, f.known = nil, false
	}
	return img, nil
}

// prepare returns the pixels of the image of a file, and sets f.exchanged if it is needed.
func (e *embedder) prepare(f *imageFile, img image.Image) ([]uint8, error) {
	preprocessing := e.model.Preprocessing
	pixels, err := preprocessing.Prepare(img)
	if size := exchangedSize(preprocessing.Size); err == nil && e.options.Flips && size != preprocessing.Size {
		preprocessing.Size = size
		f.exchanged, err = preprocessing.Prepare(img)
	}
	if err != nil {
		return nil, fmt.Errorf("image %s %w", f.path, err)
	}
	return pixels, nil
}

func exchangedSize(s imaging.Size) imaging.Size {
	s.Height, s.Width = s.Width, s.Height
	return s
}

// turned returns the pixels of a file in a symmetry: those of the image to which the symmetry
// was applied before it was resized.
func (e *embedder) turned(f *imageFile, s imaging.Symmetry) []uint8 {
	size := e.model.Preprocessing.Size
	switch {
	case s == imaging.Unchanged:
		return f.pixels
	case s.Exchanges() && f.exchanged != nil:
		return s.Apply(f.exchanged, exchangedSize(size))
	}
	return s.Apply(f.pixels, size)
}

// content computes the hash of a file and returns a reader of what was hashed. A file that
// does not fit in memory, or is no regular file, is read twice.
func (e *embedder) content(f *imageFile, file *os.File) (io.Reader, error) {
	f.known, f.stored = false, false
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		f.source = nil
		return file, nil
	}
	if info.Size() <= maxContent {
		var content bytes.Buffer
		content.Grow(int(info.Size()) + bytes.MinRead)
		if _, err := content.ReadFrom(io.LimitReader(file, maxContent+1)); err != nil {
			return nil, errors.Wrapf(err, "read image %s", f.path)
		}
		if content.Len() <= maxContent {
			f.hash, f.known = sha256.Sum256(content.Bytes()), true
			if !f.source.Unchanged() {
				f.source = nil // the content has its hash, but the file may have another one by now
			}
			return bytes.NewReader(content.Bytes()), nil
		}
		f.source = nil // it grew meanwhile
	}
	sum := sha256.New()
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Wrapf(err, "read image %s", f.path)
	}
	if f.source == nil {
		return file, nil
	}
	if _, err := io.Copy(sum, file); err != nil {
		return nil, errors.Wrapf(err, "read image %s", f.path)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Wrapf(err, "read image %s", f.path)
	}
	// Only a file that nobody has written for a while is surely read as it was hashed.
	if f.known = f.source.Unchanged() && f.source.Settled(); !f.known {
		f.source = nil
	}
	copy(f.hash[:], sum.Sum(nil))
	return file, nil
}

// embed embeds the images of a group that the cache did not have, and stores them. An image
// is in batches of the same size in all symmetries.
func (e *embedder) embed(g *group) error {
	for s := range e.symmetries {
		missing := map[int][]*imageFile{} // by batch size
		for i := range g.files {
			if f := &g.files[i]; f.failure == nil && f.embeddings[s] == nil {
				missing[f.batch] = append(missing[f.batch], f)
			}
		}
		for batch, files := range missing {
			pixels := make([][]uint8, len(files))
			parallel.For(len(files), func(i int) { pixels[i] = e.turned(files[i], s) })
			var embeddings [][]float32
			var err error
			if e.augmented() {
				embeddings, err = e.model.EmbedTTA(e.options.TTA, pixels)
			} else {
				embeddings, err = e.model.EmbedBatches(batch, pixels)
			}
			if err != nil {
				return err
			}
			for i, f := range files {
				f.embeddings[s], f.computed = embeddings[i], append(f.computed, s)
				if s == e.symmetries-1 {
					f.pixels, f.exchanged = nil, nil
				}
			}
		}
	}
	e.store(g)
	return nil
}

// store stores the new embeddings and hashes of a group.
func (e *embedder) store(g *group) {
	if e.options.Cache == nil {
		return
	}
	var records []cache.Record
	for _, f := range g.files {
		if f.failure != nil || !f.known {
			continue
		}
		if f.source != nil && !f.stored {
			records = append(records, cache.Record{Source: *f.source, Hash: f.hash})
		}
		for _, s := range f.computed {
			records = append(records, cache.Record{Hash: f.hash, Embedding: f.embeddings[s], Computation: e.computations[s], Batch: f.batch})
		}
	}
	e.options.Cache.Store(records...)
}
