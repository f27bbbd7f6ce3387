package main

import (
	"io/fs"
	"maps"
	"reflect"
	"slices"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/report"
	"github.com/pkg/errors"
)

// evalCommand prints the table of a run again.
type evalCommand struct {
	Folder string `name:"run" placeholder:"DIR" help:"The run folder that likeness train made."`
	Data   string `placeholder:"DIR" help:"Where the data is now, if it is not where it was."`
	Report bool   `help:"Write report.html and plots in the run folder again."`

	Embeddings embeddingsFlags `embed:""`
}

// Help is what --help says beside the flags.
func (evalCommand) Help() string {
	return `It reads the settings and the model from the run folder, finds the data, draws the trials again from the seed and measures. The figures are those of the training, to the last digit; if one differs from result.json, that is said. Where the data is not to be found, the recorded table is printed.

Examples:
  likeness eval --run runs/mnist-contrastive-20250101-120000
  likeness eval --run runs/mnist-contrastive-20250101-120000 --report

` + embeddingsHelp
}

// Run measures.
func (e *evalCommand) Run(c *console) error {
	switch measuresEmbeddings := e.Embeddings.Embeddings != ""; {
	case measuresEmbeddings && e.Folder != "":
		return errors.New("found both --run and --embeddings, expected one of them")
	case measuresEmbeddings:
		return e.Embeddings.run(c)
	case e.Folder == "":
		return errors.New("found neither --run nor --embeddings, expected a run folder or a file of embeddings")
	}
	folder := runFolder(e.Folder)
	settings, _, err := readConfig(folder.config())
	if err != nil {
		return err
	}
	if e.Data != "" {
		settings.Data = e.Data
	}
	recorded, missing := report.Load(folder.result())
	setup, err := settings.prepare()
	if missing == nil && (errors.Is(err, datasets.ErrNoMNIST) || errors.Is(err, fs.ErrNotExist)) {
		c.say("the data is not to be found, so this is what was recorded: %v", err)
		if err := recorded.WriteTable(c.out); err != nil || !e.Report {
			return err
		}
		return errors.Errorf("%s shows images, which are not to be found: it is left as it is", folder.page())
	}
	if err != nil {
		return err
	}
	model, err := likeness.Load(folder.model())
	if err != nil {
		return err
	}
	measured, evidence, err := setup.examine(c, model)
	if err != nil {
		return err
	}
	if missing != nil {
		c.say("nothing is recorded: %v", missing)
	} else {
		measured.Seconds, measured.ImagesPerSecond, measured.Stopped = recorded.Seconds, recorded.ImagesPerSecond, recorded.Stopped
		measured.MadeWith = recorded.MadeWith
		sayDifferences(c, recorded, measured)
	}
	if err := measured.WriteTable(c.out); err != nil || !e.Report {
		return err
	}
	return setup.writePage(folder, measured, evidence)
}

// sayDifferences says which figures are not those that were recorded.
func sayDifferences(c *console, recorded, measured report.Report) {
	for _, name := range slices.Sorted(maps.Keys(recorded.Metrics)) {
		was, is := recorded.Metrics[name], measured.Metrics[name]
		if !reflect.DeepEqual(was, is) {
			c.say("%s differs from result.json: it was %v, it is %v", name, was, is)
		}
	}
}
