// Package strict reads TOML and refuses what it does not know: a mistyped key
// is an error that names the nearest known one, never a setting left out.
package strict

import (
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/likeness-go/likeness/internal/nearest"
	"github.com/pkg/errors"
)

// Decode reads the text into the struct that value points to; source names
// the file in errors.
func Decode(text, source string, value interface{}) error {
	meta, err := toml.Decode(text, value)
	if err != nil {
		var parse toml.ParseError
		if errors.As(err, &parse) {
			return errors.Errorf("%s: line %d: %s", source, parse.Position.Line, parse.Message)
		}
		return errors.Wrap(err, source)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		key := unknown[0]
		known := map[string]bool{}
		collect(reflect.TypeOf(value), known)
		names := make([]string, 0, len(known))
		for name := range known {
			names = append(names, name)
		}
		slices.Sort(names)
		return errors.Wrapf(nearest.Unknown("key", key[len(key)-1], names), "%s: %s", source, key)
	}
	return nil
}

// collect gathers the keys of a struct and of the structs in it.
func collect(t reflect.Type, known map[string]bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
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
		if key == "-" || known[key] || !field.IsExported() {
			continue
		}
		if !field.Anonymous {
			known[key] = true
		}
		collect(field.Type, known)
	}
}
