package main

import (
	"image"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
)

// Data at the end of what there is: the tool trains and leaves a model that
// loads, or says in one line why it does not.
func TestTrainOnExtremes(t *testing.T) {
	inFolder(t)
	grey := func(value uint8, side int) string {
		img := image.NewGray(image.Rect(0, 0, side, side))
		for i := range img.Pix {
			img.Pix[i] = value
		}
		return encode(t, img)
	}
	folder := func(name string, classes, images int, content func(class, i int) string) {
		for class := range classes {
			for i := range images {
				write(t, filepath.Join(name, "class"+strconv.Itoa(class), strconv.Itoa(i)+".png"), content(class, i))
			}
		}
	}
	folder("black", 6, 8, func(int, int) string { return grey(0, 12) })
	folder("pixels", 6, 8, func(class, i int) string { return grey(uint8(40*class+i), 1) })
	folder("single", 6, 1, func(class, _ int) string { return grey(uint8(40*class), 12) })
	folder("alone", 1, 8, func(_, i int) string { return grey(uint8(i), 12) })
	for _, path := range []string{"empty", "hollow/a", "hollow/b"} {
		if err := os.MkdirAll(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	arguments := func(data, objective string) []string {
		return []string{"train", "--data", data, "--backbone", "tiny.toml", "--objective", objective, "--epochs", "2", "--batch", "12", "--out", data + "-" + objective}
	}
	for _, objective := range []string{"contrastive", "triplet", "batch-hard"} {
		for _, data := range []string{"black", "pixels"} {
			tool(t, arguments(data, objective)...)
			if _, err := likeness.Load(runFolder(data + "-" + objective).model()); err != nil {
				t.Error(err)
			}
		}
		toolFails(t, failure, []string{"too few classes or images"}, arguments("single", objective)...)
		toolFails(t, failure, []string{"too few classes or images", "without images: a, b"}, arguments("hollow", objective)...)
	}
	for _, data := range []string{"alone", "empty"} {
		if code, _, stderr := runTool(arguments(data, "contrastive")...); code != failure || stderr == "" {
			t.Errorf("%s: exit code %d, %s", data, code, stderr)
		}
	}
}

// A training that diverges says at which step and of what, also where what it has
// come to is not worth keeping; and it leaves no model that is none.
func TestTrainThatDiverges(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 20)
	arguments := tiny("--solver", "sgd", "--rate", "1e20", "--out", "run")
	code, _, stderr := runTool(arguments...)
	if code != failure {
		t.Errorf("found exit code %d, expected %d", code, failure)
	}
	for _, want := range []string{"not kept     save model run/model.safetensors: ", "likeness: stopped: train: epoch 1, step 2: the cost is NaN: take a lower rate"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("found no %q in\n%s", want, stderr)
		}
	}
	if exists(runFolder("run").model()) {
		t.Error("a model is saved whose embeddings are no numbers")
	}
}
