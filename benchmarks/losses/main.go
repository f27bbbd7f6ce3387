// Command losses trains a small network on the digits 0 to 6 of MNIST with every loss and
// head, for less than a minute each, and measures the gain in verification of pairs of the
// unseen digits 7, 8 and 9 over the untrained network. A combination passes if the area
// under the ROC curve increases by at least 0.05. The exit status is 1 if any does not pass.
//
//	go run ./benchmarks/losses
//	go run ./benchmarks/losses -only "triplet-ratio with cosine"
//
// With -reference it compares values and gradients of losses in float64 with those of
// pytorch-metric-learning instead, for ordinary and for degenerate batches: of the losses of
// batches, or of those with class vectors. It needs a Python with torch and
// pytorch-metric-learning 2.9.0.
//
//	go run ./benchmarks/losses -reference batches -python venv/bin/python
//	go run ./benchmarks/losses -reference class-vectors -python venv/bin/python
//
// The losses without labels are compared with lightly, too.
//
//	go run ./benchmarks/losses -reference views -python venv/bin/python
//
// With -compare it compares all losses that use labels, with their defaults and with settings that
// package sweep chooses on held-out classes, at the same number of steps: a linear layer on the
// features of the bundled model photo (Caltech-101), and a small network from scratch (Omniglot).
// Finished rows are kept in the folder -work, and the same command continues. With -record it measures
// nothing and writes the record of the finished rows.
//
//	go run ./benchmarks/losses -compare -pictures 101_ObjectCategories -omniglot FOLDER
//	go run ./benchmarks/losses -compare -pictures 101_ObjectCategories -trials 6 -steps 180
//
// With -cost it measures a training step of ResNet-18 with every loss of labeled batches beside that with
// batch-hard, for at most the seconds of -limit; the same command continues.
//
//	go run ./benchmarks/losses -cost
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

const (
	minGain    = 0.05   // in the area under the ROC curve
	maxSeconds = 60     // of training
	pairs      = 10_000 // of unseen digits, half of them of different classes
	width      = 16     // filters of each layer of Conv4 with batch norm
)

// combinations are the losses with their heads. Most of them train on about 26,000 images.
var combinations = []struct {
	objective string
	heads     []string
	batch     int
	steps     int
}{
	{"contrastive", []string{"l2", "l1", "weighted-l1", "cosine"}, 64, 200},
	{"triplet", []string{"l2", "l1", "weighted-l1"}, 64, 135},
	{"triplet-ratio", []string{"l2", "l1", "weighted-l1"}, 64, 135},
	// Bounded distances have smaller gradients and need more steps.
	{"triplet", []string{"cosine"}, 64, 350},
	{"triplet-ratio", []string{"cosine"}, 64, 350},
	{"cross-entropy", []string{"weighted-l1"}, 64, 200},
}

func main() {
	log.SetFlags(0)
	out := flag.String("out", "", "`file` to write the record to (default benchmarks/results/losses.md, or losses-REFERENCE.md, losses-comparison.md or losses-cost.md there)")
	reference := flag.String("reference", "", "compare with a reference instead: batches, class-vectors or views")
	python := flag.String("python", "python3", "Python `interpreter` that runs the reference")
	seed := flag.Uint64("seed", 1, "random seed of the weights, training examples and test pairs")
	only := flag.String("only", "", "run only the combinations whose names contain this `text`, and write no record")
	comparing := flag.Bool("compare", false, "compare all losses with equal budgets instead")
	measuring := flag.Bool("cost", false, "measure a training step with every loss of labeled batches instead")
	limit := flag.Duration("limit", time.Hour, "with -cost: `time` after which no other loss is begun")
	c := comparison{command: "go run ./benchmarks/losses"}
	flag.StringVar(&c.work, "work", "runs/losses-comparison", "with -compare and -cost: `folder` of the finished rows and of the searches")
	flag.StringVar(&c.pictures, "pictures", "", "with -compare: Caltech-101's `folder` 101_ObjectCategories; empty for none")
	flag.StringVar(&c.omniglot, "omniglot", os.Getenv("LIKENESS_OMNIGLOT"), "with -compare: `folder` of Omniglot's zip files; empty for none")
	flag.IntVar(&c.trials, "trials", 20, "with -compare: trials of each search")
	flag.IntVar(&c.seeds, "seeds", 3, "with -compare: seeds of each measurement")
	flag.IntVar(&c.steps, "steps", 450, "with -compare: steps of each training, a multiple of 9")
	flag.IntVar(&c.drawnTrials, "omniglot-trials", 0, "with -compare: -trials on Omniglot, if they differ")
	flag.IntVar(&c.drawnSteps, "omniglot-steps", 0, "with -compare: -steps on Omniglot, if they differ")
	flag.BoolVar(&c.record, "record", false, "with -compare: measure nothing, and write the record of the finished rows")
	flag.Parse()
	if *comparing {
		c.only, c.out = *only, cmp.Or(*out, "benchmarks/results/losses-comparison.md")
		c.command += fmt.Sprintf(" -compare -pictures 101_ObjectCategories -omniglot FOLDER -trials %d -seeds %d -steps %d", c.trials, c.seeds, c.steps)
		if c.drawnTrials != 0 || c.drawnSteps != 0 {
			c.command += fmt.Sprintf(" -omniglot-trials %d -omniglot-steps %d", cmp.Or(c.drawnTrials, c.trials), cmp.Or(c.drawnSteps, c.steps))
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		err := c.run(ctx)
		stop()
		if err != nil {
			log.Fatal(err)
		}
		return
	}
	var err error
	if *measuring {
		err = costs(c.work, cmp.Or(*out, "benchmarks/results/losses-cost.md"), "go run ./benchmarks/losses -cost", *limit)
		if err != nil {
			log.Fatal(err)
		}
		return
	}
	switch *reference {
	case "":
		err = digits(cmp.Or(*out, "benchmarks/results/losses.md"), *seed, *only)
	case "batches":
		err = runBatches(*python, "benchmarks/losses/batches.py", cmp.Or(*out, "benchmarks/results/losses-batches.md"))
	case "class-vectors":
		err = runClassVectors(*python, "benchmarks/losses/class_vectors.py", cmp.Or(*out, "benchmarks/results/losses-class-vectors.md"), *only, *seed)
	case "views":
		err = runViews(*python, "benchmarks/losses/views.py", cmp.Or(*out, "benchmarks/results/losses-views.md"))
	default:
		err = errors.Errorf("-reference: found %q, expected batches, class-vectors or views", *reference)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func digits(out string, seed uint64, only string) error {
	splits, err := datasets.MNIST("")
	if err != nil {
		return err
	}
	data, err := splits.Experiment(datasets.ExperimentOptions{Seed: seed})
	if err != nil {
		return err
	}
	sampler, err := datasets.BalancedPairs(data.Unseen)
	if err != nil {
		return err
	}
	test := sampler.Sample(random.New(seed, "test pairs"), pairs).Pairs()

	start := time.Now()
	var table strings.Builder
	fmt.Fprintf(&table, "Conv4 of width %d with batch norm, Adam with learning rate 3e-3 and cosine decay to zero, seed %d. Verification of %d balanced pairs of the unseen digits 7, 8, 9; ROC AUC, and its gain over the untrained network with the 95 %% interval of the paired bootstrap of the images. Seconds are of training; where other programs ran at the same time, as they may have, they are upper bounds.\n\n", width, seed, pairs)
	table.WriteString("| objective | head | untrained | trained | gain | 95 % interval | seconds |\n|---|---|---|---|---|---|---|\n")
	var failed []string
	for _, c := range combinations {
		for _, head := range c.heads {
			name := c.objective + " with " + head
			if !strings.Contains(name, only) {
				continue
			}
			m, err := measure(data, test, c.objective, head, c.batch, c.steps, seed)
			if err != nil {
				return errors.Wrap(err, name)
			}
			row := fmt.Sprintf("| %s | %s | %.4f | %.4f | %+.4f | [%.4f, %.4f] | %.0f |\n", c.objective, head, m.untrained, m.trained, m.gain.Value, m.gain.Low, m.gain.High, m.seconds)
			fmt.Print(row)
			table.WriteString(row)
			if m.gain.Value < minGain || m.seconds > maxSeconds {
				failed = append(failed, name)
			}
		}
	}
	if only == "" {
		err = record.Record{
			Title: "Training with every loss and head", Command: "go run ./benchmarks/losses", Took: time.Since(start), Result: table.String(),
		}.WriteFile(out)
	}
	if err == nil && len(failed) > 0 {
		err = errors.Errorf("expected a gain of at least %.2f in at most %d seconds, not reached by: %s", minGain, maxSeconds, strings.Join(failed, ", "))
	}
	return err
}

// outcome is the result of a combination.
type outcome struct {
	untrained, trained float64
	gain               evaluate.Estimate
	seconds            float64 // of training
}

func measure(data datasets.Experiment, test []datasets.Pair, objectiveName, headName string, batch, steps int, seed uint64) (outcome, error) {
	network := backbone.Conv4(data.Train.Size, width, true)
	shape, err := backbone.ShapeOf(network)
	if err != nil {
		return outcome{}, err
	}
	objective, head, err := objectives.Named(objectiveName, headName, objectives.Options{Features: shape.Features})
	if err != nil {
		return outcome{}, err
	}
	model, err := likeness.New(network, head, data.Train.Preprocessing(), seed)
	if err != nil {
		return outcome{}, err
	}
	before, err := verify(model, data.Unseen, test)
	if err != nil {
		return outcome{}, err
	}
	training := trainer.Trainer{
		Model: model, Loss: objective, Images: data.Train, Batch: batch, Epochs: 1, EpochSteps: steps, Seed: seed,
		Solver: solver.Config{Solver: "adam", LearningRate: 3e-3, Schedule: "cosine"},
	}
	result, err := training.Run(context.Background())
	if err != nil {
		return outcome{}, err
	}
	after, err := verify(model, data.Unseen, test)
	if err != nil {
		return outcome{}, err
	}
	gain, err := evaluate.AUCDifference(after, before)
	return outcome{before.AreaUnderCurve(), after.AreaUnderCurve(), gain, result.Seconds}, err
}

func verify(model *likeness.Model, images *datasets.Dataset, test []datasets.Pair) (*evaluate.Verification, error) {
	embeddings, err := model.EmbedAll(images, nil)
	if err != nil {
		return nil, err
	}
	metric, err := model.Metric()
	if err != nil {
		return nil, err
	}
	return evaluate.Verify(metric, embeddings, test)
}
