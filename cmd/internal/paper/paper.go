// Package paper is what the training binaries of the three papers have in common: their
// flags, MNIST and what they print.
package paper

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
)

// Main runs a binary with its arguments until it ends or is interrupted.
func Main(run func(ctx context.Context, args []string, stdout io.Writer) error) {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// Flags are the flags that all three binaries have. A binary adds its own.
type Flags struct {
	*flag.FlagSet
	Batch, Epochs, Limit int
	LearningRate         float64
	Seed                 uint64
	Out                  string
}

// NewFlags returns the flags of a binary with its defaults; batch says what the batch
// size counts.
func NewFlags(name, batch string, defaults Flags) *Flags {
	f := &Flags{FlagSet: flag.NewFlagSet(name, flag.ExitOnError)}
	f.IntVar(&f.Batch, "batch", defaults.Batch, "batch size: "+batch)
	f.IntVar(&f.Epochs, "epochs", defaults.Epochs, "number of training epochs")
	f.IntVar(&f.Limit, "limit", defaults.Limit, "maximum number of training images and of test images")
	f.Float64Var(&f.LearningRate, "learning-rate", defaults.LearningRate, "initial learning rate")
	f.Float64Var(&f.LearningRate, "rate", defaults.LearningRate, "former name of -learning-rate")
	f.Uint64Var(&f.Seed, "seed", 1, "random seed; the same seed gives the same model")
	f.StringVar(&f.Out, "out", "", "model file to write, such as "+name+".safetensors")
	return f
}

// Parse parses the arguments, and says which flag by a former name is meant.
func (f *Flags) Parse(args []string) error {
	if err := f.FlagSet.Parse(args); err != nil {
		return err
	}
	f.Visit(func(given *flag.Flag) {
		if given.Name == "rate" {
			fmt.Fprintln(f.Output(), "warning: -rate is now -learning-rate")
		}
	})
	return nil
}

// MNIST returns the images, at most Limit of each part.
func (f *Flags) MNIST() (datasets.Splits, error) {
	splits, err := datasets.MNIST("")
	if err != nil {
		return splits, err
	}
	splits.Train, splits.Test = splits.Train.Limit(f.Limit, f.Seed), splits.Test.Limit(f.Limit, f.Seed)
	return splits, nil
}

// Adam is the solver that all three use: Adam with a cosine schedule.
func (f *Flags) Adam() solver.Config {
	return solver.Config{Solver: "adam", LearningRate: f.LearningRate, Schedule: "cosine"}
}

// PrintEpoch prints a line for an epoch; a validated one has what the value measures.
func (f *Flags) PrintEpoch(w io.Writer, e trainer.Epoch, measure string) {
	line := fmt.Sprintf("epoch %2d of %d: loss %.4f, %.0f images/s", e.Epoch, f.Epochs, e.Loss, e.ImagesPerSecond)
	if e.Validation != nil {
		line += fmt.Sprintf(", "+measure, 100**e.Validation)
	}
	fmt.Fprintln(w, line)
}

// Save writes the model to the file of the flag -out, if it is given.
func (f *Flags) Save(model *likeness.Model) error {
	if f.Out == "" {
		return nil
	}
	return model.Save(f.Out)
}
