package run

import (
	"fmt"
	"slices"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/datasets/omniglot"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/report"
	"github.com/pkg/errors"
)

// embedded is the data in the program: five alphabets of Omniglot to train on, and the
// one-shot runs of Lake, Salakhutdinov & Tenenbaum 2015 to test on, whose characters
// are of other alphabets. Nothing is held out, and nothing is selected by validation, unless
// Settings.ValidationClasses holds out whole alphabets.
type embedded struct {
	labeled
	runs []datasets.OneShotRun
}

// embeddedSize is that of the images if neither the settings nor the network choose.
var embeddedSize = imaging.Size{Height: 28, Width: 28, Channels: 1}

// publishedOneShot are the published accuracies on the twenty runs.
var publishedOneShot = []report.Published{
	{Metric: "oneshot_accuracy", Name: "people", Value: 0.955},                    // Lake et al. 2015
	{Metric: "oneshot_accuracy", Name: "Bayesian program learning", Value: 0.958}, // Lake et al. 2019, on this split
	{Metric: "oneshot_accuracy", Name: "Koch et al. 2015", Value: 0.92, Trained: "trained on 30 alphabets"},
}

// openEmbedded reads the embedded data at the input size of the network, see open.
func (s Settings) openEmbedded(input imaging.Size) (data, []string, error) {
	if len(s.Unseen) > 0 && !slices.Equal(s.Unseen, List{noUnseen}) {
		return nil, nil, errors.Errorf("--unseen: found %s, but %s is tested on characters of other alphabets: leave out --unseen", format(s.Unseen), embeddedData)
	}
	if s.Alphabets != "" && s.Alphabets != "small1" {
		return nil, nil, errors.Errorf("--alphabets: found %q, but %s has the alphabets small1: leave out --alphabets, or download all with likeness fetch omniglot and use --data omniglot", s.Alphabets, embeddedData)
	}
	size, err := s.imageSize(input)
	switch {
	case err != nil:
		return nil, nil, err
	case size == (imaging.Size{}):
		size = embeddedSize
	case size.Channels == 0:
		size.Channels = 1
	}
	options := datasets.Options{Size: size, Invert: s.Invert, Crop: s.crop(), SkipBroken: s.SkipBroken}
	options.CenterCrop, options.ShorterSide = s.centerCrop()
	splits, err := omniglot.Small1(options)
	if err != nil {
		return nil, nil, err
	}
	runs, err := omniglot.Runs(options)
	if err != nil {
		return nil, nil, err
	}
	l := labeled{title: splits.Name, experiment: datasets.Experiment{Train: splits.Train}, symmetries: s.Symmetries, grouped: s.Grouped, retrieval: s.validatesByRetrieval()}
	if s.ValidationClasses > 0 {
		kept, held := splits.HoldOutClasses(s.ValidationClasses, s.Seed)
		l.experiment = datasets.Experiment{Train: kept, ValidationClasses: held, Protocol: fmt.Sprintf("; %d images of %d training classes held out for validation", held.Len(), held.Populated(1))}
	}
	return embedded{labeled: l, runs: runs}.limited(s.Limit, s.TestLimit, s.Seed), nil, nil
}

// limited limits the test images to whole runs, of 40 images each; an interval takes two runs.
func (e embedded) limited(n, m int, seed uint64) data {
	e.labeled = e.labeled.limited(n, 0, seed).(labeled)
	if m > 0 {
		e.runs = e.runs[:min(len(e.runs), max(2, m/40))]
	}
	return e
}

// projected are the images of the runs.
func (e embedded) projected() *datasets.Dataset {
	images, _, _, err := datasets.RunTrials(e.runs, e.images().Size)
	if err != nil {
		return e.images()
	}
	return images
}

func (e embedded) plan(seed uint64) (*report.Plan, error) {
	plan, err := report.NewRunsPlan(e.images(), e.runs, seed, publishedOneShot)
	if err == nil {
		plan.Protocol += e.experiment.Protocol // how the images are limited and held out
	}
	if validation, measure, err := e.validation(seed); err != nil {
		return nil, err
	} else if validation != nil && plan != nil {
		plan.Protocol += "; model selected by the " + measure
	}
	return plan, err
}
