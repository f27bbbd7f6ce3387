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
	"strconv"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/serve"
)

// tinyConv is a backbone for any size that trains in no time.
func tinyConv(args ...string) []string {
	return append([]string{"train", "--backbone", "conv4", "--width", "2", "--batch", "8", "--epochs", "1"}, args...)
}

// A messy folder trains, or the error says which file or class is at fault and
// what to do.
func TestMessyFolder(t *testing.T) {
	inFolder(t)
	bars(t, "messy", 3, 8)
	write(t, filepath.Join("messy", "bar0", "large.png"), bar(t, 0, 9, 40))
	write(t, filepath.Join("messy", "bar1", "red.png"), red(t, 20))
	write(t, filepath.Join("messy", "single", "one.png"), bar(t, 5, 9, 12))
	broken := filepath.Join("messy", "bar2", "broken.png")
	write(t, broken, bar(t, 2, 9, 12)[:60])
	empty := filepath.Join("messy", "empty")
	if err := os.Mkdir(empty, 0o777); err != nil {
		t.Fatal(err)
	}
	toolFails(t, failure, []string{"class folders without images: empty", "fill or remove"}, tinyConv("--data", "messy", "--skip-broken")...)
	if err := os.Remove(empty); err != nil {
		t.Fatal(err)
	}
	toolFails(t, failure, []string{broken, "--skip-broken"}, tinyConv("--data", "messy")...)

	_, said := tool(t, tinyConv("--data", "messy", "--skip-broken", "--unseen", "none", "--out", "run")...)
	for _, text := range []string{"skipped ", broken, "the images differ in size: all are resized to 64x64", "of 4 classes at 64x64x3"} {
		if !strings.Contains(said, text) {
			t.Errorf("want %q in\n%s", text, said)
		}
	}
	if again, said := tool(t, "eval", "--run", "run"); again == "" || withoutProgress(said) != "" {
		t.Errorf("eval finds differences:\n%s", said)
	}
}

// Lists of pairs and of triplets train, and are tested on their test rows.
func TestLists(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 4, 6)
	path := func(class, number int) string { return fmt.Sprintf("bars/bar%d/%d.png", class, number) }
	pairs, triplets := "a,b,different,split\n", "anchor,positive,negative,split\n"
	for class := range 4 {
		other := (class + 1) % 4
		for i, split := range []string{"train", "train", "train", "val", "test"} {
			pairs += fmt.Sprintf("%s,%s,0,%s\n%s,%s,1,%s\n", path(class, i), path(class, i+1), split, path(class, i), path(other, i), split)
			triplets += fmt.Sprintf("%s,%s,%s,%s\n", path(class, i), path(class, i+1), path(other, i), split)
		}
	}
	write(t, "pairs.csv", pairs)
	write(t, "triplets.csv", triplets)
	list := func(file string, more ...string) []string {
		return append([]string{"train", "--data", file, "--backbone", "tiny.toml", "--batch", "4", "--epochs", "1"}, more...)
	}
	for i, args := range [][]string{
		list("pairs.csv", "--objective", "contrastive"), list("pairs.csv", "--objective", "cross-entropy"),
		list("triplets.csv", "--objective", "triplet"), list("triplets.csv", "--objective", "contrastive", "--limit", "9"),
	} {
		folder := filepath.Join("runs", fmt.Sprint(i))
		table, said := tool(t, append(args, "--out", folder)...)
		if !strings.Contains(table, "verification, ROC AUC") || !strings.Contains(table, "verification, accuracy") {
			t.Errorf("%v prints\n%s%s", args, table, said)
		}
		if i%2 == 1 {
			continue
		}
		if again, _ := tool(t, "eval", "--run", folder); again != table {
			t.Errorf("%v: eval prints another table:\n%s%s", args, table, again)
		}
	}
	write(t, "plain.csv", "a,b,different\n"+path(0, 0)+","+path(0, 1)+",0\n"+path(0, 0)+","+path(1, 0)+",1\n")
	if _, said := tool(t, append(list("plain.csv"), "--out", "plain")...); !strings.Contains(said, "nothing is measured") {
		t.Errorf("that nothing is measured is not said:\n%s", said)
	}
	toolFails(t, failure, []string{"is a loss of triplets", "use contrastive or cross-entropy"}, list("pairs.csv", "--objective", "triplet")...)
	toolFails(t, failure, []string{"images with classes"}, list("pairs.csv", "--objective", "batch-hard")...)
	toolFails(t, failure, []string{"limit", "no triplet"}, list("triplets.csv", "--objective", "triplet", "--limit", "2")...)
}

// Data at the end of what there is: the tool trains and leaves a model that
// loads, or says in one line why it does not.
func TestTrainOnExtremes(t *testing.T) {
	inFolder(t)
	gray := func(value uint8, side int) string {
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
	folder("black", 6, 8, func(int, int) string { return gray(0, 12) })
	folder("pixels", 6, 8, func(class, i int) string { return gray(uint8(40*class+i), 1) })
	folder("single", 6, 1, func(class, _ int) string { return gray(uint8(40*class), 12) })
	folder("alone", 1, 8, func(_, i int) string { return gray(uint8(i), 12) })
	for _, path := range []string{"empty", "hollow/a", "hollow/b"} {
		if err := os.MkdirAll(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	arguments := func(data, objective string) []string {
		return []string{"train", "--data", data, "--backbone", "tiny.toml", "--objective", objective, "--epochs", "2", "--batch", "12", "--out", data + "-" + objective}
	}
	for i, objective := range []string{"contrastive", "triplet", "batch-hard"} {
		for _, data := range []string{"black", "pixels"}[i%2:] { // triplets of single pixels alone
			tool(t, arguments(data, objective)...)
			if _, err := likeness.Load(run.Folder(data + "-" + objective).Model()); err != nil {
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
	bars(t, "bars", 6, 8)
	arguments := tiny("--solver", "sgd", "--learning-rate", "1e20", "--out", "run")
	code, _, stderr := runTool(arguments...)
	if code != failure {
		t.Errorf("found exit code %d, expected %d", code, failure)
	}
	for _, want := range []string{"not saved    save model run/model.safetensors: ", "likeness: stopped: train: epoch 1, step 2: the loss is NaN: use a lower learning rate"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("found no %q in\n%s", want, stderr)
		}
	}
	if exists(run.Folder("run").Model()) {
		t.Error("a model is saved whose embeddings are no numbers")
	}
}

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
	if _, stderr := tool(t, "embed", "classes", "--model", "model.safetensors", "--out", "e.npy"); !strings.Contains(stderr, fmt.Sprintf("wrote %d embeddings", 2*count)) || strings.Contains(stderr, "ignored") {
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
		for _, text := range []string{"ignored      31 files that are not images (30 .csv, 1 without an extension)", "GT-00000.csv\n", "GT-00009.csv\n", "and 21 more\n"} {
			if !strings.Contains(stderr, text) {
				t.Errorf("%v: want %q in\n%s", args, text, stderr)
			}
		}
		if strings.Contains(stderr, "GT-00010.csv") {
			t.Errorf("%v lists too many files:\n%s", args, stderr)
		}
	}
	_, said := tool(t, tinyConv("--data", "photos", "--size", "32", "--unseen", "none", "--out", "run")...)
	if want := "ignored 31 files that are not images (30 .csv, 1 without an extension), such as " + filepath.Join("photos", "bar0", "GT-00000.csv"); !strings.Contains(said, want) {
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
		arguments := func(file string) []string {
			if command == "search" {
				return []string{"search", file, "--in", "photos", "--model", "model.safetensors"}
			}
			return []string{"compare", picture, file, "--model", "model.safetensors"}
		}
		toolFails(t, failure, []string{"photos is a folder, expected an image file (PNG, JPEG"}, arguments("photos")...)
		toolFails(t, failure, []string{"empty.png: the file is empty", "PNG, JPEG"}, arguments("empty.png")...)
	}
	toolFails(t, failure, []string{`--size: found "10000x10000"`, "more than 67108864 pixels (8192 x 8192)"}, tinyConv("--data", "photos", "--size", "10000x10000")...)
	toolFails(t, failure, []string{`--size: found "64x64x2"`, "expected 1 (gray) or 3 (color)"}, tinyConv("--data", "photos", "--size", "64x64x2")...)
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
		"--crop-min: found NaN, expected a number from 0 to 1":                                  "--crop-min=NaN",
		"--crop: found -1, expected":                                                            "--crop=-1",
		"--crop: crop: margin is 0.5, expected 1 to 16":                                         "--crop=0.5",
		"--shear: affine distortion: shear is 1, expected at least 0 and below 1":               "--shear=1",
		"--scale-min: found NaN":                                                                "--scale-min=NaN",
		"--scale-max: found +Inf":                                                               "--scale-max=+Inf",
		"--translation: found -1":                                                               "--translation=-1",
		"--augment: found 2, expected a number from 0 to 1":                                     "--augment=2",
		"--elastic-sigma: found NaN":                                                            "--elastic-sigma=NaN",
		"--erosion: found -5, expected":                                                         "--erosion=-5",
		"--erosion: found NaN":                                                                  "--erosion=NaN",
		"--dilation: stroke: max is 1000, expected -64 to 64 pixels":                            "--dilation=1000",
		`--alphabets: open data set photos: found "foo", expected background, small1 or small2`: "--alphabets=foo",
		`--alphabets: open data set photos: found "small1", but this is not Omniglot`:           "--alphabets=small1",
	} {
		toolFails(t, failure, []string{want}, tinyConv("--data", "photos", flag)...)
	}
	toolFails(t, failure, []string{`--alphabets: open data set`, `found "foo"`}, tinyConv("--data", "mnist", "--alphabets=foo")...)
	toolFails(t, failure, []string{`--alphabets: found "foo"`, "small1"}, tinyConv("--alphabets=foo")...)
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

// A file that may not be read is an error, and is skipped with --skip-broken.
func TestAFileThatMayNotBeRead(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	inFolder(t)
	scans(t)
	if err := os.Chmod(scanned("ring.png"), 0); err != nil {
		t.Fatal(err)
	}
	toolFails(t, failure, []string{scanned("ring.png"), "permission denied", "skip such files with --skip-broken"}, "near-duplicates", "scans", "--threshold", "0.05")
	if _, stderr := tool(t, "near-duplicates", "scans", "--threshold", "0.05", "--skip-broken"); !strings.Contains(stderr, "skipped      read image: open "+scanned("ring.png")+": permission denied") {
		t.Errorf("found the messages\n%s", stderr)
	}
}
