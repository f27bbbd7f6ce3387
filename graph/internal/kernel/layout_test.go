package kernel

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// One image of 1×2 pixels and three channels.
func TestChannelsFirst(t *testing.T) {
	y := make([]float32, 6)
	ChannelsFirst(y, []float32{11, 12, 13, 21, 22, 23}, 1, 1, 2, 3)
	if diff := cmp.Diff([]float32{11, 21, 12, 22, 13, 23}, y); diff != "" {
		t.Error(diff)
	}
}

func TestChannelsLastUndoesChannelsFirst(t *testing.T) {
	size := rapid.IntRange(1, 5)
	rapid.Check(t, func(t *rapid.T) {
		batch, height, width, channels := size.Draw(t, "batch"), size.Draw(t, "height"), size.Draw(t, "width"), size.Draw(t, "channels")
		x := make([]float64, batch*height*width*channels)
		for i := range x {
			x[i] = float64(i)
		}
		first, last := make([]float64, len(x)), make([]float64, len(x))
		ChannelsFirst(first, x, batch, height, width, channels)
		ChannelsLast(last, first, batch, height, width, channels)
		if diff := cmp.Diff(x, last); diff != "" {
			t.Fatal(diff)
		}
	})
}
