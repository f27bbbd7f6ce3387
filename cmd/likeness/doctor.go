package main

import (
	"github.com/likeness-go/likeness/doctor"
	"github.com/likeness-go/likeness/run"
	"github.com/pkg/errors"
)

// doctorCommand checks this installation and its models.
type doctorCommand struct {
	Models   []string `arg:"" optional:"" placeholder:"MODEL" help:"Model files or run folders to check in addition to the bundled models."`
	Omniglot string   `env:"LIKENESS_OMNIGLOT" placeholder:"DIR" help:"Folder with Omniglot's all_runs.zip, to reproduce a published result. Default: the environment variable LIKENESS_OMNIGLOT."`
	JSON     bool     `name:"json" help:"Print one JSON object per check."`
}

// Help returns the text of --help before the flags.
func (doctorCommand) Help() string {
	return `It checks within seconds whether the program computes correctly on this machine: the vector instructions against portable code, layers in float32 against float64, gradients against finite differences, the results of one seed on one thread and on all threads, and models against the checksum and the embedding that their files contain. It prints one line per check, beginning with ok, wrong or not checked, and fails if one is wrong.

Examples:
  likeness doctor
  likeness doctor runs/photos --omniglot ~/omniglot`
}

// errWrong is what the command fails with.
var errWrong = errors.New("something is wrong: see the lines that begin with wrong")

// Run examines.
func (d *doctorCommand) Run(c *console) error {
	options := doctor.Options{Omniglot: d.Omniglot}
	for _, path := range d.Models {
		file, err := run.FindModel(path)
		if err != nil {
			return err
		}
		options.Models = append(options.Models, file)
	}
	wrong := false
	var failed error
	err := doctor.Run(c, options, func(f doctor.Finding) {
		wrong = wrong || f.Status == doctor.Wrong
		if err := d.print(c, f); err != nil {
			failed = err
		}
	})
	switch {
	case err != nil:
		return err
	case failed != nil:
		return failed
	case wrong:
		return errWrong
	}
	return nil
}

// print writes a finding in a line of its own.
func (d *doctorCommand) print(c *console, f doctor.Finding) error {
	if d.JSON {
		return c.printJSON(f)
	}
	c.print("%v", f)
	return nil
}
