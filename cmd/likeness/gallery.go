package main

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// galleryFlags are the gallery of a command and its model.
type galleryFlags struct {
	Gallery string `required:"" placeholder:"GALLERY" help:"Gallery: a file or a PostgreSQL URI, such as postgres://USER@HOST/DATABASE."`
	Model   string `placeholder:"MODEL" help:"Where the model of the gallery is now, if it has moved: a model file, a run folder or the name of a bundled model (${zoo})."`
}

// foundModel is a model with how it was found.
type foundModel struct {
	model  *likeness.Model
	name   string // what a gallery keeps: a path from the root, or zoo/NAME
	chosen string // why it was taken; empty where the user named it
}

// say prints the name of a model that was not given by a flag.
func (f foundModel) say(c *console) {
	if f.chosen != "" {
		c.say("model        %s, %s", f.name, f.chosen)
	}
}

// open opens the gallery, which must be there, with its own model, and says which that
// is.
func (f galleryFlags) open(c *console, o gallery.Options) (*gallery.Gallery, foundModel, error) {
	model, err := f.load(c)
	if err != nil {
		return nil, foundModel{}, err
	}
	o.ModelName = model.name
	g, err := gallery.Open(f.Gallery, model.model, o)
	return g, model, err
}

// load loads the model that is named, or else the gallery's own.
func (f galleryFlags) load(c *console) (foundModel, error) {
	if f.Model != "" {
		return loadNamed(c, f.Model)
	}
	description, err := gallery.Describe(f.Gallery)
	if errors.Is(err, fs.ErrNotExist) {
		return foundModel{}, errors.WithMessage(err, "there is no such gallery; create a gallery with likeness enroll")
	}
	if err != nil {
		return foundModel{}, err
	}
	return galleryModel(c, f.Gallery, description)
}

// galleryModel loads the model that a gallery says it is of. That it is that model
// still, gallery.Open finds out by its checksum.
func galleryModel(c *console, path string, description gallery.Description) (foundModel, error) {
	if description.ModelName == "" {
		return foundModel{}, errors.Errorf("gallery %s does not record where its model is (%v): specify it with --model", gallery.HidePasswords(path), description.Identity)
	}
	model, err := loadNamed(c, description.ModelName)
	model.chosen = "the gallery's own"
	return model, errors.WithMessagef(err, "the model of gallery %s (specify where it is now with --model)", gallery.HidePasswords(path))
}

// newGalleryModel is the model of a new gallery for which none is named; see chosenModel.
func newGalleryModel(c *console, images []string) (foundModel, error) {
	model, name, reason, err := chosenModel(c, images)
	if err != nil {
		return foundModel{}, err
	}
	return foundModel{model, name, reason + " (--model chooses another)"}, nil
}

// loadNamed loads a model by a name that a user gives or a gallery keeps.
func loadNamed(c *console, path string) (foundModel, error) {
	model, file, err := loadModel(c, path)
	if err != nil || strings.HasPrefix(file, "zoo/") {
		return foundModel{model: model, name: file}, err
	}
	name, err := filepath.Abs(file)
	return foundModel{model: model, name: name}, errors.WithStack(err)
}

// classNamed is the class that a name on the command line means: the class of exactly
// this name or, in a gallery that is older than the rules for names, the one that
// likeness classes prints so.
func classNamed(c *console, g *gallery.Gallery, name string) (string, error) {
	var printed []string
	classes, err := g.Request(c, "").Classes()
	if err != nil {
		return "", err
	}
	for _, class := range classes {
		switch {
		case class.Name == name:
			return name, nil
		case printable(class.Name) == name:
			printed = append(printed, class.Name)
		}
	}
	switch len(printed) {
	case 0:
		return name, nil // which the gallery says more of
	case 1:
		return printed[0], nil
	}
	return "", errors.Errorf("class: found %d classes that are printed as %s, expected one: give its exact bytes, such as $'%s' in bash", len(printed), name, name)
}

// sayUndecided reports that there is no threshold, if that is so.
func sayUndecided(c *console, calibrated bool) {
	if !calibrated {
		c.say("no threshold  neither the gallery nor its model has one, so images are not rejected as unknown: find one with likeness calibrate")
	}
}

// count writes a number with its noun.
func count(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

// sayStale reports examples that the gallery's calibration does not cover, if it has a
// guarantee or if it is used for sets.
func sayStale(c *console, g *gallery.Gallery, sets bool) error {
	request := g.Request(c, "")
	calibration, calibrated, err := request.Calibration()
	if err != nil || !calibrated || calibration.Guaranteed == nil && !sets {
		return err
	}
	n, err := request.EnrolledSince()
	if err != nil || n == 0 {
		return err
	}
	if calibration.Guaranteed != nil {
		c.say("stale        %s enrolled after the calibration of %s: the false accept rate may be above %g, run likeness calibrate again", count(n, "example was", "examples were"), calibration.Time.Format(time.DateOnly), calibration.Guaranteed.Rate)
	} else {
		c.say("stale        %s enrolled after the calibration of %s, on which the sets are based: run likeness calibrate again", count(n, "example was", "examples were"), calibration.Time.Format(time.DateOnly))
	}
	return nil
}

// forgetCommand removes a class from a gallery.
type forgetCommand struct {
	Class string       `arg:"" placeholder:"CLASS" help:"Class of the gallery."`
	Flags galleryFlags `embed:""`
}

// Help returns the text of --help before the flags.
func (forgetCommand) Help() string {
	return `It removes a class and all its examples. A file does not shrink, but later examples reuse the space. If the name of a class contains characters that would break a line, specify it as likeness classes prints it, or by its exact bytes.

Example:
  likeness forget alice --gallery faces.gallery`
}

// Run removes the class.
func (f *forgetCommand) Run(c *console) error {
	g, model, err := f.Flags.open(c, gallery.Options{})
	if err != nil {
		return err
	}
	var examples int
	class, err := classNamed(c, g, f.Class)
	if err == nil {
		examples, err = g.Forget(class)
	}
	if closing := g.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	model.say(c)
	c.print("removed %d examples of %s", examples, class)
	return nil
}

// classesCommand lists the classes of a gallery.
type classesCommand struct {
	Flags galleryFlags `embed:""`
}

// Help returns the text of --help before the flags.
func (classesCommand) Help() string {
	return `It prints the number of examples and the name of each class, and the gallery's model, rule and threshold. Characters that would break a line are printed as escapes such as \n or \u202e; likeness forget and verify accept names in this form.

Example:
  likeness classes --gallery faces.gallery`
}

// Run lists.
func (k *classesCommand) Run(c *console) error {
	g, model, err := k.Flags.open(c, gallery.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer g.Close()
	identity, err := g.Model().Identity()
	if err != nil {
		return err
	}
	c.say("model        %s: %v", model.name, identity)
	c.say("rule         %s", g.Rule())
	request := g.Request(c, "")
	calibration, calibrated, err := request.Calibration()
	if err != nil {
		return err
	}
	classes, err := request.Classes()
	if err != nil {
		return err
	}
	switch {
	case calibrated:
		c.say("calibration  %v", calibration)
		if err := sayStale(c, g, false); err != nil {
			return err
		}
	case g.Model().Threshold != nil:
		c.say("threshold    %.4f, the model's own", *g.Model().Threshold)
	default:
		sayUndecided(c, false)
	}
	for _, class := range classes {
		c.print("%6d  %s", class.Examples, class.Name)
	}
	return nil
}

// calibrateCommand finds the rejection threshold of a gallery.
type calibrateCommand struct {
	Flags galleryFlags `embed:""`
	Data  string       `required:"" placeholder:"DIR" help:"Labeled images, in the formats of likeness train --data, of classes that the network was not trained on. If the data set has parts, its test part is used."`
	Rate  float64      `name:"false-accept-rate" required:"" placeholder:"RATE" help:"False accept rate: the fraction of pairs of different classes whose distance may be within the threshold, such as 0.001; with --confidence, the maximum fraction of images of unknown classes that are accepted, such as 0.01."`

	Confidence *float64 `placeholder:"C" help:"Guarantee the rate with this confidence, such as 0.95: each class of the data that the gallery does not have is one trial."`
	Task       string   `placeholder:"TASK" help:"With --confidence, what the rate is of: identify (the nearest class of the gallery is accepted, the default) or verify (a class of the gallery that is drawn at random is accepted)."`
	Seed       *uint64  `placeholder:"N" help:"With --confidence, random seed of the image of each class. [1]"`
}

// Help returns the text of --help before the flags.
func (calibrateCommand) Help() string {
	return `It computes the distances of all pairs of images and finds the threshold at which the fraction RATE of the pairs of different classes is accepted. The gallery stores the threshold, and how it was found, in place of an older one. The images need not be of the classes of the gallery, but of the same kind, and of classes that the network was not trained on.

A low rate needs many pairs, 10 / RATE: 10,000 pairs for a rate of 0.001, which 150 images of different classes have.

The rate is that of a single comparison. An image of an unknown class is compared with all examples of the gallery, so with 100 examples the rate of false identifications is up to 100 times as high.

With --confidence the rate is that of images of unknown classes, and it is guaranteed: the probability that the threshold accepts more is at most 1 - C. Each class of the data that the gallery does not have is one trial, of which a random image is compared with the gallery as by likeness identify. A rate of 0.01 with a confidence of 0.95 needs 299 such classes. The guarantee is about classes drawn like those of the data, and about the gallery as it is: calibrate again after enrolling.

The gallery also stores how far examples are from the other examples of their class, for likeness identify --set.

Examples:
  likeness calibrate --gallery faces.gallery --data strangers --false-accept-rate 0.001
  likeness calibrate --gallery faces.gallery --data strangers --false-accept-rate 0.01 --confidence 0.95`
}

// Run calibrates.
func (k *calibrateCommand) Run(c *console) error {
	if !(k.Rate > 0 && k.Rate < 1) { // nor NaN
		return errors.Errorf("--false-accept-rate: found %v, expected a number between 0 and 1, such as 0.001", k.Rate)
	}
	guaranteed := k.Confidence != nil
	switch {
	case guaranteed && !(*k.Confidence > 0 && *k.Confidence < 1):
		return errors.Errorf("--confidence: found %v, expected a number between 0 and 1, such as 0.95", *k.Confidence)
	case k.Task != "" && !slices.Contains(gallery.Tasks, k.Task):
		return errors.Errorf("--task: %v", wording.Unknown("task", k.Task, gallery.Tasks))
	case k.Task != "" && !guaranteed:
		return errors.New("--task: it has no effect without --confidence, such as --confidence 0.95")
	case k.Seed != nil && !guaranteed:
		return errors.New("--seed: it has no effect without --confidence, such as --confidence 0.95")
	}
	shown := newCounter(c.err, unit{what: "parts of the calibration"})
	defer shown.close()
	g, model, err := k.Flags.open(c, gallery.Options{OnProgress: shown.of})
	if err != nil {
		return err
	}
	var calibration gallery.Calibration
	if guaranteed {
		want := gallery.Guarantee{Rate: k.Rate, Confidence: *k.Confidence, Task: gallery.Task(k.Task), Seed: 1}
		if k.Seed != nil {
			want.Seed = *k.Seed
		}
		calibration, err = g.CalibrateFolderWithGuarantee(k.Data, want)
	} else {
		calibration, err = g.CalibrateFolder(k.Data, k.Rate)
	}
	if closing := g.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	model.say(c)
	c.print("%v", calibration)
	return nil
}

// galleryCommand has the commands of whole galleries.
type galleryCommand struct {
	Copy  galleryCopyCommand  `cmd:"" help:"Copy a gallery from a file to PostgreSQL or back."`
	Index galleryIndexCommand `cmd:"" help:"Build the index of a gallery in PostgreSQL, for faster, approximate searches."`
}

// galleryCopyCommand copies a gallery.
type galleryCopyCommand struct {
	From  string `arg:"" placeholder:"FROM" help:"Gallery to copy: a file or a PostgreSQL URI."`
	To    string `arg:"" placeholder:"TO" help:"New gallery: a file or a PostgreSQL URI."`
	Model string `placeholder:"MODEL" help:"Where the model of the gallery is now, if it has moved: a model file, a run folder or the name of a bundled model (${zoo})."`
}

// Help returns the text of --help before the flags.
func (galleryCopyCommand) Help() string {
	return `It copies all classes, examples and the threshold to a new gallery, which gives the same answers. It copies all or, if it fails, nothing. An index is not copied.

Examples:
  likeness gallery copy faces.gallery postgres://likeness@db.example.com/faces
  likeness gallery copy postgres://likeness@db.example.com/faces backup.gallery

Keep passwords out of the command line: PostgreSQL's variable PGPASSWORD or the file ~/.pgpass has them.`
}

// Run copies.
func (k *galleryCopyCommand) Run(c *console) error {
	model, err := galleryFlags{Gallery: k.From, Model: k.Model}.load(c)
	if err != nil {
		return err
	}
	examples, err := gallery.Copy(c, k.From, k.To, model.model, gallery.Options{ModelName: model.name})
	if err != nil {
		return err
	}
	model.say(c)
	c.print("copied %d examples", examples)
	return nil
}

// galleryIndexCommand builds the index of a gallery.
type galleryIndexCommand struct {
	Flags galleryFlags `embed:""`
}

// Help returns the text of --help before the flags.
func (galleryIndexCommand) Help() string {
	return `It builds an HNSW index of pgvector, in minutes for a million examples, while other processes search and enroll. Later searches use it: they take less time and may miss some of the nearest classes. Examples that are enrolled afterwards are in it, too. The rule prototype and heads with negative weights are searched exactly and cannot be indexed.

Parameters of the URI set the index (m, ef_construction, index_type=halfvec) and a search (ef_search, iterative_scan, search=exact), and PostgreSQL's the memory to build it in:

  likeness gallery index --gallery 'postgres://likeness@db.example.com/faces?m=16&ef_construction=64&maintenance_work_mem=2GB'
  likeness identify photo.jpg --gallery 'postgres://likeness@db.example.com/faces?ef_search=400'`
}

// Run builds the index.
func (k *galleryIndexCommand) Run(c *console) error {
	g, model, err := k.Flags.open(c, gallery.Options{})
	if err != nil {
		return err
	}
	err = g.Index(c)
	if closing := g.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	model.say(c)
	c.print("indexed %s", g.Path())
	return nil
}
