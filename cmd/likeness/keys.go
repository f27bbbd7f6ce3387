package main

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/likeness-go/likeness/solver"
)

// keys are all keys, in the order of the settings.
func keys() []string {
	var keys []string
	for field := range reflect.TypeFor[Settings]().Fields() {
		keys = append(keys, keyOf(field))
	}
	return keys
}

func keyOf(field reflect.StructField) string {
	key, _, _ := strings.Cut(field.Tag.Get("toml"), ",")
	return key
}

// field finds the setting of a key.
func (s *Settings) field(key string) reflect.Value {
	i, known := places[key]
	if !known {
		panic("no setting is called " + key)
	}
	return reflect.ValueOf(s).Elem().Field(i)
}

// places are the indices of the settings' fields by their keys.
var places = func() map[string]int {
	places := map[string]int{}
	for i, key := range keys() {
		places[key] = i
	}
	return places
}()

func (s Settings) value(key string) interface{} { return s.field(key).Interface() }

func (s *Settings) set(key string, from Settings) { s.field(key).Set(from.field(key)) }

// show writes a setting's value as a flag has it.
func show(value interface{}) string {
	switch value := value.(type) {
	case []string:
		return strings.Join(value, ",")
	case []solver.Layer:
		var names []string
		for _, layer := range value {
			names = append(names, layer.Name)
		}
		return "those of " + strings.Join(names, ",")
	}
	return fmt.Sprint(value)
}

// flagKey is the TOML key of a flag's name.
func flagKey(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

// flagName is the name of a key's flag.
func flagName(key string) string { return strings.ReplaceAll(key, "_", "-") }

// givenFlags are the settings that the command line gives, by their keys.
func givenFlags(parsed *kong.Context) map[string]bool {
	given := map[string]bool{}
	settings := map[string]bool{}
	for _, key := range keys() {
		settings[key] = true
	}
	for _, path := range parsed.Path {
		if path.Flag != nil && settings[flagKey(path.Flag.Name)] {
			given[flagKey(path.Flag.Name)] = true
		}
	}
	return given
}

// helpWithDefault adds a setting's default to its help. The flags of other
// commands are no settings, and have no group.
func helpWithDefault(value *kong.Value) string {
	if value.Flag == nil || value.Flag.Group == nil {
		return value.Help
	}
	for _, key := range keys() {
		if key == flagKey(value.Name) && !reflect.ValueOf(defaults.value(key)).IsZero() {
			return fmt.Sprintf("%s [%v]", value.Help, defaults.value(key))
		}
	}
	return value.Help
}
