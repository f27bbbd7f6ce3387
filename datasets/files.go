package datasets

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math"
	"sync"
	"sync/atomic"

	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// DefaultMemory is the number of bytes of decoded images that Files keep if no other number
// is chosen: 1 GiB.
const DefaultMemory = 1 << 30

// ErrChanged is the error if the content of an image file is not what it was when the file
// was read before.
var ErrChanged = errors.New("the file has changed since it was first read: restore it, or begin again with the new one")

// Reference is an image that is not in memory: the path of its file, and the index of its
// class, or -1 if it has none.
type Reference struct {
	Path  string
	Class int
}

// Files is a set of images that are decoded and preprocessed when they are read. The least
// recently used ones leave memory when the others need their place. What is read does not
// depend on what is in memory.
//
// The first time that a file is read, a digest of its content is kept. If a later reading
// finds another content, the error is ErrChanged, so that a training does not go on with
// other images than it began with.
//
// Its methods may be called by several goroutines at once. Two that read the same file wait
// for one decoding.
type Files struct {
	references []Reference
	classes    []string
	p          imaging.Preprocessing
	paths      []string // each file once
	positions  []int    // of the file of each reference in paths
	contents   []atomic.Pointer[content]
	cache      *cache
}

// content is what is known of a file that has been read. It does not depend on the memory of
// its pixels.
type content struct {
	digest uint64 // the first 8 bytes of the SHA-256 of the file
	sums   *sums  // of the prepared pixels; nil if the file was not decoded
}

// sums are the sums over the pixels of an image, for each channel, of values and of squares.
type sums struct{ values, squares [3]uint64 }

func sumsOf(pixels []uint8, channels int) *sums {
	var s sums
	for channel := range channels {
		for i := channel; i < len(pixels); i += channels {
			v := uint64(pixels[i])
			s.values[channel] += v
			s.squares[channel] += v * v
		}
	}
	return &s
}

// NewFiles returns the images of the references, preprocessed by p without its Mean and
// StdDev. At most memory bytes of decoded images are kept; 0 means DefaultMemory, and
// math.MaxInt64 keeps all. It reads no file. It is an error if p or memory is not valid, if
// there are no references, or if an index of a class is not that of one of the classes.
func NewFiles(references []Reference, classes []string, p imaging.Preprocessing, memory int64) (*Files, error) {
	if err := p.Validate(); err != nil {
		return nil, errors.Wrap(err, "image files")
	}
	cache, err := newCache(memory)
	if err != nil {
		return nil, errors.Wrap(err, "image files")
	}
	f := newFiles(references, classes, p, cache)
	return f, errors.Wrap(CheckImages(f), "image files")
}

func newFiles(references []Reference, classes []string, p imaging.Preprocessing, cache *cache) *Files {
	p.Mean, p.StdDev = nil, nil
	f := &Files{references: references, classes: classes, p: p, cache: cache, positions: make([]int, len(references))}
	position := map[string]int{}
	for i, reference := range references {
		n, found := position[reference.Path]
		if !found {
			n = len(f.paths)
			position[reference.Path] = n
			f.paths = append(f.paths, reference.Path)
		}
		f.positions[i] = n
	}
	f.contents = make([]atomic.Pointer[content], len(f.paths))
	return f
}

// Len is the number of references.
func (f *Files) Len() int {
	if f == nil {
		return 0
	}
	return len(f.references)
}

// Label returns the class of image i, -1 if it has none or there is no such image.
func (f *Files) Label(i int) int {
	if f.check(i) != nil {
		return -1
	}
	return f.references[i].Class
}

// ClassNames returns the names of the classes.
func (f *Files) ClassNames() []string {
	if f == nil {
		return nil
	}
	return f.classes
}

// ImageSize returns the size of the preprocessing.
func (f *Files) ImageSize() imaging.Size {
	if f == nil {
		return imaging.Size{}
	}
	return f.p.Size
}

// Source returns the path of image i.
func (f *Files) Source(i int) string {
	if f.check(i) != nil {
		return ""
	}
	return f.references[i].Path
}

func (f *Files) check(i int) error {
	if i < 0 || i >= f.Len() {
		return errors.Errorf("found the index %d, expected one of %d image files", i, f.Len())
	}
	return nil
}

// Read writes image i, decoded and preprocessed, to pixels. The error is ErrChanged if the
// file is not what it was when it was first read.
func (f *Files) Read(i int, pixels []uint8) error {
	if err := f.check(i); err != nil {
		return err
	}
	if len(pixels) != f.p.Size.Len() {
		return errors.Errorf("found room for %d values, expected %d of size %v", len(pixels), f.p.Size.Len(), f.p.Size)
	}
	found, err := f.read(f.positions[i], false)
	copy(pixels, found.pixels)
	return err
}

// originalFactor bounds the memory of originals: half of an original's shorter side has as many
// pixels as the longer side of the network's input.
const originalFactor = 2

// ReadOriginal returns image i as it is in the file, see Originals. It is reduced by area
// averaging if its shorter side is more than twice the longer side of ImageSize. If images are
// cropped to their foreground, it is the square around that, of this side.
func (f *Files) ReadOriginal(i int) ([]uint8, imaging.Size, error) {
	if err := f.check(i); err != nil {
		return nil, imaging.Size{}, err
	}
	found, err := f.read(f.positions[i], true)
	return found.pixels, found.size, err
}

// Identity distinguishes the images from others: it is a digest of the content of all files,
// their classes and the preprocessing. It does not depend on the paths, so that files may be
// moved. If a file cannot be read it is the error, which no readable files have.
func (f *Files) Identity() string {
	if f.Len() == 0 {
		return "no image files"
	}
	identity, err := digestIdentity(f)
	if err != nil {
		return err.Error()
	}
	return identity
}

// read returns a file as the cache has it, or decodes it: prepared, or the original. The
// pixels must not be changed.
func (f *Files) read(n int, original bool) (picture, error) {
	return f.cache.get(cacheKey{f, n, original}, func() (picture, error) {
		file, err := openFile(f.paths[n])
		if err != nil {
			return picture{}, err
		}
		defer file.Close()
		return f.decode(n, original, file)
	})
}

// first is read for a file that is open. The caller reads each file once.
func (f *Files) first(i int, file io.ReadSeeker) error {
	n := f.positions[i]
	decoded, err := f.decode(n, false, file)
	if err == nil {
		f.cache.put(cacheKey{f, n, false}, decoded)
	}
	return err
}

// decode reads an open file and records its content.
func (f *Files) decode(n int, original bool, file io.ReadSeeker) (picture, error) {
	digest, err := f.digestOf(n, file)
	if err != nil {
		return picture{}, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return picture{}, errors.Wrapf(err, "read image %s", f.paths[n])
	}
	p := f.p
	if original {
		p.ScaledJPEG, p.ShorterSide = false, 0 // the whole image, of its own size
	}
	img, err := p.Decode(file, f.paths[n])
	if err != nil {
		return picture{}, err
	}
	if original {
		side, bounds := originalFactor*max(p.Size.Height, p.Size.Width), img.Bounds()
		p.Size.Height, p.Size.Width = shrunk(bounds.Dy(), bounds.Dx(), side)
		if p.Crop != nil { // the square around the foreground
			p.Size.Height, p.Size.Width = side, side
		}
	}
	pixels, err := p.Prepare(img)
	if err != nil {
		return picture{}, errors.WithMessagef(err, "the image %s", f.paths[n])
	}
	if !original {
		f.contents[n].Store(&content{digest, sumsOf(pixels, p.Size.Channels)})
	}
	return picture{pixels, p.Size}, nil
}

// shrunk is the size of an image whose shorter side is reduced to side, if it is longer.
func shrunk(height, width, side int) (int, int) {
	shorter := min(height, width)
	if shorter <= side {
		return height, width
	}
	scaled := func(length int) int {
		return max(side, int(math.Round(float64(length)*float64(side)/float64(shorter))))
	}
	return scaled(height), scaled(width)
}

// digestOf reads the whole file, and reports whether it is what it was.
func (f *Files) digestOf(n int, file io.Reader) (uint64, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return 0, errors.Wrapf(err, "read image %s", f.paths[n])
	}
	digest := binary.BigEndian.Uint64(hash.Sum(nil))
	if !f.contents[n].CompareAndSwap(nil, &content{digest: digest}) && f.contents[n].Load().digest != digest {
		return 0, errors.Wrap(ErrChanged, f.paths[n])
	}
	return digest, nil
}

func (f *Files) preprocessing() imaging.Preprocessing { return f.p }

// digest is that of the content of the file of image i, which is read if it was not before.
func (f *Files) digest(i int) (uint64, error) {
	n := f.positions[i]
	if known := f.contents[n].Load(); known != nil {
		return known.digest, nil
	}
	file, err := openFile(f.paths[n])
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return f.digestOf(n, file)
}

// sums are those of image i, which is read if it was not before.
func (f *Files) sums(i int) (*sums, error) {
	n := f.positions[i]
	if known := f.contents[n].Load(); known != nil && known.sums != nil {
		return known.sums, nil
	}
	if _, err := f.read(n, false); err != nil {
		return nil, err
	}
	return f.contents[n].Load().sums, nil
}

// picture is the pixels of an image.
type picture struct {
	pixels []uint8
	size   imaging.Size
}

// cacheKey is one version of one file.
type cacheKey struct {
	files    *Files
	n        int
	original bool
}

// cache keeps the most recently used decoded images, up to a limit in bytes.
type cache struct {
	mutex       sync.Mutex
	limit, size int64 // in bytes
	entries     map[cacheKey]*list.Element
	order       list.List // of cached, the most recently used first
	loading     map[cacheKey]*loading
}

type cached struct {
	key cacheKey
	picture
}

// loading is a picture that a goroutine decodes, for which others wait.
type loading struct {
	done chan struct{}
	picture
	err error
}

// overhead is about the memory that a picture in the cache needs beside its pixels.
const overhead = 256

func newCache(limit int64) (*cache, error) {
	if limit < 0 {
		return nil, errors.Errorf("memory of %d bytes, expected at least 1, or 0 for the default of %d", limit, DefaultMemory)
	}
	if limit == 0 {
		limit = DefaultMemory
	}
	return &cache{limit: limit, entries: map[cacheKey]*list.Element{}, loading: map[cacheKey]*loading{}}, nil
}

// get returns the picture of a key, by load if the cache does not have it.
func (c *cache) get(key cacheKey, load func() (picture, error)) (picture, error) {
	c.mutex.Lock()
	if element, found := c.entries[key]; found {
		c.order.MoveToFront(element)
		c.mutex.Unlock()
		return element.Value.(*cached).picture, nil
	}
	if other, found := c.loading[key]; found {
		c.mutex.Unlock()
		<-other.done
		return other.picture, other.err
	}
	own := &loading{done: make(chan struct{}), err: errors.New("decoding an image panicked")}
	c.loading[key] = own
	c.mutex.Unlock()
	defer func() {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		delete(c.loading, key)
		if own.err == nil {
			c.add(key, own.picture)
		}
		close(own.done)
	}()
	own.picture, own.err = load()
	return own.picture, own.err
}

// put adds a picture that was decoded elsewhere.
func (c *cache) put(key cacheKey, p picture) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.add(key, p)
}

// add keeps a picture, and drops the least recently used ones for it. A picture that is
// larger than the limit is not kept. The mutex is held.
func (c *cache) add(key cacheKey, p picture) {
	need := int64(len(p.pixels)) + overhead
	if _, found := c.entries[key]; found || need > c.limit {
		return
	}
	for c.size > c.limit-need {
		last := c.order.Back()
		dropped := c.order.Remove(last).(*cached)
		delete(c.entries, dropped.key)
		c.size -= int64(len(dropped.pixels)) + overhead
	}
	c.entries[key] = c.order.PushFront(&cached{key, p})
	c.size += need
}
