package main

import (
	"fmt"
	"image"

	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// identifyCommand identifies images: the nearest class of a gallery, or unknown.
type identifyCommand struct {
	Images     []string     `arg:"" placeholder:"IMAGE" help:"Images or folders of images."`
	Flags      galleryFlags `embed:""`
	Candidates int          `short:"k" default:"${candidates}" placeholder:"K" help:"Number of nearest classes to print. [${candidates}]"`
	Set        bool         `help:"Also print the set of all classes that cannot be excluded at --confidence; if there are none, the image is of no class of the gallery."`
	Confidence *float64     `placeholder:"C" help:"Probability with which the set contains the class of an image of one of the gallery's classes, with --set. [0.95]"`
	JSON       bool         `name:"json" help:"Print one JSON object per image."`
	skipFlag
}

// Help returns the text of --help before the flags.
func (identifyCommand) Help() string {
	return `It prints the nearest class of each image and its distance, or unknown if that distance is above the rejection threshold: the threshold of likeness calibrate, or else the model's own. Without a threshold no image is rejected, which is reported.

Examples:
  likeness identify photo.jpg --gallery faces.gallery -k 3
  likeness identify photo.jpg --gallery faces.gallery --set --confidence 0.99

With --set it prints the classes within the distance that likeness calibrate found for the confidence, from one example of each class and the other examples of the class. Of the images of the gallery's classes, at most a fraction 1 - C have a set without their class. A confidence of 0.95 needs 20 classes with two or more examples.

An image of an unknown class is compared with every example, so a gallery with many examples needs a low threshold: see likeness calibrate --help.`
}

// identified is the JSON output of identify.
type identified struct {
	Image       string          `json:"image"`
	ImageBytes  string          `json:"image_base64,omitempty"` // see pathBytes
	Class       *string         `json:"class"`                  // null if it is unknown, or if nothing is decided
	Known       *bool           `json:"known"`                  // null if nothing is decided
	Threshold   *float64        `json:"threshold"`              // null if there is none
	Approximate bool            `json:"approximate"`
	Incomplete  bool            `json:"incomplete,omitempty"` // the index gave fewer candidates than requested
	Candidates  []candidateJSON `json:"candidates"`
	Set         *setJSON        `json:"set,omitempty"` // with --set only
}

// setJSON is the set of the classes that cannot be excluded.
type setJSON struct {
	Confidence float64         `json:"confidence"`
	Distance   float64         `json:"distance"` // up to which classes are in the set
	Trials     int             `json:"trials"`   // number of classes from which the distance was found
	Candidates []candidateJSON `json:"candidates"`
}

// candidateJSON is a candidate; the source is that of its nearest example.
type candidateJSON struct {
	Class       string  `json:"class"`
	Distance    float64 `json:"distance"`
	Source      string  `json:"source,omitempty"`
	SourceBytes string  `json:"source_base64,omitempty"` // see pathBytes
}

// Run identifies.
func (i *identifyCommand) Run(c *console) error {
	if i.Candidates < 1 {
		return errors.Errorf("--candidates: found %d, expected at least 1", i.Candidates)
	}
	confidence := 0.95
	switch {
	case i.Confidence == nil:
	case !i.Set:
		return errors.New("--confidence: it has no effect without --set")
	case !(*i.Confidence > 0 && *i.Confidence < 1):
		return errors.Errorf("--confidence: found %v, expected a number between 0 and 1, such as 0.95", *i.Confidence)
	default:
		confidence = *i.Confidence
	}
	files, err := imageFiles(c, i.Images)
	if err != nil {
		return err
	}
	g, model, err := i.Flags.open(c, gallery.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer g.Close()
	empty, err := g.Request(c, "").Empty()
	if err != nil {
		return err
	}
	if empty {
		return errors.Errorf("gallery %s has no examples: add some with likeness enroll CLASS IMAGE --gallery %s", g.Path(), g.Path())
	}
	// Some at a time, so that there may be many.
	const some = 64
	said := false
	var skipped []string
	for from := 0; from < len(files); from += some {
		if c.Err() != nil {
			return errors.New("interrupted")
		}
		var part []string
		var images []image.Image
		for _, file := range files[from:min(from+some, len(files))] {
			img, err := g.Model().Preprocessing.DecodeFile(file)
			switch {
			case err == nil:
				part, images = append(part, file), append(images, img)
			case !imaging.Skippable(err):
				return err
			case !i.SkipBroken:
				return fmt.Errorf("%w: remove it, or skip such files with --skip-broken", err)
			default:
				skipped = append(skipped, err.Error())
			}
		}
		if len(part) == 0 {
			continue
		}
		var found []gallery.Identification
		if i.Set {
			found, err = g.IdentifySets(images, i.Candidates, confidence)
		} else {
			found, err = g.IdentifyAll(images, i.Candidates)
		}
		if err != nil {
			return err
		}
		if !said {
			said = true
			model.say(c)
			sayUndecided(c, found[0].Calibrated)
			if err := sayStale(c, g, i.Set); err != nil {
				return err
			}
		}
		for n, file := range part {
			if err := i.print(c, file, found[n]); err != nil {
				return err
			}
		}
	}
	if !said {
		return errors.Errorf("none of the images can be read: %s", skipped[0])
	}
	saySkipped(c, skipped)
	return nil
}

// print writes one answer.
func (i *identifyCommand) print(c *console, file string, found gallery.Identification) error {
	if i.JSON {
		return c.printJSON(jsonOf(file, found))
	}
	if len(found.Candidates) == 0 { // all classes were forgotten meanwhile
		return errors.Errorf("%s: the gallery has no examples any more", file)
	}
	first := found.Candidates[0]
	text := fmt.Sprintf("nearest %s  distance %.4f  no threshold", first.Class, first.Distance)
	switch {
	case found.Calibrated && found.Known:
		text = fmt.Sprintf("%s  distance %.4f  threshold %.4f", first.Class, first.Distance, found.Threshold)
	case found.Calibrated:
		text = fmt.Sprintf("unknown  nearest %s  distance %.4f  threshold %.4f", first.Class, first.Distance, found.Threshold)
	}
	if found.Incomplete {
		c.say("incomplete   %s: the index gave %d classes of more, fewer than requested: increase ef_search in the URI of the gallery, or set search=exact", file, len(found.Candidates))
	}
	c.print("%s  %s", file, text)
	for _, candidate := range found.Candidates[1:] {
		c.print("  then %s  distance %.4f", candidate.Class, candidate.Distance)
	}
	if found.Set == nil {
		return nil
	}
	c.print("  set of %s within distance %.4f, confidence %g", count(len(found.Set.Candidates), "class", "classes"), found.Set.Distance, found.Set.Confidence)
	for _, candidate := range found.Set.Candidates {
		c.print("    %s  distance %.4f", candidate.Class, candidate.Distance)
	}
	return nil
}

func jsonOf(file string, found gallery.Identification) identified {
	answer := identified{Image: file, ImageBytes: pathBytes(file), Approximate: found.Approximate, Incomplete: found.Incomplete}
	if found.Calibrated {
		answer.Threshold, answer.Known = &found.Threshold, &found.Known
	}
	if class := found.Class(); class != "" {
		answer.Class = &class
	}
	answer.Candidates = candidatesJSON(found.Candidates)
	if set := found.Set; set != nil {
		answer.Set = &setJSON{Confidence: set.Confidence, Distance: set.Distance, Trials: set.Trials, Candidates: candidatesJSON(set.Candidates)}
	}
	return answer
}

func candidatesJSON(candidates []gallery.Candidate) []candidateJSON {
	all := make([]candidateJSON, len(candidates))
	for i, candidate := range candidates {
		all[i] = candidateJSON{
			Class: candidate.Class, Distance: candidate.Distance,
			Source: candidate.Example.Source, SourceBytes: pathBytes(candidate.Example.Source),
		}
	}
	return all
}

// verifyCommand verifies that an image is of a class.
type verifyCommand struct {
	Class string       `arg:"" placeholder:"CLASS" help:"Class of the gallery."`
	Image string       `arg:"" placeholder:"IMAGE" help:"Image to verify."`
	Flags galleryFlags `embed:""`
	JSON  bool         `name:"json" help:"Print JSON."`
}

// Help returns the text of --help before the flags.
func (verifyCommand) Help() string {
	return `It compares the image with the examples of this class only and prints the distance and, if there is a threshold, whether the distance is within it.

Example:
  likeness verify alice photo.jpg --gallery faces.gallery`
}

// verified is the JSON output of verify.
type verified struct {
	Image      string   `json:"image"`
	ImageBytes string   `json:"image_base64,omitempty"` // see pathBytes
	Class      string   `json:"class"`
	Distance   float64  `json:"distance"`
	Threshold  *float64 `json:"threshold"` // null if there is none
	Same       *bool    `json:"same"`      // null if nothing is decided
}

// Run verifies.
func (v *verifyCommand) Run(c *console) error {
	g, model, err := v.Flags.open(c, gallery.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer g.Close()
	class, err := classNamed(c, g, v.Class)
	if err != nil {
		return err
	}
	img, err := g.Model().Preprocessing.DecodeFile(v.Image)
	if err != nil {
		return err
	}
	found, err := g.Verify(class, img)
	if err != nil {
		return err
	}
	model.say(c)
	sayUndecided(c, found.Calibrated)
	if err := sayStale(c, g, false); err != nil {
		return err
	}
	if v.JSON {
		answer := verified{Image: v.Image, ImageBytes: pathBytes(v.Image), Class: class, Distance: found.Distance}
		if found.Calibrated {
			answer.Threshold, answer.Same = &found.Threshold, &found.Same
		}
		return c.printJSON(answer)
	}
	text := "no threshold"
	switch {
	case found.Calibrated && found.Same:
		text = fmt.Sprintf("threshold %.4f  %s", found.Threshold, class)
	case found.Calibrated:
		text = fmt.Sprintf("threshold %.4f  not %s", found.Threshold, class)
	}
	c.print("distance %.4f  %s", found.Distance, text)
	return nil
}
