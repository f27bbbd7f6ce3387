package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/sweep"
	"github.com/pkg/errors"
)

// sweepCommand searches for the settings of a training.
type sweepCommand struct {
	Over      []string `sep:"none" placeholder:"SETTING=VALUES" required:"" help:"A setting of likeness train to search, and its values: choices, objective=triplet,n-pair, or a range, learning-rate=1e-4..1e-2. Can be repeated."`
	Trials    int      `placeholder:"N" default:"20" help:"Number of trials. [20]"`
	Eta       int      `placeholder:"η" default:"3" help:"Of the trials of a rung the best, one in η, are trained η times as long in the next one. [3]"`
	MinEpochs int      `placeholder:"N" default:"1" help:"Minimum number of epochs of the first rung. [1]"`
	Config    string   `placeholder:"FILE" help:"TOML file of settings for all trials. Flags take precedence."`
	run.Settings
}

// Help returns the text of --help before the flags.
func (sweepCommand) Help() string {
	return `Draws settings at random and trains with them, by successive halving (Jamieson & Talwalkar 2016): all trials are trained for a few epochs, the best third of them for three times as many, and so on, and the last ones for all --epochs. A trial continues from its checkpoint, with the learning rate schedule of all epochs. The best one is then measured on the test classes, as likeness train does.

Examples:
  likeness sweep --data photos --over objective=n-pair,multi-similarity --over learning-rate=1e-5..1e-3 --out sweeps/photos
  likeness sweep --over temperature=0.01..0.2 --over batch=32,64,128 --trials 9 --out sweeps/drawings

Trials are compared by the validation of likeness train on classes that are held out of training, by default a fifth of them (--validation-classes); no test class has a part in the choice. At least twenty classes for training are needed, or a folder val with other classes.

Numbers of a range are drawn with a uniform density. Of rates, factors and sizes the logarithm is: ` + strings.Join(logFlags(), ", ") + `. A setting that has no effect in a trial, because it is an option of another loss or solver, is left out there. Settings that make the data or the length of a training, and the seed, are the same in all trials.

The folder --out has sweep.json (the state), trials.csv (a line for each trial, the best first), sweep.svg and sweep.png (the validations over the steps), trials (a run folder for each trial, without a model) and best, the run folder of the best trial. A trial whose loss or weights become infinite, whose embeddings collapse or whose settings cannot be combined counts as the worst, and the table says why.

A search that was interrupted or killed continues with the same command. Other settings in the same folder are refused. The same --seed gives the same trials and the same model, on any number of threads.`
}

// logFlags are the flags of the settings of which the logarithm is drawn.
func logFlags() (flags []string) {
	for _, key := range run.Keys() {
		if p, err := run.ParameterOf(key); err == nil && p.Log {
			flags = append(flags, run.FlagName(key))
		}
	}
	slices.Sort(flags)
	return flags
}

// Run searches.
func (s *sweepCommand) Run(c *console) error {
	if s.Out == "" {
		return errors.New("--out: found no folder, expected one for the trials, such as --out sweeps/photos")
	}
	for _, number := range []struct {
		flag  string
		value int
		least int
	}{{"trials", s.Trials, 1}, {"eta", s.Eta, 2}, {"min-epochs", s.MinEpochs, 1}} {
		if number.value < number.least {
			return errors.Errorf("--%s: found %d, expected at least %d", number.flag, number.value, number.least)
		}
	}
	search := sweep.Search{Settings: s.Settings, Config: s.Config, Given: c.given, Trials: s.Trials, Eta: s.Eta, MinEpochs: s.MinEpochs, Out: s.Out}
	for _, text := range s.Over {
		parameter, err := sweep.ParseParameter(text)
		if err != nil {
			return err
		}
		search.Parameters = append(search.Parameters, parameter)
	}
	best, close := observe(c)
	defer close()
	described := false
	result, err := search.Run(c, &sweep.Observer{
		Began: func(rungs []sweep.Rung, continued bool) {
			if continued {
				c.say("continuing the search in %s", s.Out)
			}
			for i, rung := range rungs {
				c.say("rung %d       %d trials until epoch %d", i+1, rung.Trials, rung.Epochs)
			}
		},
		Training: &run.Observer{
			Read: best.Read,
			Prepared: func(p run.Preparation) {
				if described {
					return
				}
				described = true
				c.say("data         %s", p.Data)
				c.say("validation   %s", p.Validation)
			},
		},
		Trial: func(rung int, trial sweep.Trial) {
			switch {
			case trial.Failed != "":
				c.say("rung %d: %v failed: %s", rung, trial, trial.Failed)
			default:
				c.say("rung %d: %v validation %.4f after %d steps, %.1f s", rung, trial, *trial.Validation, trial.Steps, trial.Seconds)
			}
		},
		Chosen: func(result *sweep.Result) { c.trials(result) },
		Best:   best,
	})
	if err != nil {
		return err
	}
	c.say("")
	c.say("Next:")
	c.say("  open %s and %s in a browser", result.Folder.Chart(), result.Folder.Best().Page())
	c.say("  likeness train --config %s --seed 2 --out FOLDER    (the best settings with another seed)", result.Folder.Best().Config())
	return nil
}

// trials prints the table of a search.
func (c *console) trials(result *sweep.Result) {
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	title, rows := result.Columns()
	for _, row := range append([][]string{title}, rows...) {
		for i := range row {
			row[i] = printable(row[i])
		}
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	_ = table.Flush() // that it could not be printed is the error of the command, see checked
}
