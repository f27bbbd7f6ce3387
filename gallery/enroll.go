package gallery

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"image"
	"math"
	"path/filepath"
	"time"
	"unicode/utf8"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/pkg/errors"
)

// Enroll adds example images to a class, which is created with its first example. When it
// returns without an error, all examples are on disk; if it returns an error, none is
// added. An image that is enrolled twice is two examples.
func (g *Gallery) Enroll(class string, images ...image.Image) error {
	return g.wrap(g.enroll(class, images), "enroll")
}

func (g *Gallery) enroll(class string, images []image.Image) error {
	if len(images) == 0 {
		return errors.Errorf("class %q: found no images", class)
	}
	if err := g.Request(context.Background(), "").checkClass(class); err != nil {
		return err
	}
	embeddings, err := g.embed(images)
	if err != nil {
		return errors.Wrapf(err, "class %q", class)
	}
	_, err = g.Request(context.Background(), "").enroll(class, embeddings)
	return err
}

// EnrollFiles is Enroll for image files, whose paths are stored as the examples' sources.
// When the context ends, it returns its error and enrolls nothing. With Options.SkipBroken it
// enrolls the files that can be read, and it is an error if none can.
func (g *Gallery) EnrollFiles(ctx context.Context, class string, paths ...string) error {
	if len(paths) == 0 {
		return g.wrap(errors.Errorf("class %q: found no images", class), "enroll")
	}
	files := make([]classFile, len(paths))
	for i, path := range paths {
		files[i] = classFile{class, path}
	}
	_, err := g.enrollFiles(ctx, files)
	return g.wrap(err, "enroll")
}

// EnrollFolder enrolls the images in the subfolders of a folder. The class of an image is
// the path of its subfolder, such as "Greek/alpha". Hidden files and files that are not
// images are skipped; see imaging.Find. It is an error if an image is in the folder itself or,
// without Options.SkipBroken, cannot be read; then none is enrolled.
func (g *Gallery) EnrollFolder(ctx context.Context, path string) (classes, examples int, err error) {
	found, err := imaging.Find(path)
	if errors.Is(err, imaging.ErrNoImages) {
		err = errors.WithMessage(err, "expected a subfolder of images for each class")
	}
	if err != nil {
		return 0, 0, g.wrap(err, "enroll folder "+path)
	}
	return g.EnrollFound(ctx, path, found)
}

// EnrollFound is EnrollFolder with the images that imaging.Find has found in the folder.
func (g *Gallery) EnrollFound(ctx context.Context, path string, found imaging.Found) (classes, examples int, err error) {
	files, err := classFiles(path, found.Files)
	if err == nil {
		files, err = g.enrollFiles(ctx, files)
	}
	if err != nil {
		return 0, 0, g.wrap(err, "enroll folder "+path)
	}
	names := map[string]bool{}
	for _, file := range files {
		names[file.class] = true
	}
	return len(names), len(files), nil
}

// classFile is an image file and its class.
type classFile struct{ class, path string }

// classFiles returns the files with the class of each, the path of its folder.
func classFiles(folder string, paths []string) (files []classFile, err error) {
	for _, path := range paths {
		class, err := filepath.Rel(folder, filepath.Dir(path))
		if err != nil {
			return nil, errors.WithStack(err)
		}
		if class == "." {
			return nil, errors.Errorf("found the image %s in the folder itself, expected images in subfolders named after their classes", path)
		}
		files = append(files, classFile{filepath.ToSlash(class), path})
	}
	return files, nil
}

// enrollFiles embeds the images and enrolls all of them or none, or with Options.SkipBroken
// those that can be read, which it returns.
func (g *Gallery) enrollFiles(ctx context.Context, files []classFile) ([]classFile, error) {
	if ctx == nil {
		return nil, errNoContext
	}
	for _, file := range files { // before any image is decoded
		if err := g.Request(ctx, "").checkClass(file.class); err != nil {
			return nil, errors.WithMessagef(err, "image %q", file.path)
		}
	}
	if !g.isOpen() {
		return nil, errNotOpened
	}
	if len(files) == 0 {
		return nil, nil
	}
	paths := make([]string, len(files))
	for i, file := range files {
		paths[i] = file.path
	}
	collection, err := retrieval.Embed(ctx, g.model, paths, retrieval.Options{Cache: g.options.Cache, OnProgress: g.options.progress, SkipBroken: g.options.SkipBroken})
	if ctx.Err() != nil {
		return nil, errors.Wrap(ctx.Err(), "no image was enrolled")
	}
	if err != nil {
		return nil, err
	}
	g.cached.Add(int64(collection.Cached))
	records := make([]record, 0, len(collection.Files))
	enrolled := make([]classFile, 0, len(collection.Files))
	for _, file := range files { // those that were skipped are missing in the collection
		if i := len(records); i < len(collection.Files) && collection.Files[i] == file.path {
			records = append(records, record{class: file.class, example: Example{Source: file.path}, embedding: collection.Embeddings.Row(i)})
			enrolled = append(enrolled, file)
		}
	}
	if _, err := g.Request(ctx, "").add(records); err != nil {
		return nil, err
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.skipped = append(g.skipped, collection.Skipped...)
	return enrolled, nil
}

// Example is an image that was enrolled.
type Example struct {
	Source string    // path of its file; empty if it was not enrolled from a file
	Time   time.Time // time of its enrollment, in UTC
}

// record is an example with its class and embedding, as it is stored in the file.
type record struct {
	id        uint64 // unique, in the order of enrollment
	class     string
	example   Example
	embedding []float32
}

// about is the JSON part of a record. SourceBytes is the source if that is not UTF-8; in
// that case Source has replacement characters.
type about struct {
	Class       string    `json:"class"`
	Source      string    `json:"source,omitempty"`
	SourceBytes []byte    `json:"source_bytes,omitempty"`
	Time        time.Time `json:"time"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode encodes a record: the length of the JSON text as a 32-bit integer, the text, the
// embedding as float32, and the CRC-32C of all of these, little-endian.
func (r record) encode() ([]byte, error) {
	text, err := json.Marshal(about{Class: r.class, Source: r.example.Source, SourceBytes: bytesOf(r.example.Source), Time: r.example.Time})
	if err != nil {
		return nil, err
	}
	value := binary.LittleEndian.AppendUint32(nil, uint32(len(text)))
	value = append(value, text...)
	for _, x := range r.embedding {
		value = binary.LittleEndian.AppendUint32(value, math.Float32bits(x))
	}
	return binary.LittleEndian.AppendUint32(value, crc32.Checksum(value, castagnoli)), nil
}

// decode decodes a record that encode encoded. The result does not share memory with the value. The
// embedding is appended to the given one, and the class shares the memory of the given one if they
// are equal, as those of consecutive examples often are.
func decode(id uint64, value []byte, class string, embedding []float32) (record, error) {
	const word = 4
	if len(value) < 2*word {
		return record{}, errors.Wrapf(ErrDamaged, "example %d has %d bytes", id, len(value))
	}
	body, sum := value[:len(value)-word], binary.LittleEndian.Uint32(value[len(value)-word:])
	if found := crc32.Checksum(body, castagnoli); found != sum {
		return record{}, errors.Wrapf(ErrDamaged, "example %d has the checksum %08x, expected %08x", id, found, sum)
	}
	length := int64(binary.LittleEndian.Uint32(body))
	body = body[word:]
	if length > int64(len(body)) || (int64(len(body))-length)%word != 0 {
		return record{}, errors.Wrapf(ErrDamaged, "example %d: a text of %d bytes among %d", id, length, len(body))
	}
	a, err := parseAbout(body[:length], class)
	if err != nil {
		return record{}, errors.Wrapf(ErrDamaged, "example %d: %v", id, err)
	}
	r := record{id: id, class: a.Class, example: Example{textOf(a.Source, a.SourceBytes), a.Time}, embedding: embedding}
	for numbers := body[length:]; len(numbers) > 0; numbers = numbers[word:] {
		r.embedding = append(r.embedding, math.Float32frombits(binary.LittleEndian.Uint32(numbers)))
	}
	if r.class == "" { // any other name may be older than the rules for names
		return record{}, errors.Wrapf(ErrDamaged, "example %d has no class", id)
	}
	return r, nil
}

// parseAbout is json.Unmarshal, which it calls unless the text is written as encode writes it and has
// no character that JSON escapes. The class may share the memory of the given one.
func parseAbout(text []byte, class string) (a about, err error) {
	rest, ok := bytes.CutPrefix(text, []byte(`{"class":"`))
	name, rest, found := cutPlain(rest)
	ok = ok && found
	if named, has := bytes.CutPrefix(rest, []byte(`,"source":"`)); ok && has {
		var source []byte
		if source, rest, ok = cutPlain(named); ok {
			a.Source = string(source)
		}
	}
	stamp, found := bytes.CutPrefix(rest, []byte(`,"time":`))
	stamp, closed := bytes.CutSuffix(stamp, []byte(`}`))
	if ok && found && closed && len(stamp) > 2 && stamp[0] == '"' && bytes.IndexByte(stamp[1:], '"') == len(stamp)-2 && bytes.IndexByte(stamp, '\\') < 0 {
		if a.Class = class; class != string(name) {
			a.Class = string(name)
		}
		if err := a.Time.UnmarshalJSON(stamp); err == nil {
			return a, nil
		}
	}
	a = about{}
	return a, json.Unmarshal(text, &a)
}

// cutPlain returns the text before the next quotation mark, and what follows. It must consist of
// printable ASCII without a backslash, which JSON texts have as they are.
func cutPlain(text []byte) (plain, rest []byte, ok bool) {
	for i, c := range text {
		switch {
		case c == '"':
			return text[:i], text[i+1:], true
		case c < ' ' || c > '~' || c == '\\':
			return nil, nil, false
		}
	}
	return nil, nil, false
}

// bytesOf returns the bytes of a text that is not UTF-8, such as some paths, because
// encoding/json replaces invalid bytes in strings; nil for other texts.
func bytesOf(s string) []byte {
	if utf8.ValidString(s) {
		return nil
	}
	return []byte(s)
}

// textOf is the inverse of bytesOf.
func textOf(text string, bytes []byte) string {
	if len(bytes) > 0 {
		return string(bytes)
	}
	return text
}
