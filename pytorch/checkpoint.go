package pytorch

import (
	"archive/zip"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/pkg/errors"
)

// readTensors reads the tensors of a file of any of the formats, sorted by name.
func readTensors(path string) ([]safetensors.Tensor, error) {
	// Opening a pipe would wait for its other end.
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		_, err := safetensors.ReadFile(path) // says what it is
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, errors.WithStack(err)
	}
	return tensorsIn(file, info.Size(), path)
}

// tensorsIn is readTensors for the size bytes of r. Errors begin with name.
func tensorsIn(r io.ReaderAt, size int64, name string) ([]safetensors.Tensor, error) {
	start := make([]byte, min(size, 4))
	if _, err := r.ReadAt(start, 0); err != nil && err != io.EOF {
		return nil, errors.Wrap(err, name)
	}
	var tensors []safetensors.Tensor
	var err error
	switch {
	case string(start) == "PK\x03\x04":
		tensors, err = readZip(r, size)
	case len(start) > 1 && start[0] == 0x80 && start[1] <= 5 && !isSafetensors(r, size): // PROTO
		tensors, err = readLegacy(r, size)
	default:
		file, err := safetensors.Read(r, size, name)
		if errors.Is(err, safetensors.ErrOther) {
			err = otherFormat{err}
		}
		return file.Tensors, err
	}
	return tensors, errors.Wrap(err, name)
}

// otherFormat adds the other formats to an error that expects a safetensors file.
type otherFormat struct{ error }

func (o otherFormat) Error() string { return o.error.Error() + " or one of torch.save (.pth, .pt)" }
func (o otherFormat) Unwrap() error { return o.error }

// isSafetensors reports whether the header of the format follows eight bytes of its length.
func isSafetensors(r io.ReaderAt, size int64) bool {
	start := make([]byte, min(size, 9))
	n, _ := r.ReadAt(start, 0)
	return n == 9 && start[8] == '{' && binary.LittleEndian.Uint64(start) <= uint64(size)
}

// checkpoint collects the storages that a pickle refers to.
type checkpoint struct {
	storages map[string]*storage // by key
	legacy   bool
}

// persistent returns the storage of a persistent id: ("storage", type, key, location,
// elements), in the legacy format followed by None or (key, offset, elements) of a part.
func (c *checkpoint) persistent(id tuple) (*storage, error) {
	length := 5
	if c.legacy {
		length = 6
	}
	if len(id) != length || id[0] != any("storage") {
		return nil, errors.Errorf("found a persistent id of %d elements, expected %d that begin with \"storage\": in Python, save network.state_dict() with torch.save", len(id), length)
	}
	of, isGlobal := id[1].(*global)
	key, isText := id[2].(string)
	elements, isInteger := id[4].(int64)
	if !isGlobal || !of.storage || !isText || !isInteger || elements < 0 {
		return nil, errors.Errorf("found a storage of type %s, key %s and length %s, expected a type, a text and a number", describe(id[1]), describe(id[2]), describe(id[4]))
	}
	s := c.storages[key]
	if s == nil {
		s = &storage{key: key, dtype: of.dtype, elements: elements}
		c.storages[key] = s
	}
	if s.dtype != of.dtype || s.elements != elements {
		return nil, errors.Errorf("found storage %q with %d elements of %s, and before with %d of %s", key, elements, of.dtype.name, s.elements, s.dtype.name)
	}
	if !c.legacy || id[5] == nil {
		return s, nil
	}
	part, isTuple := id[5].(tuple)
	if !isTuple || len(part) != 3 {
		return nil, errors.Errorf("storage %q: found %s, expected the key, the offset and the length of a part", key, describe(id[5]))
	}
	numbers, err := integers(part[1:])
	if err != nil {
		return nil, errors.WithMessagef(err, "part of storage %q", key)
	}
	if from, n := numbers[0], numbers[1]; from < 0 || n < 0 || from > elements || n > elements-from {
		return nil, errors.Errorf("found a part of %d elements from element %d on, expected one within the %d of storage %q", n, from, elements, key)
	}
	return &storage{key: key, dtype: s.dtype, elements: numbers[1], whole: s, from: numbers[0]}, nil
}

// readZip reads the format of PyTorch 1.6 and later: an uncompressed zip archive with the
// pickle in NAME/data.pkl and each storage in NAME/data/KEY. Checksums of entries are not
// compared, as in PyTorch, which can be told to write none.
func readZip(r io.ReaderAt, size int64) ([]safetensors.Tensor, error) {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, errors.Wrap(err, "found a damaged zip archive")
	}
	entries, name, err := entriesOf(archive, size)
	if err != nil {
		return nil, err
	}
	if order := entries[name+"/byteorder"]; order != nil {
		text, err := content(r, order, size, int64(len("little")))
		if err != nil || string(text) != "little" {
			return nil, errors.Errorf("found the byte order %q (error: %v), expected little", text, err)
		}
	}
	pickle := entries[name+"/data.pkl"]
	at, err := position(pickle, size)
	if err != nil {
		return nil, err
	}
	c := &checkpoint{storages: map[string]*storage{}}
	length := int64(pickle.UncompressedSize64)
	root, err := newUnpickler(io.NewSectionReader(r, at, length), length, c.persistent).next()
	if err != nil {
		if entries[name+"/constants.pkl"] != nil {
			err = errors.WithMessage(err, "found a TorchScript program, expected a state dict")
		}
		return nil, errors.WithMessage(err, pickle.Name)
	}
	tensors, err := stateDict(root)
	if err != nil {
		return nil, errors.WithMessage(err, pickle.Name)
	}
	for _, s := range storagesOf(tensors) {
		entry := entries[name+"/data/"+s.key]
		if entry == nil {
			return nil, errors.Errorf("found no %s/data/%s, expected it to have a storage", name, s.key)
		}
		// The elements are compared first: their number in bytes may exceed an int64.
		if n := int64(entry.UncompressedSize64); n/s.dtype.size != s.elements {
			return nil, errors.Errorf("%s: found %d bytes, expected %d elements of %s", entry.Name, n, s.elements, s.dtype.name)
		}
		if s.data, err = content(r, entry, size, size); err != nil {
			return nil, errors.WithMessage(err, entry.Name)
		}
	}
	return tensors, nil
}

// entriesOf returns the entries by name, and the name of the folder that they are in. All
// are uncompressed and, together, no larger than the file: entries that overlap, of which
// a few bytes could make any number, are an error.
func entriesOf(archive *zip.Reader, size int64) (entries map[string]*zip.File, name string, err error) {
	entries = map[string]*zip.File{}
	left := uint64(size)
	for _, f := range archive.File {
		switch {
		case entries[f.Name] != nil:
			return nil, "", errors.Errorf("found %q twice, expected it once", f.Name)
		case f.Method != zip.Store || f.CompressedSize64 != f.UncompressedSize64 || f.Flags&1 != 0:
			return nil, "", errors.Errorf("%q: found a compressed or encrypted entry (method %d), expected the uncompressed ones of torch.save", f.Name, f.Method)
		case f.UncompressedSize64 > left:
			return nil, "", errors.Errorf("%q: found entries of more bytes than the file has, %d", f.Name, size)
		}
		left -= f.UncompressedSize64
		entries[f.Name] = f
		if folder, isPickle := strings.CutSuffix(f.Name, "/data.pkl"); isPickle && !strings.Contains(folder, "/") {
			if name != "" {
				return nil, "", errors.Errorf("found %s/data.pkl and %s, expected one of the two", name, f.Name)
			}
			name = folder
		}
	}
	if name == "" {
		return nil, "", errors.New("found a zip archive without NAME/data.pkl, expected what torch.save writes")
	}
	return entries, name, nil
}

// position returns where the bytes of an uncompressed entry begin. They are within the
// file.
func position(entry *zip.File, size int64) (int64, error) {
	at, err := entry.DataOffset()
	if err != nil {
		return 0, errors.Wrap(err, entry.Name)
	}
	if n := int64(entry.UncompressedSize64); at < 0 || at > size || n > size-at {
		return 0, errors.Errorf("%s: found %d bytes from byte %d on, expected them within the %d of the file", entry.Name, n, at, size)
	}
	return at, nil
}

// content reads an uncompressed entry of at most limit bytes.
func content(r io.ReaderAt, entry *zip.File, size, limit int64) ([]byte, error) {
	at, err := position(entry, size)
	if err != nil {
		return nil, err
	}
	if entry.UncompressedSize64 > uint64(limit) {
		return nil, errors.Errorf("found %d bytes, expected at most %d", entry.UncompressedSize64, limit)
	}
	return readAt(r, at, int64(entry.UncompressedSize64))
}

// readAt reads n bytes. The caller has compared n with the size of the file.
func readAt(r io.ReaderAt, at, n int64) ([]byte, error) {
	data := make([]byte, n)
	read, err := r.ReadAt(data, at)
	if int64(read) == n {
		err = nil
	}
	return data, errors.WithStack(err)
}

// The legacy format begins with this number, 0x1950a86a20f9469cfc6c, and this version.
const (
	legacyMagic   = hugeInteger("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")
	legacyVersion = int64(1001)
)

// readLegacy reads the format of PyTorch 0.1.10 to 1.5: pickles of the magic number, the
// version, the sizes of C's types, the object and the keys of the storages, and then for
// each key the number of elements, in 8 bytes, and the elements.
func readLegacy(r io.ReaderAt, size int64) ([]safetensors.Tensor, error) {
	c := &checkpoint{storages: map[string]*storage{}, legacy: true}
	u := newUnpickler(io.NewSectionReader(r, 0, size), size, nil)
	if magic, err := u.next(); err != nil || magic != any(legacyMagic) {
		return nil, errors.New("found a Python pickle of another program, expected what torch.save writes: in Python, torch.save(network.state_dict(), FILE)")
	}
	if version, err := u.next(); err != nil || version != any(legacyVersion) {
		return nil, errors.Errorf("found the version %s of PyTorch's legacy format (error: %v), expected %d", describe(version), err, legacyVersion)
	}
	system, err := u.next()
	if err != nil {
		return nil, errors.WithMessage(err, "description of the system")
	}
	if d, isDict := system.(*dict); !isDict || d.values["little_endian"] != any(true) {
		return nil, errors.Errorf("found a file of a system that is not little-endian, or %s instead of its description, expected little-endian", describe(system))
	}
	u.persistent = c.persistent
	root, err := u.next()
	if err != nil {
		return nil, errors.WithMessage(err, "object")
	}
	u.persistent = nil
	keys, err := u.next()
	if err != nil {
		return nil, errors.WithMessage(err, "keys of the storages")
	}
	tensors, err := stateDict(root)
	if err != nil {
		return nil, err
	}
	if err := c.readStorages(r, size, u.read, keys, storagesOf(tensors)); err != nil {
		return nil, err
	}
	return tensors, nil
}

// readStorages reads the storages of the legacy format that are wanted, and passes over
// the others. They follow each other from the byte at on.
func (c *checkpoint) readStorages(r io.ReaderAt, size, at int64, keys any, wanted []*storage) error {
	listed, isList := keys.(*list)
	if !isList {
		return errors.Errorf("found %s, expected a list of the keys of storages", describe(keys))
	}
	isWanted := map[*storage]bool{}
	for _, s := range wanted {
		isWanted[s] = true
	}
	for _, item := range listed.items {
		key, _ := item.(string)
		s := c.storages[key]
		if s == nil {
			return errors.Errorf("found a storage with %s as its key, to which no tensor refers", describe(item))
		}
		if size-at < 8 {
			return errors.Errorf("storage %q: found the end of the file at byte %d, expected the number of its elements", key, size)
		}
		head, err := readAt(r, at, 8)
		if err != nil {
			return errors.WithMessagef(err, "storage %q", key)
		}
		at += 8
		if n := int64(binary.LittleEndian.Uint64(head)); n != s.elements {
			return errors.Errorf("storage %q: found %d elements at byte %d, expected %d", key, n, at-8, s.elements)
		}
		if s.elements > (size-at)/s.dtype.size {
			return errors.Errorf("storage %q: found %d bytes from byte %d to the end of the file, expected %d elements of %s", key, size-at, at, s.elements, s.dtype.name)
		}
		n := s.elements * s.dtype.size
		if s.data == nil && isWanted[s] {
			if s.data, err = readAt(r, at, n); err != nil {
				return errors.WithMessagef(err, "storage %q", key)
			}
		}
		at += n
	}
	for _, s := range wanted {
		if s.data == nil {
			return errors.Errorf("found no storage %q, to which a tensor refers: the file is damaged", s.key)
		}
	}
	return nil
}

// storagesOf returns the storages that the tensors are parts of, each once.
func storagesOf(tensors []safetensors.Tensor) []*storage {
	var all []*storage
	known := map[*storage]bool{}
	for _, t := range tensors {
		if s := t.Data.(*view).storage.root(); !known[s] {
			known[s] = true
			all = append(all, s)
		}
	}
	return all
}

// wrappers are the keys under which a checkpoint of a training has the state dict.
var wrappers = []string{"state_dict", "model_state_dict", "model"}

// maxWrappers is how deep the state dict may be.
const maxWrappers = 4

// stateDict returns the tensors of a checkpoint, sorted by name. It is the dictionary
// itself, or the one under a key of wrappers, which may be wrapped again. Values that are
// no tensors, such as the number of an epoch, are passed over. The prefix "module.", by
// which torch.nn.DataParallel names a network, is removed if all names have it.
func stateDict(root any) ([]safetensors.Tensor, error) {
	found, err := unwrap(root, "", 0)
	if err != nil {
		return nil, err
	}
	var tensors []safetensors.Tensor
	prefixed := true
	for _, key := range found.keys {
		if v, isView := found.values[key].(*view); isView {
			tensors = append(tensors, safetensors.Tensor{Name: key, Shape: v.shape, Data: v})
			prefixed = prefixed && strings.HasPrefix(key, "module.")
		}
	}
	for i := range tensors {
		if prefixed {
			tensors[i].Name = strings.TrimPrefix(tensors[i].Name, "module.")
		}
	}
	slices.SortFunc(tensors, func(a, b safetensors.Tensor) int { return cmp.Compare(a.Name, b.Name) })
	return tensors, nil
}

// unwrap finds the dictionary with the tensors; path says where it is, for errors.
func unwrap(value any, path string, depth int) (*dict, error) {
	where := cmp.Or(path, "the file")
	d, isDict := value.(*dict)
	if !isDict {
		return nil, errors.Errorf("%s: found %s, expected a dictionary of tensors, a state dict", where, describe(value))
	}
	var inner []string
	for _, key := range wrappers {
		if _, isDict := d.values[key].(*dict); isDict {
			inner = append(inner, key)
		}
	}
	switch {
	case len(inner) > 1:
		return nil, errors.Errorf("%s: found dictionaries under %s, expected one of them: in Python, save the one that you mean with torch.save", where, strings.Join(inner, " and "))
	case len(inner) == 1 && depth == maxWrappers:
		return nil, errors.Errorf("%s: found a state dict within more than %d dictionaries", where, maxWrappers)
	case len(inner) == 1:
		return unwrap(d.values[inner[0]], strings.TrimPrefix(path+"."+inner[0], "."), depth+1)
	}
	for _, key := range d.keys {
		if _, isView := d.values[key].(*view); isView {
			return d, nil
		}
	}
	return nil, errors.Errorf("%s: found a dictionary with %s and no tensors, expected those of a state dict or a dictionary under %s", where, keysOf(d), strings.Join(wrappers, ", "))
}

// keysOf lists the first keys of a dictionary.
func keysOf(d *dict) string {
	const shown = 5
	switch {
	case len(d.keys) == 0:
		return "no keys"
	case len(d.keys) > shown:
		return fmt.Sprintf("the keys %q and %d others", d.keys[:shown], len(d.keys)-shown)
	}
	return fmt.Sprintf("the keys %q", d.keys)
}
