// Package strict reads TOML and refuses what it does not know: a mistyped key
// is an error that names the nearest known one, never a setting left out.
package strict

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/likeness-go/likeness/internal/nearest"
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
			return nearest.Unknown("key", part, slices.Sorted(maps.Keys(known)))
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
			return nearest.Unknown("key", part, slices.Sorted(maps.Keys(known)))
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
