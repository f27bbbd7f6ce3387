package main

import (
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/solver"
)

// Settings are all that determines a training. Each has one name, as a flag
// with hyphens and as a TOML key with underscores. A zero stands for the default
// choice, which the config.toml of a run folder spells out.
//
// The tag of names the choices that an option belongs to: when another choice is
// made, the option of the earlier one does not stay, but becomes the default of the
// new one. The tag needs names the setting without which it has no effect. A number must be finite and lie between the tags min (0 without it) and
// max.
type Settings struct {
	Data       string   `toml:"data" group:"Data" placeholder:"DIR" help:"A folder of classes (a folder of images each), perhaps in folders of groups and within train, val and test; of idx files (MNIST); of Omniglot or CIFAR-10; or a CSV file of pairs (a,b,different) or triplets (anchor,positive,negative); or the name of a data set that likeness fetch has downloaded (${published}). Without it: MNIST from the Go module cache."`
	Limit      int      `toml:"limit" group:"Data" placeholder:"N" help:"Train on at most N images, for a quick look."`
	TestLimit  int      `toml:"test_limit" group:"Data" placeholder:"N" help:"Validate and test on at most N images of each part."`
	Unseen     []string `toml:"unseen" of:"data" group:"Data" placeholder:"CLASS" help:"Classes to keep out of training and to test on. Without it: classes that only the test data has, or 7,8,9 of the ten digits, or a quarter of the classes. none: all are trained on."`
	Size       string   `toml:"size" of:"data" group:"Data" placeholder:"HxWxC" help:"Bring all images to this size: 64x64, or 64x64x1 for greys. Without it: the network's or the images' own, or 64x64 where these differ or are large."`
	Invert     bool     `toml:"invert" group:"Data" help:"Exchange black and white, for black ink on white paper."`
	Crop       float64  `toml:"crop" group:"Data" placeholder:"FACTOR" help:"Cut every image to its ink, what is brighter than half: the side of the square in sides of the ink's, such as 1.15. Without it: the whole image."`
	CropLeast  float64  `toml:"crop_least" needs:"crop" max:"1" group:"Data" placeholder:"PART" help:"What the ink's side counts as at least, as a part of the image's."`
	Symmetries bool     `toml:"symmetries" group:"Data" help:"Learn turned and mirrored classes as classes of their own. Not where orientation means nothing."`
	SkipBroken bool     `toml:"skip_broken" group:"Data" help:"Pass over files that are not readable images, and list them."`
	Alphabets  string   `toml:"alphabets" of:"data" group:"Data" placeholder:"SET" help:"Omniglot's training alphabets: background (all 30), small1 or small2 (5 each)."`

	Backbone  string         `toml:"backbone" of:"network from" group:"Network" placeholder:"NAME" help:"The network that embeds images: ${backbones}; or a .toml file that lists its blocks."`
	Width     int            `toml:"width" of:"backbone network from" group:"Network" placeholder:"N" help:"Filters of the layers of conv4, conv7, lenet and residual."`
	BatchNorm bool           `toml:"batch_norm" of:"backbone network from" group:"Network" negatable:"" help:"Batch norm in conv4."`
	Features  int            `toml:"features" of:"backbone network from" group:"Network" placeholder:"N" help:"Length of the vectors of hadsell and lenet."`
	From      string         `toml:"from" of:"backbone network" group:"Network" placeholder:"MODEL" help:"Start from the network and the weights of a model.safetensors or of a run folder."`
	Freeze    []string       `toml:"freeze" group:"Network" placeholder:"LAYER" help:"Keep the weights of these layers as they are: conv1, conv[12].weight, …"`
	Network   *backbone.Spec `toml:"network" of:"backbone from" kong:"-"` // the backbone's blocks, where it has no name

	Objective   string   `toml:"objective" group:"Objective" placeholder:"NAME" help:"What training asks of distances: of pairs contrastive or cross-entropy; of triplets triplet or triplet-ratio; within one batch batch-contrastive, batch-cross-entropy, batch-all, batch-hard, batch-ratio, semi-hard, n-pair, supervised-contrastive, nca or prototypical."`
	Head        string   `toml:"head" group:"Objective" placeholder:"NAME" help:"How two vectors are compared: l2, squared-l2, l1, weighted-l1 or cosine. Without it: weighted-l1 under the cross-entropies, l2 otherwise."`
	Margin      float64  `toml:"margin" of:"objective head" group:"Objective" placeholder:"DISTANCE" help:"The distance that the objective asks for. Without it: what suits objective and head."`
	Scale       float64  `toml:"scale" of:"objective head" group:"Objective" placeholder:"FACTOR" help:"On the distances of the ratio losses: how sure a difference of 1 is. Without it: what suits the head."`
	Temperature float64  `toml:"temperature" of:"objective head" group:"Objective" placeholder:"τ" help:"Of n-pair, supervised-contrastive, nca and prototypical: the lower, the more the nearest negatives count. Without it: what suits the head."`
	Soft        bool     `toml:"soft" of:"objective" group:"Objective" help:"A soft hinge in place of a margin: triplet, batch-all, batch-hard."`
	Balanced    bool     `toml:"balanced" of:"objective" group:"Objective" help:"Pairs of one class and of two weigh the same: batch-contrastive, batch-cross-entropy."`
	Penalty     []string `toml:"penalty" group:"Objective" placeholder:"LAYER=λ" help:"Add λ‖w‖² of a layer's weights to the cost; λ alone is for all layers."`

	Epochs     int  `toml:"epochs" min:"1" group:"Training" placeholder:"N" help:"Passes over the images."`
	EpochSteps int  `toml:"epoch_steps" group:"Training" placeholder:"N" help:"Steps in an epoch. Without it: as many as look at as many images as there are."`
	Batch      int  `toml:"batch" min:"1" group:"Training" placeholder:"N" help:"Pairs, triplets or labelled images in a step."`
	Grouped    bool `toml:"grouped" of:"objective" group:"Training" help:"Classes of a labelled batch come from one group: an alphabet, or whatever stands before the / in the names of classes."`
	PerClass   int  `toml:"per_class" group:"Training" placeholder:"N" help:"Images of a class in a labelled batch."`
	Patience   int  `toml:"patience" group:"Training" placeholder:"EPOCHS" help:"Stop after so many epochs without gain on validation."`

	Seed    uint64 `toml:"seed" group:"Training" placeholder:"N" help:"The root of all chance: the same seed gives the same model."`
	Threads int    `toml:"threads" group:"Training" placeholder:"N" help:"Processors to use; the result is the same. Without it: all."`

	Augment     float64 `toml:"augment" max:"1" group:"Augmentation" placeholder:"P" help:"Distort every image at random: the probability of each of the following, 0.5 in Koch et al. 2015."`
	Rotation    float64 `toml:"rotation" needs:"augment" max:"180" group:"Augmentation" placeholder:"DEGREES" help:"Up to so far either way."`
	Shear       float64 `toml:"shear" needs:"augment" group:"Augmentation" placeholder:"SLOPE" help:"Up to so much either way, along each axis."`
	ScaleMin    float64 `toml:"scale_min" needs:"augment" group:"Augmentation" placeholder:"FACTOR" help:"From this factor, along each axis,"`
	ScaleMax    float64 `toml:"scale_max" needs:"augment" group:"Augmentation" placeholder:"FACTOR" help:"to this one."`
	Translation float64 `toml:"translation" needs:"augment" group:"Augmentation" placeholder:"PIXELS" help:"Up to so far either way, along each axis."`
	Elastic     float64 `toml:"elastic" needs:"augment" group:"Augmentation" placeholder:"PIXELS" help:"Bend by so much: the standard deviation of how far points move along each axis."`
	Smoothness  float64 `toml:"smoothness" needs:"augment" group:"Augmentation" placeholder:"PIXELS" help:"How far apart points move nearly alike when bent."`
	Thinner     float64 `toml:"thinner" needs:"augment" group:"Augmentation" placeholder:"PIXELS" help:"Make the strokes of drawings thinner by up to so much on each side,"`
	Thicker     float64 `toml:"thicker" needs:"augment" group:"Augmentation" placeholder:"PIXELS" help:"or thicker by up to so much."`
	Fill        uint8   `toml:"fill" needs:"augment" max:"255" group:"Augmentation" placeholder:"0-255" help:"What lies outside the image."`

	Solver         string         `toml:"solver" group:"Solver" placeholder:"NAME" help:"sgd, adam or adamw."`
	Rate           float64        `toml:"rate" group:"Solver" placeholder:"η" help:"Learning rate to begin with."`
	Schedule       string         `toml:"schedule" group:"Solver" placeholder:"NAME" help:"How the rate goes on: constant, step, exponential or cosine."`
	Warmup         float64        `toml:"warmup" group:"Solver" placeholder:"EPOCHS" help:"Raise the rate from 0 during these."`
	Decay          float64        `toml:"decay" of:"schedule" group:"Solver" placeholder:"FACTOR" help:"On the rate: an epoch of exponential, a step of step."`
	DecayEpochs    int            `toml:"decay_epochs" of:"schedule" group:"Solver" placeholder:"EPOCHS" help:"Between two steps of step."`
	FinalRate      float64        `toml:"final_rate" of:"schedule" group:"Solver" placeholder:"η" help:"Where cosine ends."`
	Momentum       float64        `toml:"momentum" of:"solver" group:"Solver" placeholder:"μ" help:"Of sgd."`
	MomentumStart  float64        `toml:"momentum_start" of:"solver" group:"Solver" placeholder:"μ" help:"Of sgd: rise to the momentum from here."`
	MomentumEpochs int            `toml:"momentum_epochs" of:"solver" group:"Solver" placeholder:"EPOCHS" help:"Of sgd: how long it rises. Without it: to the end."`
	Nesterov       bool           `toml:"nesterov" of:"solver" group:"Solver" help:"Of sgd."`
	Beta1          float64        `toml:"beta1" of:"solver" name:"beta1" group:"Solver" placeholder:"β" help:"Of adam and adamw; 0 stands for 0.9."`
	Beta2          float64        `toml:"beta2" of:"solver" name:"beta2" group:"Solver" placeholder:"β" help:"Of adam and adamw; 0 stands for 0.999."`
	Epsilon        float64        `toml:"epsilon" of:"solver" group:"Solver" placeholder:"ε" help:"Of adam and adamw; 0 stands for 1e-8."`
	L2             float64        `toml:"l2" of:"solver" name:"l2" group:"Solver" placeholder:"λ" help:"Of sgd and adam: the penalty λ‖w‖² as the solver's, where --penalty is off."`
	WeightDecay    float64        `toml:"weight_decay" of:"solver" group:"Solver" placeholder:"λ" help:"Of adamw."`
	Clip           float64        `toml:"clip" group:"Solver" placeholder:"NORM" help:"Greatest norm of the gradient."`
	Average        float64        `toml:"average" max:"1" group:"Solver" placeholder:"DECAY" help:"Use the moving average of the weights, with this decay."`
	Layers         []solver.Layer `toml:"layers,omitempty" kong:"-"` // settings of single layers
}

// settingsFormat is the version of the file that save writes. What a person
// writes has none, as what earlier programs wrote.
const settingsFormat = "likeness-settings/1"

// settingsFile is settings as a file has them.
type settingsFile struct {
	Format string `toml:"format"`
	Settings
}

// solver is the part of the settings that package solver reads.
func (s Settings) solver() solver.Config {
	return solver.Config{
		Solver: s.Solver, LearningRate: s.Rate,
		Momentum: s.Momentum, MomentumStart: s.MomentumStart, MomentumEpochs: s.MomentumEpochs, Nesterov: s.Nesterov,
		Beta1: s.Beta1, Beta2: s.Beta2, Epsilon: s.Epsilon,
		L2: s.L2, WeightDecay: s.WeightDecay, Clip: s.Clip, Average: s.Average,
		Schedule: s.Schedule, Warmup: s.Warmup, Decay: s.Decay, DecayEpochs: s.DecayEpochs, FinalLearningRate: s.FinalRate,
		Layers: s.Layers,
	}
}
