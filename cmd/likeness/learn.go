package main

import (
	"context"

	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// learn runs the training, and saves the model that it led to, also after an error.
// A training whose progress cannot be written down ends there.
func learn(c *console, training *trainer.Trainer, folder runFolder, boarded bool) (result trainer.Result, err error) {
	metrics := &metrics{path: folder.metrics()}
	if !exists(training.Checkpoint) {
		if err := metrics.write(nil); err != nil {
			return trainer.Result{}, err
		}
	}
	var shown *board
	if boarded {
		if shown, err = folder.openBoard(); err != nil {
			return trainer.Result{}, err
		}
	}
	ctx, end := context.WithCancel(c)
	defer end()
	var unkept error // the first failure to write progress down
	keep := func(err error) {
		if err != nil && unkept == nil {
			unkept = err
			end()
		}
	}
	progress := newProgress(c.err)
	training.OnStep = func(step trainer.Step) {
		progress.step(step)
		keep(shown.step(step))
	}
	training.OnCollapse = func(found trainer.Collapse) {
		progress.close()
		c.say("warning: %s", found)
	}
	training.OnWarning = func(message string) { c.say("warning: %s", message) }
	training.OnResume = func(done []trainer.Epoch) {
		c.say("going on after %d of %d epochs", len(done), training.Epochs)
		progress.resumed()
		keep(metrics.write(done)) // one that was killed may have written one more
	}
	training.OnEpoch = func(epoch trainer.Epoch) {
		progress.epoch(epoch)
		keep(metrics.append(epoch))
		keep(shown.epoch(epoch))
	}
	result, err = training.Run(ctx)
	progress.close()
	keep(shown.close())
	if unkept != nil {
		err = unkept // which came first
	}
	return result, save(c, training, folder, result, err)
}

// save writes the weights that a training ended with, and says why if it ended
// before its last epoch or by an error, which it returns. Where a training was not
// resumed, what the folder holds stays.
func save(c *console, training *trainer.Trainer, folder runFolder, result trainer.Result, failure error) error {
	if failure != nil && result.Steps == 0 && training.Resume {
		return failure
	}
	saving := training.Model.Save(folder.model())
	unfinished := failure != nil || result.Stopped == trainer.Interrupted
	switch {
	case failure != nil && saving != nil:
		c.say("not kept     %v", saving)
		failure = errors.WithMessage(failure, "stopped") // why is what counts
	case failure != nil:
		failure = errors.WithMessagef(failure, "stopped, with the last weights in %s", folder.model())
	case saving != nil:
		failure = saving
	case result.Stopped != "":
		c.say("stopped after %d of %d epochs: %s", len(result.Epochs), training.Epochs, result.Stopped)
	}
	if unfinished && exists(training.Checkpoint) {
		c.say("to go on: likeness train --resume %s", folder)
	}
	return failure
}
