package main

import (
	"os"
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
	Resume string `placeholder:"DIR" help:"Go on with the run in this folder, which was interrupted or killed. It has its settings."`
	Board  bool   `name:"tensorboard" help:"Write the losses of all steps, the measures of all epochs and some embeddings for TensorBoard: tensorboard --logdir RUN."`
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
  likeness train --resume runs/mnist-contrastive-20250101-120000

It prints how good the trained network is, beside the untrained one and raw pixels, with 95 % intervals. The run folder has config.toml (every setting: give it to --config), metrics.jsonl (a line an epoch), result.json (the figures), model.safetensors (for eval, embed and compare) and report.html, which a browser opens: curves, maps of the embeddings and what the network gets wrong, with the charts as pictures in plots.

A flag and a TOML key of one name are one setting: --batch-norm is batch_norm = true. In TOML there are [network] (blocks, as in a backbone's file) and [[layers]] (name, rate_scale, momentum, l2, weight_decay) besides; --config and --out are no settings.

Ctrl-C ends the training early: what is learned so far is saved and measured. A run that was interrupted, killed or cut off goes on with --resume, from the last epoch or from where Ctrl-C ended it, and comes to the same weights as if it had never stopped.`
}

// Run trains.
func (t *trainCommand) Run(c *console) error {
	if t.Resume != "" {
		unlock, err := t.resumes(c)
		if err != nil {
			return errors.WithMessage(err, "--resume")
		}
		defer unlock()
	}
	settings, notes, err := configure(t.Config, t.Settings, c.given)
	if err != nil {
		return err
	}
	if t.Resume == "" {
		if err := refuseOccupied(t.Out); err != nil {
			return err
		}
	}
	start, err := settings.start()
	if err != nil {
		return err
	}
	setup, err := settings.prepare()
	if err != nil {
		return err
	}
	training, err := setup.training(start, t.resumed().checkpoint())
	if err != nil {
		return err
	}
	for _, note := range notes {
		c.say("%s", note)
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
	if t.Resume == "" {
		unlock, err := folder.lock(c)
		if err != nil {
			return err
		}
		defer unlock()
		if err := refuseOccupied(t.Out); err != nil { // by a process that has ended since
			return err
		}
		if err := setup.settings.save(folder.config()); err != nil {
			return err
		}
	}
	if err := folder.sweep(); err != nil {
		return err
	}
	training.Checkpoint = folder.checkpoint()
	c.say("run folder   %s", folder)
	result, err := learn(c, training, folder, t.Board)
	if err != nil {
		return err
	}
	if t.Board {
		if err := folder.project(training.Model, setup.material.shown(), settings.Seed); err != nil {
			return errors.WithMessage(err, "tensorboard")
		}
	}
	return setup.conclude(c, training.Model, result, folder)
}

// resumed is the run folder that is resumed; empty if none is.
func (t *trainCommand) resumed() runFolder { return runFolder(t.Resume) }

// resumes locks the run folder that is to be resumed, and takes its settings.
func (t *trainCommand) resumes(c *console) (unlock func(), err error) {
	folder := t.resumed()
	if len(c.given) > 0 || t.Config != "" || t.Out != "" {
		return nil, errors.Errorf("%s has its settings: leave out all other flags", folder)
	}
	if !exists(folder.config()) {
		return nil, errors.Errorf("%s has no config.toml: it is not a run folder", folder)
	}
	if unlock, err = folder.lock(c); err != nil {
		return nil, err
	}
	if exists(folder.result()) && !exists(folder.checkpoint()) {
		unlock()
		return nil, errors.Errorf("the run in %s is finished, there is nothing to resume: see likeness eval --run %s", folder, folder)
	}
	if epochs, err := folder.epochs(); err == nil && len(epochs) > 0 && !exists(folder.checkpoint()) {
		unlock()
		return nil, errors.Errorf("%s has %d epochs in metrics.jsonl, but no checkpoint.safetensors to resume from: begin again with likeness train --config %s", folder, len(epochs), folder.config())
	}
	t.Config, t.Out = folder.config(), t.Resume
	return unlock, nil
}

// conclude measures the model and saves it with its threshold.
func (s *setup) conclude(c *console, model *likeness.Model, result trainer.Result, folder runFolder) error {
	c.say("measuring the trained network, the untrained one and raw pixels")
	measured, evidence, err := s.examine(c, model)
	if err != nil {
		return err
	}
	measured.Seconds, measured.ImagesPerSecond, measured.Stopped = result.Seconds, result.ImagesPerSecond, result.Stopped
	measured.MadeWith = report.NewProvenance(time.Now())
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
	if err := s.writePage(folder, measured, evidence); err != nil {
		return err
	}
	if result.Stopped != trainer.Interrupted {
		if err := os.Remove(folder.checkpoint()); err != nil {
			return errors.Wrap(err, "the training is at its end")
		}
	}
	c.say("kept in %s: for likeness eval --run, and for embed and compare --model", folder)
	c.say("to look at   %s", folder.page())
	return nil
}

// examine puts the model to the trials, beside its untrained twin.
func (s *setup) examine(c *console, model *likeness.Model) (report.Report, *report.Evidence, error) {
	untrained, err := likeness.New(s.network, s.head, model.Preprocessing, s.settings.Seed)
	if err != nil {
		return report.Report{}, nil, err
	}
	shown := newCounter(c.err, unit{what: "images measured"})
	defer shown.close()
	s.plan.Progress = shown.of
	measured, evidence, err := s.plan.MeasureWithEvidence(model, untrained)
	measured.Dataset, measured.Seed = s.material.name(), s.settings.Seed
	return measured, evidence, err
}
