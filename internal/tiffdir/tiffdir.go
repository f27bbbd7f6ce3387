// Package tiffdir reads the first directory of a TIFF structure (TIFF 6.0, section 2): of
// a TIFF file, or of the EXIF data of another image.
package tiffdir

import (
	"bufio"
	"encoding/binary"
	"io"
	"math"

	"github.com/pkg/errors"
)

// The types of values that Entry.Number reads.
const (
	Byte  = 1 // unsigned integer of 8 bits
	Short = 3 // of 16 bits
	Long  = 4 // of 32 bits
)

// Entry is an entry of a directory.
type Entry struct {
	Tag, Type uint16
	Count     uint32 // of values

	value [4]byte // the value, or its offset in the file
	order binary.ByteOrder
}

// Number is the first value as an integer. For types other than Byte and Short it is the
// number of 32 bits in the entry, which is the value of a Long, and an offset of others.
func (e Entry) Number() uint32 {
	switch e.Type {
	case Byte:
		return uint32(e.value[0])
	case Short:
		return uint32(e.order.Uint16(e.value[:]))
	}
	return e.order.Uint32(e.value[:])
}

// Each calls visit for the entries of the first directory until it returns false. It
// returns an error if the header is not that of a TIFF structure, or if the directory is
// incomplete; then visit has been called for the entries before.
func Each(r io.ReaderAt, visit func(Entry) bool) error {
	var head [8]byte
	if !readFrom(r, head[:], 0) {
		return io.ErrUnexpectedEOF
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[0] == 'M' {
		order = binary.BigEndian
	}
	if string(head[:2]) != "II" && string(head[:2]) != "MM" || order.Uint16(head[2:]) != 42 {
		return errors.New("found no TIFF header")
	}
	directory := int64(order.Uint32(head[4:]))
	if !readFrom(r, head[:2], directory) {
		return io.ErrUnexpectedEOF
	}
	entries := bufio.NewReader(io.NewSectionReader(r, directory+2, math.MaxInt64-directory-2))
	for range order.Uint16(head[:2]) {
		var entry [12]byte // tag 2, type 2, count 4, value 4
		if _, err := io.ReadFull(entries, entry[:]); err != nil {
			return io.ErrUnexpectedEOF
		}
		e := Entry{order.Uint16(entry[:]), order.Uint16(entry[2:]), order.Uint32(entry[4:]), [4]byte(entry[8:]), order}
		if !visit(e) {
			break
		}
	}
	return nil
}

// readFrom fills b from an offset.
func readFrom(r io.ReaderAt, b []byte, at int64) bool {
	n, _ := r.ReadAt(b, at)
	return n == len(b)
}
