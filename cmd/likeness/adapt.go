package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/likeness-go/likeness/adapt"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/pkg/errors"
)

// adaptCommand adapts a model to the classes of a folder without training its network.
type adaptCommand struct {
	Data     string `required:"" placeholder:"DIR" help:"Folder with one folder of images for each class."`
	Model    string `placeholder:"MODEL" help:"Model to adapt: a model file, a run folder or the name of a bundled model (${zoo}). Default: photo for photographs, omniglot for drawings."`
	Out      string `required:"" placeholder:"FILE" help:"Model file to write."`
	Features int    `placeholder:"N" help:"Embedding dimension of the adapted model. Default: that of the model."`
	Seed     uint64 `default:"1" placeholder:"N" help:"Random seed of the folds of classes. [1]"`
	JSON     bool   `name:"json" help:"Print JSON."`
	skipFlag
}

// Help returns the text of --help before the flags.
func (adaptCommand) Help() string {
	return `It embeds the images once and computes a linear map of the embeddings in closed form, within-class whitening with shrinkage, which takes seconds after embedding. The adapted model is the network of the model followed by a fully connected layer, with the cosine distance and a threshold, in one file for compare, search, enroll, export and all other commands.

At least 6 classes of two or more images are needed; more classes make the map better. The strength of the shrinkage is chosen on held-out classes: each third of the classes is measured with the map that the other two give. The table has the candidates with their recall@1 and MAP@R among held-out classes, in percent with 95 % intervals that resample classes. If no candidate is better than the frozen embeddings beyond chance, the network stays as it is and gets a threshold for these images. A small trained head is added only if it is better on held-out classes beyond chance.

Example:
  likeness adapt --data photos --out photos.safetensors
  likeness search a.jpg --in photos --model photos.safetensors`
}

// adaptResult is the JSON output of adapt.
type adaptResult struct {
	Data       string           `json:"data"`
	Model      string           `json:"model"`
	Reason     string           `json:"model_reason,omitempty"` // why this bundled model was chosen
	Out        string           `json:"out"`
	Images     int              `json:"images"`
	Classes    int              `json:"classes"`
	HeldOut    int              `json:"held_out"` // embeddings that were measured
	Candidates []adaptCandidate `json:"candidates"`
	Threshold  float64          `json:"threshold"`
	Seconds    float64          `json:"seconds"` // after embedding
	Skipped    []string         `json:"skipped"`
}

// adaptCandidate is a candidate in the JSON output of adapt.
type adaptCandidate struct {
	Method    adapt.Method  `json:"method"`
	Shrinkage float64       `json:"shrinkage"` // 0 for frozen
	Features  int           `json:"features"`
	RecallAt1 adaptEstimate `json:"recall_at_1"`
	MAPAtR    adaptEstimate `json:"map_at_r"`
	Gain      adaptEstimate `json:"map_at_r_gain"` // over the frozen embeddings
	Chosen    bool          `json:"chosen"`
}

// adaptEstimate is a value with its 95 % interval.
type adaptEstimate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Run adapts.
func (a *adaptCommand) Run(c *console) error {
	if err := checkOut(a.Out); err != nil {
		return err
	}
	files, err := imageFiles(c, []string{a.Data})
	if err != nil {
		return errors.WithMessage(err, "--data")
	}
	model, name, err := loadModel(c, a.Model, files...)
	if err != nil {
		return err
	}
	if shape, err := backbone.ShapeOf(model.Backbone); err == nil && (a.Features < 0 || a.Features > shape.Features) {
		return errors.Errorf("--features: found %d, expected 1 to %d, the embedding dimension of the model %s; leave it out to keep that", a.Features, shape.Features, name)
	}
	shown := newCounter(c.err, unit{what: "images"})
	adapted, adaptation, err := adapt.Folder(c, model, a.Data, adapt.Options{
		Features: a.Features, Seed: a.Seed, SkipBroken: a.SkipBroken, OnProgress: shown.of,
	})
	shown.close()
	switch {
	case err != nil && c.Err() != nil:
		return errInterrupted
	case errors.Is(err, adapt.ErrTooFew):
		return errors.WithMessage(err, "--data")
	case err != nil:
		return skippable(err, a.SkipBroken)
	}
	saySkipped(c, adaptation.Skipped)
	if err := adapted.Save(a.Out); err != nil {
		return err
	}
	if a.JSON {
		return c.printJSON(a.result(c, name, adaptation))
	}
	a.print(c, adaptation)
	c.say("wrote %s: for compare, search, enroll, embed and export --model", a.Out)
	return nil
}

// checkOut refuses a file of --out that could not be written after minutes of embedding.
func checkOut(out string) error {
	if info, err := os.Stat(out); err == nil && info.IsDir() {
		return errors.Errorf("--out: %s is a folder, expected a file such as %s", out, filepath.Join(out, "model.safetensors"))
	}
	if info, err := os.Stat(filepath.Dir(out)); err != nil || !info.IsDir() {
		return errors.Errorf("--out: found no folder %s, expected one to write %s to: create it", filepath.Dir(out), filepath.Base(out))
	}
	return nil
}

// print prints the candidates as a table.
func (a *adaptCommand) print(c *console, found *adapt.Adaptation) {
	c.say("adapted in %.1f s after embedding, to %d images of %d classes; %d images measured, each in a held-out third of the classes", found.Seconds, found.Images, found.Classes, found.HeldOut)
	percent := func(e evaluate.Estimate, format string) string {
		return fmt.Sprintf(format+" ["+format+", "+format+"]", 100*e.Value, 100*e.Low, 100*e.High)
	}
	const row = "%-24s  %8v  %-23s  %-23s  %s"
	c.print(row, "held-out classes", "features", "recall@1", "MAP@R", "gain in MAP@R")
	for _, candidate := range found.Candidates {
		gain := percent(candidate.Gain, "%+.2f")
		if candidate == found.Chosen {
			gain += "  chosen"
		}
		c.print(row, candidate, candidate.Features, percent(candidate.RecallAt1, "%.2f"), percent(candidate.MAPAtR, "%.2f"), gain)
	}
	c.print("threshold %.4f", found.Threshold)
	if found.Chosen.Method == adapt.Frozen {
		c.say("no candidate is better than the frozen embeddings beyond chance: the network stays as it is, with the new threshold")
	}
}

// result is the JSON output.
func (a *adaptCommand) result(c *console, model string, found *adapt.Adaptation) adaptResult {
	r := adaptResult{
		Data: a.Data, Model: model, Reason: c.reason, Out: a.Out, Images: found.Images, Classes: found.Classes, HeldOut: found.HeldOut,
		Threshold: found.Threshold, Seconds: found.Seconds, Skipped: append([]string{}, found.Skipped...),
	}
	estimate := func(e evaluate.Estimate) adaptEstimate { return adaptEstimate{e.Value, e.Low, e.High} }
	for _, candidate := range found.Candidates {
		r.Candidates = append(r.Candidates, adaptCandidate{
			Method: candidate.Method, Shrinkage: candidate.Shrinkage, Features: candidate.Features,
			RecallAt1: estimate(candidate.RecallAt1), MAPAtR: estimate(candidate.MAPAtR), Gain: estimate(candidate.Gain),
			Chosen: candidate == found.Chosen,
		})
	}
	return r
}
