package serve

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// field is what a body may hold under a name: in a form, or in JSON, where an image
// is its file in base64.
type field struct {
	name              string
	kind              fieldKind
	several, optional bool
}

type fieldKind int

const (
	imageField fieldKind = iota
	textField
	numberField // a whole one
)

// maxText is how many bytes a field has that is no image.
const maxText = 1024

// body is what a request says: files as they came, and texts, by their fields.
type body struct {
	images map[string][][]byte
	texts  map[string]string
}

// number is a field's, or the one that it usually is.
func (b body) number(name string, usual int) (int, error) {
	text, found := b.texts[name]
	if !found {
		return usual, nil
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		return 0, refuse(http.StatusBadRequest, "%s: found %q, expected a whole number", name, text)
	}
	return number, nil
}

// readBody reads the fields that a route has, within the server's bounds.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, fields []field) (body, error) {
	if recorder, ok := w.(*recorder); ok {
		w = recorder.ResponseWriter // which can close the connection of a body that is too long
	}
	r.Body = http.MaxBytesReader(w, r.Body, s.options.MaxBodyBytes)
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	reading := &bodyReader{fields: fields, maxImages: s.options.MaxImages, body: body{images: map[string][][]byte{}, texts: map[string]string{}}}
	switch kind {
	case "multipart/form-data":
		err = reading.form(r)
	case "application/json":
		err = reading.json(r.Body)
	default:
		return body{}, refuse(http.StatusUnsupportedMediaType, "Content-Type: found %q, expected multipart/form-data or application/json", r.Header.Get("Content-Type"))
	}
	if err != nil {
		return body{}, err
	}
	// net/http notices that a client goes only when the body has been read to its end.
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return body{}, malformed(err)
	}
	return reading.body, reading.missing()
}

// malformed is what is told of a body that cannot be read. What is not the fault of
// its form stays what it is.
func malformed(err error) error {
	var long *http.MaxBytesError
	if errors.As(err, &long) || errors.Is(err, errCrowded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return refuse(http.StatusBadRequest, "body: %v", err)
}

// bodyReader takes fields as they come.
type bodyReader struct {
	fields    []field
	maxImages int
	images    int
	body      body
}

func (b *bodyReader) find(name string) (field, error) {
	names := make([]string, len(b.fields))
	for i, f := range b.fields {
		if f.name == name {
			return f, nil
		}
		names[i] = f.name
	}
	return field{}, refuse(http.StatusBadRequest, "body: %v", wording.Unknown("field", shortened(name), names))
}

// room says whether one more image may come.
func (b *bodyReader) room() error {
	if b.images++; b.images > b.maxImages {
		return refuse(http.StatusRequestEntityTooLarge, "body: found more than %d images, which is the most that is taken", b.maxImages)
	}
	return nil
}

func (b *bodyReader) addImage(f field, content []byte) error {
	if !f.several && len(b.body.images[f.name]) > 0 {
		return refuse(http.StatusBadRequest, "%s: found several images, expected one", f.name)
	}
	if len(content) == 0 {
		return refuse(http.StatusBadRequest, "%s: found an empty file, expected an image", f.name)
	}
	b.body.images[f.name] = append(b.body.images[f.name], content)
	return nil
}

func (b *bodyReader) addText(f field, text string) error {
	if _, found := b.body.texts[f.name]; found {
		return refuse(http.StatusBadRequest, "%s: found it twice, expected it once", f.name)
	}
	if len(text) > maxText {
		return refuse(http.StatusBadRequest, "%s: found more than %d bytes, which is the most that is taken", f.name, maxText)
	}
	b.body.texts[f.name] = text
	return nil
}

// missing says which field is needed and not there.
func (b *bodyReader) missing() error {
	for _, f := range b.fields {
		_, text := b.body.texts[f.name]
		if !f.optional && !text && len(b.body.images[f.name]) == 0 {
			return refuse(http.StatusBadRequest, "%s: found none, expected %s", f.name, f.expected())
		}
	}
	return nil
}

// trimmed is a text of a form without the white space around a number. A text is taken
// as it is: a class of another name is another class.
func (f field) trimmed(text string) string {
	if f.kind == numberField {
		return strings.TrimSpace(text)
	}
	return text
}

func (f field) expected() string {
	switch {
	case f.kind == imageField && f.several:
		return "an image or more"
	case f.kind == imageField:
		return "an image"
	case f.kind == numberField:
		return "a whole number"
	}
	return "a text"
}

// shortened is what came from a client as an error may quote it.
func shortened(text string) string {
	const most = 40
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// form reads multipart/form-data (RFC 7578), part by part and never to a disk.
func (b *bodyReader) form(r *http.Request) error {
	reader, err := r.MultipartReader()
	if err != nil {
		return malformed(err)
	}
	for {
		part, err := reader.NextPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return malformed(err)
		}
		if err := b.part(part); err != nil {
			return err
		}
	}
}

// part reads one field. The file's name, which is the client's, is not looked at.
func (b *bodyReader) part(part *multipart.Part) error {
	f, err := b.find(part.FormName())
	if err != nil {
		return err
	}
	if f.kind != imageField {
		text, err := io.ReadAll(io.LimitReader(part, maxText+1))
		if err != nil {
			return malformed(err)
		}
		return b.addText(f, f.trimmed(string(text)))
	}
	if err := b.room(); err != nil {
		return err
	}
	content, err := io.ReadAll(part) // bounded by the body
	if err != nil {
		return malformed(err)
	}
	return b.addImage(f, content)
}

// json reads an object of the fields. An image is a text in base64 (RFC 4648,
// section 4) or, where there may be several, also a list of them.
func (b *bodyReader) json(r io.Reader) error {
	decoder := json.NewDecoder(r)
	var object map[string]json.RawMessage
	if err := decoder.Decode(&object); err != nil {
		return malformed(errors.WithMessage(err, "found no JSON object"))
	}
	if _, err := decoder.Token(); err != io.EOF {
		return malformedAfter(err)
	}
	for name := range object {
		if _, err := b.find(name); err != nil {
			return err
		}
	}
	for _, f := range b.fields { // in their order, so that errors do not depend on chance
		value, found := object[f.name]
		if !found || string(value) == "null" {
			continue
		}
		if err := b.value(f, value); err != nil {
			return err
		}
	}
	return nil
}

func malformedAfter(err error) error {
	if err == nil {
		err = errors.New("found something after the JSON object")
	}
	return malformed(err)
}

func (b *bodyReader) value(f field, value json.RawMessage) error {
	switch {
	case f.kind == textField:
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return refuse(http.StatusBadRequest, "%s: found %s, expected a text", f.name, shortened(string(value)))
		}
		return b.addText(f, text)
	case f.kind == numberField:
		return b.addText(f, string(value))
	}
	texts := make([]string, 1)
	if f.several && bytes.HasPrefix(value, []byte("[")) {
		texts = nil
		if err := json.Unmarshal(value, &texts); err != nil {
			return refuse(http.StatusBadRequest, "%s: found a list of other things, expected images in base64", f.name)
		}
	} else if err := json.Unmarshal(value, &texts[0]); err != nil {
		return refuse(http.StatusBadRequest, "%s: found %s, expected an image in base64", f.name, shortened(string(value)))
	}
	for _, text := range texts {
		if err := b.room(); err != nil {
			return err
		}
		content, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return refuse(http.StatusBadRequest, "%s: found %q, expected base64: %v", f.name, shortened(text), err)
		}
		if err := b.addImage(f, content); err != nil {
			return err
		}
	}
	return nil
}
