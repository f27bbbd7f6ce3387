package run

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
)

// Defaults returns the settings of the default training. A zero stands for what
// depends on other settings: the margin of the loss and the head, the size of the
// images.
func Defaults() Settings {
	s := defaults
	s.complete = true
	return s
}

var defaults = Settings{
	Alphabets: "background",
	CropMin:   0.38, // of crop, which is off while it is 0

	Backbone: "lenet",
	Features: 16,

	Objective: "contrastive",

	Epochs:         7,
	Batch:          128,
	ImagesPerClass: 4,
	Seed:           1,

	// Koch, Zemel & Salakhutdinov 2015, section 3.2; off while augment is 0.
	Rotation: 10, Shear: 0.3, ScaleMin: 0.8, ScaleMax: 1.2, Translation: 2, ElasticSigma: 4,

	Solver:       "adam",
	LearningRate: 3e-3,
	Schedule:     "cosine",
}

// The validation of a training: the 320 one-shot trials of Koch et al., or
// verification.
const (
	validationTrials = 320
	validationWays   = 20
	validationImages = 2000
	validationPairs  = 4000
)

// Images that differ in size, or whose height or width is more than maxSide, are
// resized to defaultSide if no size is chosen.
const (
	maxSide     = 128
	defaultSide = 64
)

// defaultHead is the head of an objective if none is chosen.
func defaultHead(objective string) string {
	if strings.HasSuffix(objective, "cross-entropy") {
		return "weighted-l1" // Koch et al.
	}
	return "l2"
}

// Configure puts the settings of a file, if path is not empty, over the defaults, and
// those settings of flags whose keys are given over both. An option that belongs to a
// choice, such as the margin of an objective, returns to its default when the choice is
// replaced. The notes list what the file sets and the flags thereby replace, former
// names of settings in the file, and flags that have no effect.
func Configure(path string, flags Settings, given map[string]bool) (settings Settings, notes []string, err error) {
	settings = defaults
	var inFile map[string]bool
	if path != "" {
		var read Settings
		var renamed []string
		if read, inFile, renamed, err = readConfig(path); err != nil {
			return Settings{}, nil, err
		}
		if len(renamed) > 0 {
			notes = append(notes, fmt.Sprintf("warning: %s: %s", path, strings.Join(renamed, ", ")))
		}
		settings = settings.under(read, inFile)
	}
	before := settings
	settings = settings.over(inFile, flags, given)
	for _, key := range Keys() {
		if inFile[key] && !given[key] && !before.field(key).IsZero() && !reflect.DeepEqual(before.Value(key), settings.Value(key)) {
			notes = append(notes, fmt.Sprintf("%s = %s of %s is not used, because a flag replaces the choice that it belongs to", key, format(before.Value(key)), path))
		}
	}
	for field := range fields() {
		needed, key := field.Tag.Get("needs"), keyOf(field)
		if needed != "" && given[key] && settings.field(needed).IsZero() {
			notes = append(notes, fmt.Sprintf("warning: --%s has no effect without --%s", FlagName(key), FlagName(needed)))
		}
	}
	settings.Out, settings.TensorBoard, settings.complete = flags.Out, flags.TensorBoard, true
	return settings, notes, nil
}

// completed are the settings with defaults in the place of zeros, unless zeros
// already mean what they say.
func (s Settings) completed() (Settings, error) {
	if s.complete {
		return s, nil
	}
	given := map[string]bool{}
	for _, key := range Keys() {
		given[key] = !s.field(key).IsZero()
	}
	complete, _, err := Configure("", s, given)
	return complete, err
}

// optionsOf are the settings that belong to a choice, by the tags of Settings.
func optionsOf(choice string) (options []string) {
	for field := range fields() {
		if slices.Contains(strings.Fields(field.Tag.Get("of")), choice) {
			options = append(options, keyOf(field))
		}
	}
	return options
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
	for _, choice := range Keys() {
		value := above.Value(choice)
		if !given[choice] || reflect.DeepEqual(value, s.Value(choice)) || choice == "data" && (!set["data"] || sameFile(above.Data, s.Data)) {
			continue
		}
		options := Settings{}
		if choice == "data" || reflect.DeepEqual(value, defaults.Value(choice)) {
			options = defaults
		}
		for _, key := range optionsOf(choice) {
			result.set(key, options)
		}
		if choice == "objective" && s.Head == defaultHead(s.Objective) {
			result.Head = "" // the default of the earlier objective, not a choice
		}
	}
	for key, is := range given {
		if is {
			result.set(key, above)
		}
	}
	return result
}

// sameFile says whether two paths are of one file, however they are written.
func sameFile(a, b string) bool {
	if a == "" || b == "" {
		return a == b
	}
	first, err := os.Stat(a)
	second, other := os.Stat(b)
	return err == nil && other == nil && os.SameFile(first, second)
}

// changes lists the settings that differ from the default ones.
func (s Settings) changes() []string {
	expected := defaults
	for _, choice := range Keys() {
		if choice != "data" && !reflect.DeepEqual(s.Value(choice), defaults.Value(choice)) {
			for _, key := range optionsOf(choice) {
				expected.set(key, Settings{})
			}
		}
	}
	var changes []string
	for _, key := range Keys() {
		value, standard := s.Value(key), defaults.Value(key)
		switch {
		case key == "network", reflect.DeepEqual(value, expected.Value(key)):
		case reflect.ValueOf(standard).IsZero():
			changes = append(changes, fmt.Sprintf("%s = %s", key, format(value)))
		default:
			changes = append(changes, fmt.Sprintf("%s = %s (default %s)", key, format(value), format(standard)))
		}
	}
	return changes
}
