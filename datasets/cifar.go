package datasets

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"image"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// CIFAR-10's binary version (Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html):
// records of one label and 32 × 32 bytes for each of red, green and blue.

const cifarArchive = "cifar-10-binary.tar.gz"

var (
	cifarName = regexp.MustCompile(`^(data_batch_\d+|test_batch)\.bin$`)
	cifarSize = imaging.Size{Height: 32, Width: 32, Channels: 3}
	// cifarClasses are the lines of its batches.meta.txt.
	cifarClasses = []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}
)

// openCIFAR reads the training batches that there are, in order, and the test
// batch.
func openCIFAR(dir folder, o Options) (Splits, bool, error) {
	files := map[string][]byte{}
	for _, name := range dir.files {
		if !cifarName.MatchString(name) {
			continue
		}
		data, err := os.ReadFile(dir.join(name))
		if err != nil {
			return Splits{}, true, err
		}
		files[name] = data
	}
	if len(files) == 0 && slices.Contains(dir.files, cifarArchive) {
		var err error
		if files, err = openCIFARArchive(dir.join(cifarArchive)); err != nil {
			return Splits{}, true, errors.Wrapf(err, "unpack %s", dir.join(cifarArchive))
		}
	}
	if len(files) == 0 {
		return Splits{}, false, nil
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	var splits Splits
	for _, name := range names {
		part, title := &splits.Train, "train"
		if strings.HasPrefix(name, "test") {
			part, title = &splits.Test, "test"
		}
		if *part == nil {
			*part = &Dataset{Name: title, Classes: cifarClasses}
		}
		if err := (*part).appendCIFAR(name, files[name], o); err != nil {
			return Splits{}, true, errors.Wrapf(err, "read %s", dir.join(name))
		}
	}
	return splits, true, nil
}

func (d *Dataset) appendCIFAR(name string, data []byte, o Options) error {
	const record, plane = 1 + 3*32*32, 32 * 32
	if len(data) == 0 || len(data)%record != 0 {
		return errors.Errorf("found %d bytes, expected a multiple of %d", len(data), record)
	}
	p, err := o.preprocessing(cifarSize)
	if err != nil {
		return err
	}
	d.setPreprocessing(p)
	start := d.Len()
	for i := range len(data) / record {
		label := int(data[i*record])
		if label >= len(cifarClasses) {
			return errors.Errorf("record %d: found the label %d, expected 0 to 9", i, label)
		}
		d.Labels = append(d.Labels, label)
		d.Sources = append(d.Sources, fmt.Sprintf("%s[%d]", name, i))
	}
	d.Images = append(d.Images, make([][]uint8, len(data)/record)...)
	return parallel.Each(context.Background(), 0, len(data)/record, func(i int) error {
		planes := data[i*record+1:][:3*plane]
		img := image.NewRGBA(image.Rect(0, 0, 32, 32))
		for at := range plane {
			copy(img.Pix[4*at:], []uint8{planes[at], planes[plane+at], planes[2*plane+at], 0xff})
		}
		d.Images[start+i] = p.Pixels(img)
		return nil
	})
}

func openCIFARArchive(name string) (map[string][]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	return unpackCIFAR(unpacked, mostCIFAR)
}

// mostCIFAR is how many bytes all batches have at most, 176 MiB as published: an
// archive may claim anything, and pack very many bytes into few.
const mostCIFAR = 256 << 20

// unpackCIFAR returns the batches of the official archive by their names.
func unpackCIFAR(archive io.Reader, most int64) (map[string][]byte, error) {
	files, room := map[string][]byte{}, most
	for reader := tar.NewReader(archive); ; {
		header, err := reader.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		name := path.Base(header.Name)
		if header.Typeflag != tar.TypeReg || !cifarName.MatchString(name) {
			continue
		}
		if room -= header.Size; room < 0 {
			return nil, errors.Errorf("%s: found %d bytes, expected at most %d for all batches", cut(header.Name), header.Size, most)
		}
		var data bytes.Buffer
		if _, err := io.Copy(&data, reader); err != nil {
			return nil, errors.Wrapf(err, "unpack %s", cut(header.Name))
		}
		files[name] = data.Bytes()
	}
}
