package datasets

import (
	"context"
	"fmt"
	"strings"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// symmetryNames are the eight symmetries of the square, in the order in which
// Symmetries makes classes of them.
var symmetryNames = [...]string{
	"", " turned 90°", " turned 180°", " turned 270°",
	" mirrored", " mirrored, turned 90°", " mirrored, turned 180°", " mirrored, turned 270°",
}

// Symmetries returns eight times the images: as they are, turned to the left by
// 90°, 180° and 270°, and each of these mirrored left to right before. Each
// symmetry of a class is a class of its own, so that there are eight times as
// many to learn from (Santoro et al., "Meta-Learning with Memory-Augmented
// Neural Networks", 2016, do so with the turns), and so is each of a group: the
// characters of an alphabet that are all turned alike are one. It suits data
// where no class is another one turned, or nearly so; images must be square.
func (d *Dataset) Symmetries() (*Dataset, error) {
	if d == nil {
		return nil, errors.Wrap(errNil, "symmetries")
	}
	if d.Size.Height != d.Size.Width {
		return nil, errors.Errorf("symmetries of dataset %s: found images of %v, expected square ones", d.Name, d.Size)
	}
	if d.Labels == nil {
		return nil, errors.Wrapf(ErrUnlabelled, "symmetries of dataset %s", d.Name)
	}
	if err := d.Validate(); err != nil {
		return nil, errors.Wrap(err, "symmetries")
	}
	all := &Dataset{Name: d.Name, Size: d.Size, Inverted: d.Inverted, Crop: d.Crop}
	for i, name := range symmetryNames {
		for _, class := range d.Classes {
			all.Classes = append(all.Classes, turnedName(class, name))
		}
		for _, label := range d.Labels {
			all.Labels = append(all.Labels, i*len(d.Classes)+label)
		}
		for _, source := range d.Sources {
			all.Sources = append(all.Sources, fmt.Sprint(source, name))
		}
		all.Drawers = append(all.Drawers, d.Drawers...)
		first := len(all.Images)
		all.Images = append(all.Images, make([][]uint8, d.Len())...)
		images := all.Images[first:]
		err := parallel.Each(context.Background(), 0, d.Len(), func(j int) error {
			images[j] = turn(d.Images[j], d.Size.Height, d.Size.Channels, i%4, i >= 4)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// turnedName names a symmetry of a class, by its group if it has one.
func turnedName(class, symmetry string) string {
	if group, rest, found := strings.Cut(class, "/"); found {
		return group + symmetry + "/" + rest
	}
	return class + symmetry
}

// turn returns a square image mirrored, or not, and then turned to the left by
// so many right angles.
func turn(image []uint8, side, channels, quarters int, mirrored bool) []uint8 {
	turned := make([]uint8, len(image))
	for y := range side {
		for x := range side {
			row, column := y, x // of the source
			for range quarters {
				row, column = column, side-1-row
			}
			if mirrored {
				column = side - 1 - column
			}
			copy(turned[(y*side+x)*channels:][:channels], image[(row*side+column)*channels:])
		}
	}
	return turned
}
