package run

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/zoo"
)

// Defaults returns the settings of the default training, on the data set omniglot-small1.
// Other data have other defaults, and those of omniglot-small1 depend on the objective:
// see Configure. A zero stands for a value that depends on other settings, such as the
// size of the images.
func Defaults() Settings {
	s := defaultsFor(embeddedData, "")
	s.complete = true
	return s
}

// GeneralDefaults returns the settings of a training on other data than omniglot-small1.
// Photographs have others: see Configure.
func GeneralDefaults() Settings { return generalDefaults }

// defaultsFor are the defaults for a data set and an objective; without an objective
// they are those for the default objective of the data set.
func defaultsFor(data, objective string) Settings {
	if data == embeddedData {
		return embeddedDefaults(objective)
	}
	return generalDefaults
}

// generalDefaults are those of all data but the embedded ones.
var generalDefaults = Settings{
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
	Rotation: 10, Shear: 0.3, ScaleMin: 0.8, ScaleMax: 1.2, Translation: 2, ElasticSigma: 4, BatchElasticSigma: 6,

	Solver:       "adam",
	LearningRate: 3e-3,
	Schedule:     "cosine",
}

// embeddedDefaults are those of omniglot-small1: a training of 1,000 steps. They were
// chosen on alphabets of that set that were held out of training, see
// benchmarks/reproduce, whose job short has the same settings.
func embeddedDefaults(objective string) Settings {
	s := Settings{
		Data: embeddedData, Alphabets: "small1",
		Crop: 1.15, CropMin: 40.0 / 105,
		Symmetries: true, Grouped: true,

		Backbone: "conv7",

		Objective: cmp.Or(objective, "n-pair"), Head: "cosine",

		Epochs: 10, StepsPerEpoch: 100,
		Batch: 128, ImagesPerClass: 4,
		Seed: 1,

		Augment: 1, Rotation: 10, Shear: 0.2, ScaleMin: 1 / 1.2, ScaleMax: 1.2, Translation: 2.24,
		ElasticSigma: 4, BatchElastic: 3, BatchElasticSigma: 6,

		Solver: "adamw", LearningRate: 6e-3, WeightDecay: 1e-4, EMADecay: 0.99,
		Schedule: "cosine", Warmup: 0.5,
	}
	switch s.Objective {
	case "batch-all", "batch-hard", "semi-hard", "triplet":
		s.Margin = 0.05
	case "batch-ratio", "triplet-ratio":
		s.Scale = 40
	case "n-pair", "supervised-contrastive", "nca", "prototypical":
		s.Temperature, s.LearningRate = 0.035, 3e-3
	case "angular", "circle", "fastap", "lifted-structure", "margin", "multi-similarity", "smooth-ap", "tuplet-margin",
		"arcface", "cosface", "normalized-softmax", "proxy-anchor", "proxy-nca", "proxy-nca++", "soft-triple", "subcenter-arcface":
		s.LearningRate = 3e-3 // that of the softmax losses
	case "simclr", "vicreg", "barlow-twins":
		s.LearningRate, s.Grouped = 3e-3, false
	case "contrastive", "batch-contrastive":
		s.Head, s.Normalize, s.Margin = "l2", true, 1
	case "cross-entropy", "batch-cross-entropy":
		s.Head, s.Normalize = "weighted-l1", true
	}
	switch s.Objective {
	case "batch-contrastive", "batch-cross-entropy":
		s.Balanced = true
	case "contrastive", "cross-entropy", "triplet", "triplet-ratio":
		s.Grouped = false // of labeled batches only
	}
	return s
}

// photoDefaults are those of a folder of photographs: fine-tuning of the bundled model photo,
// adapted to the training classes first, with validation by MAP@R on held-out classes.
func photoDefaults(objective string) Settings {
	s := generalDefaults
	s.Backbone, s.Features, s.From, s.Adapt, s.FreezeNorm = "", 0, zoo.Photo, true, true
	s.Objective, s.Head = cmp.Or(objective, "supervised-contrastive"), "cosine"
	switch s.Objective {
	case "n-pair", "supervised-contrastive", "nca", "prototypical":
		s.Temperature = 0.1
	case "contrastive", "batch-contrastive", "cross-entropy", "batch-cross-entropy":
		s.Head = ""
	}
	// Most blocks are frozen. Those before the first that is trained are computed once for each
	// image, because nothing is augmented.
	s.Freeze = List{"conv[1-9].*", "conv1[0-9].*", "residual[1-6].*"}
	// The epochs are short, because unseen classes gain from a few dozen steps and lose by more:
	// 17 held-out classes of 51 of Caltech-101, up to 35 images of each, gained 1.8 points of
	// MAP@R in 25 steps and 0.1 in 50.
	s.Epochs, s.StepsPerEpoch, s.Batch, s.Patience, s.Refit = 8, 25, 64, 3, true
	// Interpolation keeps more of the gain: on the same classes, the weights after 100 steps lost
	// 0.8 points of MAP@R against the adapted model, a quarter of them with three quarters of those
	// before gained 1.4, and half of them 1.5. A tenth of the classes, as few as two, would leave the choices
	// of the steps and of the share to chance; the last training is on all of them in any case.
	s.WeightInterpolation, s.ValidationClasses = autoInterpolation, 0.2
	s.Solver, s.LearningRate, s.WeightDecay, s.Warmup = "adamw", 1e-4, 1e-4, 0.5
	if comparesViews(s.Objective) { // classes are for the report only
		s.Adapt, s.Refit, s.Patience, s.WeightInterpolation, s.ValidationClasses = false, false, 0, "", 0
	}
	return s
}

// scratch, as Settings.From, stands for no model to begin with.
const scratch = "none"

// minPhotograph is the shortest side of images, in the median, for which it is worth to enlarge
// them to the size of the bundled model.
const minPhotograph = 96

// photographs reports whether data are a folder of photographs that the bundled model suits, and
// why.
func photographs(data string) (reason string, ok bool) {
	info, err := os.Stat(data)
	if err != nil || !info.IsDir() || isName(data) {
		return "", false
	}
	found, err := imaging.Find(data)
	if err != nil {
		return "", false // opening the data reports what is wrong
	}
	var sides []int
	for i := range min(examined, len(found.Files)) {
		if side, err := shorterSide(found.Files[i*len(found.Files)/min(examined, len(found.Files))]); err == nil {
			sides = append(sides, side)
		}
	}
	if slices.Sort(sides); len(sides) == 0 || sides[len(sides)/2] < minPhotograph {
		return "", false
	}
	choice, err := zoo.Choose(context.Background(), found.Files, nil)
	return choice.Reason, err == nil && choice.Name == zoo.Photo
}

// shorterSide is that of an image file.
func shorterSide(path string) (int, error) {
	file, err := imaging.OpenFile(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	size, err := imaging.DecodeSize(file, path)
	return min(size.Height, size.Width), err
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

// Configure returns the defaults, overridden by the settings of a file if path is not
// empty, and then by those settings of flags whose keys are given. The defaults depend on
// the data set and on the objective that the flags or the file choose; a file without
// data means MNIST. An option that belongs to a choice, such as the margin of an
// objective, returns to its default when the choice is replaced. The notes list settings
// of the file that flags replace, former names of settings in the file, and flags that
// have no effect. The augmentation is auto if there is no file and none of its settings is given,
// except for omniglot-small1.
func Configure(path string, flags Settings, given map[string]bool) (settings Settings, notes []string, err error) {
	var read Settings
	var inFile map[string]bool
	data, objective := embeddedData, ""
	if path != "" {
		var renamed []string
		if read, inFile, renamed, err = readConfig(path); err != nil {
			return Settings{}, nil, err
		}
		if len(renamed) > 0 {
			notes = append(notes, fmt.Sprintf("warning: %s: %s", path, strings.Join(renamed, ", ")))
		}
		data, objective = read.Data, read.Objective
	}
	if given["data"] {
		data = flags.Data
	} else if path != "" && !inFile["data"] {
		notes = append(notes, fmt.Sprintf("warning: %s: found no key data, which means mnist, as in files of earlier versions: add it", path))
	}
	if given["objective"] {
		objective = flags.Objective
	}
	defaults := defaultsFor(data, objective)
	photos := false
	scratchOnly := func(key string) bool { return given[key] } // choices that the bundled model does not have
	if path == "" && !slices.ContainsFunc([]string{"from", "backbone", "network", "size", "invert", "crop", "symmetries", "resize", "shorter_side"}, scratchOnly) {
		if reason, ok := photographs(data); ok {
			defaults, photos = photoDefaults(objective), true
			if given["unseen"] && !slices.Equal(flags.Unseen, List{noUnseen}) {
				defaults.Refit = false // classes that are named are to stay out of training
			}
			notes = append(notes, fmt.Sprintf("fine-tunes the bundled model %s: %s (--from none begins from scratch)", zoo.Photo, reason))
		}
	}
	if given["from"] && flags.From == scratch {
		flags.From = ""
	}
	settings = defaults.over(defaults, nil, read, inFile)
	before := settings
	settings = settings.over(defaults, inFile, flags, given)
	augments := func(key string) bool { return given[key] }
	if path == "" && data != embeddedData && (!photos || comparesViews(objective)) && !given["augmentation"] && !slices.ContainsFunc(optionsOf("augmentation"), augments) {
		settings.Augmentation = autoAugmentation
	}
	if settings.Augmentation == autoAugmentation && data == embeddedData && !slices.ContainsFunc(optionsOf("augmentation"), augments) {
		if settings, err = settings.WithAugmentation(drawingAugmentation); err != nil {
			return Settings{}, nil, err
		}
	}
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

// over is the settings with those of the given keys from above. An option of several
// choices that change becomes the default of the last of them in Settings. What a file,
// which sets the keys in set, sets of the data belongs to other data only if it sets
// these, too.
func (s Settings) over(defaults Settings, set map[string]bool, above Settings, given map[string]bool) Settings {
	result := s
	for _, choice := range Keys() {
		value := above.Value(choice)
		if !given[choice] || reflect.DeepEqual(value, s.Value(choice)) || choice == "data" && (!set["data"] || sameFile(above.Data, s.Data)) {
			continue
		}
		options := Settings{}
		switch {
		case choice == "augmentation":
			options = augmentationPreset(above.Augmentation)
		case choice == "data" || reflect.DeepEqual(value, defaults.Value(choice)):
			options = defaults
		}
		for _, key := range optionsOf(choice) {
			result.set(key, options)
		}
		if choice == "objective" && s.Head == objectives.DefaultHead(s.Objective) {
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

// sameFile reports whether two paths are of one file, however they are written.
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
	defaults := defaultsFor(s.Data, s.Objective)
	if (s.Adapt || comparesViews(s.Objective)) && s.From == "zoo/"+zoo.Photo {
		defaults = photoDefaults(s.Objective)
		defaults.From = s.From
	}
	expected := defaults
	for _, choice := range Keys() {
		if choice != "data" && !reflect.DeepEqual(s.Value(choice), defaults.Value(choice)) {
			options := Settings{}
			if choice == "augmentation" {
				options = augmentationPreset(s.Augmentation)
			}
			for _, key := range optionsOf(choice) {
				expected.set(key, options)
			}
		}
	}
	var changes []string
	for _, key := range Keys() {
		value, standard := s.Value(key), defaults.Value(key)
		switch {
		case key == "network", key == "augmentation" && s.Augmentation == autoAugmentation, reflect.DeepEqual(value, expected.Value(key)), reflect.DeepEqual(value, standard):
		case reflect.ValueOf(standard).IsZero(), key == "features" && s.From != "":
			changes = append(changes, fmt.Sprintf("%s = %s", key, format(value)))
		default:
			changes = append(changes, fmt.Sprintf("%s = %s (default %s)", key, format(value), format(standard)))
		}
	}
	return changes
}
