package main

import (
	"fmt"
	"os"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/quantize"
	"github.com/pkg/errors"
)

// quantizeCommand makes a model in integers.
type quantizeCommand struct {
	Model  string `arg:"" optional:"" placeholder:"MODEL" help:"Model to quantize: a model file, a run folder or the name of a bundled model (${zoo}). Default: photo for photographs, omniglot for drawings."`
	Data   string `required:"" placeholder:"DIR" help:"Folder of images of the kind that the model is for. With one folder for each class, accuracy is measured."`
	Out    string `required:"" placeholder:"FILE" help:"Model file to write."`
	Images int    `default:"${calibration}" placeholder:"N" help:"Number of images from which the ranges of the activations are taken, at most half of the folder. [${calibration}]"`
	Seed   uint64 `default:"1" placeholder:"N" help:"Random seed that draws the images. [1]"`
	JSON   bool   `name:"json" help:"Print JSON."`
	skipFlag
}

// Help returns the text of --help before the flags.
func (quantizeCommand) Help() string {
	return `It writes a model whose network computes in integers of 8 bits, which is faster and takes a quarter of the space of float32. The model file is used like any other: by compare, search, enroll, identify, serve, embed, near-duplicates and audit. All processors compute the same embeddings, bit for bit.

The ranges of the activations are those of a random sample of the images. Other images of the folder are embedded with both models. If the folder has one folder of images for each class, the table has the recall at 1, the MAP@R and the area under the ROC curve of both models and their differences, in percent with 95 % intervals.

The quantized model is another model: galleries of the model in float32 refuse it, so enroll again. The threshold is the distance within which as many pairs of the sample lie as before. It cannot be trained, adapted or exported: use the model in float32 for that. Networks with layer normalization, such as convnext-tiny, cannot be quantized.

Example:
  likeness quantize photo --data photos --out photo-int8.safetensors
  likeness search a.jpg --in photos --model photo-int8.safetensors`
}

// quantizeResult is the JSON output of quantize.
type quantizeResult struct {
	Data           string            `json:"data"`
	Model          string            `json:"model"`
	Reason         string            `json:"model_reason,omitempty"` // why this bundled model was chosen
	Out            string            `json:"out"`
	Images         int               `json:"images"`   // for the ranges
	Measured       int               `json:"measured"` // other images
	Bytes          int64             `json:"bytes"`
	QuantizedBytes int64             `json:"quantized_bytes"`
	Cosine         float64           `json:"cosine"`
	SmallestCosine float64           `json:"smallest_cosine"`
	Threshold      *float64          `json:"threshold,omitempty"`
	Classes        int               `json:"classes,omitempty"`
	Measures       []quantizeMeasure `json:"measures,omitempty"`
	Skipped        []string          `json:"skipped"`
}

// quantizeMeasure is a measure of both models in the JSON output of quantize.
type quantizeMeasure struct {
	Name       string        `json:"name"`
	Float32    adaptEstimate `json:"float32"`
	Int8       adaptEstimate `json:"int8"`
	Difference adaptEstimate `json:"difference"`
}

// Run quantizes.
func (q *quantizeCommand) Run(c *console) error {
	if q.Images < 1 {
		return errors.Errorf("--images: found %d, expected at least 1", q.Images)
	}
	if err := checkOut(q.Out); err != nil {
		return err
	}
	files, err := imageFiles(c, []string{q.Data})
	if err != nil {
		return errors.WithMessage(err, "--data")
	}
	model, name, err := loadModel(c, q.Model, files...)
	if err != nil {
		return err
	}
	if source, err := os.Stat(q.Model); err == nil {
		if target, err := os.Stat(q.Out); err == nil && os.SameFile(source, target) {
			return errors.Errorf("--out: %s is the model in float32, which training and galleries still need: choose another file", q.Out)
		}
	}
	shown := newCounter(c.err, unit{what: "images"})
	made, report, err := quantize.Folder(c, model, q.Data, quantize.Options{
		Images: q.Images, Seed: q.Seed, SkipBroken: q.SkipBroken, OnProgress: shown.of,
	})
	shown.close()
	switch {
	case err != nil && c.Err() != nil:
		return errInterrupted
	case err != nil:
		return skippable(err, q.SkipBroken)
	}
	saySkipped(c, report.Skipped)
	if err := made.Save(q.Out); err != nil {
		return err
	}
	if q.JSON {
		r := quantizeResult{
			Data: q.Data, Model: name, Reason: c.reason, Out: q.Out, Images: report.Images, Measured: report.Measured, Bytes: report.Bytes, QuantizedBytes: report.QuantizedBytes,
			Cosine: report.Cosine, SmallestCosine: report.SmallestCosine, Threshold: made.Threshold, Skipped: append([]string{}, report.Skipped...),
		}
		if a := report.Accuracy; a != nil {
			r.Classes = a.Classes
			estimate := func(e evaluate.Estimate) adaptEstimate { return adaptEstimate{e.Value, e.Low, e.High} }
			for _, m := range quantizeRows(a) {
				r.Measures = append(r.Measures, quantizeMeasure{m.name, estimate(m.before), estimate(m.after), estimate(m.difference)})
			}
		}
		return c.printJSON(r)
	}
	q.print(c, report)
	c.say("wrote %s: for compare, search, enroll, embed and all commands that use a model", q.Out)
	return nil
}

// quantizeRow is a measure of both models.
type quantizeRow struct {
	name                      string
	before, after, difference evaluate.Estimate
}

func quantizeRows(a *quantize.Accuracy) []quantizeRow {
	return []quantizeRow{
		{"recall@1", a.Before.RecallAt1, a.After.RecallAt1, a.Difference.RecallAt1},
		{"MAP@R", a.Before.MAPAtR, a.After.MAPAtR, a.Difference.MAPAtR},
		{"verification, AUC", a.Before.AUC, a.After.AUC, a.Difference.AUC},
	}
}

// print prints the table.
func (q *quantizeCommand) print(c *console, r *quantize.Report) {
	c.say("ranges of activations from %d images; %d others measured", r.Images, r.Measured)
	c.print("size of the weights      %.2f MB, before %.2f MB", float64(r.QuantizedBytes)/1e6, float64(r.Bytes)/1e6)
	c.print("cosine of both embeddings  mean %.4f, smallest %.4f", r.Cosine, r.SmallestCosine)
	if r.Accuracy == nil {
		c.say("found no two classes (folders) of two measured images each: the accuracy was not measured")
		return
	}
	percent := func(e evaluate.Estimate, format string) string {
		return fmt.Sprintf(format+" ["+format+", "+format+"]", 100*e.Value, 100*e.Low, 100*e.High)
	}
	const row = "%-24s  %-23s  %-23s  %s"
	c.print(row, fmt.Sprintf("%d classes", r.Accuracy.Classes), "float32", "int8", "difference")
	for _, m := range quantizeRows(r.Accuracy) {
		c.print(row, m.name, percent(m.before, "%.2f"), percent(m.after, "%.2f"), percent(m.difference, "%+.2f"))
	}
}
