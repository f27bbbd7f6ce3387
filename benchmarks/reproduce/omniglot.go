package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/datasets/omniglot"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/pkg/errors"
)

// options returns the options of all data sets of Omniglot.
func (s settings) options(background string) datasets.Options {
	return datasets.Options{Size: imaging.Size{Height: s.side, Width: s.side, Channels: 1}, Crop: &crop, Background: background}
}

// open reads the alphabets, and the official runs.
func (s settings) open(background string) (datasets.Splits, []datasets.OneShotRun, error) {
	return s.openAs(s.options(background))
}

// openAs is open with images of other options.
func (s settings) openAs(options datasets.Options) (datasets.Splits, []datasets.OneShotRun, error) {
	if s.data == "" {
		return datasets.Splits{}, nil, errors.New("-data is missing: the folder of Omniglot's official files, from https://github.com/brendenlake/omniglot")
	}
	splits, err := datasets.Open(s.data, options)
	if err != nil {
		return splits, nil, err
	}
	if splits.Train == nil || splits.Test == nil {
		return splits, nil, errors.Errorf("%s: found the background or the evaluation alphabets only, expected both", s.data)
	}
	options.Background = ""
	runs, err := datasets.OpenRuns(filepath.Join(s.data, "all_runs.zip"), options)
	return splits, runs, err
}

// oneShot is a training on background alphabets that is measured by one-shot recognition.
type oneShot struct {
	background string // which alphabets
	method     string
	recipe     recipe
	broad      bool // also measured on all evaluation alphabets and on digits
}

// backgroundSteps of training are those of the five-minute recipe.
const backgroundSteps = 3200

// oneShots returns the trainings by name. With few alphabets or long training, the same
// elastic deformation is applied to all images of a batch, as if they were of a new
// alphabet. On held-out background alphabets this gained 0.8 points for small 1.
func oneShots(name string) oneShot {
	o := oneShot{background: name, method: "n-pair, cosine, Conv7", recipe: defaultRecipe(2400)}
	o.recipe.augment.Batch.Elastic = datasets.Elastic{Displacement: 3, Smoothness: 6, Probability: 1}
	switch name {
	case "omniglot":
		o.background, o.broad, o.recipe = "background", true, defaultRecipe(backgroundSteps)
	case "omniglot-pens":
		o.background, o.broad = "background", true
		o.method, o.recipe = "n-pair, cosine, Conv7, stroke-width augmentation", defaultRecipe(backgroundSteps)
		o.recipe.augment.Batch.Stroke = strokes
	case "omniglot-long":
		o.background, o.broad = "background", true
		o.method, o.recipe = "n-pair, cosine, residual, 20,000 steps", longer()
	case "omniglot-three":
		o.background, o.broad = "background", true
		o.method, o.recipe = "n-pair, cosine, ensemble of three residual networks, 7,000 steps each", longer()
		o.recipe.networks, o.recipe.steps = 3, 7_000
	}
	return o
}

// long returns the recipe of a residual network, with elastic deformation of every other
// batch, because it sees each alphabet many times.
func long() recipe {
	r := defaultRecipe(10_000)
	r.network = func(size imaging.Size) backbone.Network { return backbone.Residual(size, 32) }
	r.augment.Batch.Elastic = datasets.Elastic{Displacement: 3, Smoothness: 6, Probability: 0.5}
	return r
}

// longer returns the recipe of half an hour: long with twice the steps, and the learning
// rate, temperature and weight decay that were best on held-out background alphabets. They
// were searched with a PyTorch implementation of the same training.
func longer() recipe {
	r := long()
	r.steps, r.objective = 20_000, objectives.NPair{Temperature: 0.025}
	r.solver.LearningRate, r.solver.WeightDecay = 6e-3, 0.05
	return r
}

// strokes is the stroke-width augmentation of whole batches, from the stroke width of
// Omniglot to that of digits. On held-out background alphabets it gained 2.5 points if
// their strokes were thickened by 1.2 pixels on each side, and lost 0.7 points if they
// were not.
var strokes = datasets.Stroke{Min: -0.3, Max: 1.5, Probability: 1}

// protocol is a measurement with the fields of its row.
type protocol struct {
	Row
	measure measurement
	byViews bool // too, which takes minutes if there are many images
}

// omniglotJob trains on background alphabets and measures one-shot recognition.
func omniglotJob(name string) func(context.Context, settings) ([]Row, error) {
	return func(ctx context.Context, s settings) ([]Row, error) {
		o := oneShots(name)
		splits, runs, err := s.open(o.background)
		if err != nil {
			return nil, err
		}
		settings, err := o.recipe.settings(s)
		if err != nil {
			return nil, err
		}
		networks, took, err := o.recipe.trainAll(ctx, s, splits.Train)
		if err != nil {
			return nil, err
		}
		if err := s.keepAll(networks); err != nil {
			return nil, err
		}
		protocols := []protocol{{Row{
			Protocol: "Lake's 20 runs, " + backgroundNames[o.background],
			Published: map[string]string{
				"background": "Koch 92.0, human 95.5, BPL 96.7, ARC 98.5",
				"small1":     "prototypical net 69.9, BPL 95.8", "small2": "prototypical net 69.9, BPL 95.8",
			}[o.background],
		}, lake(runs, splits.Train.Size), true}}
		if o.broad {
			within, err := episodes(splits.Test, 20, 1, 1, 10_000, true)
			if err != nil {
				return nil, err
			}
			digits, err := digits(splits.Train.Preprocessing())
			if err != nil {
				return nil, err
			}
			few, err := episodes(digits, 10, 1, 1, 2_000, false)
			if err != nil {
				return nil, err
			}
			protocols = append(protocols, []protocol{
				{Row{Protocol: "20 evaluation alphabets, 20-way 1-shot within an alphabet, 10,000 episodes", Published: "Conv4 75.8"}, within, s.seed == 1},
				{Row{Protocol: "MNIST, 10-way 1-shot of test images, no training on digits, 2,000 episodes", Published: "Koch 70.3, raw pixels 42.0"}, few, true},
			}...)
		}
		fields, err := newFields(networks)
		if err != nil {
			return nil, err
		}
		field := joined(fields)
		var rows []Row
		for _, p := range protocols {
			p.Settings = settings
			more, err := field.measure(s.fill(p.Row, o.method, took), p.measure, p.byViews)
			if err != nil {
				return nil, err
			}
			rows = append(rows, more...)
		}
		return rows, nil
	}
}

// shortSteps of training take 3.4 minutes on two processors of an AMD EPYC with AVX2.
const shortSteps = 1000

// shortRecipe is that of short, by the loss of an entry of losses or by n-pair, and the
// name of its method. Its settings were chosen on alphabets of the minimal split that
// were held out of training (validate -small small1 -hold).
func shortRecipe(loss string) (r recipe, method string) {
	r, method = defaultRecipe(shortSteps), "n-pair, cosine"
	r.augment.Batch.Elastic = datasets.Elastic{Displacement: 3, Smoothness: 6, Probability: 1}
	if loss != "n-pair" {
		r.solver.LearningRate = 6e-3
		losses[loss].change(&r)
		method = losses[loss].method
	}
	switch objective := r.objective.(type) {
	case objectives.BatchAll:
		objective.Margin = 0.05
		r.objective = objective
	case objectives.BatchRatio:
		objective.Scale = 40
		r.objective = objective
	}
	return r, method + ", short"
}

// short trains on the embedded minimal split and measures
// Lake's runs by one view of each image. It is what likeness train does by default, with
// the flag --objective for another loss.
func short(loss string) func(context.Context, settings) ([]Row, error) {
	return func(ctx context.Context, s settings) ([]Row, error) {
		options := s.options("")
		splits, err := omniglot.Small1(options)
		if err != nil {
			return nil, err
		}
		runs, err := omniglot.Runs(options)
		if err != nil {
			return nil, err
		}
		r, method := shortRecipe(loss)
		settings, err := r.settings(s)
		if err != nil {
			return nil, err
		}
		network, took, err := r.train(ctx, s, splits.Train)
		if err != nil {
			return nil, err
		}
		if err := s.keep(network.trained); err != nil {
			return nil, err
		}
		field, err := newField(network)
		if err != nil {
			return nil, err
		}
		row := Row{Settings: settings, Protocol: "Lake's 20 runs, minimal split small 1", Published: "human 95.5, BPL 95.8, Koch 92.0 (30 alphabets)"}
		return field.measure(s.fill(row, method, took), lake(runs, splits.Train.Size), false)
	}
}

var backgroundNames = map[string]string{"background": "30 background alphabets", "small1": "minimal split small 1", "small2": "minimal split small 2"}

// digits returns the test images of MNIST, preprocessed like those of Omniglot.
func digits(p imaging.Preprocessing) (*datasets.Dataset, error) {
	path, err := datasets.FindMNIST("")
	if err != nil {
		return nil, err
	}
	splits, err := datasets.Open(path, datasets.Options{Size: p.Size, Crop: p.Crop})
	if err != nil {
		return nil, err
	}
	return splits.Test.Limit(digitImages, trialSeed), nil
}

// digitImages are enough to draw episodes from: by 56 views they are 112,000.
const digitImages = 2000

// validationAlphabets are held out of the background where something is chosen
// by what is not trained on.
var validationAlphabets = []string{"Bengali", "Sanskrit", "Futurama", "Armenian", "Tifinagh", "Early_Aramaic"}

// holdOut splits the background alphabets: held are the named ones.
func holdOut(background *datasets.Dataset, alphabets []string) (kept, held *datasets.Dataset, err error) {
	chosen := map[string]bool{}
	for _, class := range background.Classes {
		chosen[datasets.GroupOf(class)] = false
	}
	for _, name := range alphabets {
		if _, known := chosen[name]; !known {
			return nil, nil, errors.Errorf("found the alphabet %q to hold out, expected one of %s", name, strings.Join(slices.Sorted(maps.Keys(chosen)), ", "))
		}
		chosen[name] = true
	}
	var keep, hold []string
	for _, class := range background.Classes {
		if chosen[datasets.GroupOf(class)] {
			hold = append(hold, class)
		} else {
			keep = append(keep, class)
		}
	}
	if kept, err = background.OnlyClasses(keep...); err != nil {
		return nil, nil, err
	}
	held, err = background.OnlyClasses(hold...)
	return kept, held, err
}

// keep saves the model if -save is given.
func (s settings) keep(model *likeness.Model) error {
	if s.save == "" {
		return nil
	}
	return model.Save(s.save)
}

// keepAll saves the models, numbered from the second on.
func (s settings) keepAll(networks []outcome) error {
	extension := filepath.Ext(s.save)
	stem := strings.TrimSuffix(s.save, extension)
	for i, network := range networks {
		if i > 0 && s.save != "" {
			s.save = fmt.Sprintf("%s-%d%s", stem, i+1, extension)
		}
		if err := s.keep(network.trained); err != nil {
			return err
		}
	}
	return nil
}

// vinyalsTest is how many of the 1,623 characters are tested on, and
// vinyalsValidation how many of the others Vinyals et al. held out to choose
// settings by; here no setting is chosen, and they are not used.
const (
	vinyalsTest       = 423
	vinyalsValidation = 172
)

// vinyals trains on 1,028 characters and measures episodes across alphabets of 423
// others, each in four rotations as separate classes. The characters are drawn at random:
// the list that Vinyals et al. 2016 drew is not part of the data.
func vinyals(ctx context.Context, s settings) ([]Row, error) {
	splits, _, err := s.open("background")
	if err != nil {
		return nil, err
	}
	classes := slices.Concat(splits.Train.Classes, splits.Test.Classes)
	r := random.New(trialSeed, "vinyals")
	r.Shuffle(len(classes), func(i, j int) { classes[i], classes[j] = classes[j], classes[i] })
	all, err := datasets.Join("Omniglot", splits.Train, splits.Test)
	if err != nil {
		return nil, err
	}
	test, err := all.OnlyClasses(classes[:vinyalsTest]...)
	if err != nil {
		return nil, err
	}
	train, err := all.OnlyClasses(classes[vinyalsTest+vinyalsValidation:]...)
	if err != nil {
		return nil, err
	}
	if test, err = rotated(test); err != nil {
		return nil, err
	}
	recipe := defaultRecipe(backgroundSteps)
	recipe.grouped = false
	settings, err := recipe.settings(s)
	if err != nil {
		return nil, err
	}
	network, took, err := recipe.train(ctx, s, train)
	if err != nil {
		return nil, err
	}
	field, err := newField(network)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, task := range []struct {
		way, shot int
		published float64
	}{{5, 1, 98.8}, {20, 1, 96.0}, {5, 5, 99.7}, {20, 5, 98.9}} {
		m, err := episodes(test, task.way, task.shot, 5, 1000, false)
		if err != nil {
			return nil, err
		}
		row := Row{
			Settings:  settings,
			Protocol:  fmt.Sprintf("1,028 / 172 / 423 characters drawn at random, four rotations, %d-way %d-shot across alphabets, 1,000 episodes", task.way, task.shot),
			Published: fmt.Sprintf("prototypical net %g", task.published),
		}
		more, err := field.measure(s.fill(row, "n-pair, cosine, Conv7", took), m, false)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// turned returns the images in four rotations, each as a separate class.
func rotated(images *datasets.Dataset) (*datasets.Dataset, error) {
	all, err := images.Symmetries()
	if err != nil {
		return nil, err
	}
	return all.OnlyClasses(slices.DeleteFunc(slices.Clone(all.Classes), func(name string) bool {
		return strings.Contains(name, "mirrored")
	})...)
}
