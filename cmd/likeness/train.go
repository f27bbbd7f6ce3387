package main

import (
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// trainCommand trains a network, says how good it is and leaves a run folder.
type trainCommand struct {
	Config string `placeholder:"FILE" help:"A TOML file of settings, such as the config.toml of a run. Flags go over it."`
	Out    string `placeholder:"DIR" help:"The run folder. Without it: runs/<data>-<objective>-<time>."`
	Settings
}

// Help is what --help says beside the flags.
func (trainCommand) Help() string {
	return `Without flags it trains siamese twins on MNIST's digits 0 to 6 and tests them on 7, 8 and 9, which they have not seen.

Examples:
  likeness train --limit 2000 --epochs 1
  likeness train --data photos --objective batch-hard --epochs 20
  likeness train --data pairs.csv --backbone my-network.toml
  likeness train --config runs/mnist-contrastive-20250101-120000/config.toml --seed 2

It prints how good the trained network is, beside the untrained one and raw pixels, with 95 % intervals. The run folder has config.toml (every setting: give it to --config), metrics.jsonl (a line an epoch), result.json (the figures) and model.safetensors (for eval, embed and compare).

A flag and a TOML key of one name are one setting: --batch-norm is batch_norm = true. In TOML there are [network] (blocks, as in a backbone's file) and [[layers]] (name, rate_scale, momentum, l2, weight_decay) besides; --config and --out are no settings.

Ctrl-C ends the training early: what is learned so far is saved and measured.`
}

// Run trains.
func (t *trainCommand) Run(c *console) error {
	settings, err := configure(t.Config, t.Settings, c.given)
	if err != nil {
		return err
	}
	if err := refuseOccupied(t.Out); err != nil {
		return err
	}
	start, err := settings.start()
	if err != nil {
		return err
	}
	setup, err := settings.prepare()
	if err != nil {
		return err
	}
	training, err := setup.training(start)
	if err != nil {
		return err
	}
	for _, change := range settings.changes() {
		c.say("setting      %s", change)
	}
	setup.introduce(c)
	if c.Err() != nil {
		return errors.New("interrupted before the training began: nothing is saved")
	}
	folder, err := createRunFolder(t.Out, setup.material.name(), setup.settings.Objective, time.Now())
	if err != nil {
		return err
	}
	if err := setup.settings.save(folder.config()); err != nil {
		return err
	}
	c.say("run folder   %s", folder)
	result, err := learn(c, training, folder)
	if err != nil {
		return err
	}
	return setup.conclude(c, training.Model, result, folder)
}

// learn runs the training, and saves the model whatever comes.
func learn(c *console, training *trainer.Trainer, folder runFolder) (trainer.Result, error) {
	metrics, err := folder.openMetrics()
	if err != nil {
		return trainer.Result{}, err
	}
	defer metrics.close()
	progress := newProgress(c.err)
	training.OnStep = progress.step
	training.OnEpoch = func(epoch trainer.Epoch) {
		progress.epoch(epoch)
		metrics.append(epoch)
	}
	result, err := training.Run(c)
	progress.close()
	if saving := training.Model.Save(folder.model()); saving != nil {
		return result, saving
	}
	switch {
	case err != nil:
		return result, errors.WithMessagef(err, "stopped, with the last weights in %s", folder.model())
	case result.Stopped != "":
		c.say("stopped after %d of %d epochs: %s", len(result.Epochs), training.Epochs, result.Stopped)
	}
	return result, metrics.err
}

// conclude measures the model and saves it with its threshold.
func (s *setup) conclude(c *console, model *likeness.Model, result trainer.Result, folder runFolder) error {
	c.say("measuring the trained network, the untrained one and raw pixels")
	measured, err := s.measure(model)
	if err != nil {
		return err
	}
	measured.Seconds, measured.ImagesPerSecond, measured.Stopped = result.Seconds, result.ImagesPerSecond, result.Stopped
	model.Threshold = measured.Threshold
	if err := model.Save(folder.model()); err != nil {
		return err
	}
	if err := measured.Save(folder.result()); err != nil {
		return err
	}
	if err := measured.WriteTable(c.out); err != nil {
		return err
	}
	c.say("kept in %s: for likeness eval --run, and for embed and compare --model", folder)
	return nil
}

// measure puts the model to the trials, beside its untrained twin.
func (s *setup) measure(model *likeness.Model) (report.Report, error) {
	untrained, err := likeness.New(s.network, s.head, model.Preprocessing, s.settings.Seed)
	if err != nil {
		return report.Report{}, err
	}
	measured, err := s.plan.Measure(model, untrained)
	measured.Dataset, measured.Seed = s.material.name(), s.settings.Seed
	return measured, err
}
