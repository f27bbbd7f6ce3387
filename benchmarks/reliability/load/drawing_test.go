package load

import (
	"bytes"
	"image/png"
	"testing"
)

func TestDrawing(t *testing.T) {
	var files [3][]byte
	for i, number := range []int{7, 7, 8} {
		var err error
		if files[i], err = drawing(number); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) || bytes.Equal(files[0], files[2]) {
		t.Error("expected the same number alone to give the same drawing")
	}
	if img, err := png.Decode(bytes.NewReader(files[0])); err != nil || img.Bounds().Dx() != side {
		t.Errorf("found %v, %v", img, err)
	}
}
