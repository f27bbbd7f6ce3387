package main

import (
	"flag"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// kochChoice is what the paper leaves open: it searched rates of 1e-4 to 0.1, momenta
// up to 1 and penalties up to 0.1, each layer by layer, and prints none.
type kochChoice struct {
	minutes  float64
	every    int // steps between two points of the curve
	rate     float64
	layers   []solver.Layer // scales on the rate
	momentum float64
	linear   float64 // penalty of the fully connected layer
	adam     bool
	grouped  bool
}

const (
	kochPenalty = 1e-4 // of the kernels of the other layers
	kochLinear  = "linear1.weight"
)

// parse reads the choice from arguments like a command's, which may change the batch
// of the run, too.
func (k *kochRun) parse(arguments []string) (c kochChoice, err error) {
	flags := flag.NewFlagSet(k.name, flag.ContinueOnError)
	flags.Float64Var(&c.minutes, "minutes", 120, "of training, at most")
	flags.IntVar(&c.every, "every", 50, "steps between two points of the curve")
	flags.Float64Var(&c.rate, "rate", solver.Koch().Rate, "learning rate at the start")
	scales := flags.String("scales", "", "on the rates of layers, such as `conv1=0.1,linear1=3`")
	flags.Float64Var(&c.momentum, "momentum", 0, "from the start; 0 for one that rises from 0.5 to 0.9")
	flags.Float64Var(&c.linear, "linear-penalty", kochPenalty, "of the fully connected layer's weights")
	flags.BoolVar(&c.adam, "adam", false, "AdamW in place of SGD with momentum and the penalty")
	flags.BoolVar(&c.grouped, "grouped", false, "classes of a batch of images come from one alphabet")
	flags.IntVar(&k.batch, "batch", k.batch, "pairs, or images where all pairs of them are compared")
	flags.IntVar(&k.perClass, "per-class", k.perClass, "images of each class of a batch of images")
	if err := flags.Parse(arguments); err != nil {
		return c, errors.WithStack(err)
	}
	for part := range strings.FieldsFuncSeq(*scales, func(r rune) bool { return r == ',' }) {
		name, number, _ := strings.Cut(part, "=")
		scale, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return c, errors.Errorf("-scales: found %q, expected a layer's name, = and a number", part)
		}
		c.layers = append(c.layers, solver.Layer{Name: name, RateScale: &scale})
	}
	return c, nil
}

// departures from the recipe are named in the method, lest its row be taken for the
// recipe's.
func (c kochChoice) departures() (text string) {
	if c.adam {
		text += ", AdamW"
	}
	if c.grouped {
		text += ", batches of one alphabet"
	}
	return text
}

// examples draws what the run learns from.
func (k kochRun) examples(c kochChoice, images *datasets.Dataset) (*trainer.Examples, error) {
	if batch, ok := k.objective.(objectives.BatchObjective); ok && c.grouped {
		return trainer.ForGroups(batch, images, k.batch, k.perClass)
	}
	return trainer.For(k.objective, images, k.batch, k.perClass)
}

func (c kochChoice) solver() solver.Config {
	config := solver.Koch()
	config.L2 = 0 // the penalty is a term of the cost
	if c.momentum > 0 {
		config.Momentum, config.MomentumStart, config.MomentumEpochs = c.momentum, 0, 0
	}
	if c.adam {
		config = solver.Config{Solver: "adamw", WeightDecay: kochPenalty}
	}
	config.Rate, config.Layers = c.rate, c.layers
	return config
}

func (c kochChoice) penalties() []objectives.L2 {
	if c.adam {
		return nil
	}
	return []objectives.L2{{Pattern: kochLinear, Lambda: c.linear}, {Pattern: "*", Lambda: kochPenalty}}
}

// penaltyOf weights is the term of the cost that knows no images.
func (c kochChoice) penaltyOf(weights *graph.Weights) float64 {
	if c.adam {
		return 0
	}
	penalty := 0.
	for _, w := range weights.All() {
		lambda := kochPenalty
		if w.Name == kochLinear {
			lambda = c.linear
		}
		if w.Role == graph.Kernel {
			penalty += lambda * sumOfSquares(w.Value.Data().([]float32))
		}
	}
	return penalty
}

func sumOfSquares(values []float32) (sum float64) {
	for _, value := range values {
		sum += float64(value) * float64(value)
	}
	return sum
}
