// Package strict reads TOML and refuses what it does not know: a mistyped key
// is an error that names the nearest known one, never a setting left out.
package strict

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// Decode reads the text into the struct that value points to; source names
// the file in errors. Texts of more than 256 KiB, values of more than 32 levels and
// keys of more than 16 parts are errors.
func Decode(text, source string, value interface{}) error {
	if err := check(text); err != nil {
		return errors.Wrap(err, source)
	}
	meta, err := toml.Decode(text, value)
	if err != nil {
		var parse toml.ParseError
		if errors.As(err, &parse) {
			return errors.Errorf("%s: line %d: %s", source, parse.Position.Line, parse.Message)
		}
		return errors.Wrap(err, source)
	}
	if undecoded := meta.Undecoded(); len(undecoded) > 0 {
		return errors.Wrapf(unknown(reflect.TypeOf(value), undecoded[0]), "%s: %s", source, undecoded[0])
	}
	for _, key := range meta.Keys() {
		if err := misspelt(reflect.TypeOf(value), key); err != nil {
			return errors.Wrapf(err, "%s: %s", source, key)
		}
	}
	return nil
}

// misspelt refuses a key that has other capitals than the table's, which the decoder
// takes for it: two of them would be one, and nobody else knows them.
func misspelt(table reflect.Type, key toml.Key) error {
	for _, part := range key {
		known := map[string]reflect.Type{}
		collect(table, known)
		if len(known) == 0 {
			return nil // a table that takes any key
		}
		if known[part] == nil {
			return wording.Unknown("key", part, slices.Sorted(maps.Keys(known)))
		}
		table = known[part]
	}
	return nil
}

// unknown names the part of a key that its table does not have, and what that
// table has.
func unknown(table reflect.Type, key toml.Key) error {
	for _, part := range key {
		known := map[string]reflect.Type{}
		collect(table, known)
		if known[part] == nil {
			return wording.Unknown("key", part, slices.Sorted(maps.Keys(known)))
		}
		table = known[part]
	}
	return errors.New("a key that takes no value")
}

// collect gathers the keys of a struct, or of the structs in a list.
func collect(t reflect.Type, known map[string]reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return
	}
	for i := range t.NumField() {
		field := t.Field(i)
		key, _, _ := strings.Cut(field.Tag.Get("toml"), ",")
		if key == "" {
			key = strings.ToLower(field.Name)
		}
		switch {
		case field.Anonymous:
			collect(field.Type, known)
		case key != "-" && field.IsExported():
			known[key] = field.Type
		}
	}
}

// Reading TOML takes time and memory by the square of how deep keys and values lie,
// so both are bounded before it is read, and the text is, too.
const (
	mostBytes  = 1 << 18 // of a text
	mostNested = 32      // arrays and tables, one within the other, in one value
	mostParts  = 16      // of a key, a.b.c having three
)

// check says whether the text is within the limits. It is no parser: of a text that
// is no TOML it may say anything but that it is long or deep where it is not.
func check(text string) error {
	if len(text) > mostBytes {
		return errors.Errorf("found %d bytes, expected at most %d", len(text), mostBytes)
	}
	// The decoder takes some of what is not text for an empty file.
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
			// A value may go on in the next line, but a key does not.
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
		case nested > mostNested:
			return errors.Errorf("line %d: found arrays and tables one within the other, expected at most %d levels", line, mostNested)
		case dots >= mostParts:
			return errors.Errorf("line %d: found a key of more than %d parts", line, mostParts)
		}
		text = text[skipped:]
	}
	return nil
}

// quoted is the length of the string that a text begins with, to the end of the text
// if it has none.
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
			return at // no string of one line goes on here
		}
	}
	return len(text)
}

// to is where a text goes on with a mark, or ends.
func to(text, mark string) int {
	if at := strings.Index(text, mark); at >= 0 {
		return at
	}
	return len(text)
}
