package main

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/likeness-go/likeness/internal/strict"
	"github.com/pkg/errors"
)

// optionsOf are the settings that belong to a choice, by the tags of Settings.
func optionsOf(choice string) (options []string) {
	for field := range reflect.TypeFor[Settings]().Fields() {
		if slices.Contains(strings.Fields(field.Tag.Get("of")), choice) {
			options = append(options, keyOf(field))
		}
	}
	return options
}

// configure puts the config file, if there is one, over the defaults, and the
// flags that are given over both. The notes say what the file sets and the flags leave
// no place for, and which flags have no effect.
func configure(file string, flags Settings, given map[string]bool) (settings Settings, notes []string, err error) {
	settings = defaults
	var inFile map[string]bool
	if file != "" {
		var read Settings
		if read, inFile, err = readConfig(file); err != nil {
			return Settings{}, nil, err
		}
		settings = settings.under(read, inFile)
	}
	before := settings
	settings = settings.over(inFile, flags, given)
	for _, key := range keys() {
		if inFile[key] && !given[key] && !before.field(key).IsZero() && !reflect.DeepEqual(before.value(key), settings.value(key)) {
			notes = append(notes, fmt.Sprintf("%s = %s of %s is not kept, since a flag makes another choice that it belongs to", key, show(before.value(key)), file))
		}
	}
	for field := range reflect.TypeFor[Settings]().Fields() {
		needed, key := field.Tag.Get("needs"), keyOf(field)
		if needed != "" && given[key] && settings.field(needed).IsZero() {
			notes = append(notes, fmt.Sprintf("warning: --%s has no effect without --%s", flagName(key), flagName(needed)))
		}
	}
	return settings, notes, nil
}

// readConfig also returns the keys that the file has.
func readConfig(file string) (Settings, map[string]bool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Settings{}, nil, errors.Wrap(err, "read config")
	}
	return parseConfig(string(text), file)
}

func parseConfig(text, file string) (Settings, map[string]bool, error) {
	var settings settingsFile
	err := strict.Decode(text, file, &settings)
	// A format to come may have keys that are unknown here: its number is what to
	// say first.
	if settings.Format != "" && settings.Format != settingsFormat {
		return Settings{}, nil, errors.Errorf("%s: format: found %q, expected %q or none", file, settings.Format, settingsFormat)
	}
	if err != nil {
		return Settings{}, nil, err
	}
	var entries map[string]interface{}
	if _, err := toml.Decode(text, &entries); err != nil {
		return Settings{}, nil, errors.Wrap(err, file)
	}
	delete(entries, "format")
	keys := map[string]bool{}
	for key := range entries {
		keys[key] = true
	}
	return settings.Settings, keys, nil
}

// under is the settings with those of the given keys from above. An option of several
// choices that change becomes the default of the last of them in Settings.
func (s Settings) under(above Settings, given map[string]bool) Settings {
	return s.over(nil, above, given)
}

// over is under for settings of which a file sets the keys in set. What it sets of the
// data belongs to other data only if it sets these, too.
func (s Settings) over(set map[string]bool, above Settings, given map[string]bool) Settings {
	result := s
	for _, choice := range keys() {
		value := above.value(choice)
		if !given[choice] || reflect.DeepEqual(value, s.value(choice)) || choice == "data" && (!set["data"] || sameData(above.Data, s.Data)) {
			continue
		}
		usual := Settings{}
		if choice == "data" || reflect.DeepEqual(value, defaults.value(choice)) {
			usual = defaults
		}
		for _, key := range optionsOf(choice) {
			result.set(key, usual)
		}
		if choice == "objective" && s.Head == usualHead(s.Objective) {
			result.Head = "" // the default of the earlier objective, not a choice
		}
	}
	for key := range given {
		result.set(key, above)
	}
	return result
}

// sameData says whether two paths are one, however they are written.
func sameData(a, b string) bool {
	if a == "" || b == "" {
		return a == b
	}
	first, err := os.Stat(a)
	second, other := os.Stat(b)
	return err == nil && other == nil && os.SameFile(first, second)
}

// changes says which settings are not the default ones.
func (s Settings) changes() []string {
	usual := defaults
	for _, choice := range keys() {
		if choice != "data" && !reflect.DeepEqual(s.value(choice), defaults.value(choice)) {
			for _, key := range optionsOf(choice) {
				usual.set(key, Settings{})
			}
		}
	}
	var changes []string
	for _, key := range keys() {
		value, otherwise := s.value(key), defaults.value(key)
		switch {
		case key == "network", reflect.DeepEqual(value, usual.value(key)):
		case reflect.ValueOf(otherwise).IsZero():
			changes = append(changes, fmt.Sprintf("%s = %s", key, show(value)))
		default:
			changes = append(changes, fmt.Sprintf("%s = %s (default %s)", key, show(value), show(otherwise)))
		}
	}
	return changes
}
