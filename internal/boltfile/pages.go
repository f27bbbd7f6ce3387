package boltfile

import (
	"encoding/binary"
	"hash/fnv"
	"io"
	"os"

	"github.com/pkg/errors"
)

// The layout of the pages of a bbolt file. bbolt follows references between pages without
// checks: with a cycle it does not terminate and allocates memory without limit. Therefore
// the pages of a file are checked before bbolt reads them. The layout is that of bbolt's
// package internal/common; integers are in the machine's byte order.
const (
	headerBytes   = 16 // header of a page: id 8, flags 2, count 2, overflow 4
	elementBytes  = 16 // element of a branch or a leaf
	metaBytes     = 64
	bucketBytes   = 16 // root 8, sequence 8
	branchPage    = 0x01
	leafPage      = 0x02
	metaPage      = 0x04
	freelistPage  = 0x10
	bucketElement = 0x01
	metaMagic     = 0xED0CDAED
	metaVersion   = 2

	minPage, maxPage = 1 << 10, 1 << 24 // limits of the page size in bytes
)

var native = binary.NativeEndian

// meta is the content of a meta page, which refers to all other pages.
type meta struct {
	pageSize                           int64
	root, freelist, pages, transaction uint64
}

// parseMeta decodes a meta page; ok is false if it is not an intact one.
func parseMeta(page []byte) (m meta, ok bool) {
	if len(page) < headerBytes+metaBytes {
		return m, false
	}
	body := page[headerBytes:][:metaBytes]
	hash := fnv.New64a()
	hash.Write(body[:metaBytes-8])
	if native.Uint32(body) != metaMagic || native.Uint32(body[4:]) != metaVersion || native.Uint64(body[metaBytes-8:]) != hash.Sum64() {
		return m, false
	}
	return meta{
		pageSize: int64(native.Uint32(body[8:])), root: native.Uint64(body[16:]), freelist: native.Uint64(body[32:]),
		pages: native.Uint64(body[40:]), transaction: native.Uint64(body[48:]),
	}, true
}

// CheckPageSize returns an error for a page size that the file does not have, before bbolt
// uses the size. At least one of the two meta pages that state it is intact even while
// another process writes. found is false for a file without an intact one, which must have
// at least the two pages that bbolt reads. An empty file, which is being created, is
// no error.
func CheckPageSize(file *os.File) (found bool, err error) {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return true, err
	}
	m, found, err := readMeta(file, info.Size())
	switch {
	case err != nil:
		return found, err
	case found && info.Size() < max(2*m.pageSize, 4096): // bbolt reads them at once
		return true, errors.Errorf("the file has %d bytes, expected at least two pages of %d bytes", info.Size(), m.pageSize)
	case !found && info.Size() < 2*int64(os.Getpagesize()): // the page size that bbolt assumes
		return false, errors.Errorf("the file has %d bytes, expected at least two pages of %d bytes", info.Size(), os.Getpagesize())
	}
	return found, nil
}

// readMeta finds the meta page that bbolt uses: the intact one of the later transaction.
// Without an intact one found is false, for which bbolt has an error.
func readMeta(file io.ReaderAt, size int64) (newest meta, found bool, err error) {
	page := make([]byte, headerBytes+metaBytes)
	look := func(offset int64) (meta, bool) {
		if offset > size-int64(len(page)) {
			return meta{}, false
		}
		if _, err := file.ReadAt(page, offset); err != nil {
			return meta{}, false
		}
		return parseMeta(page)
	}
	newest, found = look(0)
	// The first states the position of the second; if it is damaged, all positions are tried.
	for offset := int64(minPage); offset <= maxPage; offset *= 2 {
		if found && newest.pageSize != offset {
			continue
		}
		second, whole := look(offset)
		if !whole {
			continue
		}
		if second.pageSize != offset {
			return second, true, errors.Errorf("found pages of %d bytes, expected %d", second.pageSize, offset)
		}
		if !found || second.transaction > newest.transaction {
			newest = second
		}
		return newest, true, nil
	}
	if s := newest.pageSize; found && (s < minPage || s > maxPage || s&(s-1) != 0) {
		return newest, found, errors.Errorf("found pages of %d bytes, expected a power of two from %d to %d", s, minPage, maxPage)
	}
	return newest, found, nil
}

// pages is a file whose pages are being checked.
type pages struct {
	meta
	file    io.ReaderAt
	seen    []bool // by number
	content []byte // of a page, which is read again into the same memory
}

// Check checks that all references of a file of the given size are within it and that
// every page is referred to once. It takes one byte of memory for each page, and that of
// the largest page. A file without an intact meta page, for which bbolt has an error, is
// none.
func Check(file io.ReaderAt, size int64) error { return check(file, size, true) }

// CheckBranches is Check without the content of leaf pages, which are nearly all of a large
// file, so that it takes little time. That the pages below a branch page are all leaves if
// the first one is, as in every tree of bbolt, is not checked.
func CheckBranches(file io.ReaderAt, size int64) error { return check(file, size, false) }

func check(file io.ReaderAt, size int64, leaves bool) error {
	m, found, err := readMeta(file, size)
	if err != nil || !found {
		return err
	}
	if m.pages > uint64(size/m.pageSize) {
		return errors.Errorf("the file has %d bytes, expected %d pages of %d bytes", size, m.pages, m.pageSize)
	}
	p := &pages{meta: m, file: file, seen: make([]bool, m.pages)}
	for number := range min(2, len(p.seen)) {
		p.seen[number] = true
	}
	if err := p.checkFreelist(); err != nil {
		return err
	}
	return p.checkTree(m.root, leaves)
}

// page reads a page with its overflow pages and marks them as seen. The content is valid until
// the next call.
func (p *pages) page(number uint64, kinds ...uint16) (kind uint16, count int, content []byte, err error) {
	if number >= p.pages {
		return 0, 0, nil, errors.Errorf("found page %d, expected one below %d", number, p.pages)
	}
	if int64(len(p.content)) < p.pageSize {
		p.content = make([]byte, p.pageSize)
	}
	header := p.content[:p.pageSize]
	if _, err := p.file.ReadAt(header, int64(number)*p.pageSize); err != nil {
		return 0, 0, nil, errors.Errorf("page %d: %v", number, err)
	}
	kind, count = native.Uint16(header[8:]), int(native.Uint16(header[10:]))
	further := uint64(native.Uint32(header[12:]))
	known := false
	for _, k := range kinds {
		known = known || k == kind
	}
	if native.Uint64(header) != number || !known || further >= p.pages-number {
		return 0, 0, nil, errors.Errorf("page %d states that it is page %d of kind %#x with %d overflow pages", number, native.Uint64(header), kind, further)
	}
	for n := number; n <= number+further; n++ {
		if p.seen[n] {
			return 0, 0, nil, errors.Errorf("page %d is referred to twice", n)
		}
		p.seen[n] = true
	}
	if size := int64(further+1) * p.pageSize; size > int64(len(p.content)) {
		p.content = append(p.content[:p.pageSize], make([]byte, size-p.pageSize)...)
	}
	content = p.content[:int64(further+1)*p.pageSize]
	if further > 0 {
		if _, err := p.file.ReadAt(content[p.pageSize:], int64(number+1)*p.pageSize); err != nil {
			return 0, 0, nil, errors.Errorf("page %d: %v", number, err)
		}
	}
	return kind, count, content[headerBytes:], nil
}

// checkFreelist checks the list of unused pages and marks them as seen, so that no tree may
// refer to them.
func (p *pages) checkFreelist() error {
	const many = 0xFFFF // means that the count is the first element of the list
	_, count, content, err := p.page(p.freelist, freelistPage)
	if err != nil {
		return errors.Wrap(err, "free pages")
	}
	places := uint64(len(content) / 8)
	free, first := uint64(count), uint64(0)
	if count == many {
		free, first = native.Uint64(content), 1
	}
	if free > places-first {
		return errors.Errorf("found %d free pages, expected at most %d in the list", free, places-first)
	}
	for i := first; i < first+free; i++ {
		number := native.Uint64(content[8*i:])
		if number >= p.pages || p.seen[number] {
			return errors.Errorf("page %d is not free", number)
		}
		p.seen[number] = true
	}
	return nil
}

// checkTree checks the pages of a bucket and of the buckets in it, those of buckets in
// leaves only if the content of the leaves is checked or the leaf is the root.
func (p *pages) checkTree(root uint64, all bool) error {
	waiting := []uint64{root} // a stack instead of recursion: a malicious tree may be as deep as it has pages
	for len(waiting) > 0 {
		number := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		kind, count, content, err := p.page(number, branchPage, leafPage)
		if err != nil {
			return err
		}
		var further []uint64
		if kind == branchPage {
			if further, err = branches(content, count); err == nil && !all {
				if further, err = p.withoutLeaves(further); err != nil {
					return err
				}
			}
		} else {
			further, err = leaves(content, count, true)
		}
		if err != nil {
			return errors.Wrapf(err, "page %d", number)
		}
		waiting = append(waiting, further...)
	}
	return nil
}

// withoutLeaves marks the pages as seen and returns none of them if the first is a leaf.
func (p *pages) withoutLeaves(children []uint64) ([]uint64, error) {
	header := make([]byte, headerBytes)
	if number := children[0]; number >= p.pages {
		return children, nil // which page reports
	} else if _, err := p.file.ReadAt(header, int64(number)*p.pageSize); err != nil {
		return nil, errors.Errorf("page %d: %v", number, err)
	}
	if native.Uint16(header[8:]) != leafPage {
		return children, nil
	}
	for _, number := range children {
		if number >= p.pages {
			return nil, errors.Errorf("found page %d, expected one below %d", number, p.pages)
		}
		if p.seen[number] {
			return nil, errors.Errorf("page %d is referred to twice", number)
		}
		p.seen[number] = true
	}
	return nil, nil
}

// branches returns the pages that a branch page refers to.
func branches(content []byte, count int) (further []uint64, err error) {
	if count == 0 || count*elementBytes > len(content) {
		return nil, errors.Errorf("found %d branches in %d bytes", count, len(content))
	}
	for i := range count {
		element := content[i*elementBytes:]
		if err := within(element, native.Uint32(element), native.Uint32(element[4:])); err != nil {
			return nil, err
		}
		further = append(further, native.Uint64(element[8:]))
	}
	return further, nil
}

// leaves returns the roots of the buckets in a leaf page. A small bucket is stored inline
// in the value, as a leaf page without buckets.
func leaves(content []byte, count int, buckets bool) (roots []uint64, err error) {
	if count*elementBytes > len(content) {
		return nil, errors.Errorf("found %d values in %d bytes", count, len(content))
	}
	for i := range count {
		element := content[i*elementBytes:]
		flags, position, key, value := native.Uint32(element), native.Uint32(element[4:]), native.Uint32(element[8:]), native.Uint32(element[12:])
		if err := within(element, position, key, value); err != nil {
			return nil, err
		}
		if flags&bucketElement == 0 {
			continue
		}
		bucket := element[position+key:][:value]
		if !buckets || len(bucket) < bucketBytes {
			return nil, errors.Errorf("found a bucket of %d bytes", len(bucket))
		}
		if root := native.Uint64(bucket); root != 0 {
			roots = append(roots, root)
		} else if err := inline(bucket[bucketBytes:]); err != nil {
			return nil, err
		}
	}
	return roots, nil
}

// inline checks a bucket that is stored inline.
func inline(page []byte) error {
	if len(page) < headerBytes || native.Uint16(page[8:]) != leafPage {
		return errors.Errorf("found an inline bucket of %d bytes that is not a leaf page", len(page))
	}
	_, err := leaves(page[headerBytes:], int(native.Uint16(page[10:])), false)
	return err
}

// within returns an error unless consecutive parts that begin at a position are within the
// content.
func within(content []byte, position uint32, lengths ...uint32) error {
	end := uint64(position)
	for _, length := range lengths {
		end += uint64(length)
	}
	if end > uint64(len(content)) {
		return errors.Errorf("found a key or a value that ends at byte %d of %d", end, len(content))
	}
	return nil
}
