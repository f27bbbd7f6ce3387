package plot_test

import (
	"image/color"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/internal/plot"
)

// Two images of one inked pixel each lie in opposite corners, in their colors.
func TestDrawScatter(t *testing.T) {
	dot := []uint8{255, 0, 0, 0}
	picture, err := plot.DrawScatter([][]float32{{-1, 5}, {3, 7}}, [][]uint8{dot, dot}, 2, []int{0, 3})
	if err != nil {
		t.Fatal(err)
	}
	last := plot.ScatterSide - 2
	for at, want := range map[[2]int]color.Color{
		{0, 0}: plot.Colors[0], {last, last}: plot.Colors[3],
		{1, 0}: color.RGBA{255, 255, 255, 255}, {last + 1, last}: color.RGBA{255, 255, 255, 255},
	} {
		if got := picture.At(at[0], at[1]); got != want {
			t.Errorf("at %v: found %v, expected %v", at, got, want)
		}
	}
}

func TestDrawScatterRefuses(t *testing.T) {
	dot := []uint8{255}
	for want, draw := range map[string]func() error{
		"found 1 embeddings, 2 images": func() error {
			_, err := plot.DrawScatter([][]float32{{1, 1}}, [][]uint8{dot, dot}, 1, []int{0})
			return err
		},
		"has 1 features": func() error {
			_, err := plot.DrawScatter([][]float32{{1}}, [][]uint8{dot}, 1, []int{0})
			return err
		},
		"kind 10": func() error {
			_, err := plot.DrawScatter([][]float32{{1, 2}}, [][]uint8{dot}, 1, []int{10})
			return err
		},
	} {
		if err := draw(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found %v, expected %q", err, want)
		}
	}
}
