package cache

import (
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/internal/boltfile"
	"github.com/likeness-go/likeness/internal/guard"
	"github.com/pkg/errors"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	// DefaultMaxSize is the default of Options.MaxSize in bytes, 1 GiB.
	DefaultMaxSize = 1 << 30
	// MinMaxSize is the smallest Options.MaxSize.
	MinMaxSize = 1 << 20

	defaultTimeout = 500 * time.Millisecond
	// sharedTimeout is longer, because other processes look up all the time, but never long.
	sharedTimeout = 5 * time.Second

	// checkedWhole is the size of a file up to which the content of all its pages is checked
	// when it is opened. Reading a larger one would take longer than is saved.
	checkedWhole = 64 << 20
)

var (
	// ErrLocked is the error of Open if another process has the cache open.
	ErrLocked = errors.New("another process has the cache open")
	// ErrDamaged is the error for a file that is damaged.
	ErrDamaged = errors.New("the file is damaged: delete it, and the next run creates a new cache")
	// ErrNotCache is the error for a file that is not a cache of a known format.
	ErrNotCache = errors.New("not a cache of a known format: choose another file, or delete it if it is a cache of another version")
)

// Options sets how a cache is opened. The zero value is useful.
type Options struct {
	// MaxSize is the largest size of the file in bytes, at least MinMaxSize; 0 means
	// DefaultMaxSize, or the size that the file has already if that is larger. Up to half of it
	// is for entries, because pages of the file are not always full. A cache that is larger
	// than another MaxSize is emptied.
	MaxSize int64
	// Verify recognizes no file by its path and modification time, so that the content of
	// every file is read and its checksum computed.
	Verify bool
	// Timeout is the longest time to wait for another process to close the cache; 0 means
	// half a second, or five seconds with Shared.
	Timeout time.Duration
	// Shared lets several processes that open the cache with Shared use it at the same time: the file is
	// open, and locked, only during each lookup and each change. A process without Shared still
	// has it alone.
	Shared bool
}

// Cache is an open cache. A nil *Cache holds nothing and stores nothing. It is safe for
// concurrent use.
type Cache struct {
	path    string
	options Options
	db      *bolt.DB // nil while a shared cache is not open
	file    *os.File // opened and closed by db

	// A shared cache is open for changes while turns is locked, and for lookups while there are readers.
	turns   sync.RWMutex
	opening sync.Mutex
	readers int

	mutex   sync.Mutex
	err     error             // after which the file is not used
	touched map[string]uint64 // keys of entries that were used, with the time of their use before
	closed  bool
}

// DefaultPath returns the path of the cache of the user: likeness/embeddings.db in
// os.UserCacheDir.
func DefaultPath() (string, error) {
	folder, err := os.UserCacheDir()
	if err != nil {
		return "", errors.Wrap(err, "find the folder for the cache of embeddings")
	}
	return filepath.Join(folder, "likeness", "embeddings.db"), nil
}

// Open opens the cache at a path, or creates it with the permissions of its owner only, and
// so the folders that do not exist. While another process has it open, it waits up to
// Options.Timeout. The error wraps ErrLocked, ErrDamaged or ErrNotCache, or is that of the
// operating system.
func Open(path string, o Options) (*Cache, error) {
	c, err := open(path, o)
	if err != nil {
		return nil, errors.Wrapf(err, "open the cache of embeddings %s", path)
	}
	return c, nil
}

func open(path string, o Options) (*Cache, error) {
	switch {
	case path == "":
		return nil, errors.New("found no path")
	case o.MaxSize != 0 && o.MaxSize < MinMaxSize:
		return nil, errors.Errorf("found MaxSize %d, expected at least %d bytes", o.MaxSize, MinMaxSize)
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
		if o.Shared {
			o.Timeout = sharedTimeout
		}
	}
	info, err := os.Stat(path)
	if o.MaxSize == 0 {
		if o.MaxSize = DefaultMaxSize; err == nil {
			o.MaxSize = max(o.MaxSize, info.Size())
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := create(path, o); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.Wrapf(ErrNotCache, "found %v", info.Mode().Type())
	case info.Size() > 0: // bbolt makes an empty file a database
		if err := checkFile(path, o); err != nil {
			return nil, err
		}
		if info.Size() <= o.MaxSize {
			break
		}
		if err := os.Remove(path); err != nil { // no transaction makes a file smaller
			return nil, err
		}
		if err := create(path, o); err != nil {
			return nil, err
		}
	}
	c, err := openBolt(path, o, o.Shared && (err != nil || info.Size() > 0)) // a file of create has its buckets
	if err != nil {
		return nil, err
	}
	if empty, err := c.isEmpty(); o.Shared && err == nil && empty { // a database without buckets
		if err := c.shut(); err != nil {
			return nil, err
		}
		if err := c.reopen(false); err != nil {
			return nil, err
		}
	}
	if err := c.prepare(); err != nil {
		c.release()
		return nil, err
	}
	if o.Shared {
		if err := c.shut(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// shut closes the file of a shared cache until it is used again.
func (c *Cache) shut() error {
	err := boltfile.Call(c.db.Close)
	c.db, c.file = nil, nil
	return describe(err)
}

// reopen opens the file of a shared cache.
func (c *Cache) reopen(readOnly bool) error {
	opened, err := openBolt(c.path, c.options, readOnly)
	if err == nil {
		c.db, c.file = opened.db, opened.file
	}
	return err
}

// view calls read with a transaction that looks up.
func (c *Cache) view(read func(tx *bolt.Tx) error) (err error) {
	if !c.options.Shared {
		return boltfile.Call(func() error { return c.db.View(read) })
	}
	c.turns.RLock()
	defer c.turns.RUnlock()
	db, err := c.enter()
	if err != nil {
		return err
	}
	defer func() {
		if leaving := c.leave(); err == nil {
			err = leaving
		}
	}()
	return boltfile.Call(func() error { return db.View(read) })
}

// enter opens a shared cache for the first of several readers at once, and leave closes it after the last.
func (c *Cache) enter() (*bolt.DB, error) {
	c.opening.Lock()
	defer c.opening.Unlock()
	if c.readers == 0 {
		if err := c.reopen(true); err != nil {
			return nil, err
		}
	}
	c.readers++
	return c.db, nil
}

func (c *Cache) leave() error {
	c.opening.Lock()
	defer c.opening.Unlock()
	if c.readers--; c.readers > 0 {
		return nil
	}
	return c.shut()
}

// create creates the file with its buckets atomically. bbolt writes a new file in place, and
// could not open the incomplete file that a full disk leaves.
func create(path string, o Options) error {
	o.Shared = false // the temporary file is that of this process
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	err := atomicfile.Create(path, func(temporary string) error {
		c, err := openBolt(temporary, o, false)
		if err != nil {
			return err
		}
		if err = c.prepare(); err != nil {
			c.release()
			return err
		}
		return c.Close()
	})
	if errors.Is(err, fs.ErrExist) { // another process created it meanwhile
		return nil
	}
	return err
}

// checkFile checks the references between the pages before bbolt follows them, and that the
// file is a cache.
func checkFile(path string, o Options) error {
	c, err := openBolt(path, o, true)
	if err != nil {
		return err
	}
	defer c.release()
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	check := boltfile.Check
	if info.Size() > checkedWhole {
		check = boltfile.CheckBranches
	}
	if err := check(file, info.Size()); err != nil {
		return errors.Wrap(ErrDamaged, err.Error())
	}
	_, err = c.isEmpty()
	return err
}

// openBolt opens the file, which need not have the buckets yet.
func openBolt(path string, o Options, readOnly bool) (*Cache, error) {
	c := &Cache{path: path, options: o, touched: map[string]uint64{}}
	options := &bolt.Options{
		Timeout: o.Timeout, ReadOnly: readOnly, FreelistType: bolt.FreelistMapType, NoStatistics: true, MaxSize: int(min(o.MaxSize, math.MaxInt)),
		OpenFile: func(name string, flags int, mode os.FileMode) (*os.File, error) {
			file, err := os.OpenFile(name, flags, mode)
			if err != nil {
				return nil, err
			}
			if found, err := boltfile.CheckPageSize(file); err != nil {
				file.Close()
				if !found {
					return nil, errors.Wrap(ErrNotCache, err.Error())
				}
				return nil, errors.Wrap(ErrDamaged, err.Error())
			}
			c.file = file
			return file, nil
		},
	}
	err := boltfile.Call(func() (err error) {
		c.db, err = bolt.Open(path, 0o600, options)
		return err
	})
	if err != nil {
		return nil, describe(err)
	}
	c.db.AllocSize = int(min(1<<20, o.MaxSize/64)) // by which the file grows
	return c, nil
}

// describe returns an error of bbolt as one of this package.
func describe(err error) error {
	var broken *guard.Panic
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return ErrLocked
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch):
		return errors.Wrap(ErrNotCache, err.Error())
	case errors.Is(err, bolterrors.ErrChecksum):
		return errors.Wrap(ErrDamaged, err.Error())
	case errors.As(err, &broken):
		return errors.Wrapf(ErrDamaged, "%v", broken.Value)
	}
	return err
}

// release gives the file back after a failure. bbolt could wait without end for a transaction
// that ended with a panic, so its own Close is not called in every case.
func (c *Cache) release() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = boltfile.Call(c.db.Close)
	}()
	select {
	case <-done:
	case <-time.After(time.Second):
		_ = c.file.Close() // which unlocks it
	}
}

// fail records the first error of using the file.
func (c *Cache) fail(err error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.err == nil {
		c.err = errors.Wrapf(describe(err), "cache of embeddings %s", c.path)
	}
}

// Disable makes the cache unusable for a reason that Err returns, if it has none yet.
func (c *Cache) Disable(reason error) {
	if c != nil && reason != nil {
		c.fail(reason)
	}
}

// Err returns the first error of using the file, such as that of a full disk, after which
// nothing is looked up or stored; nil if there was none.
func (c *Cache) Err() error {
	if c == nil {
		return nil
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.err
}

// isOpen reports whether Open opened the cache.
func (c *Cache) isOpen() bool { return c != nil && (c.options.Shared || c.db != nil) }

// usable reports whether the file may be used.
func (c *Cache) usable() bool {
	if !c.isOpen() {
		return false
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.err == nil && !c.closed
}

// Path returns the path of the file; "" for a nil cache.
func (c *Cache) Path() string {
	if c == nil {
		return ""
	}
	return c.path
}

// Close records which entries were used and closes the file. Its error is that of Err.
func (c *Cache) Close() error {
	if !c.isOpen() {
		return nil
	}
	if c.usable() {
		c.write(nil)
	}
	c.mutex.Lock()
	again := c.closed
	c.closed = true
	c.mutex.Unlock()
	if again || c.options.Shared {
		return c.Err()
	}
	if c.Err() != nil {
		c.release()
	} else if err := boltfile.Call(c.db.Close); err != nil {
		c.fail(err)
	}
	return c.Err()
}

// The buckets of the file. Those of entries and uses have an entry for each other: the
// value of an entry begins with the time of its last use, and uses has a key of that time,
// big-endian, and the key of the entry.
var (
	aboutBucket   = []byte("about")
	entriesBucket = []byte("entries")
	usesBucket    = []byte("uses")

	formatKey = []byte("format")
	bytesKey  = []byte("bytes") // of all entries, see entryBytes
)

const format = "likeness-embeddings/1"

// isEmpty reports whether the file has no buckets yet. A file with other buckets or another
// format is an error.
func (c *Cache) isEmpty() (empty bool, err error) {
	err = boltfile.Call(func() error {
		return c.db.View(func(tx *bolt.Tx) error {
			if first, _ := tx.Cursor().First(); first == nil {
				empty = true
				return nil
			}
			about := tx.Bucket(aboutBucket)
			if about == nil || tx.Bucket(entriesBucket) == nil || tx.Bucket(usesBucket) == nil {
				return errors.Wrap(ErrNotCache, "the bbolt database has other buckets")
			}
			if found := about.Get(formatKey); string(found) != format {
				return errors.Wrapf(ErrNotCache, "found format %q, expected %q", found, format)
			}
			return nil
		})
	})
	if err != nil {
		return false, describe(err)
	}
	return empty, nil
}

// prepare creates the buckets of a new file, and checks the format of another.
func (c *Cache) prepare() error {
	empty, err := c.isEmpty()
	if err != nil || !empty {
		return err
	}
	if err := c.update(createBuckets); err != nil {
		return describe(err)
	}
	return nil
}

func createBuckets(tx *bolt.Tx) error {
	for _, name := range [][]byte{aboutBucket, entriesBucket, usesBucket} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return tx.Bucket(aboutBucket).Put(formatKey, []byte(format))
}
