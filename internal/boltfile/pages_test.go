package boltfile

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/internal/testutil"
	bolt "go.etcd.io/bbolt"
)

func TestPagesOfIntactFile(t *testing.T) {
	small := smallFile(t)
	if err := Check(bytes.NewReader(small), int64(len(small))); err != nil {
		t.Error(err)
	}
	if err := CheckBranches(bytes.NewReader(small), int64(len(small))); err != nil {
		t.Error(err)
	}
}

// Cycles and references outside the file are errors.
func TestDamagedPages(t *testing.T) {
	small := smallFile(t)
	m, _, err := readMeta(bytes.NewReader(small), int64(len(small)))
	if err != nil {
		t.Fatal(err)
	}
	root := small[int64(m.root)*m.pageSize:]
	free := small[int64(m.freelist)*m.pageSize:]
	for name, test := range map[string]struct {
		spoil func()
		want  string
	}{
		"a page that leads to itself": {func() {
			native.PutUint16(root[8:], branchPage)
			native.PutUint16(root[10:], 1)
			native.PutUint32(root[headerBytes:], 0)
			native.PutUint32(root[headerBytes+4:], 0)
			native.PutUint64(root[headerBytes+8:], m.root)
		}, "is referred to twice"},
		"a page beyond the end":       {func() { native.PutUint32(root[12:], 1<<31) }, "overflow pages"},
		"values without end":          {func() { native.PutUint16(root[10:], 0xFFFF) }, "found 65535 values"},
		"a value beyond the page":     {func() { native.PutUint32(root[headerBytes+12:], 1<<31) }, "ends at byte"},
		"another kind of page":        {func() { native.PutUint16(root[8:], metaPage) }, "of kind 0x4"},
		"more free pages than fit":    {func() { native.PutUint16(free[10:], 0xFFFE) }, "free pages, expected at most"},
		"very many free pages":        {func() { native.PutUint16(free[10:], 0xFFFF); native.PutUint64(free[16:], 1<<62) }, "free pages, expected at most"},
		"a page both free and in use": {func() { native.PutUint16(free[10:], 1); native.PutUint64(free[16:], m.root) }, "referred to twice"},
		"no list of free pages":       {func() { spoilMeta(small, m.pageSize, 32, 1<<64-1) }, "found page 18446744073709551615"},
		"pages of an odd length":      {func() { spoilMeta(small, m.pageSize, 8, 3) }, "found pages of 3 bytes"},
		"more pages than bytes":       {func() { spoilMeta(small, m.pageSize, 40, 1<<40) }, "expected 1099511627776 pages"},
	} {
		whole := bytes.Clone(small)
		test.spoil()
		err := Check(bytes.NewReader(small), int64(len(small)))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: found error %v, expected one that says %q", name, err, test.want)
		}
		copy(small, whole)
	}
}

// References of branch pages are checked without their leaves, too.
func TestDamagedBranches(t *testing.T) {
	small := smallFile(t)
	m, _, err := readMeta(bytes.NewReader(small), int64(len(small)))
	if err != nil {
		t.Fatal(err)
	}
	branch := -1 // the page above the leaves of the bucket
	for n := int64(2); n < int64(m.pages); n++ {
		page := bytes.Clone(small)
		if at := page[n*m.pageSize:]; native.Uint16(at[8:]) == branchPage && native.Uint16(at[10:]) > 1 {
			native.PutUint64(at[headerBytes+8:], 1<<40)
			if Check(bytes.NewReader(page), int64(len(page))) != nil { // it is in use
				branch = int(n * m.pageSize)
			}
		}
	}
	if branch < 0 {
		t.Fatal("the file has no branch page")
	}
	second := small[branch+headerBytes+elementBytes+8:]
	for value, want := range map[uint64]string{native.Uint64(small[branch+headerBytes+8:]): "twice", 1 << 40: "expected one below", m.root: "twice"} {
		whole := bytes.Clone(small)
		native.PutUint64(second, value)
		for name, check := range map[string]func(io.ReaderAt, int64) error{"Check": Check, "CheckBranches": CheckBranches} {
			if err := check(bytes.NewReader(small), int64(len(small))); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s of a reference to page %d: found %v, expected %q", name, value, err, want)
			}
		}
		copy(small, whole)
	}
}

// spoilMeta changes an integer in both meta pages and updates their checksums.
func spoilMeta(file []byte, pageSize int64, at int, value uint64) {
	for _, offset := range []int64{0, pageSize} {
		body := file[offset+headerBytes:][:metaBytes]
		if at == 8 {
			native.PutUint32(body[at:], uint32(value))
		} else {
			native.PutUint64(body[at:], value)
		}
		hash := fnv.New64a()
		hash.Write(body[:metaBytes-8])
		native.PutUint64(body[metaBytes-8:], hash.Sum64())
	}
}

// smallFile creates a database of a few kilobytes with the smallest pages of bbolt, with
// values in several pages and free pages.
func smallFile(t testing.TB) []byte {
	t.Helper()
	const pageBytes = 1024
	path := filepath.Join(t.TempDir(), "small.db")
	db, err := bolt.Open(path, 0o666, &bolt.Options{PageSize: pageBytes, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	change := func(change func(b *bolt.Bucket) error) {
		err := db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("values"))
			if err == nil {
				err = change(b)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 16 {
		change(func(b *bolt.Bucket) error {
			return b.Put(binary.BigEndian.AppendUint64(nil, uint64(i)), bytes.Repeat([]byte{byte(i)}, 150))
		})
	}
	change(func(b *bolt.Bucket) error {
		for i := range 6 {
			if err := b.Delete(binary.BigEndian.AppendUint64(nil, uint64(i))); err != nil {
				return err
			}
		}
		return nil
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, found, err := readMeta(bytes.NewReader(content), int64(len(content)))
	if err != nil || !found {
		t.Fatal("no page says where the others are", err)
	}
	return content[:int64(m.pages)*m.pageSize]
}

// For any file Check terminates without a panic and takes no more memory than the size
// of the file.
func FuzzPages(f *testing.F) {
	small := smallFile(f)
	f.Add(small)
	f.Add(small[:2048])
	f.Fuzz(func(t *testing.T, content []byte) {
		testutil.LimitAllocations(t, 16*len(content), func() {
			if err := Check(bytes.NewReader(content), int64(len(content))); err != nil && err.Error() == "" {
				t.Error("found an error without a text")
			}
			if err := CheckBranches(bytes.NewReader(content), int64(len(content))); err != nil && err.Error() == "" {
				t.Error("found an error without a text")
			}
		})
	})
}

// A panic and a fault of memory are errors.
func TestCall(t *testing.T) {
	if err := Call(func() error { panic("damaged") }); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("found %v, expected the panic as an error", err)
	}
	if err := Call(func() error { return os.ErrClosed }); err != os.ErrClosed {
		t.Errorf("found %v, expected the error of the function", err)
	}
}
