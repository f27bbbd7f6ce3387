package gallery

import (
	"bytes"
	"hash/fnv"
	"strings"
	"testing"

	"github.com/pkg/errors"
)

func TestPagesOfASoundFile(t *testing.T) {
	small := smallFile(t)
	if err := checkPages(bytes.NewReader(small), int64(len(small))); err != nil {
		t.Error(err)
	}
}

// What bbolt follows for ever, or into memory that is not there, is refused.
func TestPagesRefuse(t *testing.T) {
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
		}, "is in two places"},
		"a page beyond the end":       {func() { native.PutUint32(root[12:], 1<<31) }, "goes on for"},
		"values without end":          {func() { native.PutUint16(root[10:], 0xFFFF) }, "found 65535 values"},
		"a value beyond the page":     {func() { native.PutUint32(root[headerBytes+12:], 1<<31) }, "ends at byte"},
		"another kind of page":        {func() { native.PutUint16(root[8:], metaPage) }, "of kind 0x4"},
		"more free pages than fit":    {func() { native.PutUint16(free[10:], 0xFFFE) }, "free pages, expected at most"},
		"very many free pages":        {func() { native.PutUint16(free[10:], 0xFFFF); native.PutUint64(free[16:], 1<<62) }, "free pages, expected at most"},
		"a page both free and in use": {func() { native.PutUint16(free[10:], 1); native.PutUint64(free[16:], m.root) }, "in two places"},
		"no list of free pages":       {func() { spoilMeta(small, m.pageSize, 32, 1<<64-1) }, "found page 18446744073709551615"},
		"pages of an odd length":      {func() { spoilMeta(small, m.pageSize, 8, 3) }, "found pages of 3 bytes"},
		"more pages than bytes":       {func() { spoilMeta(small, m.pageSize, 40, 1<<40) }, "expected 1099511627776 pages"},
	} {
		whole := bytes.Clone(small)
		test.spoil()
		err := checkPages(bytes.NewReader(small), int64(len(small)))
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: found error %v, expected ErrDamaged that says %q", name, err, test.want)
		}
		copy(small, whole)
	}
}

// spoilMeta changes a number in both pages that say where everything is, with their
// checksums.
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
