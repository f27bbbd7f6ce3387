package main

import (
	"context"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// smallNetwork trains in no time.
const smallNetwork = `name = "small"
input = { height = 12, width = 12, channels = 1 }

[[block]]
kind = "conv"
filters = 4
kernel = 3
activation = "relu"
pool = 2

[[block]]
kind = "flatten"

[[block]]
kind = "linear"
units = 4
`

// material is what trainings are killed with: a small data set, a small network,
// and the run that nobody disturbed.
type material struct {
	likeness tool
	folder   string
	training []string      // the arguments of the training, all but --out
	whole    string        // the run folder of the training that was left alone
	took     time.Duration // of it
}

// newMaterial writes the data set and trains without a disturbance.
func newMaterial(ctx context.Context, likeness tool, folder string) (material, error) {
	m := material{likeness: likeness, folder: folder, whole: filepath.Join(folder, "whole")}
	network := filepath.Join(folder, "small.toml")
	m.training = []string{
		"train", "--data", filepath.Join(folder, "bars"), "--backbone", network, "--objective", "contrastive", "--batch", "8",
		"--epochs", "40", "--average", "0.9", "--augment", "0.5", "--tensorboard", "--threads", "1",
	}
	if err := os.WriteFile(network, []byte(smallNetwork), 0o666); err != nil {
		return m, errors.WithStack(err)
	}
	for class := range 6 {
		for i := range 20 {
			if err := m.drawBar(class, i); err != nil {
				return m, err
			}
		}
	}
	start := time.Now()
	err := likeness.run(ctx, folder, m.train(m.whole)...)
	m.took = time.Since(start)
	if err == nil {
		_, err = inspect(m.whole)
	}
	return m, err
}

// train are the arguments of the training into a run folder.
func (m material) train(run string) []string {
	return append(slices.Clone(m.training), "--out", run)
}

// images is the folder of the images of a class.
func (m material) images(class int) string {
	return filepath.Join(m.folder, "bars", "bar"+strconv.Itoa(class))
}

// drawBar writes an image of a class: noise with a bar at the class's position.
func (m material) drawBar(class, i int) error {
	img := image.NewGray(image.Rect(0, 0, 12, 12))
	noise := random.New(uint64(i), "noise", class)
	for y := range 12 {
		for x := range 12 {
			value := noise.IntN(100)
			if x/2 == class {
				value += 150
			}
			img.SetGray(x, y, color.Gray{Y: uint8(value)})
		}
	}
	if err := os.MkdirAll(m.images(class), 0o777); err != nil {
		return errors.WithStack(err)
	}
	path := filepath.Join(m.images(class), strconv.Itoa(i)+".png")
	return atomicfile.WriteFile(path, func(w io.Writer) error { return png.Encode(w, img) })
}
