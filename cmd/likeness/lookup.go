package main

import (
	"fmt"
	"path/filepath"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/plot"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/pkg/errors"
)

// lookup is what near-duplicates and search have in common: a model that looks at
// the images of a folder.
type lookup struct {
	Model      string `placeholder:"MODEL" help:"A model.safetensors, a run folder or a model of the zoo (${zoo}). Without it: omniglot of the zoo, if it suits the images."`
	Anyway     bool   `help:"Go on although the model is not made for such images."`
	SkipBroken bool   `help:"Pass over files that are not readable images, and list them."`
	Sheet      string `placeholder:"FILE.png" help:"Draw the result as a sheet of pictures, too."`
	JSON       bool   `name:"json" help:"Print JSON."`
}

// suitability is what the help of both says about models and images.
var suitability = fmt.Sprintf(`Distances of images that a model is not made for mean nothing. Up to a hundred images, evenly spaced, are measured, and by the median of each measure these are refused, unless --anyway says to go on:
  - by a model of greys: images of which more than %.0f %% is coloured (red,
    green and blue of a pixel differ by 40 of 255 or more);
  - by any model: images whose brightness, as the model sees them, is by
    more than %v (of 1) nearer to that of its training images with black
    and white exchanged;
  - by a model that cuts to the ink, such as the zoo's: images of which more
    than %.0f %% is neither ink nor paper (between a quarter and three quarters
    of full brightness), as in photographs, or more than %.0f %% is ink, or of
    which half have no ink.`,
	100*retrieval.MaxColored, retrieval.PolarityMargin, 100*retrieval.MaxHalftone, 100*retrieval.MaxInk)

// mostExamined is how many images are measured before a model is asked.
const mostExamined = 100

// prepare loads the model, says which it is, and finds the images of the folder.
func (l lookup) prepare(c *console, folder string) (model *likeness.Model, name string, files []string, err error) {
	if l.Sheet != "" && filepath.Ext(l.Sheet) != ".png" {
		return nil, "", nil, errors.Errorf("sheet: found %q, expected a file that ends in .png", l.Sheet)
	}
	if files, err = imageFiles(c, []string{folder}); err != nil {
		return nil, "", nil, err
	}
	if model, name, err = loadModel(c, l.Model); err != nil { // embed examines the images
		return nil, "", nil, err
	}
	if l.Model != "" { // loadModel says which it chose itself
		c.say("model        %s", name)
	}
	return model, name, files, nil
}

// embed examines and embeds the files of the folder.
func (l lookup) embed(c *console, model *likeness.Model, folder string, files []string) (*retrieval.Collection, error) {
	traits, err := examine(c, model, files)
	if err != nil {
		return nil, err
	}
	if err := l.judge(c, model, traits, folder); err != nil {
		return nil, err
	}
	collection, err := embedFiles(c, model, files, l.SkipBroken)
	if errors.Is(err, retrieval.ErrBroken) && !l.SkipBroken {
		err = errors.WithMessage(err, "--skip-broken passes over broken files")
	}
	if err != nil {
		return nil, err
	}
	for _, file := range collection.Skipped[:min(len(collection.Skipped), mostNotes)] {
		c.say("skipped %s", file)
	}
	if more := len(collection.Skipped) - mostNotes; more > 0 {
		c.say("skipped %d files more", more)
	}
	return collection, nil
}

// judge refuses what the model is not made for, or says so and goes on.
func (l lookup) judge(c *console, model *likeness.Model, traits []retrieval.Traits, what string) error {
	err := retrieval.CheckTraits(model.Preprocessing, traits)
	if err == nil {
		return nil
	}
	if l.Anyway {
		c.say("going on with %s, although %v", what, err)
		return nil
	}
	return errors.WithMessagef(err, "%s: choose another model (likeness train makes one), or go on with --anyway", what)
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
		c.say("there is nothing to draw: %s is not written", l.Sheet)
		return nil
	}
	if err := plot.WriteSheet(l.Sheet, fitting, imaging.DecodeFile); err != nil {
		return err
	}
	c.say("drew %s", l.Sheet)
	if left > 0 {
		c.say("it has no room for %d images more", left)
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
