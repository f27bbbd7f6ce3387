package main

import (
	"cmp"
	"strings"

	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// trainCommand trains a network, measures it and writes a run folder.
type trainCommand struct {
	Config string `placeholder:"FILE" help:"TOML file of settings, such as the config.toml of a run. Flags take precedence."`
	Resume string `placeholder:"DIR" help:"Continue the training of this run folder, which was interrupted or killed, with its settings."`
	run.Settings
}

// Help returns the text of --help before the flags.
func (trainCommand) Help() string {
	return `Without flags it trains for a few minutes on handwritten characters of five alphabets, which are part of the program (Omniglot, minimal split small 1), and tests on 400 one-shot trials with characters of alphabets that it has never seen. --objective trains with another loss; --data mnist trains on digits.

Examples:
  likeness train
  likeness train --objective triplet-ratio
  likeness train --data photos --objective batch-hard --epochs 20
  likeness train --data pairs.csv --backbone my-network.toml
  likeness train --config runs/omniglot-small1-n-pair-20270101-120000/config.toml --seed 2
  likeness train --resume runs/omniglot-small1-n-pair-20270101-120000

It prints how good the trained network is, beside the untrained network, raw pixels and, with --from, the pretrained network before fine-tuning, with 95 % confidence intervals. The run folder contains config.toml (all settings, for --config), metrics.jsonl (one line per epoch), result.json (the results), model.safetensors (for embed and compare), measured.safetensors if the model was trained again after it was measured, and report.html for a browser: learning curves, maps of the embeddings and the images that the network gets wrong, with the plots as PNG files in plots.

Defaults in brackets are those of the data set omniglot-small1 and the objective n-pair, then those of other data where they differ. A folder of photographs fine-tunes the last layers of the bundled model photo, adapted to the training classes first (--adapt), with the objective supervised-contrastive and without augmentation, interpolates the weights before and after that (--weight-interpolation), and after the measurement trains again on all images (--refit); --from none begins from scratch. All other data begin with the network lenet, the objective contrastive, the solver adam with learning rate 0.003, 7 epochs and no augmentation, except that color images that are photographs have that of --augmentation photo; config.toml has what was used.

A flag and a TOML key of the same name are the same setting: --batch-norm is batch_norm = true. Only TOML has [network] (blocks, as in the file of a backbone) and [[layers]] (name, rate_scale, momentum, l2, weight_decay); --config, --out, --resume and --tensorboard are not settings.

Ctrl-C ends the training early: the weights so far are saved and measured. --resume continues a training that was interrupted or killed, from the last epoch or from where Ctrl-C ended it, and gives the same weights as a training without interruption.

Several processes train one model: mpirun -np 8 --bind-to none likeness train, with a program that is built with go build -tags mpi ./cmd/likeness (see docs/scale-out.md). Each batch is then computed in --batch-parts parts, which the processes share, and the model is the same on any number of processes.`
}

// Run trains, as one process of several if mpirun started it so.
func (t *trainCommand) Run(c *console) error {
	return ranked(c, func() error { return t.train(c) })
}

func (t *trainCommand) train(c *console) error {
	observer, close := observe(c)
	defer close()
	var result *run.Result
	var err error
	if t.Resume != "" {
		if len(c.given) > 0 || t.Config != "" || t.Out != "" {
			return errors.Errorf("--resume: %s has its settings: leave out all other flags", t.Resume)
		}
		result, err = run.Resume(c, run.Folder(t.Resume), t.TensorBoard, observer)
	} else {
		settings, notes, problem := run.Configure(t.Config, t.Settings, c.given)
		if problem != nil {
			return problem
		}
		prepared := observer.Prepared
		observer.Prepared = func(p run.Preparation) {
			for _, note := range notes {
				c.say("%s", note)
			}
			prepared(p)
		}
		result, err = run.Train(c, settings, observer)
	}
	if err != nil {
		return err
	}
	c.say("")
	c.say("Next:")
	c.say("  open %s in a browser", result.Folder.Page())
	c.say("  likeness compare IMAGE IMAGE --model %s", result.Folder)
	if c.given["data"] || t.Config != "" || t.Resume != "" {
		c.say("  likeness search IMAGE --in FOLDER --model %s", result.Folder)
		c.say("  likeness enroll --folder FOLDER --gallery FILE.gallery --model %s    (then: likeness identify, likeness serve)", result.Folder)
	} else {
		c.say("  likeness train --data FOLDER    (with a folder of images for each class)")
	}
	return nil
}

// observe prints the progress of a training, until close.
func observe(c *console) (observer *run.Observer, close func()) {
	progress := newProgress(c.err)
	measuring, contenders := false, "the trained network, the untrained network and raw pixels"
	measured := newCounter(c.err, unit{what: "images measured"})
	reading := newCounter(c.err, unit{what: filesRead})
	say := func(format string, arguments ...any) {
		progress.close()
		c.say(format, arguments...)
	}
	observer = &run.Observer{
		Read: reading.part,
		Prepared: func(p run.Preparation) {
			reading.close()
			if p.Settings.From != "" {
				contenders = "the trained network, the pretrained network before fine-tuning, the untrained network and raw pixels"
			}
			for _, change := range p.Changes {
				c.say("setting      %s", change)
			}
			for _, note := range p.Notes {
				c.say("%s", note)
			}
			c.say("data         %s", p.Data)
			title := "protocol"
			for part := range strings.SplitSeq(p.Protocol, "; ") { // a line for each, because it is long
				c.say("%-12s %s", title, part)
				title = ""
			}
			c.say("network      %s", p.Network)
			c.say("objective    %s", p.Objective)
			c.say("validation   %s", cmp.Or(p.Validation, "none"))
		},
		Folder: func(folder run.Folder) {
			c.say("run folder   %s", folder)
			progress.begin()
		},
		Resumed: func(done, epochs int) {
			c.say("continuing after %d of %d epochs", done, epochs)
			progress.resumed()
		},
		Refit: func(images, classes, steps int) {
			if steps == 0 {
				c.say("refit        fitting again to all %d images of %d classes, without training, because the share of the trained weights is 0; the figures above are those of the model before", images, classes)
				return
			}
			c.say("refit        training again on all %d images of %d classes for %d steps; the figures above are those of the model before", images, classes, steps)
			*progress = *newProgress(c.err)
			progress.begin()
			progress.resumed() // its steps begin at 1, or where a run before was interrupted
		},
		Step:    func(s trainer.Step) { progress.step(s) },
		Epoch:   func(e trainer.Epoch) { progress.epoch(e) },
		Warning: func(message string) { say("warning: %s", message) },
		Note:    func(message string) { say("%s", message) },
		Measured: func(done, total int) {
			if !measuring {
				measuring = true
				say("measuring %s", contenders)
				measured = newCounter(c.err, unit{what: "images measured"})
			}
			measured.of(done, total)
		},
		Report: func(r report.Report) {
			measured.close()
			c.table(r)
		},
	}
	return observer, func() {
		reading.close()
		progress.close()
		measured.close()
	}
}

// table prints the figures of a report. That it could not be printed is the error of
// the command, see checked.
func (c *console) table(r report.Report) { _ = r.WriteTable(c.out) }
