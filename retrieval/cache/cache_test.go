package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/pkg/errors"
	bolt "go.etcd.io/bbolt"
)

// childCache is the variable with the path of a cache into which a process of a test stores
// until it is killed.
const childCache = "LIKENESS_TEST_CACHE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childCache); path != "" {
		c, err := Open(path, Options{Timeout: 10 * time.Second})
		if err != nil {
			os.Stdout.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		for i := 0; ; i++ {
			c.Store(numbered(i, 300))
			if err := c.Err(); err != nil {
				os.Stdout.WriteString(err.Error() + "\n")
				os.Exit(1)
			}
			os.Stdout.WriteString("stored\n")
		}
	}
	testutil.CheckGoroutines(m)
}

func opened(t testing.TB, path string, o Options) *Cache {
	t.Helper()
	c, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// numbered is a record of an embedding with so many features that depends on a number.
func numbered(i, features int) Record {
	r := Record{Hash: sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))), Computation: Computation{1}, Batch: 8}
	for j := range features {
		r.Embedding = append(r.Embedding, float32(i)+float32(j)/7)
	}
	return r
}

// expectNumbered fails unless the embedding of a number is the stored one.
func expectNumbered(t *testing.T, c *Cache, i, features int) {
	t.Helper()
	want := numbered(i, features)
	got := c.Embedding(want.Hash, want.Computation, want.Batch)
	if len(got) != features {
		t.Fatalf("embedding %d has %d features, expected %d", i, len(got), features)
	}
	for j, v := range want.Embedding {
		if got[j] != v {
			t.Fatalf("embedding %d: feature %d is %v, expected %v", i, j, got[j], v)
		}
	}
}

func holds(c *Cache, i int) bool {
	r := numbered(i, 0)
	return c.Embedding(r.Hash, r.Computation, r.Batch) != nil
}

// clock replaces the time of the package.
func clock(t *testing.T, at time.Time) (set func(time.Time)) {
	t.Cleanup(func() { now = time.Now })
	now = func() time.Time { return at }
	return func(to time.Time) { at = to }
}

// imageAt writes a file whose last modification was at a time.
func imageAt(t *testing.T, path, content string, modified time.Time) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, modified, modified); err != nil {
		t.Fatal(err)
	}
}

func source(t *testing.T, path string) Source {
	t.Helper()
	s, err := SourceOf(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEmbeddingsOutliveTheCache(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "embeddings.db")
	c := opened(t, path, Options{})
	var records []Record
	for i := range 700 {
		records = append(records, numbered(i, 5))
	}
	c.Store(records...)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
	if holds(c, 1) {
		t.Error("a closed cache holds an embedding")
	}
	c = opened(t, path, Options{})
	for i := range 700 {
		expectNumbered(t, c, i, 5)
	}
	r := numbered(3, 5)
	if c.Embedding(r.Hash, Computation{2}, 8) != nil || c.Embedding(r.Hash, r.Computation, 1) != nil || c.Embedding(Hash{}, r.Computation, 8) != nil {
		t.Error("found an embedding of another computation, batch size or content")
	}
	for path, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has the permissions %v (%v), expected %v", path, info.Mode(), err, want)
		}
	}
}

func TestFilesAreRecognized(t *testing.T) {
	folder := t.TempDir()
	file, path := filepath.Join(folder, "a.png"), filepath.Join(folder, "embeddings.db")
	c := opened(t, path, Options{})
	old := time.Now().Add(-time.Hour)
	imageAt(t, file, "content", old)
	first := source(t, file)
	if _, known := c.Hash(first); known {
		t.Error("an empty cache knows a file")
	}
	c.Store(Record{Source: first, Hash: Hash{7}})
	if hash, known := c.Hash(source(t, file)); !known || hash != (Hash{7}) {
		t.Errorf("found %v, %v, expected the stored hash", hash, known)
	}
	for name, change := range map[string]func(){
		"touched":  func() { imageAt(t, file, "content", old.Add(time.Nanosecond)) },
		"longer":   func() { imageAt(t, file, "content and more", old) },
		"replaced": func() { imageAt(t, file+".new", "content", old); os.Rename(file+".new", file) },
	} {
		imageAt(t, file, "content", old)
		c.Store(Record{Source: source(t, file), Hash: Hash{7}})
		before := source(t, file)
		change()
		if _, known := c.Hash(source(t, file)); known {
			t.Errorf("a file that was %s is recognized", name)
		}
		if before.Unchanged() {
			t.Errorf("a file that was %s is unchanged", name)
		}
	}
	if _, err := SourceOf(filepath.Join(folder, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("found %v, expected that the file does not exist", err)
	}
	c.Close()
	imageAt(t, file, "content", old)
	c = opened(t, path, Options{Verify: true})
	c.Store(Record{Source: source(t, file), Hash: Hash{7}})
	if _, known := c.Hash(source(t, file)); known {
		t.Error("with Verify a file is recognized by its modification time")
	}
}

// A file that was modified up to two seconds before it was found, or in the future, may be
// modified again without a change of its modification time.
func TestRacilyCleanFilesAreNotRecognized(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "a.png")
	c := opened(t, filepath.Join(folder, "embeddings.db"), Options{})
	modified := time.Now()
	set := clock(t, modified)
	for age, want := range map[time.Duration]bool{-time.Hour: false, 0: false, time.Second: false, 2 * time.Second: false, 2*time.Second + 1: true} {
		imageAt(t, file, "content", modified)
		set(modified.Add(age))
		os.Remove(file + ".other") // so that the inode is a new one each time
		s := source(t, file)
		s.stat += age.String() // an entry of its own
		c.Store(Record{Source: s, Hash: Hash{1}})
		found, known := c.Hash(s)
		if known && found != (Hash{1}) {
			t.Errorf("found the hash %v", found)
		}
		if s.Settled() != want {
			t.Errorf("a file that was modified %v before is settled: %v, expected %v", age, s.Settled(), want)
		}
		if known != want {
			t.Errorf("a file that was modified %v before is recognized: %v, expected %v", age, known, want)
		}
	}
}

// The file stays within its limit, and the entries that were used last are kept.
func TestSizeIsLimited(t *testing.T) {
	path := filepath.Join(t.TempDir(), "embeddings.db")
	set := clock(t, time.Unix(1e9, 0))
	const features, count = 250, 2500 // 2.5 MB
	c := opened(t, path, Options{MaxSize: MinMaxSize})
	for i := 0; i < count; i += 50 {
		set(time.Unix(1e9+int64(i)*3600, 0))
		var records []Record
		for j := range 50 {
			records = append(records, numbered(i+j, features))
		}
		if c.Store(records...); c.Err() != nil {
			t.Fatal(c.Err())
		}
		if i > 0 && !holds(c, 0) { // it is used all the time
			t.Fatalf("the entry that was used last is gone after %d others", i)
		}
		if info, err := os.Stat(path); err != nil || info.Size() > MinMaxSize {
			t.Fatalf("the file has %d bytes, expected at most %d", info.Size(), MinMaxSize)
		}
	}
	kept, whole := 0, false // the 50 of a time may be kept in part
	for i := 50; i < count; i += 50 {
		some := 0
		for j := range 50 {
			if holds(c, i+j) {
				some++
			}
		}
		if kept += some; whole && some < 50 {
			t.Fatalf("of the entries from %d on %d are gone, but all of an earlier time are there", i, 50-some)
		}
		whole = whole || some == 50
	}
	if kept < 300 { // of 1 kB, in five eighths of 1 MB
		t.Errorf("%d entries are kept, expected about 500", kept)
	}
	expectNumbered(t, c, count-1, features)
	// An entry that is larger than the cache is not stored, and is no failure.
	if c.Store(numbered(count, 1<<19)); c.Err() != nil || holds(c, count) {
		t.Errorf("a large entry: found %v, error %v", holds(c, count), c.Err())
	}
}

// A cache that is larger than the default limit is kept unless a limit is given.
func TestLargerThanTheDefault(t *testing.T) {
	path := filepath.Join(t.TempDir(), "embeddings.db")
	c := opened(t, path, Options{})
	c.Store(numbered(1, 3))
	c.Close()
	if err := os.Truncate(path, DefaultMaxSize+1<<20); err != nil { // most of it is a hole
		t.Fatal(err)
	}
	c = opened(t, path, Options{})
	expectNumbered(t, c, 1, 3)
	c.Store(numbered(2, 3))
	expectNumbered(t, c, 2, 3)
	c.Close()
	if c = opened(t, path, Options{MaxSize: DefaultMaxSize}); holds(c, 1) || holds(c, 2) {
		t.Error("a cache that is larger than the limit is not emptied")
	}
}

// Values are kept apart from embeddings, by content and computation, with all their bits.
func TestValues(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "embeddings.db"), Options{})
	r := numbered(1, 3)
	c.Store(r)
	if found := c.Values(r.Hash, r.Computation); found != nil {
		t.Errorf("found %v, expected no values", found)
	}
	r.Values = []float64{1. / 3, math.Inf(-1), 5e-324, -0.1}
	c.Store(r)
	if found := c.Values(r.Hash, r.Computation); !slices.Equal(found, r.Values) {
		t.Errorf("found %v, expected %v", found, r.Values)
	}
	expectNumbered(t, c, 1, 3)
	if found := c.Values(Hash{9}, r.Computation); found != nil {
		t.Errorf("another content: found %v", found)
	}
	if found := c.Values(r.Hash, Computation{9}); found != nil {
		t.Errorf("another computation: found %v", found)
	}
	if found := (*Cache)(nil).Values(r.Hash, r.Computation); found != nil {
		t.Errorf("no cache: found %v", found)
	}
}

// Each symmetry and each preprocessing has a computation of its own, and that of images that
// are unchanged is the computation itself.
func TestComputations(t *testing.T) {
	seen := map[Computation]bool{}
	for s := range imaging.Symmetry(imaging.Symmetries) {
		seen[Computation{7}.Of(s)] = true
	}
	if len(seen) != imaging.Symmetries || !seen[Computation{7}] {
		t.Errorf("found %d computations, that of unchanged images %v", len(seen), seen[Computation{7}])
	}
	p := imaging.Preprocessing{Size: imaging.Size{Height: 4, Width: 4, Channels: 1}}
	first, err := TraitsOf(p)
	if err != nil {
		t.Fatal(err)
	}
	p.Invert = true
	if second, err := TraitsOf(p); err != nil || first == second {
		t.Errorf("another preprocessing has the same computation, error %v", err)
	}
	if _, err := TraitsOf(imaging.Preprocessing{}); err == nil {
		t.Error("a preprocessing without a size: found no error")
	}
}

// A cache that is larger than the limit is emptied.
func TestSmallerLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "embeddings.db")
	c := opened(t, path, Options{})
	var records []Record
	for i := range 300 {
		records = append(records, numbered(i, 2000))
	}
	c.Store(records...)
	c.Close()
	c = opened(t, path, Options{MaxSize: MinMaxSize})
	if info, err := os.Stat(path); err != nil || info.Size() > MinMaxSize || holds(c, 1) {
		t.Errorf("the file has %d bytes, expected an empty cache of at most %d", info.Size(), MinMaxSize)
	}
	c.Store(numbered(1, 3))
	expectNumbered(t, c, 1, 3)
}

func TestLockedCache(t *testing.T) {
	path := filepath.Join(t.TempDir(), "embeddings.db")
	c := opened(t, path, Options{})
	begin := time.Now()
	if _, err := Open(path, Options{Timeout: 50 * time.Millisecond}); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("found %v, expected ErrLocked with the path", err)
	}
	if waited := time.Since(begin); waited > 20*time.Second {
		t.Errorf("waited %v", waited)
	}
	c.Close()
	opened(t, path, Options{})
}

// Caches that are shared look up and store at the same time, and what one stores the others find. Another
// process that has the file alone ends their use with an error of Err, and no call waits longer than the timeout.
func TestSharedCache(t *testing.T) {
	path := filepath.Join(t.TempDir(), "embeddings.db")
	o := Options{Shared: true}
	caches := []*Cache{opened(t, path, o), opened(t, path, o), opened(t, path, Options{Shared: true, Timeout: 50 * time.Millisecond})}
	const each = 20
	var all sync.WaitGroup
	for number, c := range caches[:2] {
		for range 3 {
			all.Go(func() {
				for i := range each {
					if number == i%2 {
						c.Store(numbered(i, 30))
						expectNumbered(t, c, i, 30)
					}
					holds(c, each-i)
				}
			})
		}
	}
	all.Wait()
	for _, c := range caches {
		for i := range each {
			expectNumbered(t, c, i, 30)
		}
		if err := c.Err(); err != nil {
			t.Error(err)
		}
	}
	empty := filepath.Join(t.TempDir(), "empty.db") // a database of bbolt without anything in it
	if db, err := bolt.Open(empty, 0o600, nil); err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	other := opened(t, empty, o)
	other.Store(numbered(1, 3))
	expectNumbered(t, other, 1, 3)
	alone := opened(t, path, Options{})
	expectNumbered(t, alone, 1, 30)
	if holds(caches[2], 1) || !errors.Is(caches[2].Close(), ErrLocked) {
		t.Errorf("a file that another process has alone: found the error %v, expected ErrLocked", caches[2].Err())
	}
	if _, err := Open(path, Options{Shared: true, Timeout: time.Millisecond}); !errors.Is(err, ErrLocked) {
		t.Errorf("open a file that another process has alone: found the error %v, expected ErrLocked", err)
	}
	alone.Close()
	expectNumbered(t, caches[0], 1, 30)
	if err := caches[0].Close(); err != nil || holds(caches[0], 1) {
		t.Errorf("found an embedding after Close, or the error %v", err)
	}
}

func TestWhatIsNoCache(t *testing.T) {
	folder := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	other := filepath.Join(folder, "other.db")
	db, err := bolt.Open(other, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("other")); return err })
	if closing := db.Close(); err != nil || closing != nil {
		t.Fatal(err, closing)
	}
	picture := write("picture.png", bytes.Repeat([]byte("picture"), 5000))
	for path, want := range map[string]error{
		picture: ErrNotCache, other: ErrNotCache, folder: ErrNotCache, write("short", []byte("short")): ErrNotCache,
	} {
		before, _ := os.ReadFile(path)
		if _, err := Open(path, Options{}); !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: found %v, expected %v", path, err, want)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Errorf("%s was changed", path)
		}
	}
	if _, err := Open("", Options{}); err == nil {
		t.Error("an empty path is no error")
	}
	if _, err := Open(filepath.Join(folder, "small.db"), Options{MaxSize: 100}); err == nil || !strings.Contains(err.Error(), "found MaxSize 100") {
		t.Errorf("found %v, expected the smallest MaxSize", err)
	}
	c := opened(t, write("empty", nil), Options{})
	c.Store(numbered(1, 2))
	expectNumbered(t, c, 1, 2)
}

// A damaged value is missing and can be stored again.
func TestDamagedValue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "embeddings.db")
	c := opened(t, path, Options{})
	c.Store(numbered(1, 400), numbered(2, 400))
	c.Close()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := numbered(1, 400)
	var floats []byte
	for _, v := range r.Embedding[100:200] {
		var b bytes.Buffer
		binary.Write(&b, binary.LittleEndian, v)
		floats = append(floats, b.Bytes()...)
	}
	at := bytes.Index(content, floats)
	if at < 0 {
		t.Fatal("the embedding is not in the file")
	}
	for ; at >= 0; at = bytes.Index(content, floats) {
		content[at] ^= 1
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	c = opened(t, path, Options{})
	if holds(c, 1) {
		t.Error("a damaged embedding is returned")
	}
	expectNumbered(t, c, 2, 400)
	c.Store(r)
	expectNumbered(t, c, 1, 400)
}

// After a failure nothing is looked up or stored, and Close returns.
func TestFailure(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "embeddings.db"), Options{})
	c.Store(numbered(1, 2))
	c.Disable(errors.New("the disk is full"))
	c.Disable(errors.New("another reason"))
	c.Store(numbered(2, 2))
	if holds(c, 1) || holds(c, 2) {
		t.Error("a cache that failed holds an embedding")
	}
	if err := c.Close(); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("found %v, expected the first failure", err)
	}
	var none *Cache
	none.Store(numbered(1, 2))
	none.Disable(errors.New("none"))
	if _, known := none.Hash(Source{}); known || holds(none, 1) || none.Err() != nil || none.Close() != nil || none.Path() != "" {
		t.Error("a nil cache holds something")
	}
}

// Whenever a process that stores is killed, the cache can be opened and has what was stored.
func TestKilledWhileStoring(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "embeddings.db")
	r := random.New(1, "kills")
	kills := 3
	if os.Getenv("LIKENESS_LONG") != "" {
		kills = 50
	}
	for range kills {
		command := exec.Command(program)
		command.Env = append(os.Environ(), childCache+"="+path)
		output, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		stored, line := 0, make([]byte, len("stored\n"))
		for want := 1 + r.IntN(20); stored < want; stored++ {
			if _, err := output.Read(line); err != nil || string(line) != "stored\n" {
				t.Fatalf("after %d embeddings: found %q, error %v", stored, line, err)
			}
		}
		command.Process.Kill()
		command.Wait()
		c, err := Open(path, Options{Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		for i := range stored {
			expectNumbered(t, c, i, 300)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Many goroutines use a cache at the same time.
func TestConcurrentUse(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "embeddings.db"), Options{})
	c.db.NoSync = true // which takes time, and nothing is to last
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := range 20 {
				c.Store(numbered(100*worker+i, 3))
				holds(c, 100*((worker+1)%4)+i)
			}
		})
	}
	group.Wait()
	for worker := range 4 {
		for i := range 20 {
			expectNumbered(t, c, 100*worker+i, 3)
		}
	}
}

// Opening and using any file neither panics nor hangs, and what is found has its checksum.
func FuzzOpen(f *testing.F) {
	path := filepath.Join(f.TempDir(), "embeddings.db")
	c := opened(f, path, Options{MaxSize: MinMaxSize})
	for i := range 12 {
		c.Store(numbered(i, 60))
	}
	c.Close()
	content, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content, uint32(0), byte(0))
	f.Add(content[:len(content)/2], uint32(70), byte(9))
	for i := range uint32(30) {
		f.Add(content, i*1237, byte(1+i))
	}
	f.Fuzz(func(t *testing.T, content []byte, at uint32, change byte) {
		content = bytes.Clone(content)
		if len(content) > 0 {
			content[int(at)%len(content)] ^= change
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Open(path, Options{MaxSize: MinMaxSize})
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNotCache) {
				t.Errorf("found %v, expected ErrDamaged or ErrNotCache", err)
			}
			return
		}
		c.db.NoSync = true
		for i := range 12 {
			if holds(c, i) {
				expectNumbered(t, c, i, 60)
			}
		}
		c.Store(numbered(41, 60))
		if c.Err() == nil && !holds(c, 41) {
			t.Error("an embedding was stored without an error and is not there")
		}
		c.Close()
	})
}
