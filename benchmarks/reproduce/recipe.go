package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// side is the default side of the images in pixels; crop is how they are cropped.
const side = 28

var crop = imaging.Crop{Margin: 1.15, MinSide: 40. / 105}

// recipe is how a network for one-shot recognition is trained. Its settings
// were chosen on background alphabets alone: six of them held out, twenty-way
// one-shot episodes within each.
type recipe struct {
	network    func(imaging.Size) backbone.Network
	head       heads.Head
	objective  objectives.Loss
	classes    int // of a batch, from one alphabet
	images     int // of each class
	steps      int
	solver     solver.Config
	grouped    bool            // classes of a batch come from one alphabet
	symmetries bool            // the symmetries of a class are separate classes
	networks   int             // size of the ensemble; 0 for one network
	start      *likeness.Model // model with the initial weights; nil for random weights
	augment    datasets.Augmentation
}

// defaultRecipe is the recipe, that of the best figures: the n-pair loss of cosine
// distances, with all classes of a batch from one alphabet.
func defaultRecipe(steps int) recipe {
	return recipe{
		network: func(size imaging.Size) backbone.Network { return backbone.Conv7(size, 32) },
		head:    heads.Cosine{}, objective: objectives.NPair{Temperature: 0.035},
		classes: 32, images: 4, steps: steps, grouped: true, symmetries: true,
		augment: datasets.Augmentation{Image: datasets.Distortion{Affine: distortion(side, 1)}},
		solver: solver.Config{
			Solver: "adamw", LearningRate: 3e-3, WeightDecay: 1e-4, Average: 0.99,
			Schedule: "cosine", Warmup: 0.5, // of ten epochs
		},
	}
}

// distortion returns the augmentation of each image; the default strength is 1. The side
// of the images determines the translation in pixels.
func distortion(side int, strength float64) datasets.Affine {
	scale := math.Pow(1.2, strength)
	return datasets.Affine{
		Rotation: 10 * strength, Shear: 0.2 * strength, ScaleMin: 1 / scale, ScaleMax: scale,
		Translation: 0.16 * strength * float64(side) / 2, Probability: 1,
	}
}

// outcome is a trained network, the same network before training, and the views for
// test-time augmentation.
type outcome struct {
	trained, untrained *likeness.Model
	views              likeness.TTA
}

// trainAll trains the networks of the recipe one after the other, each with its own seed.
func (r recipe) trainAll(ctx context.Context, s settings, images *datasets.Dataset) (all []outcome, took time.Duration, err error) {
	own := s
	for i := range max(1, r.networks) {
		if i > 0 {
			own.seed = random.Seed(s.seed, "network", i)
		}
		one, minutes, err := r.train(ctx, own, images)
		if err != nil {
			return nil, 0, err
		}
		all, took = append(all, one), took+minutes
	}
	return all, took, nil
}

// train trains one network on images.
func (r recipe) train(ctx context.Context, s settings, images *datasets.Dataset) (o outcome, took time.Duration, err error) {
	preprocessing := images.Preprocessing()
	o.views = likeness.TTA{Affine: true, Symmetries: r.symmetries}
	if r.symmetries {
		if images, err = images.Symmetries(); err != nil {
			return o, 0, err
		}
	}
	network := r.network(preprocessing.Size)
	if o.untrained, err = likeness.New(network, r.head, preprocessing, s.seed); err != nil {
		return o, 0, err
	}
	if o.trained, err = likeness.New(network, r.head, preprocessing, s.seed); err != nil {
		return o, 0, err
	}
	if r.start != nil {
		if err = o.trained.Weights.CopyFrom(r.start.Weights); err != nil {
			return o, 0, err
		}
	}
	if r.steps == 0 {
		return o, 0, nil
	}
	batch := r.classes * r.images
	classes, each, err := datasets.FitBatch(images, batch, r.images)
	if err != nil {
		return o, 0, err
	}
	draw := datasets.ClassBatches
	if r.grouped {
		draw = datasets.GroupBatches
	}
	sampler, err := draw(images, classes, each)
	if err != nil {
		return o, 0, err
	}
	if s.steps > 0 {
		r.steps = s.steps
	}
	if s.quick {
		r.steps /= 10
	}
	const epochs = 10
	training := trainer.Trainer{
		Model: o.trained, Loss: r.objective, Images: images, Sampler: sampler, Batch: batch, Solver: r.solver,
		Epochs: epochs, EpochSteps: max(1, r.steps/epochs), Seed: s.seed, Augment: &r.augment,
		OnEpoch: func(e trainer.Epoch) {
			s.note("%3d %% trained: loss %.4f, %.0f images/s", 100*e.Epoch/epochs, e.Loss, e.ImagesPerSecond)
		},
	}
	result, err := training.Run(ctx)
	if err == nil && result.Stopped != "" {
		err = ctx.Err()
	}
	return o, time.Duration(result.Seconds * float64(time.Second)), err
}

// unit is Conv7 with embeddings of length 1, for l2 distances with a margin.
func unit(size imaging.Size) backbone.Network {
	network := backbone.Conv7(size, 32)
	network.Blocks = append(network.Blocks, graph.Normalize{})
	return network
}

// losses are the recipes with a single loss of the papers, as changes to the default
// recipe.
var losses = map[string]struct {
	method string
	unit   bool // embeddings have length 1
	change func(*recipe)
}{
	"batch-contrastive": {"contrastive, l2 of unit vectors, all pairs of a batch", true, func(r *recipe) {
		r.network, r.head = unit, heads.L2{}
		r.objective = objectives.BatchContrastive{Margin: 1, Balanced: true}
	}},
	"triplet": {"triplet with margin, cosine, all triplets of a batch", false, func(r *recipe) {
		r.objective = objectives.BatchAll{Margin: 0.2}
	}},
	"ratio": {"softmax ratio, cosine, all triplets of a batch", false, func(r *recipe) {
		r.objective = objectives.BatchRatio{Scale: 20}
	}},
	"cross-entropy": {"cross-entropy, weighted l1, all pairs of a batch", true, func(r *recipe) {
		r.network, r.head = unit, heads.WeightedL1{Signed: true}
		r.objective = objectives.BatchCrossEntropy{Balanced: true}
	}},
}

// loss returns the job that trains with a single loss on the background alphabets.
func loss(name string) func(context.Context, settings) ([]Row, error) {
	return func(ctx context.Context, s settings) ([]Row, error) {
		splits, runs, err := s.open("background")
		if err != nil {
			return nil, err
		}
		r := defaultRecipe(backgroundSteps)
		losses[name].change(&r)
		network, took, err := r.train(ctx, s, splits.Train)
		if err != nil {
			return nil, err
		}
		settings, err := r.settings(s)
		if err != nil {
			return nil, err
		}
		row := Row{Settings: settings, Protocol: "Lake's 20 runs, 30 background alphabets, a single loss of the papers", Published: "Koch 92.0"}
		field, err := newField(network)
		if err != nil {
			return nil, err
		}
		return field.measure(s.fill(row, losses[name].method, took), lake(runs, splits.Train.Size), r.head.Name() == "cosine")
	}
}

// Settings are all settings of a training except its seed, by name. Rows with equal settings
// are runs of the same training. Settings that are zero are left out, so that settings
// added later do not change older rows.
type Settings map[string]string

// add flattens a value into settings: the fields of a struct are named after it and
// themselves, and the elements of a list after their Name.
func (s Settings) add(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return errors.Wrapf(err, "settings %s", name)
	}
	var decoded any
	if err := json.Unmarshal(text, &decoded); err != nil {
		return errors.Wrapf(err, "settings %s", name)
	}
	s.flatten(name, decoded)
	return nil
}

func (s Settings) flatten(name string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for field, v := range value {
			s.flatten(name+"."+strings.ToLower(field), v)
		}
	case []any:
		for i, v := range value {
			element := strconv.Itoa(i)
			if fields, ok := v.(map[string]any); ok {
				if own, ok := fields["Name"].(string); ok {
					element = own
					delete(fields, "Name")
				}
			}
			s.flatten(name+"."+element, v)
		}
	case float64:
		if value != 0 {
			s[name] = strconv.FormatFloat(value, 'g', -1, 64)
		}
	case string:
		if value != "" {
			s[name] = value
		}
	case bool:
		if value {
			s[name] = "yes"
		}
	}
}

// addNetwork adds the name of the network with a digest of its blocks.
func (s Settings) addNetwork(n backbone.Network) error {
	text, err := n.TOML()
	if err != nil {
		return errors.Wrap(err, "settings")
	}
	s["network"] = fmt.Sprintf("%s %.4x", n.Name, sha256.Sum256([]byte(text)))
	return nil
}

// String lists all settings in the order of their names.
func (s Settings) String() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		all = append(all, name+" "+s[name])
	}
	return strings.Join(all, ", ")
}

// beside returns the settings that differ from those of any of the others.
func (s Settings) beside(others []Settings) Settings {
	own := Settings{}
	for name, value := range s {
		if slices.ContainsFunc(others, func(o Settings) bool { return o[name] != value }) {
			own[name] = value
		}
	}
	return own
}

// settings returns the settings of a recipe.
func (r recipe) settings(s settings) (Settings, error) {
	if s.steps > 0 {
		r.steps = s.steps
	}
	if s.quick {
		r.steps /= 10
	}
	all := Settings{}
	if err := all.addNetwork(r.network(imaging.Size{Height: s.side, Width: s.side, Channels: 1})); err != nil {
		return nil, err
	}
	for name, value := range map[string]any{
		"pixels": s.side, "crop": crop, "head": r.head, "head.name": r.head.Name(), "objective": r.objective, "objective.name": r.objective.Name(),
		"classes": r.classes, "images": r.images, "steps": r.steps, "solver": r.solver, "grouped": r.grouped, "symmetries": r.symmetries,
		"networks": max(0, r.networks-1), "augment": r.augment,
	} {
		if err := all.add(name, value); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// settings returns the settings of a run of Koch's network.
func (k kochRun) settings(c kochChoice) (Settings, error) {
	all := Settings{}
	if err := all.addNetwork(backbone.Koch()); err != nil {
		return nil, err
	}
	for name, value := range map[string]any{
		"minutes": c.minutes, "epoch": c.epoch, "objective": k.objective, "objective.name": k.objective.Name(), "batch": k.batch,
		"per class": k.perClass, "grouped": k.grouped, "solver": c.solver(), "augment": datasets.KochAffine(),
	} {
		if err := all.add(name, value); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// mapSettings returns the settings of Hadsell's maps.
func mapSettings(s settings) (Settings, error) {
	all := Settings{}
	if err := all.addNetwork(backbone.Hadsell(2)); err != nil {
		return nil, err
	}
	for name, value := range map[string]any{"steps": s.mapSteps(), "batch": mapBatch, "objective": mapObjective, "solver": mapSolver, "neighbours": neighbors} {
		if err := all.add(name, value); err != nil {
			return nil, err
		}
	}
	return all, nil
}
