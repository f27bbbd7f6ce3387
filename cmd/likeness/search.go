package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/collective"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/plot"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/pkg/errors"
)

// searchCommand finds the most similar images in a folder.
type searchCommand struct {
	Image   string `arg:"" placeholder:"IMAGE" help:"Query image."`
	Folder  string `name:"in" required:"" placeholder:"DIR" help:"Folder of images, which is searched recursively."`
	Nearest int    `default:"10" placeholder:"N" help:"Number of images to list. [10]"`
	lookup
}

// Help returns the text of --help before the flags.
func (searchCommand) Help() string {
	return `It prints the nearest images with their distances, the nearest first, and, if the model has a threshold, whether each distance is within it. If the query image is in the folder, it is not compared with itself.

Examples:
  likeness search drawing.png --in scans --sheet like-drawing.png
  likeness search photo.jpg --in photos --model runs/photos --nearest 3

` + suitability
}

// matches is the JSON output of search.
type matches struct {
	Image     string      `json:"image"`
	Folder    string      `json:"folder"`
	Model     string      `json:"model"`
	Reason    string      `json:"model_reason,omitempty"` // why this bundled model was chosen
	Threshold *float64    `json:"threshold"`              // null if the model has none
	Images    int         `json:"images"`                 // that were searched
	Matches   []fileMatch `json:"matches"`
	Skipped   []string    `json:"skipped"`
}

type fileMatch struct {
	File      string  `json:"file"`
	FileBytes string  `json:"file_base64,omitempty"` // see pathBytes
	Distance  float64 `json:"distance"`
	Same      *bool   `json:"same"` // null if the model has no threshold
}

// Run searches.
func (s *searchCommand) Run(c *console) error {
	return ranked(c, func() error { return s.run(c) })
}

func (s *searchCommand) run(c *console) error {
	if s.Nearest < 1 {
		return errors.Errorf("--nearest: found %d, expected at least 1", s.Nearest)
	}
	query, err := imaging.OpenFile(s.Image)
	if err != nil {
		return err
	}
	defer query.Close()
	if _, err := imaging.DecodeSize(query, s.Image); err != nil { // before a model is loaded
		return err
	}
	if err := s.open(c); err != nil {
		return err
	}
	defer closeCache(c)
	model, name, files, err := s.prepare(c, s.Folder)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, imaging.ErrNoImages) {
		return errors.WithMessage(err, "--in")
	}
	if err != nil {
		return err
	}
	img, err := model.Preprocessing.DecodeFile(s.Image)
	if err != nil {
		return err
	}
	if files, err = retrieval.Without(files, s.Image); err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.Errorf("the folder %s has no other image than %s", s.Folder, s.Image)
	}
	if err := s.check(c, model, []retrieval.Traits{retrieval.MeasureImage(model.Preprocessing, img)}, s.Image); err != nil {
		return err
	}
	collection, err := s.embed(c, model, s.Folder, files, false)
	if err != nil {
		return err
	}
	if !collective.FromContext(c).Root() {
		return nil
	}
	queries, err := model.Embed(img)
	if err != nil {
		return err
	}
	nearest, err := collection.Nearest(queries[0], s.Nearest)
	if err != nil {
		return err
	}
	found := s.describe(model, name, collection, nearest)
	found.Reason = c.reason
	if err := s.draw(c, found.rows()); err != nil {
		return err
	}
	if s.JSON {
		return c.printJSON(found)
	}
	for _, m := range found.Matches {
		c.print("%.4f%s  %s", m.Distance, m.verdict(), m.File)
	}
	return nil
}

// describe names the files of matches.
func (s *searchCommand) describe(model *likeness.Model, name string, collection *retrieval.Collection, nearest []retrieval.Match) matches {
	found := matches{
		Image: s.Image, Folder: s.Folder, Model: name, Threshold: model.Threshold,
		Images: len(collection.Files), Skipped: append([]string{}, collection.Skipped...),
	}
	for _, m := range nearest {
		match := fileMatch{File: collection.Files[m.Image], FileBytes: pathBytes(collection.Files[m.Image]), Distance: m.Distance}
		if model.Threshold != nil {
			same := m.Distance <= *model.Threshold
			match.Same = &same
		}
		found.Matches = append(found.Matches, match)
	}
	return found
}

// verdict reports whether the match counts as the same, where that is known.
func (m fileMatch) verdict() string {
	switch {
	case m.Same == nil:
		return ""
	case *m.Same:
		return "  same     "
	}
	return "  different"
}

// rows are the image that was looked for, and what was found, as rows of a sheet.
func (m matches) rows() []plot.Row {
	row := plot.Row{Title: fmt.Sprintf("the nearest of %d images", m.Images)}
	for _, match := range m.Matches {
		row.Cells = append(row.Cells, plot.Cell{
			File:     match.File,
			Captions: [plot.CaptionLines]string{shortName(m.Folder, match.File), fmt.Sprintf("%.4f%s", match.Distance, match.verdict())},
		})
	}
	return []plot.Row{
		{Title: "query", Cells: []plot.Cell{{File: m.Image, Captions: [plot.CaptionLines]string{m.Image}}}},
		row,
	}
}

// lookup is what near-duplicates and search have in common: a model and the images of a
// folder.
type lookup struct {
	Model string `placeholder:"MODEL" help:"Model file, run folder or name of a bundled model (${zoo}). Default: photo for photographs, omniglot for drawings."`
	Force bool   `help:"Use the model even if it was not trained on images of this kind."`
	Sheet string `placeholder:"FILE.png" help:"Also write the result as a contact sheet."`
	JSON  bool   `name:"json" help:"Print JSON."`
	skipFlag
	cacheFlags
}

// suitability is the help of both commands about models and images.
var suitability = fmt.Sprintf(`Distances between images of a kind that a model was not trained on are meaningless, so out-of-domain images are rejected unless --force is given. The median over up to 100 evenly spaced images decides:
  - a grayscale model rejects images of which more than %.0f %% is colored
    (red, green and blue of a pixel differ by 40 of 255 or more);
  - every model rejects images whose brightness is closer by more than %v
    (of 1) to that of its inverted training images;
  - a model that crops to the ink, such as omniglot, rejects images of which
    more than %.0f %% is neither ink nor paper (between a quarter and three
    quarters of full brightness), as in photographs, or more than %.0f %% is
    ink, or of which half have no ink.

`,
	100*retrieval.MaxColored, retrieval.PolarityMargin, 100*retrieval.MaxHalftone, 100*retrieval.MaxInk) + cacheHelp

// maxExamined is how many images are measured before a model is used.
const maxExamined = 100

// prepare loads the model, says which it is, and finds the images of the folder.
func (l lookup) prepare(c *console, folder string) (model *likeness.Model, name string, files []string, err error) {
	if l.Sheet != "" && filepath.Ext(l.Sheet) != ".png" {
		return nil, "", nil, errors.Errorf("--sheet: found %q, expected a file that ends in .png", l.Sheet)
	}
	if info, err := os.Stat(folder); err == nil && !info.IsDir() {
		return nil, "", nil, errors.Errorf("%s is a file, expected a folder of images", folder)
	}
	if files, err = imageFiles(c, []string{folder}); err != nil {
		return nil, "", nil, err
	}
	if model, name, err = loadModel(c, l.Model, files...); err != nil { // embed examines the images
		return nil, "", nil, err
	}
	if l.Model != "" { // loadModel says which it chose itself
		c.say("model        %s", name)
	}
	return model, name, files, nil
}

// embed examines and embeds the files of the folder, in all symmetries if flips is set.
func (l lookup) embed(c *console, model *likeness.Model, folder string, files []string, flips bool) (*retrieval.Collection, error) {
	err := c.onRoot("examine the images", func() error {
		traits, err := examine(c, model, files)
		if err == nil {
			err = l.check(c, model, traits, folder)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	collection, err := embedFiles(c, model, files, retrieval.Options{SkipBroken: l.SkipBroken, Flips: flips})
	if err != nil {
		return nil, err
	}
	if collection.Cached > 0 {
		c.say("cache        %d of %d embeddings from the cache", collection.Cached, len(collection.Files))
	}
	return collection, nil
}

// check rejects out-of-domain images or, with --force, warns.
func (l lookup) check(c *console, model *likeness.Model, traits []retrieval.Traits, what string) error {
	err := retrieval.CheckTraits(model.Preprocessing, traits)
	if err == nil {
		return nil
	}
	if l.Force {
		c.say("continuing with %s, although %v", what, err)
		return nil
	}
	return errors.WithMessagef(err, "%s: choose another model, train one with likeness train, or continue with --force", what)
}

// draw writes the sheet, if there is to be one. It has as many images as a sheet
// has room for.
func (l lookup) draw(c *console, rows []plot.Row) error {
	if l.Sheet == "" {
		return nil
	}
	room, left := plot.MaxCells, 0
	var fitting []plot.Row
	for _, row := range rows {
		some := min(room, len(row.Cells))
		left += len(row.Cells) - some
		if room -= some; some > 0 {
			fitting = append(fitting, plot.Row{Title: row.Title, Cells: row.Cells[:some]})
		}
	}
	if len(fitting) == 0 {
		c.say("there are no images to show: %s is not written", l.Sheet)
		return nil
	}
	if err := plot.WriteSheet(l.Sheet, fitting, imaging.DecodeFile); err != nil {
		return err
	}
	c.say("wrote %s", l.Sheet)
	if left > 0 {
		c.say("it does not show %d more images", left)
	}
	return nil
}

// shortName is a file's path within its folder, for captions.
func shortName(folder, file string) string {
	if relative, err := filepath.Rel(folder, file); err == nil {
		return relative
	}
	return file
}
