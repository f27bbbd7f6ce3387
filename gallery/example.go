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

// about is what a record says in JSON.
type about struct {
	Class  string    `json:"class"`
	Source string    `json:"source,omitempty"`
	Time   time.Time `json:"time"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode writes a record: the length of a JSON text as a 32-bit integer, the
// text, the embedding as float32, and the CRC-32C of all that, little-endian.
func (r record) encode() ([]byte, error) {
	text, err := json.Marshal(about{r.class, r.example.Source, r.example.Time})
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
	r := record{id: id, class: a.Class, example: Example{a.Source, a.Time}}
	for numbers := body[length:]; len(numbers) > 0; numbers = numbers[word:] {
		r.embedding = append(r.embedding, math.Float32frombits(binary.LittleEndian.Uint32(numbers)))
	}
	return r, errors.Wrapf(checkClass(r.class), "example %d", id)
}

// checkClass says what is wrong with a class's name.
func checkClass(name string) error {
	if name == "" {
		return errors.New("the class has no name")
	}
	if !utf8.ValidString(name) {
		return errors.Errorf("the class's name %q is not UTF-8", name)
	}
	return nil
}
