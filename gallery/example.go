package gallery

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"math"
	"time"
	"unicode/utf8"

	"github.com/pkg/errors"
)

// Example is an image that was enrolled.
type Example struct {
	Source string    // where it came from: a file's path; empty if nobody said
	Time   time.Time // when it was enrolled, in UTC
}

// record is an example as the file has it.
type record struct {
	id        uint64 // ascending with time; none comes twice
	class     string
	example   Example
	embedding []float32
}

// about is what a record says in JSON. SourceBytes is the source where that is not
// UTF-8, in which case Source is only like it.
type about struct {
	Class       string    `json:"class"`
	Source      string    `json:"source,omitempty"`
	SourceBytes []byte    `json:"source_bytes,omitempty"`
	Time        time.Time `json:"time"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode writes a record: the length of a JSON text as a 32-bit integer, the
// text, the embedding as float32, and the CRC-32C of all that, little-endian.
func (r record) encode() ([]byte, error) {
	text, err := json.Marshal(about{Class: r.class, Source: r.example.Source, SourceBytes: bytesOf(r.example.Source), Time: r.example.Time})
	if err != nil {
		return nil, err
	}
	value := binary.LittleEndian.AppendUint32(nil, uint32(len(text)))
	value = append(value, text...)
	for _, x := range r.embedding {
		value = binary.LittleEndian.AppendUint32(value, math.Float32bits(x))
	}
	return binary.LittleEndian.AppendUint32(value, crc32.Checksum(value, castagnoli)), nil
}

// decode reads what encode wrote; the result does not share the value's memory.
func decode(id uint64, value []byte) (record, error) {
	const word = 4
	if len(value) < 2*word {
		return record{}, errors.Wrapf(ErrDamaged, "example %d has %d bytes", id, len(value))
	}
	body, sum := value[:len(value)-word], binary.LittleEndian.Uint32(value[len(value)-word:])
	if found := crc32.Checksum(body, castagnoli); found != sum {
		return record{}, errors.Wrapf(ErrDamaged, "example %d has the checksum %08x, expected %08x", id, found, sum)
	}
	length := int64(binary.LittleEndian.Uint32(body))
	body = body[word:]
	if length > int64(len(body)) || (int64(len(body))-length)%word != 0 {
		return record{}, errors.Wrapf(ErrDamaged, "example %d: a text of %d bytes among %d", id, length, len(body))
	}
	var a about
	if err := json.Unmarshal(body[:length], &a); err != nil {
		return record{}, errors.Wrapf(ErrDamaged, "example %d: %v", id, err)
	}
	r := record{id: id, class: a.Class, example: Example{textOf(a.Source, a.SourceBytes), a.Time}}
	for numbers := body[length:]; len(numbers) > 0; numbers = numbers[word:] {
		r.embedding = append(r.embedding, math.Float32frombits(binary.LittleEndian.Uint32(numbers)))
	}
	if r.class == "" { // other names may be older than the rules for them
		return record{}, errors.Wrapf(ErrDamaged, "example %d has no class", id)
	}
	return r, nil
}

// bytesOf is what JSON keeps beside a text that is not UTF-8, such as some paths: its
// bytes, since of the text itself JSON keeps something like it only.
func bytesOf(s string) []byte {
	if utf8.ValidString(s) {
		return nil
	}
	return []byte(s)
}

// textOf is the text that JSON kept, by its bytes where there are any.
func textOf(text string, bytes []byte) string {
	if len(bytes) > 0 {
		return string(bytes)
	}
	return text
}
