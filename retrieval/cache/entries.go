package cache

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/likeness-go/likeness/internal/boltfile"
	"github.com/pkg/errors"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// entry is a key with its value.
type entry struct {
	key     []byte
	content []byte
}

// The value of an entry is the time of its last use in seconds, the content, and the CRC-32C
// of the key and the content.
const timeBytes, sumBytes = 8, 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (e entry) sum() uint32 {
	return crc32.Update(crc32.Checksum(e.key, castagnoli), castagnoli, e.content)
}

func (e entry) value(used uint64) []byte {
	value := binary.BigEndian.AppendUint64(make([]byte, 0, timeBytes+len(e.content)+sumBytes), used)
	value = append(value, e.content...)
	return binary.BigEndian.AppendUint32(value, e.sum())
}

// parse returns the content of a value, which is not a copy; ok is false if it is damaged.
func parse(key, value []byte) (content []byte, used uint64, ok bool) {
	if len(value) < timeBytes+sumBytes {
		return nil, 0, false
	}
	e := entry{key, value[timeBytes : len(value)-sumBytes]}
	return e.content, binary.BigEndian.Uint64(value), binary.BigEndian.Uint32(value[len(value)-sumBytes:]) == e.sum()
}

func useKey(used uint64, key []byte) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, timeBytes+len(key)), used), key...)
}

// entryBytes is what an entry takes in the file, in both buckets and with the header of 16
// bytes that bbolt gives each key.
func entryBytes(key []byte, content int) uint64 {
	return uint64(2*len(key) + content + 2*timeBytes + sumBytes + 2*16)
}

// now returns the time; a test replaces it.
var now = time.Now

// useInterval is the time within which a second use of an entry is not recorded, so that
// reading it need not write.
const useInterval = uint64(time.Hour / time.Second)

// get calls read with the content of an entry and records the use. A damaged entry is
// missing.
func (c *Cache) get(key []byte, read func(content []byte) bool) (found bool) {
	if !c.usable() || len(key) > maxKey {
		return false
	}
	var before uint64
	err := c.view(func(tx *bolt.Tx) error {
		content, used, ok := parse(key, tx.Bucket(entriesBucket).Get(key))
		if ok {
			found, before = read(content), used
		}
		return nil
	})
	if err != nil {
		c.fail(err)
		return false
	}
	if at := uint64(now().Unix()); found && (at >= before+useInterval || at < before) {
		c.mutex.Lock()
		c.touched[string(key)] = before
		c.mutex.Unlock()
	}
	return found
}

// maxKey limits the length of keys. bbolt's limit is larger; an entry of uses has the time in
// addition.
const maxKey = 8 << 10

// perTransaction is the largest number of entries that a transaction changes. Each may need
// a page or more beyond those of the file, so that a small file allows fewer.
func (c *Cache) perTransaction() int {
	return int(min(256, max(1, c.options.MaxSize>>16)))
}

// portion is the number of entries for the next transaction, of at most a sixteenth of the
// size of the file.
func (c *Cache) portion(entries []entry) int {
	var bytes uint64
	for i, e := range entries[:min(len(entries), c.perTransaction())] {
		if bytes += entryBytes(e.key, len(e.content)); i > 0 && bytes > uint64(c.options.MaxSize)/16 {
			return i
		}
	}
	return min(len(entries), c.perTransaction())
}

// write stores entries and the uses that were recorded, and removes the oldest entries if
// there is no room.
func (c *Cache) write(entries []entry) {
	if !c.usable() {
		return
	}
	c.mutex.Lock()
	touched := make([]entry, 0, len(c.touched))
	for key := range c.touched {
		touched = append(touched, entry{key: []byte(key)})
	}
	c.touched = map[string]uint64{}
	c.mutex.Unlock()
	if c.options.Shared {
		if len(touched)+len(entries) == 0 {
			return
		}
		c.turns.Lock()
		defer c.turns.Unlock()
		if err := c.reopen(false); err != nil {
			c.fail(err)
			return
		}
		defer func() {
			if c.Err() != nil {
				c.release()
				c.db, c.file = nil, nil
			} else if err := c.shut(); err != nil {
				c.fail(err)
			}
		}()
	}
	for _, change := range []struct {
		entries []entry
		apply   func(tx *bolt.Tx, e entry) error
	}{{touched, touch}, {entries, put}} {
		for all := change.entries; len(all) > 0; {
			some := all[:c.portion(all)]
			all = all[len(some):]
			if err := c.change(some, change.apply); err != nil {
				c.fail(err)
				return
			}
		}
	}
}

// change applies a change to some entries in a transaction. Where the file may not grow, it
// removes a quarter of the entries and tries once more.
func (c *Cache) change(entries []entry, apply func(tx *bolt.Tx, e entry) error) error {
	budget := uint64(c.options.MaxSize) / 2
	for last := false; ; last = true {
		if err := c.evict(budget, entries); err != nil {
			return err
		}
		err := c.update(func(tx *bolt.Tx) error {
			c.db.MaxSize = int(c.options.MaxSize / 8 * 7) // the rest is for evict, which needs pages, too
			for _, e := range entries {
				if err := apply(tx, e); err != nil {
					return err
				}
			}
			return nil
		})
		if !errors.Is(err, bolterrors.ErrMaxSizeReached) {
			return err
		}
		if last {
			return nil // these entries are not stored
		}
		budget = budget / 4 * 3
	}
}

func (c *Cache) update(change func(tx *bolt.Tx) error) error {
	return boltfile.Call(func() error { return c.db.Update(change) })
}

// errEnough ends a transaction of evict that has nothing to do.
var errEnough = errors.New("there is room")

// evict removes the entries that were not used for the longest time until there is room for
// others within the budget.
func (c *Cache) evict(budget uint64, others []entry) error {
	var room uint64
	for _, e := range others {
		if len(e.content) > 0 { // not only its use
			room += entryBytes(e.key, len(e.content))
		}
	}
	for some := c.perTransaction(); ; {
		err := c.update(func(tx *bolt.Tx) error {
			c.db.MaxSize = int(c.options.MaxSize)
			if total(tx)+room <= budget {
				return errEnough
			}
			var oldest [][]byte
			cursor := tx.Bucket(usesBucket).Cursor()
			for key, _ := cursor.First(); key != nil && len(oldest) < some; key, _ = cursor.Next() {
				oldest = append(oldest, append([]byte{}, key...))
			}
			if len(oldest) == 0 {
				return errEnough
			}
			for _, key := range oldest {
				if total(tx)+room <= budget {
					break
				}
				if err := tx.Bucket(usesBucket).Delete(key); err != nil {
					return err
				}
				if len(key) > timeBytes {
					if err := remove(tx, key[timeBytes:]); err != nil {
						return err
					}
				}
			}
			return nil
		})
		switch {
		case errors.Is(err, errEnough):
			return nil
		case errors.Is(err, bolterrors.ErrMaxSizeReached) && some > 1:
			some /= 2
		case err != nil:
			return err
		}
	}
}

// total is the number of bytes of all entries.
func total(tx *bolt.Tx) uint64 {
	if value := tx.Bucket(aboutBucket).Get(bytesKey); len(value) == 8 {
		return binary.BigEndian.Uint64(value)
	}
	return 0
}

func setTotal(tx *bolt.Tx, bytes uint64) error {
	return tx.Bucket(aboutBucket).Put(bytesKey, binary.BigEndian.AppendUint64(nil, bytes))
}

// remove removes an entry and its use, if it is there.
func remove(tx *bolt.Tx, key []byte) error {
	entries := tx.Bucket(entriesBucket)
	value := entries.Get(key)
	if len(value) < timeBytes+sumBytes {
		return nil
	}
	if err := tx.Bucket(usesBucket).Delete(useKey(binary.BigEndian.Uint64(value), key)); err != nil {
		return err
	}
	bytes := entryBytes(key, len(value)-timeBytes-sumBytes)
	if err := entries.Delete(key); err != nil {
		return err
	}
	return setTotal(tx, total(tx)-min(bytes, total(tx)))
}

// put adds or replaces an entry.
func put(tx *bolt.Tx, e entry) error {
	if err := remove(tx, e.key); err != nil {
		return err
	}
	used := uint64(now().Unix())
	if err := tx.Bucket(entriesBucket).Put(e.key, e.value(used)); err != nil {
		return err
	}
	if err := tx.Bucket(usesBucket).Put(useKey(used, e.key), nil); err != nil {
		return err
	}
	return setTotal(tx, total(tx)+entryBytes(e.key, len(e.content)))
}

// touch records that an entry is used, if it is still there.
func touch(tx *bolt.Tx, e entry) error {
	content, _, ok := parse(e.key, tx.Bucket(entriesBucket).Get(e.key))
	if !ok {
		return nil
	}
	return put(tx, entry{e.key, append([]byte{}, content...)})
}
