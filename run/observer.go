package run

import (
	"fmt"

	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
)

// Observer receives the progress of Train, Resume and Evaluate. A nil Observer and nil
// functions are allowed. All functions are called one at a time.
type Observer struct {
	// Read is called while image files are read and checked, with the number of files read so
	// far and in total, for each part of the data (training, validation, test) from 1 on. It is
	// not called for data sets with one file for all images.
	Read func(read, total int)
	// Prepared is called when the data has been read and the settings have been chosen,
	// before anything is written.
	Prepared func(Preparation)
	// Folder is called when the run folder is ready, before the first step.
	Folder func(Folder)
	// Resumed is called before the first step of a training that continues, with the
	// number of completed epochs and of all epochs.
	Resumed func(done, epochs int)
	// Step is called after each step and Epoch after each epoch, including its
	// validation.
	Step  func(trainer.Step)
	Epoch func(trainer.Epoch)
	// Refit is called before the training on all images that follows the measurement, with
	// their numbers and that of its steps, 0 if the share of the trained weights is 0
	// (Settings.WeightInterpolation), so that nothing need be trained. Step, Epoch and Resumed are then called for that training.
	Refit func(images, classes, steps int)
	// Warning is called with what is probably not as intended, such as embeddings that
	// collapse to a point. Note is called with other messages, such as why a training
	// stopped and how to continue it.
	Warning func(message string)
	Note    func(message string)
	// Measured is called while the trained network and its baselines are evaluated, with
	// the number of images embedded so far and in total.
	Measured func(done, total int)
	// Report is called with the figures as soon as they are saved.
	Report func(report.Report)
}

// Preparation describes a training before its first step.
type Preparation struct {
	Settings   Settings // with all defaults replaced by their values, as in config.toml
	Changes    []string // settings that are not the default ones, such as "seed = 3 (default 1)"
	Notes      []string // choices that were made for the data, and skipped files
	Data       string   // such as "photos, 56 images of 4 classes at 12x12x1"
	Protocol   string   // how the trained network will be tested
	Network    string   // such as "lenet, 24000 parameters, 16 features"
	Objective  string   // such as "contrastive (margin 1) with l2"
	Validation string   // metric of the validation after each epoch; empty without validation
}

func (o *Observer) prepared(p Preparation) {
	if o != nil && o.Prepared != nil {
		o.Prepared(p)
	}
}

func (o *Observer) folder(f Folder) {
	if o != nil && o.Folder != nil {
		o.Folder(f)
	}
}

func (o *Observer) resumed(done, epochs int) {
	if o != nil && o.Resumed != nil {
		o.Resumed(done, epochs)
	}
}

func (o *Observer) step(s trainer.Step) {
	if o != nil && o.Step != nil {
		o.Step(s)
	}
}

func (o *Observer) epoch(e trainer.Epoch) {
	if o != nil && o.Epoch != nil {
		o.Epoch(e)
	}
}

func (o *Observer) warning(format string, arguments ...any) {
	if o != nil && o.Warning != nil {
		o.Warning(fmt.Sprintf(format, arguments...))
	}
}

func (o *Observer) note(format string, arguments ...any) {
	if o != nil && o.Note != nil {
		o.Note(fmt.Sprintf(format, arguments...))
	}
}

// read is nil if no function is to be called.
func (o *Observer) read() func(read, total int) {
	if o == nil {
		return nil
	}
	return o.Read
}

// measured is nil if no function is to be called.
func (o *Observer) measured() func(done, total int) {
	if o == nil {
		return nil
	}
	return o.Measured
}

func (o *Observer) report(r report.Report) {
	if o != nil && o.Report != nil {
		o.Report(r)
	}
}
