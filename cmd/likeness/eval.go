package main

import (
	"github.com/likeness-go/likeness/run"
	"github.com/pkg/errors"
)

// evalCommand measures the model of a run again, or a file of embeddings.
type evalCommand struct {
	Folder string `name:"run" placeholder:"DIR" help:"Run folder of likeness train."`
	Data   string `placeholder:"DIR" help:"Where the data is now, if it has moved."`
	Report bool   `help:"Write report.html and its plots again."`

	Embeddings embeddingsFlags `embed:""`
}

// Help returns the text of --help before the flags.
func (evalCommand) Help() string {
	return `It reads the settings and the model from the run folder, opens the data, draws the same test trials from the seed and measures. The results are those of the training, to the last digit; a difference from result.json is reported. If the data is not found, the recorded results are printed.

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
	shown := newCounter(c.err, unit{what: "images measured"})
	defer shown.close()
	reading := newCounter(c.err, unit{what: filesRead})
	found, err := run.Evaluate(run.Folder(e.Folder), run.EvaluationOptions{Data: e.Data, Page: e.Report}, &run.Observer{Read: reading.part, Measured: shown.of})
	reading.close()
	if found == nil {
		return err
	}
	shown.close()
	switch {
	case found.Missing != nil:
		c.say("the data is not found, so these are the recorded results: %v", found.Missing)
	case found.Recorded == nil:
		c.say("no results are recorded: %v", found.NotRecorded)
	}
	if found.NotPretrained != nil {
		c.say("the model before fine-tuning is not measured: %v", found.NotPretrained)
	}
	for _, difference := range found.Differences {
		c.say("%s", difference)
	}
	c.table(found.Report)
	return err
}
