package main

import (
	"encoding/json"

	"github.com/likeness-go/likeness/doctor"
	"github.com/pkg/errors"
)

// doctorCommand examines this machine and its models.
type doctorCommand struct {
	Models   []string `arg:"" optional:"" placeholder:"MODEL" help:"Model files or run folders to examine beside the models of the zoo."`
	Omniglot string   `env:"LIKENESS_OMNIGLOT" placeholder:"DIR" help:"A folder with Omniglot's all_runs.zip, for a published figure (or the environment variable LIKENESS_OMNIGLOT)."`
	JSON     bool     `name:"json" help:"Print JSON, a line for each finding."`
}

// Help is what --help says beside the flags.
func (doctorCommand) Help() string {
	return `Examines within seconds whether the program works here as where its tests ran: this processor's instructions against portable code, layers in float32 against float64, gradients against finite differences, one seed on one thread and on all, models against the checksum and the embedding that their files store. It prints a line for each, which begins with ok, wrong or not checked, and fails where one is wrong.

Examples:
  likeness doctor
  likeness doctor runs/photos --omniglot ~/omniglot`
}

// errWrong is what the command fails with.
var errWrong = errors.New("something is wrong: see the lines that say so")

// Run examines.
func (d *doctorCommand) Run(c *console) error {
	options := doctor.Options{Omniglot: d.Omniglot}
	for _, path := range d.Models {
		file, err := findModel(path)
		if err != nil {
			return err
		}
		options.Models = append(options.Models, file)
	}
	wrong := false
	encoder := json.NewEncoder(c.out)
	var failed error
	err := doctor.Run(c, options, func(f doctor.Finding) {
		wrong = wrong || f.Status == doctor.Wrong
		if !d.JSON {
			c.print("%v", f)
		} else if err := encoder.Encode(f); err != nil {
			failed = errors.WithStack(err)
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
