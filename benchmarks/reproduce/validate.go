package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/datasets/omniglot"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/pkg/errors"
)

// variation is the settings of a recipe that can be validated.
type variation struct {
	start       string // file of a model to begin from
	small       string // the minimal split to train on; without it, the 24 alphabets of the verification
	hold        string // names of alphabets of the minimal split, separated by commas, that are validated on instead of all others
	loss        string // name of an entry of losses; without it n-pair
	margin      float64
	scale       float64
	network     string
	width       int
	side        int // of the images
	temperature float64
	dropout     float64
	batch       datasets.Distortion // of all images of a batch alike
	elastic     datasets.Elastic    // of each image
	stroke      datasets.Stroke     // of each image
	pen         float64             // by which the validation images are drawn again, too, in pixels more on each side; 0 for not
	episodes    int
	strength    float64 // factor on the default affine augmentation of each image
}

// parse reads a variation of the default recipe from arguments like a command's.
func (v *variation) parse(r *recipe, arguments []string) error {
	flags := flag.NewFlagSet("validate", flag.ContinueOnError)
	flags.StringVar(&v.small, "small", "", "train on `small1` or small2 and validate on all other background alphabets")
	flags.StringVar(&v.hold, "hold", "", "with -small small1: train on the split without these `alphabets`, separated by commas, and validate on them alone")
	flags.StringVar(&v.loss, "loss", "", "triplet, ratio, batch-contrastive or cross-entropy with its head, instead of n-pair")
	flags.Float64Var(&v.margin, "margin", 0.2, "margin of the triplet loss")
	flags.Float64Var(&v.scale, "loss-scale", 20, "scale of the ratio loss")
	flags.StringVar(&v.start, "start", "", "`file` of a model with the initial weights")
	flags.IntVar(&r.networks, "networks", 1, "size of the ensemble; the figures of the first network, the first two and so on are reported, too")
	flags.IntVar(&r.steps, "steps", r.steps, "number of training `steps`")
	flags.Float64Var(&r.solver.LearningRate, "rate", r.solver.LearningRate, "learning rate")
	flags.Float64Var(&r.solver.WeightDecay, "decay", r.solver.WeightDecay, "weight decay")
	flags.BoolVar(&r.symmetries, "symmetries", r.symmetries, "treat the symmetries of a class as separate classes")
	flags.Float64Var(&r.solver.Warmup, "warmup", r.solver.Warmup, "warmup of the learning rate, in `epochs` of a tenth of the training")
	flags.IntVar(&r.classes, "classes", r.classes, "number of classes in a batch")
	flags.IntVar(&r.images, "images", r.images, "number of images of each class in a batch")
	flags.StringVar(&v.network, "network", "conv7", "conv7 or residual")
	flags.IntVar(&v.width, "width", 32, "channels of the first layer")
	flags.IntVar(&v.side, "side", side, "side of the images in `pixels`")
	flags.Float64Var(&crop.MinSide, "least", crop.MinSide, "minimum side of the cropped square, as a fraction of the side of the image")
	flags.Float64Var(&v.temperature, "temperature", 0.035, "temperature of the softmax")
	flags.Float64Var(&v.dropout, "dropout", 0, "dropout rate of the embedding")
	flags.Float64Var(&v.batch.Affine.Rotation, "batch-rotation", 0, "degrees")
	flags.Float64Var(&v.batch.Affine.Shear, "batch-shear", 0, "slope")
	scale := flags.Float64("batch-scale", 1, "maximum scale of a batch; the minimum is its reciprocal")
	flags.Float64Var(&v.batch.Elastic.Displacement, "batch-elastic", 0, "pixels")
	flags.Float64Var(&v.batch.Elastic.Smoothness, "batch-smoothness", 4, "pixels")
	flags.Float64Var(&v.batch.Elastic.Probability, "batch-probability", 1, "probability of an elastic deformation of a batch")
	flags.Float64Var(&v.elastic.Displacement, "elastic", 0, "pixels")
	flags.Float64Var(&v.elastic.Smoothness, "smoothness", 4, "pixels")
	flags.Float64Var(&v.stroke.Min, "stroke-min", 0, "pixels on each side")
	flags.Float64Var(&v.stroke.Max, "stroke-max", 0, "pixels on each side")
	flags.Float64Var(&v.batch.Stroke.Min, "batch-stroke-min", 0, "pixels on each side")
	flags.Float64Var(&v.batch.Stroke.Max, "batch-stroke-max", 0, "pixels on each side")
	flags.Float64Var(&v.pen, "pen", 0, "pixels by which strokes of the validation images are thickened on each side, for a second figure")
	flags.IntVar(&v.episodes, "episodes", 10_000, "number of 20-way validation `episodes`")
	flags.Float64Var(&v.strength, "strength", 1, "strength of the affine augmentation of each image; the default is 1")
	if err := flags.Parse(arguments); err != nil {
		return errors.WithStack(err)
	}
	if flags.NArg() > 0 {
		return errors.Errorf("found %q, expected flags", flags.Args())
	}
	v.batch.Affine.ScaleMin, v.batch.Affine.ScaleMax = 1 / *scale, *scale
	v.batch.Affine.Probability, v.elastic.Probability = 1, 1
	v.batch.Stroke.Probability, v.stroke.Probability = 1, 1
	r.augment.Batch = v.batch
	r.augment.Image = datasets.Distortion{Affine: distortion(v.side, v.strength), Elastic: v.elastic, Stroke: v.stroke}
	r.objective = objectives.NPair{Temperature: v.temperature}
	unit := false
	if v.loss != "" {
		l, known := losses[v.loss]
		if !known {
			return errors.Errorf("found -loss %q, expected triplet, ratio, batch-contrastive or cross-entropy", v.loss)
		}
		unit = l.unit
		l.change(r)
	}
	switch objective := r.objective.(type) {
	case objectives.BatchAll:
		objective.Margin = v.margin
		r.objective = objective
	case objectives.BatchRatio:
		objective.Scale = v.scale
		r.objective = objective
	}
	r.network = func(size imaging.Size) backbone.Network {
		network := backbone.Conv7(size, v.width)
		if v.network == "residual" {
			network = backbone.Residual(size, v.width)
		}
		if v.dropout > 0 {
			network.Blocks = append(network.Blocks, graph.Dropout{Rate: v.dropout})
		}
		if unit {
			network.Blocks = append(network.Blocks, graph.Normalize{})
		}
		return network
	}
	return nil
}

// validate tries a variation of the default recipe: twenty-way one-shot episodes within
// background alphabets that are held out of training. The evaluation alphabets have no
// part in it.
func validate(ctx context.Context, s settings) ([]Row, error) {
	r, v := defaultRecipe(backgroundSteps), variation{}
	if err := v.parse(&r, s.arguments); err != nil {
		return nil, err
	}
	s.side = v.side
	kept, held, err := s.validation(v.small, v.hold)
	if err != nil {
		return nil, err
	}
	if v.start != "" {
		if r.start, err = likeness.Load(v.start); err != nil {
			return nil, err
		}
	}
	settings, err := r.settings(s)
	if err != nil {
		return nil, err
	}
	if v.start != "" {
		settings["start"] = v.start
	}
	networks, took, err := r.trainAll(ctx, s, kept)
	if err != nil {
		return nil, err
	}
	if err := s.keepAll(networks); err != nil {
		return nil, err
	}
	known, err := episodes(kept, 20, 1, 1, v.episodes, true)
	if err != nil {
		return nil, err
	}
	fields, err := newFields(networks)
	if err != nil {
		return nil, err
	}
	own, err := known(fields[0].trained)
	if err != nil {
		return nil, err
	}
	s.note("%.2f on the classes that were trained on", 100*own.Value)
	var rows []Row
	for i := range fields {
		field := joined(fields[:i+1])
		row := Row{Protocol: fmt.Sprintf("validation: %d background alphabets, 20-way 1-shot within an alphabet, %s episodes", len(held.Groups()), thousands(v.episodes)), Validation: true, Settings: settings}
		if i+1 < len(fields) {
			row.Protocol += fmt.Sprintf(", the first %d of the networks", i+1)
		}
		row = s.fill(row, strings.Join(s.arguments, " "), took)
		more, err := field.within(row, held, v.episodes)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
		if v.pen == 0 {
			continue
		}
		row.Protocol += fmt.Sprintf(", strokes thicker by %g pixels on each side", v.pen)
		if more, err = field.within(row, redrawn(held, v.pen), v.episodes); err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// thousands writes a number with commas.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// within measures twenty-way one-shot episodes within alphabets.
func (f field) within(row Row, images *datasets.Dataset, count int) ([]Row, error) {
	m, err := episodes(images, 20, 1, 1, count, true)
	if err != nil {
		return nil, err
	}
	return f.measure(row, m, false)
}

// redrawn are drawings with strokes that are thicker by the given number of pixels on
// each side.
func redrawn(drawings *datasets.Dataset, pen float64) *datasets.Dataset {
	redrawn := *drawings
	redrawn.Images = make([][]uint8, drawings.Len())
	thicker := datasets.Distortion{Stroke: datasets.Stroke{Min: pen, Max: pen, Probability: 1}}
	for i, image := range drawings.Images {
		redrawn.Images[i] = make([]uint8, len(image))
		thicker.Apply(redrawn.Images[i], image, drawings.Size, 0, random.New(trialSeed))
	}
	return &redrawn
}

// validation is what to train on and to validate on. With hold, both are parts of the
// minimal split: no other alphabet plays a part.
func (s settings) validation(small, hold string) (kept, held *datasets.Dataset, err error) {
	if hold != "" {
		if small != "small1" {
			return nil, nil, errors.New("found -hold without -small small1, whose alphabets it names")
		}
		few, err := omniglot.Small1(s.options(""))
		if err != nil {
			return nil, nil, err
		}
		return holdOut(few.Train, strings.Split(hold, ","))
	}
	splits, _, err := s.open("background")
	if err != nil {
		return nil, nil, err
	}
	if small == "" {
		return holdOut(splits.Train, validationAlphabets)
	}
	few, _, err := s.open(small)
	if err != nil {
		return nil, nil, err
	}
	trained := map[string]bool{}
	for _, class := range few.Train.Classes {
		trained[datasets.GroupOf(class)] = true
	}
	var others []string
	for _, class := range splits.Train.Classes {
		if !trained[datasets.GroupOf(class)] {
			others = append(others, class)
		}
	}
	held, err = splits.Train.OnlyClasses(others...)
	return few.Train, held, err
}

// variedDigits is one of these recipes as arguments like a command's change it.
func variedDigits(arguments []string) (r recipe, err error) {
	flags := flag.NewFlagSet("validate-mnist", flag.ContinueOnError)
	name := flags.String("recipe", "mnist", "mnist, mnist-three or mnist-hoffer")
	steps := flags.Int("steps", 0, "number of training `steps`")
	rate := flags.Float64("rate", 0, "learning rate")
	decay := flags.Float64("decay", -1, "weight decay")
	momentum := flags.Float64("sgd", 0, "SGD of this `momentum` in place of AdamW; -decay is the λ of its penalty λ‖w‖²")
	images := flags.Int("images", 0, "number of images of each class in a batch")
	scale := flags.Float64("scale", 0, "scale of the ratio loss")
	temperature := flags.Float64("temperature", 0, "temperature of the softmax")
	head := flags.String("head", "", "cosine to replace the head of the recipe")
	elastic := flags.Float64("elastic", -1, "pixels")
	dropout := flags.Float64("dropout", -1, "dropout rate after each pooling layer of Hoffer's network")
	width := flags.Int("residual", 0, "`width` of a residual network to replace the network of the recipe")
	networks := flags.Int("networks", 0, "size of the ensemble")
	if err := flags.Parse(arguments); err != nil {
		return r, errors.WithStack(err)
	}
	if _, known := mnistSteps[*name]; !known || flags.NArg() > 0 {
		return r, errors.Errorf("found the recipe %q and %q, expected mnist, mnist-three or mnist-hoffer and nothing else", *name, flags.Args())
	}
	r = mnistRecipe(*name)
	if *networks > 0 {
		r.networks = *networks
	}
	if *steps > 0 {
		r.steps = *steps
	}
	if *rate > 0 {
		r.solver.LearningRate = *rate
	}
	if *decay >= 0 {
		r.solver.WeightDecay = *decay
	}
	if *momentum > 0 {
		r.solver.Solver, r.solver.Momentum = "sgd", *momentum
		r.solver.L2, r.solver.WeightDecay = r.solver.WeightDecay, 0
	}
	if *images > 0 {
		r.images = *images
	}
	if *scale > 0 {
		r.objective = objectives.BatchRatio{Scale: *scale}
	}
	if *temperature > 0 {
		r.objective = objectives.SupervisedContrastive{Temperature: *temperature}
	}
	if *head == "cosine" {
		r.head = heads.Cosine{}
	}
	if *elastic >= 0 {
		r.augment.Image.Elastic.Displacement = *elastic
	}
	if *dropout >= 0 {
		r.network = func(imaging.Size) backbone.Network { return dropping(backbone.HofferMNIST(), *dropout) }
	}
	if *width > 0 {
		r.network = func(size imaging.Size) backbone.Network { return backbone.Residual(size, *width) }
	}
	return r, nil
}

// validateDigits tries settings of one of these on training images that are held
// out.
func validateDigits(ctx context.Context, s settings) ([]Row, error) {
	r, err := variedDigits(s.arguments)
	if err != nil {
		return nil, err
	}
	splits, err := datasets.MNIST("")
	if err != nil {
		return nil, err
	}
	kept, held, err := splits.Train.SplitSamples(float64(heldDigits)/float64(splits.Train.Len()), trialSeed)
	if err != nil {
		return nil, err
	}
	row := Row{Protocol: "validation: MNIST, linear classifier, 10,000 training images held out", Method: strings.Join(s.arguments, " "), Validation: true}
	return r.digits(ctx, s, row, kept, held)
}

// dropping is a network with another rate of dropout.
func dropping(network backbone.Network, rate float64) backbone.Network {
	for i, block := range network.Blocks {
		if _, ok := block.(graph.Dropout); ok {
			network.Blocks[i] = graph.Dropout{Rate: rate}
		}
	}
	return network
}
