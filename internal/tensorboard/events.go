package tensorboard

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"time"

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
