package serve

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"

	"github.com/pkg/errors"
)

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
