package main

import (
	"os"
	"path/filepath"

	"github.com/likeness-go/likeness/audit"
	"github.com/pkg/errors"
)

// auditCommand finds images that are probably labeled wrongly, and outliers.
type auditCommand struct {
	Data  string `required:"" placeholder:"DIR" help:"Folder with one folder of images for each class."`
	Model string `placeholder:"MODEL" help:"Model file, run folder or name of a bundled model (${zoo}). Default: photo for photographs, omniglot for drawings."`
	Out   string `placeholder:"DIR" help:"Folder to write labels.csv, outliers.csv and the contact sheet suspicious.png to. It is created if necessary."`
	Most  int    `default:"20" placeholder:"N" help:"Number of images of each kind to print and to show on the contact sheet. [20]"`
	Seed  uint64 `default:"1" placeholder:"N" help:"Random seed of the folds. [1]"`
	JSON  bool   `name:"json" help:"Print JSON."`
	skipFlag
	cacheFlags
}

// Help returns the text of --help before the flags.
func (auditCommand) Help() string {
	return `It embeds the images and computes for each the probability of its label, the name of its folder, by a classifier that was fitted to other images. It prints the images that confident learning counts as label errors, with the label that is suggested instead, the most suspicious first: the score is the probability of the label beside that of the suggested one, from 0 to 1, and small scores are suspicious. Then it prints outliers, with the mean distance to the 10 nearest other images: images that are of no class, damaged, or rare variants of their class.

With --out it writes all images to labels.csv and outliers.csv, the most suspicious first, and the first ones to a contact sheet. No image is moved or changed: look at the images, because those of two classes that resemble each other are suspicious without being wrong.

At least two classes of two or more images are needed, and the more images a class has, the better.

Examples:
  likeness audit --data photos
  likeness audit --data photos --model runs/photos --out audit

` + cacheHelp
}

// auditResult is the JSON output of audit.
type auditResult struct {
	Data      string         `json:"data"`
	Model     string         `json:"model"`
	Reason    string         `json:"model_reason,omitempty"` // why this bundled model was chosen
	Out       string         `json:"out,omitempty"`
	Images    int            `json:"images"`
	Classes   int            `json:"classes"`
	Checked   int            `json:"checked"`   // images whose labels were checked: those of classes of two images or more
	Agreement float64        `json:"agreement"` // share of these whose most probable class is the label
	Issues    int            `json:"issues"`    // number of these that are counted as label errors
	Labels    []auditFinding `json:"labels"`    // label errors, the most suspicious first
	Outliers  []auditFinding `json:"outliers"`  // the farthest first
	Skipped   []string       `json:"skipped"`
}

// auditFinding is an image in the JSON output of audit.
type auditFinding struct {
	File       string  `json:"file"`
	FileBytes  string  `json:"file_base64,omitempty"` // see pathBytes
	Label      string  `json:"label"`
	Suggested  string  `json:"suggested"`
	Score      float64 `json:"score"`
	Confidence float64 `json:"confidence"`
	Margin     float64 `json:"margin"`
	Issue      bool    `json:"issue"`
	Outlier    float64 `json:"outlier"`
}

// Run audits.
func (a *auditCommand) Run(c *console) error {
	if a.Most < 1 || a.Most > audit.MaxSheet {
		return errors.Errorf("--most: found %d, expected 1 to %d", a.Most, audit.MaxSheet)
	}
	if err := a.checkOut(); err != nil {
		return err
	}
	files, err := imageFiles(c, []string{a.Data})
	if err != nil {
		return errors.WithMessage(err, "--data")
	}
	if err := a.open(c); err != nil {
		return err
	}
	defer closeCache(c)
	model, name, err := loadModel(c, a.Model, files...)
	if err != nil {
		return err
	}
	shown := newCounter(c.err, unit{what: "images"})
	found, err := audit.Folder(c, model, a.Data, audit.Options{Seed: a.Seed, SkipBroken: a.SkipBroken, Cache: c.kept, OnProgress: shown.of})
	shown.close()
	switch {
	case err != nil && c.Err() != nil:
		return errInterrupted
	case errors.Is(err, audit.ErrTooFew):
		return errors.WithMessage(err, "--data")
	case err != nil:
		return skippable(err, a.SkipBroken)
	}
	saySkipped(c, found.Skipped)
	if a.Out != "" {
		if err := os.MkdirAll(a.Out, 0o777); err != nil {
			return errors.Wrap(err, "--out")
		}
		if err := found.Write(a.Out, a.Most); err != nil {
			return errors.WithMessage(err, "--out")
		}
	}
	if a.JSON {
		return c.printJSON(a.result(c, name, found))
	}
	a.print(c, found)
	return nil
}

// checkOut refuses a folder that could not be written to after minutes of embedding.
func (a *auditCommand) checkOut() error {
	if a.Out == "" {
		return nil
	}
	if info, err := os.Stat(a.Out); err == nil && !info.IsDir() {
		return errors.Errorf("--out: %s is a file, expected a folder", a.Out)
	}
	if inside, err := within(a.Data, a.Out); err != nil {
		return errors.WithMessage(err, "--out")
	} else if inside {
		return errors.Errorf("--out: %s is in the folder of the images, where likeness train would take the contact sheet for an image: choose a folder outside %s", a.Out, a.Data)
	}
	if info, err := os.Stat(filepath.Dir(a.Out)); err != nil || !info.IsDir() {
		return errors.Errorf("--out: found no folder %s, expected one to create %s in", filepath.Dir(a.Out), filepath.Base(a.Out))
	}
	return nil
}

// within reports whether a path is a folder or in it.
func within(folder, path string) (bool, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return false, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return false, err
	}
	relative, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(relative), nil
}

// print prints tables.
func (a *auditCommand) print(c *console, found *audit.Result) {
	c.say("audited %d images of %d classes%s: %.1f %% are most probably of the class of their label, and confident learning counts %d label errors",
		len(found.Outliers), len(found.Classes), fromCache(found.Cached, len(found.Outliers)), 100*found.Agreement, found.Issues)
	issued := found.Issued(a.Most)
	if len(issued) > 0 {
		c.print("%-7s  %-20s  %-20s  %s", "score", "label", "suggested", "file")
	}
	for _, f := range issued {
		c.print("%-7.5f  %-20s  %-20s  %s", f.Score, found.Class(f.Label), found.Class(f.Suggested), found.File(f))
	}
	if more := found.Issues - len(issued); more > 0 {
		c.print("and %d more (--most)", more)
	}
	c.print("%-7s  %-20s  %s", "outlier", "label", "file")
	for _, f := range found.Outliers[:min(a.Most, len(found.Outliers))] {
		c.print("%-7.4f  %-20s  %s", f.Outlier, found.Class(f.Label), found.File(f))
	}
	if a.Out != "" {
		c.say("wrote %s, %s and %s to %s", audit.LabelsFile, audit.OutliersFile, audit.SheetFile, a.Out)
	}
}

// result is the JSON output.
func (a *auditCommand) result(c *console, model string, found *audit.Result) auditResult {
	r := auditResult{
		Data: a.Data, Model: model, Reason: c.reason, Out: a.Out, Images: len(found.Outliers), Classes: len(found.Classes), Checked: len(found.Labels),
		Agreement: found.Agreement, Issues: found.Issues, Labels: []auditFinding{}, Outliers: []auditFinding{}, Skipped: append([]string{}, found.Skipped...),
	}
	describe := func(f audit.Finding) auditFinding {
		file := found.File(f)
		return auditFinding{
			File: file, FileBytes: pathBytes(file), Label: found.Class(f.Label), Suggested: found.Class(f.Suggested),
			Score: f.Score, Confidence: f.Confidence, Margin: f.Margin, Issue: f.Issue, Outlier: f.Outlier,
		}
	}
	for _, f := range found.Issued(a.Most) {
		r.Labels = append(r.Labels, describe(f))
	}
	for _, f := range found.Outliers[:min(a.Most, len(found.Outliers))] {
		r.Outliers = append(r.Outliers, describe(f))
	}
	return r
}
