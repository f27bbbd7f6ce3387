package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/serve"
)

// The tool, the data sets and the server read the same formats: all of
// imaging.Formats, by any of their extensions and without one.
func TestFormatsAreTheSameEverywhere(t *testing.T) {
	inFolder(t)
	model := saveModel(t, "model.safetensors", nil)
	files := testutil.Pictures(testutil.Steps(16, 12))
	count := 0
	for _, format := range imaging.Formats() {
		content := string(files[format.Name])
		for _, extension := range append(format.Extensions, "") {
			count++
			write(t, filepath.Join("classes", "a", format.Name+extension), content)
			write(t, filepath.Join("classes", "b", format.Name+extension), content)
		}
	}
	splits, err := datasets.Open("classes", datasets.Options{})
	if err != nil || splits.Train.Len() != 2*count || splits.PassedOver.Count != 0 {
		t.Errorf("the data set: found %v, %v, expected %d images", splits.Train, err, 2*count)
	}
	if _, stderr := tool(t, "embed", "classes", "--model", "model.safetensors", "--out", "e.npy"); !strings.Contains(stderr, fmt.Sprintf("wrote %d vectors", 2*count)) || strings.Contains(stderr, "passed over") {
		t.Errorf("the tool: expected %d images: %s", 2*count, stderr)
	}
	if stdout, _ := tool(t, "enroll", "--folder", "classes", "--gallery", "g.gallery", "--model", "model.safetensors"); !strings.Contains(stdout, fmt.Sprintf("enrolled %d examples of 2 classes", 2*count)) {
		t.Errorf("the gallery: expected %d images: %s", 2*count, stdout)
	}

	server, err := serve.New(model, serve.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for _, format := range imaging.Formats() {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		part, err := form.CreateFormFile("image", "picture")
		if err == nil {
			_, err = part.Write(files[format.Name])
		}
		if err == nil {
			err = form.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		request := httptest.NewRequest("POST", "http://localhost/v1/embed", &body)
		request.Header.Set("Content-Type", form.FormDataContentType())
		answer := httptest.NewRecorder()
		if server.ServeHTTP(answer, request); answer.Code != http.StatusOK {
			t.Errorf("the server: %s: %d %s", format.Name, answer.Code, answer.Body)
		}
	}
}

// A picture that a camera stored turned is the same one.
func TestCompareTurnsByEXIF(t *testing.T) {
	inFolder(t)
	saveModel(t, "model.safetensors", nil)
	upright := testutil.Steps(12, 12)
	turned := image.NewGray(upright.Rect) // to be turned clockwise
	for y := range 12 {
		for x := range 12 {
			turned.SetGray(x, y, upright.GrayAt(11-y, x))
		}
	}
	write(t, "upright.png", string(testutil.PNG(upright)))
	write(t, "plain.png", string(testutil.PNG(turned)))
	write(t, "camera.png", string(testutil.PNGWithEXIF(testutil.PNG(turned), testutil.EXIF(binary.BigEndian, 6), true)))
	if stdout, _ := tool(t, "compare", "upright.png", "camera.png", "--model", "model.safetensors"); !strings.Contains(stdout, "distance 0.0000") {
		t.Errorf("with EXIF: %s", stdout)
	}
	if stdout, _ := tool(t, "compare", "upright.png", "plain.png", "--model", "model.safetensors"); strings.Contains(stdout, "distance 0.0000") {
		t.Errorf("without EXIF the pictures are the same, so that this shows nothing: %s", stdout)
	}
}

// What a command passes over in folders is listed, the first files and how many.
func TestPassedOverIsListed(t *testing.T) {
	inFolder(t)
	saveModel(t, "model.safetensors", nil)
	bars(t, "photos", 2, 2)
	for i := range 30 {
		write(t, filepath.Join("photos", "bar0", fmt.Sprintf("GT-%05d.csv", i)), "Filename;Width")
	}
	write(t, filepath.Join("photos", "bar1", "README"), "about the images")
	for _, args := range [][]string{
		{"embed", "photos", "--out", "e.npy"},
		{"enroll", "--folder", "photos", "--gallery", "a.gallery"},
		{"enroll", "someone", "photos", "--gallery", "b.gallery"},
	} {
		_, stderr := tool(t, append(args, "--model", "model.safetensors")...)
		for _, text := range []string{"passed over  31 files that are not images (30 .csv, 1 without an extension)", "GT-00000.csv\n", "GT-00009.csv\n", "and 21 more\n"} {
			if !strings.Contains(stderr, text) {
				t.Errorf("%v: want %q in\n%s", args, text, stderr)
			}
		}
		if strings.Contains(stderr, "GT-00010.csv") {
			t.Errorf("%v lists too many files:\n%s", args, stderr)
		}
	}
	_, said := tool(t, tinyConv("--data", "photos", "--size", "32", "--unseen", "none", "--out", "run")...)
	if want := "passed over 31 files that are not images (30 .csv, 1 without an extension), such as " + filepath.Join("photos", "bar0", "GT-00000.csv"); !strings.Contains(said, want) {
		t.Errorf("want %q in\n%s", want, said)
	}
}

// A folder and an empty file are called so, and a size is refused with the limit and
// the flag.
func TestImageErrorsSayWhatWasFound(t *testing.T) {
	inFolder(t)
	saveModel(t, "model.safetensors", nil)
	bars(t, "photos", 2, 2)
	picture := filepath.Join("photos", "bar0", "0.png")
	write(t, "empty.png", "")
	for _, command := range []string{"compare", "search"} {
		arguments := func(image string) []string {
			if command == "search" {
				return []string{"search", image, "--in", "photos", "--model", "model.safetensors"}
			}
			return []string{"compare", picture, image, "--model", "model.safetensors"}
		}
		toolFails(t, failure, []string{"photos is a folder, expected an image file (PNG, JPEG"}, arguments("photos")...)
		toolFails(t, failure, []string{"empty.png: the file is empty", "PNG, JPEG"}, arguments("empty.png")...)
	}
	toolFails(t, failure, []string{`--size: found "10000x10000"`, "more than 67108864 pixels (8192 x 8192)"}, tinyConv("--data", "photos", "--size", "10000x10000")...)
	toolFails(t, failure, []string{`--size: found "64x64x2"`, "expected 1 (grey) or 3 (colour)"}, tinyConv("--data", "photos", "--size", "64x64x2")...)
}

// A setting outside its range is refused by its flag, though it has no effect beside
// the others; and so is a choice that the data does not have.
func TestImageSettingsAreChecked(t *testing.T) {
	inFolder(t)
	bars(t, "photos", 2, 2)
	for want, flag := range map[string]string{
		"--rotation: found 999, expected a number from 0 to 180":                                "--rotation=999",
		"--rotation: found NaN, expected":                                                       "--rotation=NaN",
		"--elastic: found -4, expected":                                                         "--elastic=-4",
		"--crop-least: found NaN, expected a number from 0 to 1":                                "--crop-least=NaN",
		"--crop: found -1, expected":                                                            "--crop=-1",
		"--crop: crop: margin is 0.5, expected 1 to 16":                                         "--crop=0.5",
		"--shear: affine distortion: shear is 1, expected at least 0 and below 1":               "--shear=1",
		"--scale-min: found NaN":                                                                "--scale-min=NaN",
		"--scale-max: found +Inf":                                                               "--scale-max=+Inf",
		"--translation: found -1":                                                               "--translation=-1",
		"--augment: found 2, expected a number from 0 to 1":                                     "--augment=2",
		"--smoothness: found NaN":                                                               "--smoothness=NaN",
		"--thinner: found -5, expected":                                                         "--thinner=-5",
		"--thinner: found NaN":                                                                  "--thinner=NaN",
		"--thicker: stroke: max is 1000, expected -64 to 64 pixels":                             "--thicker=1000",
		`--alphabets: open data set photos: found "foo", expected background, small1 or small2`: "--alphabets=foo",
		`--alphabets: open data set photos: found "small1", but this is not Omniglot`:           "--alphabets=small1",
	} {
		toolFails(t, failure, []string{want}, tinyConv("--data", "photos", flag)...)
	}
	toolFails(t, failure, []string{`--alphabets: open data set`, `found "foo"`}, tinyConv("--alphabets=foo")...)
	tool(t, tinyConv("--data", "photos", "--size", "32", "--alphabets=background", "--unseen", "none", "--out", "run")...)
}

// What is suspicious in a list is said before the training begins.
func TestListsAreWarnedOf(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 2, 4)
	rows := "a,b,different\n"
	for i := range 3 {
		rows += fmt.Sprintf("bars/bar0/%d.png,bars/bar0/%d.png,0\nbars/bar0/%d.png,bars/bar1/%d.png,1\n", i, i+1, i, i)
	}
	write(t, "list.csv", rows+"bars/bar0/1.png,bars/bar0/0.png,1\n")
	_, said := tool(t, "train", "--data", "list.csv", "--backbone", "tiny.toml", "--batch", "4", "--epochs", "1", "--out", "run")
	if want := "warning: list.csv: pairs of images that are listed both as the same and as different: 1, on lines 2 and 8"; !strings.Contains(said, want) {
		t.Errorf("want %q in\n%s", want, said)
	}
}

// That a file may not be read is not said of the image, and it is not skipped.
func TestAFileThatMayNotBeReadIsNotBroken(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	inFolder(t)
	scans(t)
	if err := os.Chmod(scanned("ring.png"), 0); err != nil {
		t.Fatal(err)
	}
	toolFails(t, failure, []string{scanned("ring.png"), "permission denied"}, "near-duplicates", "scans", "--threshold", "0.05", "--skip-broken")
}
