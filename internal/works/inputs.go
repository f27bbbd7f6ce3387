package works

import (
	"fmt"
	"math/rand/v2"

	"github.com/likeness-go/likeness/internal/random"
)

// batch is the inputs of a step of training by their names.
type batch map[string][]float32

const labelsName = "labels" // whether a pair is different, or classes

func imagesName(tower int) string { return fmt.Sprint("images ", tower) }

// batches draws the inputs of so many steps.
func (w Work) batches(n int) []batch {
	all := make([]batch, n)
	for i := range all {
		all[i] = batch{}
		if w.Loss.Towers < 3 { // triplets are in order
			all[i][labelsName] = w.labels()
		}
		for tower := range w.Loss.Towers {
			r := random.New(1, w.Name, "batch", i, tower)
			images := make([]float32, 0, w.Count*w.Network.Size.Len())
			for range w.Count {
				for _, v := range w.image(r) {
					images = append(images, float32(v)/255)
				}
			}
			all[i][imagesName(tower)] = images
		}
	}
	return all
}

// labels are 0 and 1 in turn for pairs, and the classes one after another for
// a batch.
func (w Work) labels() []float32 {
	labels := make([]float32, w.Count)
	for i := range labels {
		if w.Loss.Classes > 0 {
			labels[i] = float32(i / (w.Count / w.Loss.Classes))
		} else {
			labels[i] = float32(i % 2)
		}
	}
	return labels
}

// pixels are the images to embed.
func (w Work) pixels() [][]uint8 {
	r := random.New(1, w.Name, "images")
	all := make([][]uint8, w.Count)
	for i := range all {
		all[i] = w.image(r)
	}
	return all
}

// image is a dark one with a bright rectangle at random, and noise on it.
func (w Work) image(r *rand.Rand) []uint8 {
	size := w.Network.Size
	image := make([]uint8, size.Len())
	top, left := r.IntN(size.Height/2), r.IntN(size.Width/2)
	height, width := size.Height/4+r.IntN(size.Height/4), size.Width/4+r.IntN(size.Width/4)
	for i := range image {
		y, x := i/size.Channels/size.Width, i/size.Channels%size.Width
		image[i] = uint8(r.IntN(64))
		if y >= top && y < top+height && x >= left && x < left+width {
			image[i] += 160
		}
	}
	return image
}
