package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/alecthomas/kong"
	"github.com/likeness-go/likeness/internal/strict"
	"github.com/pkg/errors"
)

// options are settings that belong to a choice: when another is made, they do
// not stay behind, but become what is usual for it.
var options = []struct {
	choice string
	of     []string
}{
	{"from", []string{"backbone", "network", "width", "batch_norm", "features"}},
	{"network", []string{"backbone", "width", "batch_norm", "features"}},
	{"backbone", []string{"network", "width", "batch_norm", "features"}},
	{"objective", []string{"margin", "soft", "balanced"}},
	{"head", []string{"margin"}},
	{"solver", []string{"momentum", "momentum_start", "momentum_epochs", "nesterov", "beta1", "beta2", "epsilon", "l2", "weight_decay"}},
	{"schedule", []string{"decay", "decay_epochs", "final_rate"}},
}

// configure puts the config file, if there is one, over the defaults, and the
// flags that are given over both.
func configure(file string, flags Settings, given map[string]bool) (Settings, error) {
	settings := defaults
	if file != "" {
		read, keys, err := readConfig(file)
		if err != nil {
			return Settings{}, err
		}
		settings = settings.under(read, keys)
	}
	return settings.under(flags, given), nil
}

// readConfig also returns the keys that the file has.
func readConfig(file string) (Settings, map[string]bool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Settings{}, nil, errors.Wrap(err, "read config")
	}
	var settings Settings
	if err := strict.Decode(string(text), file, &settings); err != nil {
		return Settings{}, nil, err
	}
	var entries map[string]interface{}
	if _, err := toml.Decode(string(text), &entries); err != nil {
		return Settings{}, nil, errors.Wrap(err, file)
	}
	keys := map[string]bool{}
	for key := range entries {
		keys[key] = true
	}
	return settings, keys, nil
}

// under is the settings with those of the keys from above.
func (s Settings) under(above Settings, keys map[string]bool) Settings {
	result := s
	for _, option := range options {
		choice := above.value(option.choice)
		if !keys[option.choice] || reflect.DeepEqual(choice, s.value(option.choice)) {
			continue
		}
		usual := Settings{}
		if reflect.DeepEqual(choice, defaults.value(option.choice)) {
			usual = defaults
		}
		for _, key := range option.of {
			result.set(key, usual)
		}
	}
	for key := range keys {
		result.set(key, above)
	}
	return result
}

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
	for i, name := range keys() {
		if name == key {
			return reflect.ValueOf(s).Elem().Field(i)
		}
	}
	panic("no setting is called " + key)
}

func (s Settings) value(key string) interface{} { return s.field(key).Interface() }

func (s *Settings) set(key string, from Settings) { s.field(key).Set(from.field(key)) }

// changes says which settings are not the default ones.
func (s Settings) changes() []string {
	var changes []string
	for _, key := range keys() {
		if value := s.value(key); key != "network" && !reflect.DeepEqual(value, defaults.value(key)) {
			changes = append(changes, fmt.Sprintf("%s = %v (default %v)", key, value, defaults.value(key)))
		}
	}
	return changes
}

// flagKey is the TOML key of a flag's name.
func flagKey(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

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

// helpWithDefault adds a flag's default to its help.
func helpWithDefault(value *kong.Value) string {
	for _, key := range keys() {
		if key == flagKey(value.Name) && !reflect.ValueOf(defaults.value(key)).IsZero() {
			return fmt.Sprintf("%s [%v]", value.Help, defaults.value(key))
		}
	}
	return value.Help
}
