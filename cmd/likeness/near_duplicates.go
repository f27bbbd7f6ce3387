package main

import (
	"fmt"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/internal/plot"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/pkg/errors"
)

// nearDuplicatesCommand lists the images of a folder that are nearly the same.
type nearDuplicatesCommand struct {
	Folder    string   `arg:"" name:"dir" placeholder:"DIR" help:"A folder of images; those in its folders count, too."`
	Threshold *float64 `placeholder:"DISTANCE" help:"List images up to this distance. Without it: the model's own threshold."`
	lookup
}

// Help is what --help says beside the flags.
func (nearDuplicatesCommand) Help() string {
	return `Every image is compared with every other, and those within the threshold come in groups, the nearest first. Each line of a group has an image and how far it is from the nearest one above it, so that the first and the last of a long group may be far apart.

A model's own threshold parts what it learned to part: the zoo's says whether two drawings are the same character, whoever drew them. For copies of one drawing choose a smaller one: likeness compare prints the distance of two images that you take for duplicates.

Examples:
  likeness near-duplicates scans --threshold 0.05 --sheet duplicates.png
  likeness near-duplicates photos --model runs/photos --json

` + suitability
}

// groups is what near-duplicates says as JSON.
type groups struct {
	Folder    string          `json:"folder"`
	Model     string          `json:"model"`
	Threshold float64         `json:"threshold"`
	Images    int             `json:"images"`
	Groups    [][]groupMember `json:"groups"`
	Pairs     []filePair      `json:"pairs"` // all within the threshold, the nearest first
	Skipped   []string        `json:"skipped"`
}

type groupMember struct {
	File      string  `json:"file"`
	Distance  float64 `json:"distance"`              // from the file of From, the nearest before it; 0 for the first
	From      string  `json:"from"`                  // empty for the first
	FileBytes string  `json:"file_base64,omitempty"` // see pathBytes
	FromBytes string  `json:"from_base64,omitempty"`
}

type filePair struct {
	A        string  `json:"a"`
	B        string  `json:"b"`
	ABytes   string  `json:"a_base64,omitempty"` // see pathBytes
	BBytes   string  `json:"b_base64,omitempty"`
	Distance float64 `json:"distance"`
}

// Run finds and lists.
func (n *nearDuplicatesCommand) Run(c *console) error {
	model, name, files, err := n.prepare(c, n.Folder)
	if err != nil {
		return err
	}
	threshold, err := n.threshold(c, model, name)
	if err != nil {
		return err
	}
	collection, err := n.embed(c, model, n.Folder, files)
	if err != nil {
		return err
	}
	shown := newCounter(c.err, unit{what: "parts of the comparisons"})
	pairs, err := collection.Near(c, threshold, shown.of)
	shown.close()
	if c.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return err
	}
	found := describe(collection, pairs)
	found.Folder, found.Model, found.Threshold = n.Folder, name, threshold
	if err := n.draw(c, found.rows()); err != nil {
		return err
	}
	if n.JSON {
		return c.printJSON(found)
	}
	return found.write(c)
}

// threshold is the one that is asked for, or the model's own.
func (n *nearDuplicatesCommand) threshold(c *console, model *likeness.Model, name string) (float64, error) {
	switch {
	case n.Threshold != nil:
		return *n.Threshold, nil
	case model.Threshold != nil:
		c.say("threshold    %.4f, the model's own (--threshold chooses another)", *model.Threshold)
		return *model.Threshold, nil
	}
	return 0, errors.Errorf("threshold: the model %s has none of its own: choose one with --threshold DISTANCE, a little above what likeness compare A B --model %s prints for images that you take for duplicates", name, name)
}

// describe names the files of pairs and of the groups that they make.
func describe(collection *retrieval.Collection, pairs []retrieval.Pair) groups {
	files := collection.Files
	found := groups{Images: len(files), Groups: [][]groupMember{}, Pairs: []filePair{}, Skipped: append([]string{}, collection.Skipped...)}
	for _, p := range pairs {
		found.Pairs = append(found.Pairs, filePair{A: files[p.A], B: files[p.B], ABytes: pathBytes(files[p.A]), BBytes: pathBytes(files[p.B]), Distance: p.Distance})
	}
	for _, group := range retrieval.Groups(pairs) {
		var members []groupMember
		for i, m := range group {
			member := groupMember{File: files[m.Image], FileBytes: pathBytes(files[m.Image])}
			if i > 0 {
				member.From, member.FromBytes, member.Distance = files[m.Beside], pathBytes(files[m.Beside]), m.Distance
			}
			members = append(members, member)
		}
		found.Groups = append(found.Groups, members)
	}
	return found
}

// write prints the groups as text.
func (g groups) write(c *console) error {
	c.say("found        %d groups of near duplicates among %d images, within %.4f", len(g.Groups), g.Images, g.Threshold)
	for i, group := range g.Groups {
		if i > 0 {
			c.print("")
		}
		c.print("group %d, %d images", i+1, len(group))
		for j, m := range group {
			if j == 0 {
				c.print("  %s", m.File)
			} else {
				c.print("  %s  %.4f from %s", m.File, m.Distance, m.From)
			}
		}
	}
	return nil
}

// rows are the groups as rows of a sheet.
func (g groups) rows() []plot.Row {
	var rows []plot.Row
	for i, group := range g.Groups {
		row := plot.Row{Title: fmt.Sprintf("group %d, %d images", i+1, len(group))}
		for j, m := range group {
			cell := plot.Cell{File: m.File, Captions: [plot.CaptionLines]string{shortName(g.Folder, m.File)}}
			if j > 0 {
				cell.Captions[1] = fmt.Sprintf("%.4f from", m.Distance)
				cell.Captions[2] = shortName(g.Folder, m.From)
			}
			row.Cells = append(row.Cells, cell)
		}
		rows = append(rows, row)
	}
	return rows
}
