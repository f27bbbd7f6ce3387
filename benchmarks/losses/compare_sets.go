package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/adapt"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/trainer"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// given are the keys of settings that are not zero.
func given(s run.Settings) map[string]bool {
	keys := map[string]bool{}
	for _, key := range run.Keys() {
		if zero := (run.Settings{}).Value(key); fmt.Sprintf("%#v", s.Value(key)) != fmt.Sprintf("%#v", zero) {
			keys[key] = true
		}
	}
	return keys
}

// perClass is the most pictures of each class of Caltech-101, whose largest class would otherwise be
// a tenth of all.
const perClass = 35

// caltech is a linear layer on the features of the bundled model photo, which begins as their whitening by
// the training classes, as that of run.Settings.Adapt: the classes at even places
// of the sorted list, without BACKGROUND_Google, to train on, a third of which are held out to
// choose by, and those at odd places for the test.
func (c *comparison) caltech() (*task, error) {
	entries, err := os.ReadDir(c.pictures)
	if err != nil {
		return nil, errors.Wrap(err, "-pictures")
	}
	var even, odd []string
	var unseen run.List
	place := 0
	for _, entry := range entries {
		switch {
		case !entry.IsDir():
			continue
		case entry.Name() == "BACKGROUND_Google":
			unseen = append(unseen, entry.Name())
			continue
		case place%2 == 0:
			even = append(even, entry.Name())
		default:
			odd = append(odd, entry.Name())
		}
		place++
	}
	if len(even) < 30 {
		return nil, errors.Errorf("-pictures: found %d classes in %s, expected those of Caltech-101", place, c.pictures)
	}
	t := &task{name: "caltech-101", primary: "MAP@R", metrics: []string{"MAP@R", "recall@1"}, trials: c.trials, steps: c.steps, start: "whitening, before the training", rates: "1e-5..1e-2"}
	t.settings = run.Settings{
		Data: c.pictures, Unseen: append(unseen, odd...), ValidationClasses: 1.0 / 3, Validation: "map-at-r", Memory: "512MiB",
		Limit: perClass * (len(even) - len(even)/3), TestLimit: perClass * (len(even) / 3),
		From: zoo.Photo, Adapt: true, Freeze: run.List{"conv*", "residual*", "norm*"}, FreezeNorm: true,
		Epochs: compareEpochs, StepsPerEpoch: t.steps / compareEpochs, Batch: 64, ImagesPerClass: 4,
		Solver: "adamw", LearningRate: 1e-4, WeightDecay: 1e-4, Schedule: "cosine", Augmentation: "none",
	}
	t.given = given(t.settings)
	var test *datasets.Dataset
	var prefix *trainer.Prefix
	open := func(names []string, seed uint64) (*datasets.Dataset, error) {
		frozen, err := zoo.Load(zoo.Photo)
		if err != nil {
			return nil, err
		}
		network := frozen.Preprocessing
		splits, err := datasets.Open(c.pictures, datasets.Options{Size: imaging.Size{Height: 224, Width: 224, Channels: 3}, CenterCrop: network.ShorterSide != 0, ShorterSide: network.ShorterSide, Stream: true, Memory: 512 << 20})
		if err != nil {
			return nil, err
		}
		images, err := splits.Train.OnlyClasses(names...)
		if err != nil {
			return nil, err
		}
		return images.Limit(perClass*len(names), seed), nil
	}
	metrics := func(metric evaluate.Metric, set evaluate.Labeled) (map[string]evaluate.Estimate, error) {
		found, err := evaluate.Retrieve(metric, set, 1)
		if err != nil {
			return nil, err
		}
		return map[string]evaluate.Estimate{"MAP@R": found.MAPAtR.Estimate, "recall@1": found.RecallAt[1].Estimate}, nil
	}
	// The features of the test images, which are those of all models.
	frozen := func(ctx context.Context) error {
		if prefix != nil {
			return nil
		}
		model, err := zoo.Load(zoo.Photo)
		if err != nil {
			return err
		}
		if err := model.Weights.FreezeStatistics(); err != nil {
			return err
		}
		if err := model.Weights.Freeze(t.settings.Freeze...); err != nil {
			return err
		}
		if test, err = open(odd, 1); err != nil {
			return err
		}
		prefix, err = trainer.NewPrefix(ctx, model, test)
		return err
	}
	t.test = func(ctx context.Context, model *likeness.Model) (map[string]evaluate.Estimate, error) {
		if err := frozen(ctx); err != nil {
			return nil, err
		}
		embeddings, computed, err := prefix.Embed(ctx, model, test)
		if err != nil {
			return nil, err
		}
		if !computed {
			return nil, errors.New("the features of the test images are not those of the frozen layers")
		}
		metric, err := model.Metric()
		if err != nil {
			return nil, err
		}
		return metrics(metric, evaluate.Labeled{Embeddings: embeddings, Labels: test.Labels})
	}
	t.baseline = func(ctx context.Context) ([]row, error) {
		if err := frozen(ctx); err != nil {
			return nil, err
		}
		model, err := zoo.Load(zoo.Photo)
		if err != nil {
			return nil, err
		}
		unseen := evaluate.Labeled{Labels: test.Labels}
		if unseen.Embeddings, _, err = prefix.Embed(ctx, model, test); err != nil {
			return nil, err
		}
		images, err := open(even, 1)
		if err != nil {
			return nil, err
		}
		known := evaluate.Labeled{Labels: images.Labels}
		if known.Embeddings, err = model.EmbedAll(images, nil); err != nil {
			return nil, err
		}
		metric, err := model.Metric()
		if err != nil {
			return nil, err
		}
		raw := row{Method: "frozen"}
		estimates, err := metrics(metric, unseen)
		if err != nil {
			return nil, err
		}
		raw.fill(estimates)
		rows := []row{raw}
		set, seconds, err := adapted(ctx, metric, known, unseen, adapt.Options{Seed: 1, HalfPrecision: model.HalfPrecision})
		if err != nil {
			return nil, err
		}
		all := row{Method: "adapt", Seed: 1, Seconds: seconds}
		if estimates, err = metrics(metric, set); err != nil {
			return nil, err
		}
		all.fill(estimates)
		return append(rows, all), nil
	}
	return t, nil
}

// drawings is a small network trained from scratch on Omniglot's background alphabets, a fifth of
// which are held out to choose by, and tested on the evaluation alphabets: each image of 20
// characters of one alphabet is compared with one example of each.
func (c *comparison) drawings() (*task, error) {
	t := &task{name: "omniglot", primary: "one-shot", metrics: []string{"one-shot", "MAP@R"}, trials: c.drawnTrials, steps: c.drawnSteps, rates: "1e-4..3e-2"}
	t.settings = run.Settings{
		Data: c.omniglot, Alphabets: "background", ValidationClasses: 0.2, Validation: "map-at-r", TestLimit: 800, Size: "28x28x1",
		Backbone: "conv4", Width: 32, BatchNorm: true, From: "",
		Epochs: compareEpochs, StepsPerEpoch: t.steps / compareEpochs, Batch: 64, ImagesPerClass: 4,
		Solver: "adamw", LearningRate: 3e-3, WeightDecay: 1e-4, Schedule: "cosine", Augmentation: "none",
	}
	t.given = given(t.settings)
	const episodes = 20 // of each alphabet, with 20 queries
	var test *datasets.Dataset
	var trials []evaluate.Trial
	open := func() error {
		if test != nil {
			return nil
		}
		splits, err := datasets.Open(c.omniglot, datasets.Options{Size: imaging.Size{Height: 28, Width: 28, Channels: 1}, Background: "background"})
		if err != nil {
			return errors.Wrap(err, "-omniglot")
		}
		if splits.Test == nil {
			return errors.Errorf("-omniglot: found no images_evaluation.zip in %s", c.omniglot)
		}
		for i, alphabet := range splits.Test.Groups() {
			images, err := splits.Test.OnlyClasses(alphabet...)
			if err != nil {
				return err
			}
			rows, ok := images.IndicesIn(splits.Test)
			if !ok {
				return errors.Errorf("the alphabet of %s is not among the test images", alphabet[0])
			}
			drawn, err := datasets.OneShotTrials(images, min(20, len(alphabet)), episodes, uint64(i+1), "compare losses")
			if err != nil {
				return err
			}
			for _, trial := range drawn {
				moved := evaluate.Trial{Query: rows[trial.Query], Answer: trial.Answer}
				for _, support := range trial.Support {
					var examples []int
					for _, example := range support {
						examples = append(examples, rows[example])
					}
					moved.Support = append(moved.Support, examples)
				}
				trials = append(trials, moved)
			}
		}
		test = splits.Test
		return nil
	}
	metrics := func(model *likeness.Model) (map[string]evaluate.Estimate, error) {
		if err := open(); err != nil {
			return nil, err
		}
		embeddings, err := model.EmbedAll(test, nil)
		if err != nil {
			return nil, err
		}
		metric, err := model.Metric()
		if err != nil {
			return nil, err
		}
		score, err := evaluate.OneShot(metric, embeddings, trials, evaluate.MeanDistance)
		if err != nil {
			return nil, err
		}
		// Every fourth image, because the intervals of all 13,180 take longer than a training.
		var some []int
		for i := 0; i < embeddings.Rows; i += 4 {
			some = append(some, i)
		}
		found, err := evaluate.Retrieve(metric, evaluate.Labeled{Embeddings: embeddings.Select(some), Labels: test.Subset(some).Labels}, 1)
		if err != nil {
			return nil, err
		}
		return map[string]evaluate.Estimate{"one-shot": score.Estimate, "MAP@R": found.MAPAtR.Estimate}, nil
	}
	t.test = func(_ context.Context, model *likeness.Model) (map[string]evaluate.Estimate, error) {
		return metrics(model)
	}
	t.baseline = func(ctx context.Context) ([]row, error) {
		settings := t.settings
		settings.Objective, settings.Seed, settings.Head = "n-pair", 1, "cosine"
		network, err := run.Network(settings)
		if err != nil {
			return nil, err
		}
		head, err := heads.Named("cosine")
		if err != nil {
			return nil, err
		}
		splits, err := datasets.Open(c.omniglot, datasets.Options{Size: imaging.Size{Height: 28, Width: 28, Channels: 1}, Background: "background"})
		if err != nil {
			return nil, errors.Wrap(err, "-omniglot")
		}
		var rows []row
		for seed := uint64(1); seed <= uint64(c.seeds); seed++ {
			model, err := likeness.New(network, head, splits.Train.Preprocessing(), seed)
			if err != nil {
				return nil, err
			}
			estimates, err := metrics(model)
			if err != nil {
				return nil, err
			}
			r := row{Method: "untrained", Seed: seed}
			r.fill(estimates)
			rows = append(rows, r)
			if seed > 1 {
				continue
			}
			training := splits.Train.Limit(4000, 1)
			known := evaluate.Labeled{Labels: training.Labels}
			if known.Embeddings, err = model.EmbedAll(training, nil); err != nil {
				return nil, err
			}
			metric, err := model.Metric()
			if err != nil {
				return nil, err
			}
			start := time.Now()
			fitted, err := adapt.Fit(ctx, metric, known, adapt.Options{Seed: 1})
			if err != nil {
				return nil, err
			}
			adaptedModel, err := fitted.Model(model)
			if err != nil {
				return nil, err
			}
			r = row{Method: "adapt of untrained", Seed: 1, Seconds: time.Since(start).Seconds()}
			if estimates, err = metrics(adaptedModel); err != nil {
				return nil, err
			}
			r.fill(estimates)
			rows = append(rows, r)
		}
		return rows, nil
	}
	return t, nil
}
