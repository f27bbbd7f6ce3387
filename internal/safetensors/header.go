package safetensors

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/pkg/errors"
)

// metadataName is the name in the header that is not that of a tensor.
const metadataName = "__metadata__"

// longestHeader is the reference implementation's limit, in bytes.
const longestHeader = 100_000_000

// entry describes one tensor in the header; the order of the fields is the
// reference implementation's.
type entry struct {
	name    string
	DType   string  `json:"dtype"`
	Shape   []int64 `json:"shape"`
	Offsets []int64 `json:"data_offsets"`
}

// encodeHeader writes the metadata, sorted by key, then the entries in their
// order, and pads with spaces to a multiple of 8 bytes.
func encodeHeader(metadata map[string]string, entries []entry) ([]byte, error) {
	var header bytes.Buffer
	encoder := json.NewEncoder(&header)
	encoder.SetEscapeHTML(false) // leave < > & readable
	member := func(key string, value any) error {
		if header.Len() > 1 {
			header.WriteByte(',')
		}
		if err := encoder.Encode(key); err != nil {
			return errors.WithStack(err)
		}
		header.Truncate(header.Len() - 1) // Encode ends with a newline
		header.WriteByte(':')
		err := encoder.Encode(value)
		header.Truncate(header.Len() - 1)
		return errors.WithStack(err)
	}

	header.WriteByte('{')
	if len(metadata) > 0 {
		if err := member(metadataName, metadata); err != nil {
			return nil, err
		}
	}
	for _, e := range entries {
		if err := member(e.name, e); err != nil {
			return nil, err
		}
	}
	header.WriteByte('}')
	for header.Len()%8 != 0 {
		header.WriteByte(' ')
	}
	if header.Len() > longestHeader {
		return nil, errors.Errorf("the header takes %d bytes, more than the format's %d", header.Len(), longestHeader)
	}
	return header.Bytes(), nil
}

// decodeHeader is encodeHeader's inverse; the entries come in the order of
// their offsets. It checks the header in itself, not against the file's size.
func decodeHeader(header []byte) (map[string]string, []entry, error) {
	if !utf8.Valid(header) {
		return nil, nil, errors.Wrap(ErrMalformed, "the header is not UTF-8")
	}
	if len(header) == 0 || header[0] != '{' {
		return nil, nil, errors.Wrap(ErrMalformed, "the header does not begin with {")
	}
	var metadata map[string]string
	var entries []entry
	decoder := json.NewDecoder(bytes.NewReader(header))
	err := object(decoder, func(name string) (err error) {
		if name == metadataName {
			metadata, err = decodeMetadata(decoder)
			return errors.Wrap(err, metadataName)
		}
		e, err := decodeEntry(decoder)
		if err != nil {
			return errors.Wrapf(err, "tensor %q", name)
		}
		e.name = name
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if rest := bytes.Trim(header[decoder.InputOffset():], " "); len(rest) > 0 {
		return nil, nil, errors.Wrapf(ErrMalformed, "the header continues after its object: %.20q", rest)
	}
	return metadata, entries, checkOffsets(entries)
}

// object reads a JSON object, calling member at each value. Unlike decoding
// into a map it returns an error for a duplicate name.
func object(decoder *json.Decoder, member func(name string) error) error {
	open, err := decoder.Token()
	if err != nil {
		return malformed(err)
	}
	if open != json.Delim('{') {
		return errors.Wrapf(ErrMalformed, "found %v where an object belongs", open)
	}
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return malformed(err)
		}
		name := token.(string) // the decoder accepts nothing else before a colon
		if seen[name] {
			return errors.Wrapf(ErrMalformed, "%q comes twice", name)
		}
		seen[name] = true
		if err := member(name); err != nil {
			return err
		}
	}
	_, err = decoder.Token()
	return malformed(err)
}

func decodeMetadata(decoder *json.Decoder) (map[string]string, error) {
	metadata := map[string]string{}
	return metadata, object(decoder, func(key string) error {
		var value *string // distinguishes null from ""
		if err := decoder.Decode(&value); err != nil {
			return malformed(err)
		}
		if value == nil {
			return errors.Wrapf(ErrMalformed, "%q is null, want a string", key)
		}
		metadata[key] = *value
		return nil
	})
}

func decodeEntry(decoder *json.Decoder) (e entry, err error) {
	fields := map[string]any{"dtype": &e.DType, "shape": &e.Shape, "data_offsets": &e.Offsets}
	err = object(decoder, func(name string) error {
		field, known := fields[name]
		if !known {
			return errors.Wrapf(ErrMalformed, "field %q is none of %q", name, slices.Sorted(maps.Keys(fields)))
		}
		return errors.Wrap(malformed(decoder.Decode(field)), name)
	})
	switch {
	case err != nil:
		return e, err
	case e.DType == "":
		return e, errors.Wrap(ErrMalformed, "it has no dtype")
	case e.Shape == nil:
		return e, errors.Wrap(ErrMalformed, "it has no shape")
	case len(e.Offsets) != 2:
		return e, errors.Wrapf(ErrMalformed, "data_offsets are %v, want [begin, end]", e.Offsets)
	}
	size, known := elementSize[e.DType]
	if !known {
		return e, errors.Errorf("dtype %.20q is not supported, only %q are", e.DType, slices.Sorted(maps.Keys(elementSize)))
	}
	elements, ok := count(append(e.Shape, size))
	if !ok {
		return e, errors.Wrapf(ErrMalformed, "shape %v is negative or too large", e.Shape)
	}
	if begin, end := e.Offsets[0], e.Offsets[1]; begin < 0 || end < begin || end-begin != elements {
		return e, errors.Wrapf(ErrMalformed, "data_offsets are %v, but a %s of shape %v takes %d bytes",
			e.Offsets, e.DType, e.Shape, elements)
	}
	return e, nil
}

// checkOffsets sorts the entries by their offsets and returns an error unless each begins
// where the one before it ends, so that every byte belongs to one tensor.
func checkOffsets(entries []entry) error {
	slices.SortFunc(entries, func(a, b entry) int { return slices.Compare(a.Offsets, b.Offsets) })
	var end int64
	for _, e := range entries {
		if e.Offsets[0] != end {
			return errors.Wrapf(ErrMalformed, "tensor %q begins at byte %d where %d was expected: an overlap or a hole",
				e.name, e.Offsets[0], end)
		}
		end = e.Offsets[1]
	}
	return nil
}

// malformed marks an error of the JSON decoder as ErrMalformed.
func malformed(err error) error {
	if err == nil {
		return nil
	}
	return errors.Wrap(ErrMalformed, err.Error())
}
