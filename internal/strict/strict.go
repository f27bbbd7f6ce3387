// Package strict reads TOML without ignoring unknown keys: a mistyped key is an error
// that names the nearest known key.
package strict

import (
	"cmp"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// Decode reads the text into the struct that value points to; source names
// the file in errors. Texts of more than 256 KiB, values of more than 32 levels and
// keys of more than 16 parts are errors. A field with the tag former, such as
// `toml:"rate" former:"learning_rate"`, is read, but not suggested for unknown keys.
func Decode(text, source string, value interface{}) error {
	if err := check(text); err != nil {
		return errors.Wrap(err, source)
	}
	meta, err := toml.Decode(text, value)
	if err != nil {
		var parse toml.ParseError
		if errors.As(err, &parse) {
			return errors.Errorf("%s: line %d: %s", source, parse.Position.Line, typesOf(parse.Message))
		}
		return errors.Errorf("%s: %s", source, typesOf(err.Error()))
	}
	if undecoded := meta.Undecoded(); len(undecoded) > 0 {
		return errors.Wrapf(unknown(reflect.TypeOf(value), undecoded[0]), "%s: %s", source, undecoded[0])
	}
	for _, key := range meta.Keys() {
		if err := misspelled(reflect.TypeOf(value), key); err != nil {
			return errors.Wrapf(err, "%s: %s", source, key)
		}
	}
	return nil
}

// kinds are what the decoder calls the types of values, and what users call them.
var kinds = map[string]string{
	"string": "a text", "integer": "a whole number", "int64": "a whole number", "float": "a number", "float64": "a number",
	"boolean": "true or false", "bool": "true or false", "[]any": "a list", "slice": "a list", "map[string]any": "a table", "map": "a table", "struct": "a table",
}

// incompatible is how the decoder says that a value has another type than its key.
var incompatible = regexp.MustCompile(`incompatible types: TOML value has type (\S+); destination has type (\S+)`)

// typesOf replaces that message by one with the names of types that users know.
func typesOf(message string) string {
	return incompatible.ReplaceAllStringFunc(message, func(part string) string {
		types := incompatible.FindStringSubmatch(part)
		return "found " + cmp.Or(kinds[types[1]], types[1]) + ", expected " + cmp.Or(kinds[types[2]], types[2])
	})
}

// misspelled returns an error for a key whose letters differ in case from those of the
// table, which the decoder accepts: two such keys would set one field, and other
// programs do not know them.
func misspelled(table reflect.Type, key toml.Key) error {
	for _, part := range key {
		known := keysOf(table)
		if len(known) == 0 {
			return nil // a table that takes any key
		}
		field, found := known[part]
		if !found {
			return suggest(part, known)
		}
		table = field.Type
	}
	return nil
}

// unknown is the error that names the first unknown part of a key and the keys of its
// table.
func unknown(table reflect.Type, key toml.Key) error {
	for _, part := range key {
		known := keysOf(table)
		field, found := known[part]
		if !found {
			return suggest(part, known)
		}
		table = field.Type
	}
	return errors.New("a key that takes no value")
}

// suggest is the error of a key that is not among those known, of which former names
// are not suggested.
func suggest(key string, known map[string]reflect.StructField) error {
	var names []string
	for name, field := range known {
		if field.Tag.Get("former") == "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return wording.Unknown("key", key, names)
}

// keysOf are the fields of a struct, or of the structs in a list, by their keys.
func keysOf(t reflect.Type) map[string]reflect.StructField {
	known := map[string]reflect.StructField{}
	collect(t, known)
	return known
}

// collect collects the keys of a struct, or of the structs in a list.
func collect(t reflect.Type, known map[string]reflect.StructField) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return
	}
	for field := range t.Fields() {
		key, _, _ := strings.Cut(field.Tag.Get("toml"), ",")
		if key == "" {
			key = strings.ToLower(field.Name)
		}
		switch {
		case field.Anonymous:
			collect(field.Type, known)
		case key != "-" && field.IsExported():
			known[key] = field
		}
	}
}

// The decoder needs time and memory in proportion to the square of the depth of keys and
// values, so their depth and the length of the text are checked first.
const (
	maxBytes  = 1 << 18 // of a text
	maxNested = 32      // nested arrays and tables of one value
	maxParts  = 16      // of a key, a.b.c having three
)

// check returns an error if the text exceeds the limits. It is not a parser: for a text
// that is not TOML it may find any error, but no limit exceeded that is not.
func check(text string) error {
	if len(text) > maxBytes {
		return errors.Errorf("found %d bytes, expected at most %d", len(text), maxBytes)
	}
	// The decoder accepts some binary files as empty.
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		if r == 0 || r == utf8.RuneError && size == 1 {
			return errors.Errorf("line %d: found the byte %#x, expected text in UTF-8", 1+strings.Count(text[:at], "\n"), text[at])
		}
		at += size
	}
	line, nested, dots := 1, 0, 0
	for len(text) > 0 {
		skipped := 1
		switch c := text[0]; c {
		case '\n':
			// A value may continue in the next line, but not a key.
			line, dots = line+1, 0
		case '#':
			skipped = to(text, "\n")
		case '"', '\'':
			skipped = quoted(text)
			line += strings.Count(text[:skipped], "\n")
		case '[', '{':
			nested++
		case ']', '}':
			nested = max(nested-1, 0)
		case '=', ',':
			dots = 0
		case '.':
			dots++
		}
		switch {
		case nested > maxNested:
			return errors.Errorf("line %d: found arrays and tables one within the other, expected at most %d levels", line, maxNested)
		case dots >= maxParts:
			return errors.Errorf("line %d: found a key of more than %d parts", line, maxParts)
		}
		text = text[skipped:]
	}
	return nil
}

// quoted returns the length of the string at the beginning of a text, or that of the
// text if the string does not end.
func quoted(text string) int {
	quote := text[:1]
	if long := strings.Repeat(quote, 3); strings.HasPrefix(text, long) {
		quote = long
	}
	for at := len(quote); at < len(text); at++ {
		switch {
		case text[at] == '\\' && quote[0] == '"':
			at++
		case strings.HasPrefix(text[at:], quote):
			return at + len(quote)
		case text[at] == '\n' && len(quote) == 1:
			return at // a string of one line ends here
		}
	}
	return len(text)
}

// to returns the position of a mark in a text, or its end.
func to(text, mark string) int {
	if at := strings.Index(text, mark); at >= 0 {
		return at
	}
	return len(text)
}
