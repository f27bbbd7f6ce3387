package page

import (
	"cmp"
	"image/color"
	"slices"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/internal/plot"
)

// What is of no class, and of a class that has no colour of its own.
var (
	classless = color.RGBA{40, 40, 90, 255}
	others    = color.RGBA{175, 175, 175, 255}
)

// classColours returns the colour of each image and what the colours mean. The
// ten classes with the most images have their own, in the order of the classes;
// the rest share one. Without labels all images are alike and nothing is meant.
func classColours(d *datasets.Dataset) (colours []color.RGBA, meaning []entry) {
	colours = make([]color.RGBA, d.Len())
	if d.Labels == nil {
		for i := range colours {
			colours[i] = classless
		}
		return colours, nil
	}
	classes := d.ByClass()
	var coloured []int
	for class, images := range classes {
		if len(images) > 0 {
			coloured = append(coloured, class)
		}
	}
	slices.SortStableFunc(coloured, func(a, b int) int { return cmp.Compare(len(classes[b]), len(classes[a])) })
	rest := coloured[min(len(coloured), len(plot.Colors)):]
	coloured = coloured[:len(coloured)-len(rest)]
	slices.Sort(coloured)
	for i, class := range coloured {
		meaning = append(meaning, entry{name: d.Classes[class], fill: plot.Colors[i]})
		for _, image := range classes[class] {
			colours[image] = plot.Colors[i]
		}
	}
	if len(rest) > 0 {
		meaning = append(meaning, entry{name: "others", fill: others})
	}
	for _, class := range rest {
		for _, image := range classes[class] {
			colours[image] = others
		}
	}
	return colours, meaning
}
