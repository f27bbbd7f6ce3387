package gallery

import "github.com/pkg/errors"

// checkFreelist looks at the list of pages that are in no use, and takes them for
// seen, so that no tree may have them.
func (p *pages) checkFreelist() error {
	const many = 0xFFFF // stands for a count that is in the first place of the list
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
		return errors.Wrapf(ErrDamaged, "found %d free pages, expected at most %d in the list", free, places-first)
	}
	for i := first; i < first+free; i++ {
		number := native.Uint64(content[8*i:])
		if number >= p.pages || p.seen[number] {
			return errors.Wrapf(ErrDamaged, "page %d is not free", number)
		}
		p.seen[number] = true
	}
	return nil
}

// checkTree looks at the pages of a bucket and of those within it.
func (p *pages) checkTree(root uint64) error {
	waiting := []uint64{root} // a stack: a tree of bad will may be as deep as it has pages
	for len(waiting) > 0 {
		number := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		kind, count, content, err := p.page(number, branchPage, leafPage)
		if err != nil {
			return err
		}
		var further []uint64
		if kind == branchPage {
			further, err = branches(content, count)
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

// branches are the pages that a branch leads to.
func branches(content []byte, count int) (further []uint64, err error) {
	if count == 0 || count*elementBytes > len(content) {
		return nil, errors.Wrapf(ErrDamaged, "found %d branches in %d bytes", count, len(content))
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

// leaves are the roots of the buckets that a leaf has. A small bucket lies in the
// value itself, as a leaf that has no buckets.
func leaves(content []byte, count int, buckets bool) (roots []uint64, err error) {
	if count*elementBytes > len(content) {
		return nil, errors.Wrapf(ErrDamaged, "found %d values in %d bytes", count, len(content))
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
			return nil, errors.Wrapf(ErrDamaged, "found a bucket of %d bytes", len(bucket))
		}
		if root := native.Uint64(bucket); root != 0 {
			roots = append(roots, root)
		} else if err := inline(bucket[bucketBytes:]); err != nil {
			return nil, err
		}
	}
	return roots, nil
}

// inline looks at a bucket that lies in a value.
func inline(page []byte) error {
	if len(page) < headerBytes || native.Uint16(page[8:]) != leafPage {
		return errors.Wrapf(ErrDamaged, "found a bucket of %d bytes that is no leaf", len(page))
	}
	_, err := leaves(page[headerBytes:], int(native.Uint16(page[10:])), false)
	return err
}

// within says whether parts that follow each other from a position on are in what
// is there.
func within(there []byte, position uint32, lengths ...uint32) error {
	end := uint64(position)
	for _, length := range lengths {
		end += uint64(length)
	}
	if end > uint64(len(there)) {
		return errors.Wrapf(ErrDamaged, "found a key or a value that ends at byte %d of %d", end, len(there))
	}
	return nil
}
