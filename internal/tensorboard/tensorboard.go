// Package tensorboard writes files that TensorBoard reads.
//
//   - Events is an event file, to which Scalar appends the scalars of a training.
//   - A Projection is a set of embeddings with their classes and images, which Write
//     writes into a folder for the embedding projector.
package tensorboard

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/draw"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
	"google.golang.org/protobuf/encoding/protowire"
)

// Events is an event file: records in the framing of TFRecord, each of which is
// an Event of tensorflow/core/util/event.proto.
type Events struct {
	file *os.File
	size int64 // of the whole records
	now  func() time.Time
}

// The fields of the messages.
const (
	eventWallTime    = 1 // double, seconds
	eventStep        = 2 // int64
	eventFileVersion = 3 // string
	eventSummary     = 5 // Summary
	summaryValue     = 1 // Summary.Value, repeated
	valueTag         = 1 // string
	valueSimple      = 2 // float
)

// Create begins an event file in a folder, which is made if need be. TensorBoard
// tells event files by "tfevents" in their names and reads them in the order of
// these.
func Create(folder string, now func() time.Time) (*Events, error) {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, errors.Wrap(err, "create event file")
	}
	path := filepath.Join(folder, fmt.Sprintf("events.out.tfevents.%d.likeness", now().UnixNano()))
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, errors.Wrap(err, "create event file")
	}
	e := &Events{file: file, now: now}
	event := e.event()
	event = protowire.AppendTag(event, eventFileVersion, protowire.BytesType)
	return e, e.write(protowire.AppendString(event, "brain.Event:2"))
}

// Scalar appends a value of a step.
func (e *Events) Scalar(step int, tag string, value float64) error {
	var scalar []byte
	scalar = protowire.AppendTag(scalar, valueTag, protowire.BytesType)
	scalar = protowire.AppendString(scalar, tag)
	scalar = protowire.AppendTag(scalar, valueSimple, protowire.Fixed32Type)
	scalar = protowire.AppendFixed32(scalar, math.Float32bits(float32(value)))
	var summary []byte
	summary = protowire.AppendTag(summary, summaryValue, protowire.BytesType)
	summary = protowire.AppendBytes(summary, scalar)
	event := e.event()
	event = protowire.AppendTag(event, eventStep, protowire.VarintType)
	event = protowire.AppendVarint(event, uint64(step))
	event = protowire.AppendTag(event, eventSummary, protowire.BytesType)
	return e.write(protowire.AppendBytes(event, summary))
}

// Close makes the file safe on the disk.
func (e *Events) Close() error {
	err := e.file.Sync()
	if closing := e.file.Close(); err == nil {
		err = closing
	}
	return errors.Wrap(err, "close event file")
}

// event begins an Event with the time.
func (e *Events) event() []byte {
	event := protowire.AppendTag(nil, eventWallTime, protowire.Fixed64Type)
	return protowire.AppendFixed64(event, math.Float64bits(float64(e.now().UnixNano())/1e9))
}

// write frames a record: its length, a checksum of that, the record and its
// checksum, in one write. Of one that fails nothing is left; a kill may cut off
// the last record of a file, which TensorBoard passes over.
func (e *Events) write(record []byte) error {
	frame := binary.LittleEndian.AppendUint64(nil, uint64(len(record)))
	frame = binary.LittleEndian.AppendUint32(frame, masked(frame))
	frame = append(frame, record...)
	frame = binary.LittleEndian.AppendUint32(frame, masked(record))
	if _, err := e.file.WriteAt(frame, e.size); err != nil {
		_ = e.file.Truncate(e.size)
		return errors.Wrap(err, "write event")
	}
	e.size += int64(len(frame))
	return nil
}

// masked is TFRecord's checksum: CRC-32C, turned and shifted, since a checksum of
// bytes that hold checksums is a weak one.
func masked(data []byte) uint32 {
	sum := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// Projection is a set of embeddings with their images.
type Projection struct {
	Embeddings [][]float32
	Images     []image.Image // all of one size
	Classes    []string      // of each image; nil if they are unknown
}

// spriteSide is the largest width and height of a sprite that the projector reads.
const spriteSide = 8192

// Write writes the files of TensorBoard's embedding projector into a folder:
// tensors.tsv, metadata.tsv, sprite.png with all images in rows, and
// projector_config.pbtxt.
func (p Projection) Write(folder string) error {
	if len(p.Images) != len(p.Embeddings) || p.Classes != nil && len(p.Classes) != len(p.Embeddings) || len(p.Embeddings) == 0 {
		return errors.Errorf("projection: found %d embeddings, %d images and %d classes, expected as many of each", len(p.Embeddings), len(p.Images), len(p.Classes))
	}
	size, err := p.imageSize()
	if err != nil {
		return err
	}
	columns := int(math.Ceil(math.Sqrt(float64(len(p.Images)))))
	if side := columns * max(size.X, size.Y); side > spriteSide {
		return errors.Errorf("projection: %d images of %d x %d pixels make a sprite with a side of %d pixels, expected at most %d: show fewer images", len(p.Images), size.X, size.Y, side, spriteSide)
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return errors.Wrap(err, "projection")
	}
	config := fmt.Sprintf("embeddings {\n  tensor_name: \"embeddings\"\n  tensor_path: \"tensors.tsv\"\n%s  sprite {\n    image_path: \"sprite.png\"\n    single_image_dim: %d\n    single_image_dim: %d\n  }\n}\n",
		p.metadataPath(), size.X, size.Y)
	texts := map[string]string{"tensors.tsv": p.tensors(), "projector_config.pbtxt": config}
	if p.Classes != nil {
		texts["metadata.tsv"] = p.metadata()
	}
	for name, text := range texts {
		err := atomicfile.WriteFile(filepath.Join(folder, name), func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		})
		if err != nil {
			return err
		}
	}
	return atomicfile.WriteFile(filepath.Join(folder, "sprite.png"), func(w io.Writer) error { return png.Encode(w, p.sprite(columns, size)) })
}

func (p Projection) metadataPath() string {
	if p.Classes == nil {
		return ""
	}
	return "  metadata_path: \"metadata.tsv\"\n"
}

func (p Projection) tensors() string {
	var b strings.Builder
	for _, e := range p.Embeddings {
		for j, v := range e {
			if j > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(strconv.FormatFloat(float64(v), 'g', -1, 32))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// metadata has a class a line; one column has no header.
func (p Projection) metadata() string {
	plain := strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")
	var b strings.Builder
	for _, class := range p.Classes {
		b.WriteString(plain.Replace(class) + "\n")
	}
	return b.String()
}

// imageSize is the size that all images have.
func (p Projection) imageSize() (image.Point, error) {
	var size image.Point
	for i, img := range p.Images {
		if img == nil {
			return size, errors.Errorf("projection: image %d is nil", i)
		}
		if found := img.Bounds().Size(); i == 0 {
			size = found
		} else if found != size {
			return size, errors.Errorf("projection: image %d has the size %v, expected %v, that of the others", i, found, size)
		}
	}
	return size, nil
}

// sprite has the images in rows, in order.
func (p Projection) sprite(columns int, size image.Point) image.Image {
	rows := (len(p.Images) + columns - 1) / columns
	sprite := image.NewRGBA(image.Rect(0, 0, columns*size.X, rows*size.Y))
	for i, img := range p.Images {
		corner := image.Pt(i%columns*size.X, i/columns*size.Y)
		draw.Draw(sprite, image.Rectangle{Min: corner, Max: corner.Add(size)}, img, img.Bounds().Min, draw.Src)
	}
	return sprite
}
