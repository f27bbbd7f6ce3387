package run

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/report"
	"github.com/pkg/errors"
)

// Evaluation is the result of Evaluate.
type Evaluation struct {
	// Report has the figures, measured again or, if the data is missing, as they were
	// recorded.
	Report report.Report
	// Recorded is the report of result.json, nil if there is none, for the reason
	// NotRecorded.
	Recorded    *report.Report
	NotRecorded error
	// Missing is the reason why the data could not be opened; nil if the model was
	// evaluated.
	Missing error
	// NotPretrained is the reason why the model before fine-tuning could not be loaded and
	// is not among the baselines; nil if it was, or if there is none.
	NotPretrained error
	// Differences describes each figure that differs from the recorded one.
	Differences []string
}

// EvaluationOptions are options of Evaluate.
type EvaluationOptions struct {
	Data string // path of the data; empty if it has not moved
	Page bool   // write report.html and its plots again
}

// Evaluate evaluates the model of a run folder again: it opens the data and samples the
// same test trials with the seed. The model is that of Folder.Measured, if there is one. The
// figures equal those of the training exactly. If the data is missing, it returns the
// recorded report; if a page is requested, which needs the images, it also returns an error.
func Evaluate(folder Folder, options EvaluationOptions, observer *Observer) (result *Evaluation, err error) {
	defer recoverTo(&err)
	settings, err := Load(folder.Config())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Wrapf(err, "%s is not a run folder, which likeness train makes with --out", folder)
	}
	if err != nil {
		return nil, err
	}
	if options.Data != "" {
		settings.Data = options.Data
	}
	result = &Evaluation{}
	recorded, err := report.Load(folder.Report())
	if result.NotRecorded = err; err == nil {
		result.Recorded = &recorded
	}
	setup, err := settings.prepare(observer.read())
	if result.Recorded != nil && (errors.Is(err, datasets.ErrNoMNIST) || errors.Is(err, fs.ErrNotExist)) {
		result.Report, result.Missing = recorded, err
		if options.Page {
			err = errors.Errorf("%s shows images, which are not found: it is not written again", folder.Page())
			return result, err
		}
		return result, nil
	}
	if err != nil {
		return nil, err
	}
	file := folder.Model()
	if exists(folder.Measured()) { // model.safetensors was trained again on all images
		file = folder.Measured()
	}
	model, err := likeness.Load(file)
	if err != nil {
		return nil, err
	}
	if settings.From != "" {
		setup.plan.Pretrained, _, result.NotPretrained = LoadModel(settings.From)
	}
	measured, evidence, err := setup.measure(model, observer)
	if err != nil {
		return nil, err
	}
	if result.Recorded != nil {
		measured.Seconds, measured.ImagesPerSecond, measured.Stopped = recorded.Seconds, recorded.ImagesPerSecond, recorded.Stopped
		measured.MadeWith, measured.Interpolation, measured.Refit = recorded.MadeWith, recorded.Interpolation, recorded.Refit
		result.Differences = differences(recorded, measured)
	}
	result.Report = measured
	if options.Page {
		return result, setup.writePage(folder, measured, evidence)
	}
	return result, nil
}

// differences describes the figures that are not those that were recorded. Without the
// model before fine-tuning on both sides, neither its values nor the gains are compared.
func differences(recorded, measured report.Report) (found []string) {
	for _, name := range slices.Sorted(maps.Keys(recorded.Metrics)) {
		was, is := recorded.Metrics[name], measured.Metrics[name]
		if (was.Pretrained == nil) != (is.Pretrained == nil) {
			was.Pretrained, is.Pretrained, was.Gain, is.Gain = nil, nil, nil, nil
		}
		if !reflect.DeepEqual(was, is) {
			found = append(found, fmt.Sprintf("%s differs from result.json: it was %v, it is %v", name, was, is))
		}
	}
	return found
}

// writePage writes report.html from the files of the run folder and from what was
// measured.
func (s *setup) writePage(folder Folder, measured report.Report, evidence *report.Evidence) error {
	config, err := os.ReadFile(folder.Config())
	if err != nil {
		return errors.Wrap(err, "read config")
	}
	epochs, err := folder.Epochs()
	if err != nil {
		return err
	}
	_, validated, err := s.data.validation(s.settings.Seed)
	if err != nil {
		return err
	}
	return report.Page{
		Title:  fmt.Sprintf("%s: %s, %s with %s", s.data.name(), s.network.Name, s.settings.Objective, s.settings.Head),
		Report: measured, Evidence: evidence, Epochs: epochs, Validated: validated, Config: string(config),
	}.Write(string(folder))
}
