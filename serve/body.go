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

// field describes a field that a body may have, as a part of a form or as a key of a
// JSON object, in which an image is a file in base64.
type field struct {
	name              string
	kind              fieldKind
	several, optional bool
}

type fieldKind int

const (
	imageField fieldKind = iota
	textField
	numberField   // an integer
	fractionField // a number between 0 and 1
)

// maxText is the maximum length in bytes of a field that is not an image.
const maxText = 1024

// body holds the image files and the texts of a request by field.
type body struct {
	images map[string][][]byte
	texts  map[string]string
}

// number returns the value of an integer field, or its default.
func (b body) number(name string, missing int) (int, error) {
	text, found := b.texts[name]
	if !found {
		return missing, nil
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		return 0, refuse(http.StatusBadRequest, "%s: found %q, expected an integer", name, text)
	}
	return number, nil
}

// fraction returns the value of an optional field between 0 and 1, exclusively, and whether
// there is one.
func (b body) fraction(name string) (value float64, found bool, err error) {
	text, found := b.texts[name]
	if !found {
		return 0, false, nil
	}
	value, err = strconv.ParseFloat(text, 64)
	if err != nil || !(value > 0 && value < 1) {
		return 0, true, refuse(http.StatusBadRequest, "%s: found %q, expected a number between 0 and 1", name, shortened(text))
	}
	return value, true, nil
}

// readBody reads the fields of a route within the server's limits.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, fields []field) (body, error) {
	if recorder, ok := w.(*recorder); ok {
		w = recorder.ResponseWriter // which can close the connection if the body is too long
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
	// net/http detects that a client disconnects only after the body has been read completely.
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return body{}, malformed(err)
	}
	return reading.body, reading.missing()
}

// malformed returns the answer to a body that cannot be parsed. Errors with other
// causes, such as a timeout, are returned unchanged.
func malformed(err error) error {
	var long *http.MaxBytesError
	if errors.As(err, &long) || errors.Is(err, errMemory) || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return refuse(http.StatusBadRequest, "body: %v", err)
}

// bodyReader collects the fields of a body.
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

// countImage returns an error if the next image would be one too many.
func (b *bodyReader) countImage() error {
	if b.images++; b.images > b.maxImages {
		return refuse(http.StatusRequestEntityTooLarge, "body: found more images than the maximum of %d", b.maxImages)
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
		return refuse(http.StatusBadRequest, "%s: found the field twice, expected it once", f.name)
	}
	if len(text) > maxText {
		return refuse(http.StatusBadRequest, "%s: found more bytes than the maximum of %d", f.name, maxText)
	}
	b.body.texts[f.name] = text
	return nil
}

// missing returns an error if a required field is missing.
func (b *bodyReader) missing() error {
	for _, f := range b.fields {
		_, text := b.body.texts[f.name]
		if !f.optional && !text && len(b.body.images[f.name]) == 0 {
			return refuse(http.StatusBadRequest, "%s: found none, expected %s", f.name, f.expected())
		}
	}
	return nil
}

// trimmed removes the white space around a number of a form. Texts are not changed,
// because white space may be part of the name of a class.
func (f field) trimmed(text string) string {
	if f.kind == numberField || f.kind == fractionField {
		return strings.TrimSpace(text)
	}
	return text
}

func (f field) expected() string {
	switch {
	case f.kind == imageField && f.several:
		return "at least one image"
	case f.kind == imageField:
		return "an image"
	case f.kind == numberField:
		return "an integer"
	case f.kind == fractionField:
		return "a number between 0 and 1"
	}
	return "a text"
}

// shortened limits the length of text from a client that an error quotes.
func shortened(text string) string {
	const maxLength = 40
	if len(text) > maxLength {
		return text[:maxLength] + "…"
	}
	return text
}

// form reads multipart/form-data (RFC 7578) part by part, without temporary files.
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

// part reads one field. The file name that the client sends is ignored.
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
	if err := b.countImage(); err != nil {
		return err
	}
	content, err := io.ReadAll(part) // limited by the size of the body
	if err != nil {
		return malformed(err)
	}
	return b.addImage(f, content)
}

// json reads a JSON object whose keys are fields. An image is a string in base64
// (RFC 4648, section 4) or, in a field of several images, also a list of strings.
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
	for _, f := range b.fields { // in a fixed order, so that errors are deterministic
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
		err = errors.New("found data after the JSON object")
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
	case f.kind == numberField || f.kind == fractionField:
		return b.addText(f, string(value))
	}
	texts := make([]string, 1)
	if f.several && bytes.HasPrefix(value, []byte("[")) {
		texts = nil
		if err := json.Unmarshal(value, &texts); err != nil {
			return refuse(http.StatusBadRequest, "%s: found a list with other values, expected strings in base64", f.name)
		}
	} else if err := json.Unmarshal(value, &texts[0]); err != nil {
		return refuse(http.StatusBadRequest, "%s: found %s, expected an image in base64", f.name, shortened(string(value)))
	}
	for _, text := range texts {
		if err := b.countImage(); err != nil {
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
