// Verification trains the network of Koch, Zemel & Salakhutdinov 2015 ("Siamese Neural
// Networks for One-shot Image Recognition") on MNIST: two towers that share their
// weights, a weighted L1 distance with trainable weights, regularized cross-entropy,
// affine distortions. Three digits are not seen in training; it prints how well pairs of
// them are verified.
//
//	go run ./cmd/verification
//
// As in the paper the network has learned from Omniglot's characters before it
// sees a digit: it begins with the weights of the zoo's model koch, whose widths
// are an eighth of the paper's, and continues with digits. Training on a few digits
// teaches it to compare these, and soon makes it worse at others: at a learning rate of
// 3e-5 the verification of pairs of the digits 3, 4 and 5, which it is not trained on,
// improves for some 20 steps and then declines, while that of the digits that it is
// trained on keeps improving. The learning rate is therefore lower, three more digits
// are held out of training, and the weights kept are those of the epoch that verifies
// pairs of them best, or the initial ones where no epoch is better. The test digits are
// not used for any choice and may get worse: 0, 1 and 2 do so a little, since the model
// of characters distinguishes them almost perfectly already. Their figures before and
// after training are printed.
//
// -scratch begins with random weights of a network whose layer widths are divided by
// -narrow (-narrow 1 is the paper's network, 0.9 billion multiply-adds per image), and
// needs -learning-rate 1e-3 and -steps-per-epoch 0, one pass over the images per epoch; a
// few digits alone teach it to recognize these, not to compare others. -paper also uses
// the paper's solver, which needs many more epochs.
package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/cmd/internal/paper"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

func main() { paper.Main(train) }

func train(ctx context.Context, args []string, stdout io.Writer) error {
	flags := paper.NewFlags("verification", "images per step, all of whose pairs are compared, or pairs with -pairs; the paper has 128 pairs",
		paper.Flags{Batch: 64, Epochs: 6, LearningRate: 1e-5, Limit: 4000})
	unseen := flags.String("unseen", "0,1,2", "digits to hold out of training and to test on")
	validation := flags.String("validation", "", "digits to hold out of training and to choose the epoch by; the first three that are not unseen, if empty")
	scratch := flags.Bool("scratch", false, "begin with random weights instead of those of the zoo's model koch; needs -learning-rate 1e-3")
	narrow := flags.Int("narrow", 16, "divisor of the paper's layer widths, with -scratch")
	single := flags.Bool("pairs", false, "train on random pairs, as in the paper, instead of all pairs of a batch, which uses each image less")
	symmetries := flags.Bool("symmetries", false, "add rotated and mirrored digits as classes of their own, except for 0, 1 and 8")
	steps := flags.Int("steps-per-epoch", 20, "steps in an epoch; 0: enough to process as many images as there are")
	flags.IntVar(steps, "epoch-steps", 20, "former name of -steps-per-epoch")
	sgd := flags.Bool("paper", false, "momentum SGD as in the paper's section 3.2 instead of Adam")
	lambda := flags.Float64("l2", 1e-5, "L2 penalty on the kernels; the paper has one per layer, up to 0.1")
	if err := flags.Parse(args); err != nil {
		return err
	}

	start, err := zoo.Load("koch")
	if err != nil {
		return err
	}
	data, held, err := digits(strings.Split(*unseen, ","), list(*validation), flags.Limit, flags.Seed, start.Preprocessing)
	if err != nil {
		return err
	}
	validate, err := trainer.Verification(held, validationPairs, flags.Seed)
	if err != nil {
		return err
	}
	choosing := strings.Join(slices.Sorted(slices.Values(held.Classes)), ",")
	var loss objectives.Loss = objectives.BatchCrossEntropy{Balanced: true}
	if *single {
		loss = objectives.CrossEntropy{}
	}
	model := start
	if *scratch {
		koch := backbone.Koch()
		if *narrow > 1 {
			koch = koch.Narrow(*narrow)
		}
		if model, err = likeness.New(koch, heads.WeightedL1{Signed: true}, data.Train.Preprocessing(), flags.Seed); err != nil {
			return err
		}
	}
	images := data.Train
	if *symmetries {
		if images, err = images.Symmetries(); err != nil {
			return err
		}
	}
	training := trainer.Trainer{
		Model: model, Loss: loss, Images: images, Batch: flags.Batch, Epochs: flags.Epochs, EpochSteps: *steps, Seed: flags.Seed, Validate: validate,
		Augment: datasets.EachImage(datasets.KochAffine()), Solver: flags.Adam(),
		Penalties: []objectives.WeightPenalty{{Pattern: "*", Lambda: *lambda}},
		OnEpoch:   func(e trainer.Epoch) { flags.PrintEpoch(stdout, e, "ROC AUC %.2f %% on digits "+choosing) },
	}
	if *sgd {
		training.Solver = solver.Koch()
		training.Solver.L2 = 0 // the penalty is a term of the loss
	}
	if err := training.Check(); err != nil {
		return err
	}
	plan, err := report.NewPlan(data, flags.Seed)
	if err != nil {
		return err
	}
	before, err := run.Measure(plan, &training, trainer.Result{})
	if err != nil {
		return err
	}
	best, err := validate.Measure(model)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "before training on digits: ROC AUC %.2f %% on digits %s, which are not seen, and %.2f %% on digits %s, which choose the epoch\n",
		100*before.Metrics["verification_auc"].Value, *unseen, 100*best, choosing)

	result, err := runAndKeepBest(ctx, &training, best)
	if err != nil {
		return err
	}
	if result.BestEpoch == 0 {
		fmt.Fprintf(stdout, "kept the initial weights: no epoch was better on digits %s\n", choosing)
	} else {
		fmt.Fprintf(stdout, "kept the weights of epoch %d, which was the best on digits %s\n", result.BestEpoch, choosing)
	}

	table, err := run.Measure(plan, &training, result)
	if err != nil {
		return err
	}
	if now := table.Metrics["verification_auc"].Value; now < before.Metrics["verification_auc"].Value {
		fmt.Fprintf(stdout, "training on other digits made digits %s worse: ROC AUC %.2f %% before, %.2f %% after\n",
			*unseen, 100*before.Metrics["verification_auc"].Value, 100*now)
	}
	table.Dataset = "MNIST"
	if err := table.WriteTable(stdout); err != nil {
		return err
	}
	return flags.Save(model)
}

// validationPairs of the held-out digits choose the epoch.
const validationPairs = 6000

// runAndKeepBest runs the training and keeps the weights of the best epoch, or the
// initial ones if no epoch was better than they are: BestEpoch is then 0.
func runAndKeepBest(ctx context.Context, training *trainer.Trainer, best float64) (trainer.Result, error) {
	model := training.Model
	initial := model.Weights.Clone()
	result, err := training.Run(ctx)
	if err != nil {
		return result, err
	}
	if result.BestEpoch > 0 && *result.Epochs[result.BestEpoch-1].Validation > best {
		return result, nil
	}
	result.BestEpoch = 0
	for _, weight := range model.Weights.All() {
		if initial.Get(weight.Name) != nil {
			continue
		}
		// The bias of the cross-entropy, which random weights do not have before training.
		var elements []float64
		for _, v := range weight.Value.Float32s() {
			elements = append(elements, float64(v))
		}
		if err := initial.Add(weight.Name, weight.Role, weight.Value.Shape(), elements); err != nil {
			return result, err
		}
	}
	return result, model.Weights.CopyFrom(initial)
}

// list are the parts of a text between commas; none of an empty one.
func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// digits are MNIST without the unseen ones, limited, cropped to the ink as the
// characters were and resized to the 105×105 pixels of the paper; and held, images of
// the validation digits, or of the first three that are not unseen if these are nil.
// No other part has images of them.
func digits(unseen, validation []string, limit int, seed uint64, like imaging.Preprocessing) (data datasets.Experiment, held *datasets.Dataset, err error) {
	all := strings.Split("0123456789", "")
	for _, digit := range unseen {
		if !slices.Contains(all, digit) {
			return data, nil, errors.Errorf("-unseen: found %q, expected digits such as 0,1,2", digit)
		}
	}
	seen := slices.DeleteFunc(all, func(digit string) bool { return slices.Contains(unseen, digit) })
	trained := slices.Clone(seen)
	if validation == nil {
		validation = slices.Clone(trained[:min(3, len(trained))])
	}
	for _, digit := range validation {
		if !slices.Contains(trained, digit) {
			return data, nil, errors.Errorf("-validation: found %q, expected digits that are not unseen: %s", digit, strings.Join(seen, ","))
		}
		trained = slices.DeleteFunc(trained, func(other string) bool { return other == digit })
	}
	if len(validation) < 2 || len(trained) < 2 {
		return data, nil, errors.Errorf("-unseen %s and -validation %s leave the digits %q to train on, expected at least two digits in each of the three sets", strings.Join(unseen, ","), strings.Join(validation, ","), trained)
	}
	path, err := datasets.FindMNIST("")
	if err != nil {
		return data, nil, err
	}
	splits, err := datasets.Open(path, datasets.Options{})
	if err != nil {
		return data, nil, err
	}
	if data, err = splits.Experiment(datasets.ExperimentOptions{UnseenClasses: unseen, Seed: seed}); err != nil {
		return data, nil, err
	}
	size := like.Size
	if held, err = data.Validation.OnlyClasses(validation...); err != nil {
		return data, nil, err
	}
	// Only the images that are kept are cropped.
	held = cropped(held.Limit(min(limit, 500), seed), like.Crop).Resize(size.Height, size.Width)
	for _, part := range []**datasets.Dataset{&data.Train, &data.Validation, &data.Seen, &data.Unseen} {
		most := min(limit, 1000)
		switch part {
		case &data.Unseen:
		case &data.Train:
			most = limit
			fallthrough
		default:
			if *part, err = (*part).OnlyClasses(trained...); err != nil {
				return data, nil, err
			}
		}
		*part = cropped((*part).Limit(most, seed), like.Crop).Resize(size.Height, size.Width)
	}
	data.Protocol += fmt.Sprintf("; limited to %d training images and %d of each test part; of these digits %s are in no part but choose the epoch, by %d pairs of %d images of them",
		data.Train.Len(), min(limit, 1000), strings.Join(validation, ", "), validationPairs, held.Len())
	return data, held, nil
}

// cropped returns the images cropped to their ink, at the same size.
func cropped(d *datasets.Dataset, crop *imaging.Crop) *datasets.Dataset {
	result := *d
	result.Crop, result.Images = crop, make([][]uint8, d.Len())
	result.Inverted = true // MNIST's strokes are light on dark, as drawings are when they are inverted
	preprocessing := imaging.Preprocessing{Size: d.Size, Crop: crop}
	for i, pixels := range d.Images {
		result.Images[i] = preprocessing.Pixels(d.Size.Image(pixels))
	}
	return &result
}
