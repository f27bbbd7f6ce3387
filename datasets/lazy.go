package datasets

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// Originals is implemented by Images that have images larger than ImageSize, such as Files
// and the datasets that read from them. A random resized crop takes its pixels from these.
type Originals interface {
	// ReadOriginal returns image i in its own aspect ratio, with the channels and the
	// polarity of Read. The caller must not change pixels, which are (height, width,
	// channels) bytes of the size that is returned.
	ReadOriginal(i int) (pixels []uint8, size imaging.Size, err error)
}

// NewDataset returns a dataset of images that are not in memory: its field From is images.
// All methods of Dataset work on it, and only those that need pixels read them. It is an
// error if CheckImages returns one, or if some images have a class and some have none.
func NewDataset(name string, images Images) (*Dataset, error) {
	if err := CheckImages(images); err != nil {
		return nil, errors.Wrapf(err, "dataset %s", name)
	}
	d := &Dataset{Name: name, Size: images.ImageSize(), Classes: images.ClassNames(), From: images, Indices: upTo(images.Len())}
	switch images := images.(type) {
	case *Dataset:
		d.Inverted, d.Crop, d.ShorterSide, d.Drawers = images.Inverted, images.Crop, images.ShorterSide, images.Drawers
	case *Files:
		d.setPreprocessing(images.p)
	}
	for i := range images.Len() {
		d.Sources = append(d.Sources, images.Source(i))
		label := images.Label(i)
		if (label < 0) != (len(d.Labels) == 0) && i > 0 {
			return nil, errors.Wrapf(ErrUnlabeled, "dataset %s: only one of %s and %s has a class, expected all or none", name, images.Source(0), images.Source(i))
		}
		if label >= 0 {
			d.Labels = append(d.Labels, label)
		}
	}
	return d, nil
}

// upTo returns 0 to n − 1.
func upTo(n int) []int {
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
	}
	return indices
}

// Pixels returns image i: that of Images, which must not be changed, or one that is read.
func (d *Dataset) Pixels(i int) ([]uint8, error) {
	if i < 0 || i >= d.Len() {
		return nil, errors.Errorf("found the index %d, expected one of %d images", i, d.Len())
	}
	if d.From == nil {
		return d.Images[i], nil
	}
	pixels := make([]uint8, d.From.ImageSize().Len())
	return pixels, readImage(d.From, d.Indices[i], pixels)
}

// InMemory returns the dataset with its images in memory: d itself, if they are there.
func (d *Dataset) InMemory() (*Dataset, error) {
	if d == nil || d.From == nil {
		return d, nil
	}
	read := *d
	read.From, read.Indices, read.Images = nil, nil, make([][]uint8, d.Len())
	err := ReadAll(d, func(i int, pixels []uint8) error {
		read.Images[i] = slices.Clone(pixels)
		return nil
	})
	if err != nil {
		return nil, errors.Wrapf(err, "dataset %s", d.Name)
	}
	return &read, nil
}

// ReadOriginal returns image i before it is reduced to Size, if the dataset reads from
// Originals; see there. Otherwise it is the image of Read.
func (d *Dataset) ReadOriginal(i int) ([]uint8, imaging.Size, error) {
	if d != nil && i >= 0 && i < d.Len() {
		if originals, ok := d.From.(Originals); ok {
			return originals.ReadOriginal(d.Indices[i])
		}
	}
	pixels, err := d.Pixels(i)
	return pixels, d.ImageSize(), err
}

// validateLazy is Validate for the fields of a dataset that is not in memory.
func (d *Dataset) validateLazy() error {
	if d.Images != nil {
		return errors.Errorf("dataset %s: found both Images and From, expected one of the two", d.Name)
	}
	if size := d.From.ImageSize(); size != d.Size {
		return errors.Errorf("dataset %s: found images of size %v in From, expected %v", d.Name, size, d.Size)
	}
	for i, index := range d.Indices {
		if index < 0 || index >= d.From.Len() {
			return errors.Errorf("dataset %s: image %d is image %d of From, expected one of %d", d.Name, i, index, d.From.Len())
		}
	}
	return nil
}

// symmetries are the eight symmetries of the images of a dataset, see Dataset.Symmetries.
type symmetries struct{ *Dataset }

func (s symmetries) Len() int            { return len(symmetryNames) * s.Dataset.Len() }
func (s symmetries) Label(int) int       { return -1 }
func (s symmetries) Source(i int) string { return s.Dataset.Source(i % s.Dataset.Len()) }

func (s symmetries) Read(i int, pixels []uint8) error {
	if err := s.Dataset.Read(i%s.Dataset.Len(), pixels); err != nil {
		return err
	}
	symmetry := i / s.Dataset.Len()
	copy(pixels, imaging.Turn(pixels, s.Size, symmetry%4, symmetry >= 4))
	return nil
}

func (s symmetries) ReadOriginal(i int) ([]uint8, imaging.Size, error) {
	pixels, size, err := s.Dataset.ReadOriginal(i % s.Dataset.Len())
	if err != nil {
		return nil, size, err
	}
	symmetry := i / s.Dataset.Len()
	pixels = imaging.Turn(pixels, size, symmetry%4, symmetry >= 4)
	if symmetry%2 == 1 {
		size.Height, size.Width = size.Width, size.Height
	}
	return pixels, size, nil
}

// resizedImages are the images of a dataset in another size, see Dataset.Resize.
type resizedImages struct {
	*Dataset
	size imaging.Size
}

func (r resizedImages) ImageSize() imaging.Size { return r.size }

func (r resizedImages) Read(i int, pixels []uint8) error {
	own, err := r.Dataset.Pixels(i)
	if err != nil {
		return err
	}
	copy(pixels, imaging.Preprocessing{Size: r.size}.Pixels(r.Size.Image(own)))
	return nil
}

// joined are the images of several datasets of one size, one after the other, see Join.
type joined []*Dataset

// find returns the dataset of image i and its index there.
func (j joined) find(i int) (*Dataset, int) {
	for _, part := range j {
		if i < part.Len() {
			return part, i
		}
		i -= part.Len()
	}
	return nil, i
}

func (j joined) Len() (count int) {
	for _, part := range j {
		count += part.Len()
	}
	return count
}

func (j joined) Label(int) int           { return -1 }
func (j joined) ClassNames() []string    { return nil }
func (j joined) ImageSize() imaging.Size { return j[0].Size }

func (j joined) Source(i int) string {
	part, i := j.find(i)
	return part.Source(i)
}

func (j joined) Read(i int, pixels []uint8) error {
	part, i := j.find(i)
	return part.Read(i, pixels)
}

func (j joined) ReadOriginal(i int) ([]uint8, imaging.Size, error) {
	part, i := j.find(i)
	return part.ReadOriginal(i)
}

// recorded is what is known of images of files: the digest of the content of a file, the
// sums of an image's pixels, and how images are made of files.
type recorded interface {
	preprocessing() imaging.Preprocessing
	digest(i int) (uint64, error)
	sums(i int) (*sums, error)
}

// recordedOf returns what is known of images, nil if they do not come from files.
func recordedOf(images Images) recorded {
	switch images := images.(type) {
	case *Files:
		return images
	case *Dataset:
		if images == nil || images.From == nil {
			return nil
		}
		if inner := recordedOf(images.From); inner != nil {
			return subset{inner, images.Indices}
		}
	case symmetries:
		if inner := recordedOf(images.Dataset); inner != nil {
			return turnedFiles{inner, images.Dataset.Len()}
		}
	case joined:
		all := joinedFiles{images, nil}
		for _, part := range images {
			inner := recordedOf(part)
			if inner == nil {
				return nil
			}
			all.parts = append(all.parts, inner)
		}
		return all
	}
	return nil
}

// subset is what is known of a dataset's images.
type subset struct {
	recorded
	indices []int
}

func (s subset) digest(i int) (uint64, error) { return s.recorded.digest(s.indices[i]) }
func (s subset) sums(i int) (*sums, error)    { return s.recorded.sums(s.indices[i]) }

// turnedFiles is what is known of symmetries, which have the same pixels at other places.
type turnedFiles struct {
	recorded
	count int
}

func (t turnedFiles) digest(i int) (uint64, error) {
	digest, err := t.recorded.digest(i % t.count)
	return digest + uint64(i/t.count), err
}

func (t turnedFiles) sums(i int) (*sums, error) { return t.recorded.sums(i % t.count) }

// joinedFiles is what is known of joined datasets.
type joinedFiles struct {
	joined
	parts []recorded
}

func (j joinedFiles) find(i int) (recorded, int) {
	n := 0
	for i >= j.joined[n].Len() {
		i -= j.joined[n].Len()
		n++
	}
	return j.parts[n], i
}

func (j joinedFiles) preprocessing() imaging.Preprocessing { return j.parts[0].preprocessing() }

func (j joinedFiles) digest(i int) (uint64, error) {
	part, i := j.find(i)
	return part.digest(i)
}

func (j joinedFiles) sums(i int) (*sums, error) {
	part, i := j.find(i)
	return part.sums(i)
}

// Digests returns for each image a digest of the content of its file: the first 8 bytes of
// its SHA-256. It is nil if the images do not come from Files. Files that have not been read
// are read, in parallel, and not decoded.
func Digests(images Images) ([]uint64, error) {
	if isNil(images) {
		return nil, errors.Wrap(errNil, "digests")
	}
	known := recordedOf(images)
	if known == nil {
		return nil, nil
	}
	digests := make([]uint64, images.Len())
	err := parallel.Each(context.Background(), parallel.MaxOpenFiles, len(digests), func(i int) (err error) {
		digests[i], err = known.digest(i)
		return err
	})
	return digests, errors.Wrap(err, "digests")
}

// Identity distinguishes a set of images from others, for checkpoints. It is the result of
// the method Identity of images, if they have one. For datasets that read from Files it is a
// digest of the content of the files, the classes and the preprocessing, so that it is known
// without decoding; for all others it is PixelIdentity. An error names the file that cannot
// be read.
func Identity(images Images) (string, error) {
	if isNil(images) {
		return "", errors.Wrap(errNil, "identity")
	}
	if own, ok := images.(interface{ Identity() string }); ok {
		return own.Identity(), nil
	}
	if recordedOf(images) != nil {
		return digestIdentity(images)
	}
	return PixelIdentity(images)
}

// PixelIdentity is a digest of the pixels, labels and classes of all images, which are read.
// It is the same for images in memory and in files.
func PixelIdentity(images Images) (string, error) {
	if isNil(images) {
		return "", errors.Wrap(errNil, "identity")
	}
	digest := sha256.New()
	fmt.Fprintln(digest, images.ImageSize(), strings.Join(images.ClassNames(), "\x00"))
	err := ReadAll(images, func(i int, pixels []uint8) error {
		digest.Write(pixels)
		if label := images.Label(i); label >= 0 {
			fmt.Fprintln(digest, label)
		}
		return nil
	})
	return identityText(images.Len(), "", digest), err
}

// digestIdentity is Identity for images that come from files.
func digestIdentity(images Images) (string, error) {
	digests, err := Digests(images)
	if err != nil {
		return "", err
	}
	preprocessing, err := json.Marshal(recordedOf(images).preprocessing())
	if err != nil {
		return "", errors.Wrap(err, "identity")
	}
	digest := sha256.New()
	fmt.Fprintln(digest, string(preprocessing), strings.Join(images.ClassNames(), "\x00"))
	var number [16]byte
	for i, content := range digests {
		binary.BigEndian.PutUint64(number[:], content)
		binary.BigEndian.PutUint64(number[8:], uint64(images.Label(i)))
		digest.Write(number[:])
	}
	return identityText(images.Len(), " files", digest), nil
}

func identityText(count int, kind string, digest hash.Hash) string {
	return fmt.Sprintf("%d%s of digest %x", count, kind, digest.Sum(nil)[:8])
}
