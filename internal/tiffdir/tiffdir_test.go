package tiffdir_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/internal/tiffdir"
)

// numbers returns the numbers of the tags of a structure.
func numbers(content []byte) (map[uint16]uint32, error) {
	found := map[uint16]uint32{}
	err := tiffdir.Each(bytes.NewReader(content), func(e tiffdir.Entry) bool {
		found[e.Tag] = e.Number()
		return true
	})
	return found, err
}

func TestEach(t *testing.T) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		content := testutil.EXIF(order, 6)
		found, err := numbers(content)
		if diff := cmp.Diff(map[uint16]uint32{0x0100: 7, 0x0112: 6}, found); err != nil || diff != "" {
			t.Errorf("%v: error %v (-expected +found):\n%s", order, err, diff)
		}
		// Of an incomplete directory the complete entries are found; the entries end
		// 4 bytes before the end.
		if found, err = numbers(content[:len(content)-5]); err == nil || len(found) != 1 {
			t.Errorf("%v, incomplete: found %v and error %v, expected one entry and an error", order, found, err)
		}
		visited := 0
		if err := tiffdir.Each(bytes.NewReader(content), func(tiffdir.Entry) bool { visited++; return false }); err != nil || visited != 1 {
			t.Errorf("%v: visited %d entries, error %v, expected to stop after one", order, visited, err)
		}
	}
	for name, content := range map[string]string{
		"empty": "", "another format": "\x89PNG\r\n\x1a\n", "another version": "II+\x00\x08\x00\x00\x00\x00\x00", "no directory": "II*\x00\xff\x00\x00\x00",
	} {
		if found, err := numbers([]byte(content)); err == nil || len(found) != 0 {
			t.Errorf("%s: found %v and error %v, expected an error", name, found, err)
		}
	}
}
