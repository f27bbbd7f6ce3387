package main

import (
	"fmt"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/collective"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/plot"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// nearDuplicatesCommand finds near-duplicate images in a folder.
type nearDuplicatesCommand struct {
	Folder    string   `arg:"" name:"dir" placeholder:"DIR" help:"Folder of images, which is searched recursively."`
	Threshold *float64 `placeholder:"DISTANCE" help:"Maximum distance of near duplicates. Default: 0.12 for the bundled model photo, the threshold of other models."`
	Flips     bool     `help:"Also find copies that are flipped or rotated by a multiple of 90 degrees, and say how. It takes eight times the time and memory for embeddings."`
	lookup
}

// Help returns the text of --help before the flags.
func (nearDuplicatesCommand) Help() string {
	return `It compares all pairs of images and prints groups of images within the threshold, the nearest first. Each line of a group has an image and its distance to the nearest image above it, so the first and the last image of a long group may be far apart.

The threshold of a model separates the classes that it was trained on: that of the bundled model omniglot says whether two drawings are of the same character, also by different writers. For copies of one drawing choose a lower threshold: likeness compare prints the distance between two images that you consider duplicates.

With --flips each image is embedded in the eight symmetries of the square, and the distance of two images is the smallest of any symmetry. Where an image is flipped or rotated, its line and the key symmetry of --json say so: "b.jpg  0.0312 flipped left-right from a.jpg" means that b.jpg is a.jpg flipped.

Examples:
  likeness near-duplicates scans --threshold 0.05 --sheet duplicates.png
  likeness near-duplicates photos --flips
  likeness near-duplicates photos --model runs/photos --json

` + suitability
}

// groups is the JSON output of near-duplicates.
type groups struct {
	Folder    string          `json:"folder"`
	Model     string          `json:"model"`
	Reason    string          `json:"model_reason,omitempty"` // why this bundled model was chosen
	Threshold float64         `json:"threshold"`
	Flips     bool            `json:"flips,omitempty"`
	Images    int             `json:"images"`
	Groups    [][]groupMember `json:"groups"`
	Pairs     []filePair      `json:"pairs"` // all within the threshold, the nearest first
	Skipped   []string        `json:"skipped"`
}

type groupMember struct {
	File      string  `json:"file"`
	Distance  float64 `json:"distance"`              // from the file of From, the nearest before it; 0 for the first
	From      string  `json:"from"`                  // empty for the first
	Symmetry  string  `json:"symmetry,omitempty"`    // with --flips, the one that makes the file of From; empty for the first
	FileBytes string  `json:"file_base64,omitempty"` // see pathBytes
	FromBytes string  `json:"from_base64,omitempty"`
}

type filePair struct {
	A        string  `json:"a"`
	B        string  `json:"b"`
	ABytes   string  `json:"a_base64,omitempty"` // see pathBytes
	BBytes   string  `json:"b_base64,omitempty"`
	Distance float64 `json:"distance"`
	Symmetry string  `json:"symmetry,omitempty"` // with --flips, the one that makes B of A
}

// Run finds and lists.
func (n *nearDuplicatesCommand) Run(c *console) error {
	return ranked(c, func() error { return n.run(c) })
}

func (n *nearDuplicatesCommand) run(c *console) error {
	if err := n.open(c); err != nil {
		return err
	}
	defer closeCache(c)
	model, name, files, err := n.prepare(c, n.Folder)
	if err != nil {
		return err
	}
	threshold, err := n.threshold(c, model, name)
	if err != nil {
		return err
	}
	collection, err := n.embed(c, model, n.Folder, files, n.Flips)
	if err != nil {
		return err
	}
	shown := newCounter(c.err, unit{what: "parts of the comparisons"})
	pairs, err := collection.Near(c, threshold, shown.of)
	shown.close()
	if c.Err() != nil {
		return errInterrupted
	}
	if err != nil || !collective.FromContext(c).Root() {
		return err
	}
	found := describe(collection, pairs)
	found.Folder, found.Model, found.Reason, found.Threshold = n.Folder, name, c.reason, threshold
	if err := n.draw(c, found.rows()); err != nil {
		return err
	}
	if n.JSON {
		return c.printJSON(found)
	}
	return found.write(c)
}

// threshold is the requested one, or the model's own.
func (n *nearDuplicatesCommand) threshold(c *console, model *likeness.Model, name string) (float64, error) {
	switch {
	case n.Threshold != nil:
		return *n.Threshold, nil
	case name == "zoo/"+zoo.Photo:
		c.say("threshold    %.4f, that of copies of one photograph (choose another with --threshold)", zoo.PhotoDuplicates)
		return zoo.PhotoDuplicates, nil
	case model.Threshold != nil:
		c.say("threshold    %.4f, that of the model, which separates classes: images of one class are near duplicates (choose a smaller one with --threshold for copies)", *model.Threshold)
		return *model.Threshold, nil
	}
	return 0, errors.Errorf("--threshold: the model %s has none: choose one with --threshold DISTANCE, a little above the distance that likeness compare A B --model %s prints for images that you consider duplicates", name, name)
}

// describe names the files of pairs and of the groups that they make.
func describe(collection *retrieval.Collection, pairs []retrieval.NearPair) groups {
	files := collection.Files
	symmetry := func(s imaging.Symmetry) string {
		if len(collection.Flips) == 0 {
			return ""
		}
		return s.String()
	}
	found := groups{Images: len(files), Flips: len(collection.Flips) > 0, Groups: [][]groupMember{}, Pairs: []filePair{}, Skipped: append([]string{}, collection.Skipped...)}
	for _, p := range pairs {
		found.Pairs = append(found.Pairs, filePair{A: files[p.A], B: files[p.B], ABytes: pathBytes(files[p.A]), BBytes: pathBytes(files[p.B]), Distance: p.Distance, Symmetry: symmetry(p.Symmetry)})
	}
	for _, group := range retrieval.Groups(pairs) {
		var members []groupMember
		for i, m := range group {
			member := groupMember{File: files[m.Image], FileBytes: pathBytes(files[m.Image])}
			if i > 0 {
				member.From, member.FromBytes, member.Distance = files[m.Nearest], pathBytes(files[m.Nearest]), m.Distance
				member.Symmetry = symmetry(m.Symmetry)
			}
			members = append(members, member)
		}
		found.Groups = append(found.Groups, members)
	}
	return found
}

// write prints the groups as text.
func (g groups) write(c *console) error {
	c.say("found        %d groups of near duplicates among %d images, within a distance of %.4f", len(g.Groups), g.Images, g.Threshold)
	for i, group := range g.Groups {
		if i > 0 {
			c.print("")
		}
		c.print("group %d, %d images", i+1, len(group))
		for j, m := range group {
			if j == 0 {
				c.print("  %s", m.File)
			} else {
				c.print("  %s  %.4f%s from %s", m.File, m.Distance, m.change(), m.From)
			}
		}
	}
	return nil
}

// change says which symmetry makes the file of From, unless it is as it was.
func (m groupMember) change() string {
	if m.Symmetry == "" || m.Symmetry == imaging.Unchanged.String() {
		return ""
	}
	return " " + m.Symmetry
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
				if change := m.change(); change != "" {
					cell.Captions[1] = change[1:]
					cell.Captions[2] = fmt.Sprintf("%.4f from %s", m.Distance, cell.Captions[2])
				}
			}
			row.Cells = append(row.Cells, cell)
		}
		rows = append(rows, row)
	}
	return rows
}
