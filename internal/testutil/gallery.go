// Package testutil has what the tests of several packages need.
package testutil

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"slices"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// RenameClass gives a class of a gallery's file another name, whatever it is, as
// programs before the rules for names wrote it. The gallery must be closed.
func RenameClass(t testing.TB, path, from, to string) {
	t.Helper()
	db, err := bolt.Open(path, 0o666, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	renamed := 0
	err = db.Update(func(tx *bolt.Tx) error {
		examples := tx.Bucket([]byte("examples"))
		changed := map[string][]byte{}
		err := examples.ForEach(func(key, value []byte) error {
			length := binary.LittleEndian.Uint32(value)
			var about map[string]any
			if err := json.Unmarshal(value[4:][:length], &about); err != nil || about["class"] != from {
				return err
			}
			about["class"] = to
			text, err := json.Marshal(about)
			if err != nil {
				return err
			}
			record := binary.LittleEndian.AppendUint32(nil, uint32(len(text)))
			record = append(record, text...)
			record = append(record, value[4+length:len(value)-4]...)
			changed[string(key)] = binary.LittleEndian.AppendUint32(record, crc32.Checksum(record, crc32.MakeTable(crc32.Castagnoli)))
			return nil
		})
		for key, record := range changed {
			if err := examples.Put([]byte(key), slices.Clone(record)); err != nil {
				return err
			}
			renamed++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if renamed == 0 {
		t.Fatalf("%s has no class %q to rename", path, from)
	}
}
