package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/plot"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/pkg/errors"
)

// searchCommand finds the images of a folder that are nearest to one.
type searchCommand struct {
	Image   string `arg:"" placeholder:"IMAGE" help:"The image to look for."`
	Folder  string `name:"in" required:"" placeholder:"DIR" help:"A folder of images; those in its folders count, too."`
	Nearest int    `default:"10" placeholder:"N" help:"How many to list. [10]"`
	lookup
}

// Help is what --help says beside the flags.
func (searchCommand) Help() string {
	return `It prints the distance of each of the nearest images, the nearest first, and, where the model has a threshold, whether it counts as the same. An image that lies in the folder is not compared with itself.

Examples:
  likeness search drawing.png --in scans --sheet like-drawing.png
  likeness search photo.jpg --in photos --model runs/photos --nearest 3

` + suitability
}

// matches is what search says as JSON.
type matches struct {
	Image     string      `json:"image"`
	Folder    string      `json:"folder"`
	Model     string      `json:"model"`
	Threshold *float64    `json:"threshold"` // null if the model has none
	Images    int         `json:"images"`    // that were searched
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
	if s.Nearest < 1 {
		return errors.Errorf("nearest: found %d, expected at least 1", s.Nearest)
	}
	img, err := imaging.DecodeFile(s.Image)
	if err != nil {
		return err
	}
	model, name, files, err := s.prepare(c, s.Folder)
	if err != nil {
		return err
	}
	if files, err = without(files, s.Image); err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.Errorf("the folder %s holds no other image than %s", s.Folder, s.Image)
	}
	if err := s.judge(c, model, []retrieval.Traits{retrieval.MeasureImage(model.Preprocessing, img)}, s.Image); err != nil {
		return err
	}
	collection, err := s.embed(c, model, s.Folder, files)
	if err != nil {
		return err
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

// without leaves out the one file that an image is, by whatever path.
func without(files []string, image string) ([]string, error) {
	itself, err := os.Stat(image)
	if err != nil {
		return nil, errors.Wrap(err, "find image")
	}
	return slices.DeleteFunc(files, func(file string) bool {
		info, err := os.Stat(file)
		return err == nil && os.SameFile(info, itself)
	}), nil
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

// verdict says whether the match counts as the same, where that is known.
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
		{Title: "looked for", Cells: []plot.Cell{{File: m.Image, Captions: [plot.CaptionLines]string{m.Image}}}},
		row,
	}
}
