package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// material is the data of a training: what it learns from, what it is validated
// by and what it is tested on.
type material interface {
	// name is short: the data set's.
	name() string
	// summary says how much there is.
	summary() string
	// images are those of training.
	images() *datasets.Dataset
	// shown are images that say most in pictures: those that training has not seen,
	// where there are any.
	shown() *datasets.Dataset
	// limited has at most n images to train on, and in each part to test on at
	// most m; 0 is no limit.
	limited(n, m int, seed uint64) material
	// unseen are the classes that were kept out of training on purpose.
	unseen() []string

	examples(objective objectives.Loss, batch, perClass int) (*trainer.Examples, error)
	// validation also says what it measures; it is nil where there is nothing
	// to measure.
	validation(seed uint64) (validation trainer.Validation, measure string, err error)
	plan(seed uint64) (*report.Plan, error)
}

// mostNotes is how many skipped files are named.
const mostNotes = 20

// open finds the data and reads it at the size that the network demands, if it
// demands one. The notes tell what was decided and what was passed over.
func (s Settings) open(demanded imaging.Size) (m material, notes []string, err error) {
	path, name := s.Data, ""
	if path == "" {
		name = "MNIST"
		if path, err = datasets.FindMNIST(""); err != nil {
			return nil, nil, err
		}
	}
	splits, notes, err := s.read(path, demanded)
	if err != nil {
		return nil, nil, err
	}
	if name != "" {
		splits.Name = name
	}
	for _, file := range splits.Skipped[:min(len(splits.Skipped), mostNotes)] {
		notes = append(notes, "skipped "+file)
	}
	if more := len(splits.Skipped) - mostNotes; more > 0 {
		notes = append(notes, fmt.Sprintf("skipped %d files more", more))
	}
	if splits.PassedOver.Count > 0 {
		notes = append(notes, fmt.Sprintf("passed over %v, such as %s", splits.PassedOver, splits.PassedOver.First[0]))
	}
	for _, warning := range splits.Warnings {
		notes = append(notes, "warning: "+warning)
	}
	if splits.Pairs.Train != nil || splits.Triplets.Train != nil {
		if s.Symmetries || s.Grouped {
			return nil, nil, errors.Errorf("%s lists pairs or triplets: symmetries and grouped are for images with classes", path)
		}
		m = newListed(splits)
		if splits.Pairs.Test == nil && splits.Triplets.Test == nil {
			notes = append(notes, "no row of the list is for testing, so nothing is measured: a column split (train, val, test) says which are")
		}
	} else if m, err = newLabelled(splits, s); err != nil {
		return nil, nil, err
	}
	return m.limited(s.Limit, s.TestLimit, s.Seed), notes, nil
}

// read opens the data at the size that is asked for, or demanded, or the
// images' own, or a usual one where these differ or are large.
func (s Settings) read(path string, demanded imaging.Size) (datasets.Splits, []string, error) {
	size, err := parseSize(s.Size)
	if err != nil {
		return datasets.Splits{}, nil, err
	}
	if demanded != (imaging.Size{}) {
		if size.Channels == 0 {
			size.Channels = demanded.Channels
		}
		if s.Size != "" && size != demanded {
			return datasets.Splits{}, nil, errors.Errorf("--size: found %s, but the network takes images of %v: leave the size out or choose another network", s.Size, demanded)
		}
		size = demanded
	}
	options := datasets.Options{Size: size, Invert: s.Invert, Crop: s.crop(), SkipBroken: s.SkipBroken, Background: s.Alphabets}
	var notes []string
	if size == (imaging.Size{}) {
		if first, own := firstImage(path); own.Height > largestSide || own.Width > largestSide {
			options.Size = imaging.Size{Height: usualSide, Width: usualSide}
			notes = append(notes, first+" is large: all images are brought to 64x64 (--size chooses another size)")
		}
	}
	splits, err := datasets.Open(path, options)
	// Differing sizes may go with parts of which one only has colours.
	for _, channels := range []int{0, 3} {
		if errors.Is(err, datasets.ErrSizes) && s.Size == "" {
			notes = []string{"the images differ in size: all are brought to 64x64 (--size chooses another size)"}
			options.Size = imaging.Size{Height: usualSide, Width: usualSide, Channels: channels}
			splits, err = datasets.Open(path, options)
		}
	}
	switch {
	case errors.Is(err, datasets.ErrBroken):
		err = errors.WithMessage(err, "--skip-broken passes over broken files")
	case errors.Is(err, datasets.ErrBackground):
		err = errors.WithMessage(err, "--alphabets")
	}
	return splits, notes, err
}

// checkImages checks each setting of how images are cut and distorted, whether or not
// it has an effect beside the others.
func (s Settings) checkImages() error {
	for _, part := range []struct {
		key   string
		value interface{ Validate() error }
	}{
		{"crop_least", imaging.Crop{Margin: 1, MinSide: s.CropLeast}},
		{"crop", imaging.Crop{Margin: cmp.Or(s.Crop, 1)}},
		{"augment", datasets.Affine{Probability: s.Augment}},
		{"rotation", datasets.Affine{Rotation: s.Rotation}},
		{"shear", datasets.Affine{Shear: s.Shear}},
		{"scale_min", datasets.Affine{ScaleMin: s.ScaleMin, ScaleMax: s.ScaleMax}},
		{"translation", datasets.Affine{Translation: s.Translation}},
		{"smoothness", datasets.Elastic{Smoothness: s.Smoothness}},
		{"elastic", datasets.Elastic{Displacement: s.Elastic, Smoothness: 1}},
		{"thinner", datasets.Stroke{Min: 0 - s.Thinner}},
		{"thicker", datasets.Stroke{Max: s.Thicker}},
	} {
		if err := part.value.Validate(); err != nil {
			return errors.WithMessage(err, "--"+flagName(part.key))
		}
	}
	return nil
}

// crop is how images are cut, nil if they are not.
func (s Settings) crop() *imaging.Crop {
	if s.Crop == 0 {
		return nil
	}
	return &imaging.Crop{Margin: s.Crop, MinSide: s.CropLeast}
}

// firstImage is the first image file in the folder, and its size; there may be
// none.
func firstImage(path string) (first string, size imaging.Size) {
	filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		hidden := file != path && strings.HasPrefix(filepath.Base(file), ".")
		switch {
		case err != nil:
			return nil // Open tells
		case hidden && entry.IsDir():
			return fs.SkipDir
		case hidden || !entry.Type().IsRegular():
			return nil
		}
		if image, err := imaging.IsImage(file); err != nil || !image {
			return nil // Open tells
		}
		opened, err := imaging.OpenFile(file)
		if err != nil {
			return nil // Open tells
		}
		defer opened.Close()
		if size, err = imaging.DecodeSize(opened, file); err != nil {
			return nil
		}
		first = file
		return fs.SkipAll
	})
	return first, size
}

// parseSize reads 64, 64x48 (height x width) or 64x48x3; empty is the zero
// size, and no channels stand for the images' own.
func parseSize(text string) (imaging.Size, error) {
	if text == "" {
		return imaging.Size{}, nil
	}
	var numbers []int
	for _, part := range strings.Split(text, "x") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 {
			return imaging.Size{}, errors.Errorf("--size: found %q, expected height x width such as 64x64, or with 1 or 3 channels such as 64x64x3", text)
		}
		numbers = append(numbers, n)
	}
	size := imaging.Size{Height: numbers[0], Width: numbers[0]}
	switch len(numbers) {
	case 1:
	case 2, 3:
		size.Width = numbers[1]
		if len(numbers) == 3 {
			size.Channels = numbers[2]
		}
	default:
		return imaging.Size{}, errors.Errorf("--size: found %q, expected height x width, perhaps x channels", text)
	}
	whole := size
	whole.Channels = cmp.Or(size.Channels, 1)
	return size, errors.WithMessagef(whole.Validate(), "--size: found %q", text)
}
