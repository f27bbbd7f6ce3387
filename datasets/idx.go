package datasets

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// MNIST's idx files, and those of its kin: Fashion-MNIST, KMNIST and EMNIST. The
// format is described at the end of http://yann.lecun.com/exdb/mnist/.

var idxName = regexp.MustCompile(`^(.*?)(train|t10k|test)[-_](images|labels)[-.]idx[13]-ubyte(\.gz)?$`)

// openIDX reads an images and a labels file for training, for testing or for
// both.
func openIDX(dir folder, o Options) (Splits, bool, error) {
	found := map[string]string{} // "train images" → file name
	for _, name := range dir.files {
		match := idxName.FindStringSubmatch(name)
		if match == nil {
			continue
		}
		part := strings.Replace(match[2], "t10k", "test", 1) + " " + match[3]
		// A file beside its packed form is the same file.
		if before, twice := found[part]; twice && before != strings.TrimSuffix(name, ".gz") {
			return Splits{}, true, errors.Errorf("found two files of %s, %s and %s: keep one data set in the folder", part, before, name)
		} else if !twice {
			found[part] = name
		}
	}
	if len(found) == 0 {
		return Splits{}, false, nil
	}
	train, trainLabels, err := readIDXPart(dir, "train", found, o)
	if err != nil {
		return Splits{}, true, err
	}
	test, testLabels, err := readIDXPart(dir, "test", found, o)
	if err != nil {
		return Splits{}, true, err
	}
	// A class is a value that occurs in either part; both share one list.
	values := slices.Concat(trainLabels, testLabels)
	slices.Sort(values)
	values = slices.Compact(values)
	for _, part := range []struct {
		dataset *Dataset
		labels  []byte
	}{{train, trainLabels}, {test, testLabels}} {
		if part.dataset == nil {
			continue
		}
		for _, value := range values {
			part.dataset.Classes = append(part.dataset.Classes, strconv.Itoa(int(value)))
		}
		for i, value := range part.labels {
			part.dataset.Labels[i], _ = slices.BinarySearch(values, value)
		}
	}
	return Splits{Train: train, Test: test}, true, nil
}

// readIDXPart returns the images of one part and its labels as stored, or
// nothing when the part has no files.
func readIDXPart(dir folder, part string, found map[string]string, o Options) (*Dataset, []byte, error) {
	imagesName, labelsName := found[part+" images"], found[part+" labels"]
	if imagesName == "" && labelsName == "" {
		return nil, nil, nil
	}
	if imagesName == "" || labelsName == "" {
		return nil, nil, errors.Errorf("found %s%s alone, expected the images and the labels of %s in one folder", imagesName, labelsName, part)
	}
	sizes, data, err := readIDX(dir.join(imagesName), 3)
	if err != nil {
		return nil, nil, err
	}
	count, own := sizes[0], imaging.Size{Height: sizes[1], Width: sizes[2], Channels: 1}
	_, labels, err := readIDX(dir.join(labelsName), 1)
	if err != nil {
		return nil, nil, err
	}
	if len(labels) != count {
		return nil, nil, errors.Errorf("found %d images in %s and %d labels in %s", count, dir.join(imagesName), len(labels), dir.join(labelsName))
	}
	p, err := o.preprocessing(own)
	if err != nil {
		return nil, nil, err
	}
	d := &Dataset{Name: part, Labels: make([]int, count), Images: make([][]uint8, count), Sources: make([]string, count)}
	d.setPreprocessing(p)
	err = parallel.Each(context.Background(), 0, count, func(i int) error {
		d.Sources[i] = fmt.Sprintf("%s[%d]", imagesName, i)
		d.Images[i] = data[i*own.Len():][:own.Len():own.Len()]
		if p.Size != own || p.Invert || p.Crop != nil || p.ShorterSide != 0 {
			d.Images[i] = p.Pixels(&image.Gray{Pix: d.Images[i], Stride: own.Width, Rect: image.Rect(0, 0, own.Width, own.Height)})
		}
		return nil
	})
	return d, labels, err
}

// readIDX reads the sizes and the bytes of an idx file of the given number of
// dimensions.
func readIDX(path string, dimensions int) (sizes []int, data []byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	return decodeIDX(bufio.NewReader(file), path, info.Size(), dimensions)
}

// decodeIDX reads an idx file of so many bytes, packed if its name ends in .gz. A
// header that claims more than the file can hold is refused at once.
func decodeIDX(in io.Reader, path string, length int64, dimensions int) (sizes []int, data []byte, err error) {
	longest := length
	if filepath.Ext(path) == ".gz" {
		if in, err = gzip.NewReader(in); err != nil {
			return nil, nil, errors.Wrapf(err, "unpack %s", path)
		}
		longest *= 1032 // deflate packs no better
	}
	var magic uint32
	header := make([]uint32, dimensions)
	if err := binary.Read(in, binary.BigEndian, &magic); err != nil {
		return nil, nil, errors.Wrapf(err, "read the magic number of %s", path)
	}
	// Two zeros, 8 for unsigned bytes, the number of dimensions.
	if expected := uint32(0x800 + dimensions); magic != expected {
		return nil, nil, errors.Errorf("%s: found the magic number 0x%08x, expected 0x%08x (bytes of %d dimensions)", path, magic, expected, dimensions)
	}
	if err := binary.Read(in, binary.BigEndian, header); err != nil {
		return nil, nil, errors.Wrapf(err, "read the header of %s", path)
	}
	product := int64(1)
	for i, size := range header {
		if size == 0 || int64(size) > longest/product {
			return nil, nil, errors.Errorf("%s: the header claims a size of %d in dimension %d, which the file of %d bytes cannot hold", path, size, i+1, length)
		}
		product *= int64(size)
		sizes = append(sizes, int(size))
	}
	// The memory grows with the content, not with the size in the header.
	data, err = io.ReadAll(io.LimitReader(in, product+1))
	if read := int64(len(data)); err == nil && read < product {
		err = errors.Errorf("found only %d", read)
	} else if err == nil && read > product {
		err = errors.New("found more")
	}
	return sizes, data, errors.Wrapf(err, "read the %d values of %s", product, path)
}
