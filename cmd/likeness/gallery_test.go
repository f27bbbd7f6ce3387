package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/gallery"
)

// barGallery is a gallery of three classes of two bars each in bars.gallery, by an
// untrained model with the threshold, if there is one.
func barGallery(t *testing.T, threshold *float64) *likeness.Model {
	t.Helper()
	inFolder(t)
	model := saveModel(t, filepath.Join("run", "model.safetensors"), threshold)
	bars(t, "bars", 3, 2)
	tool(t, "enroll", "--folder", "bars", "--gallery", "bars.gallery", "--model", "run")
	return model
}

// printed fails the test if the text is not as the expression says.
func printed(t *testing.T, what, text, expression string) {
	t.Helper()
	if !regexp.MustCompile("^(?:" + expression + ")$").MatchString(text) {
		t.Errorf("%s: found\n%swant\n%s", what, text, expression)
	}
}

// From enrolment to forgetting, in the order in which a user goes: each command
// says what it did.
func TestGalleryCommands(t *testing.T) {
	threshold := 1e-3
	barGallery(t, &threshold)
	write(t, "known.png", bar(t, 1, 0, 12)) // bars/bar1/0.png
	write(t, "new.png", bar(t, 5, 7, 12))

	out, said := tool(t, "enroll", "late", "new.png", "--gallery", "bars.gallery")
	printed(t, "enroll", out, `enrolled 1 examples of late; bars\.gallery holds 7 of 4\n`)
	if said != "" {
		t.Errorf("enroll says %s", said)
	}
	out, _ = tool(t, "identify", "known.png", "--gallery", "bars.gallery")
	printed(t, "identify", out, `known\.png  bar1  distance 0\.000\d  threshold 0\.0010\n`)
	out, _ = tool(t, "verify", "bar1", "known.png", "--gallery", "bars.gallery")
	printed(t, "verify", out, `distance 0\.000\d  threshold 0\.0010  bar1\n`)
	out, _ = tool(t, "verify", "bar2", "known.png", "--gallery", "bars.gallery")
	printed(t, "verify another", out, `distance \d+\.\d{4}  threshold 0\.0010  not bar2\n`)
	out, said = tool(t, "classes", "--gallery", "bars.gallery")
	printed(t, "classes", out, ` +2  bar0\n +2  bar1\n +2  bar2\n +1  late\n`)
	if !strings.Contains(said, "rule         nearest") || !strings.Contains(said, "0.0010, the model's own") || !strings.Contains(said, "tiny, 12x12x1, l2, checksum ") {
		t.Errorf("classes says\n%s", said)
	}

	out, _ = tool(t, "forget", "late", "--gallery", "bars.gallery")
	printed(t, "forget", out, `forgot 1 examples of late\n`)
	out, _ = tool(t, "identify", "new.png", "bars/bar0", "--gallery", "bars.gallery", "-k", "2")
	printed(t, "identify again", out, `new\.png  unknown  nearest bar\d  distance \d+\.\d{4}  threshold 0\.0010
  then bar\d  distance \d+\.\d{4}
bars/bar0/0\.png  bar0  distance 0\.000\d  threshold 0\.0010
  then bar\d  distance \d+\.\d{4}
bars/bar0/1\.png  bar0  distance 0\.000\d  threshold 0\.0010
  then bar\d  distance \d+\.\d{4}
`)
}

// JSON says all that there is, and null where nothing is decided.
func TestGalleryJSON(t *testing.T) {
	threshold := 1e-3
	barGallery(t, &threshold)
	write(t, "new.png", bar(t, 5, 7, 12))
	out, _ := tool(t, "identify", "bars/bar1/0.png", "new.png", "--gallery", "bars.gallery", "--json", "-k", "3")
	var answers []identified
	for line := range strings.Lines(out) {
		var a identified
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	if len(answers) != 2 {
		t.Fatalf("found %d answers in\n%s", len(answers), out)
	}
	known, unknown := answers[0], answers[1]
	if known.Image != "bars/bar1/0.png" || *known.Class != "bar1" || !*known.Known || *known.Threshold != threshold || len(known.Candidates) != 3 {
		t.Errorf("a known image: %s", out)
	}
	if first := known.Candidates[0]; first.Class != "bar1" || filepath.ToSlash(first.Source) != "bars/bar1/0.png" {
		t.Errorf("the nearest is %+v", first)
	}
	if unknown.Class != nil || *unknown.Known || *unknown.Threshold != threshold {
		t.Errorf("an unknown image: %s", out)
	}

	saveModel(t, filepath.Join("run", "model.safetensors"), nil)
	out, said := tool(t, "verify", "bar1", "new.png", "--gallery", "bars.gallery", "--json")
	var v verified
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	want := verified{Image: "new.png", Class: "bar1", Distance: v.Distance}
	if diff := cmp.Diff(want, v); diff != "" || v.Distance <= 0 {
		t.Errorf("without a threshold (-want +got):\n%s", diff)
	}
	if !strings.Contains(said, "likeness calibrate") {
		t.Errorf("verify says %s", said)
	}
}

// Without a threshold nothing is decided until one is found by calibrate, which
// refuses a rate that the images say nothing about.
func TestCalibrateCommand(t *testing.T) {
	barGallery(t, nil)
	bars(t, "strangers", 6, 3) // 135 pairs of different classes
	out, said := tool(t, "identify", "bars/bar1/0.png", "--gallery", "bars.gallery")
	printed(t, "identify", out, `bars/bar1/0\.png  nearest bar1  distance 0\.000\d  no threshold\n`)
	if !strings.Contains(said, "likeness calibrate") {
		t.Errorf("identify says %s", said)
	}
	toolFails(t, failure, []string{"0.001 needs 10000 of them", "there are 135", "support rates from 0.074"},
		"calibrate", "--gallery", "bars.gallery", "--data", "strangers", "--rate", "0.001")

	out, _ = tool(t, "calibrate", "--gallery", "bars.gallery", "--data", "strangers", "--rate", "0.1")
	printed(t, "calibrate", out, `threshold \d+\.\d{4} at a false accept rate of 0\.1, on strangers train: 18 images of 6 classes, accepts 13 of 135 pairs of different classes and \d+ of 18 of one\n`)
	threshold := strings.Fields(out)[1]
	out, said = tool(t, "identify", "bars/bar1/0.png", "--gallery", "bars.gallery")
	printed(t, "identify", out, `bars/bar1/0\.png  bar1  distance 0\.000\d  threshold `+regexp.QuoteMeta(threshold)+`\n`)
	if said != "" {
		t.Errorf("identify says %s", said)
	}
	if _, err := strconv.ParseFloat(threshold, 64); err != nil {
		t.Error(err)
	}
	if _, said := tool(t, "classes", "--gallery", "bars.gallery"); !strings.Contains(said, "calibration  threshold "+threshold) {
		t.Errorf("classes says\n%s", said)
	}
}

// A gallery finds its model where it was, from any folder, and from the zoo.
func TestGalleryFindsItsModel(t *testing.T) {
	barGallery(t, nil)
	if err := os.Mkdir("elsewhere", 0o777); err != nil {
		t.Fatal(err)
	}
	t.Chdir("elsewhere")
	identify := func(more ...string) []string {
		return append([]string{"identify", "../bars/bar1/0.png", "--gallery", "../bars.gallery"}, more...)
	}
	tool(t, identify()...)
	if err := os.Rename("../run", "../moved"); err != nil {
		t.Fatal(err)
	}
	toolFails(t, failure, []string{"bars.gallery", filepath.Join("run", "model.safetensors"), "--model"}, identify()...)
	tool(t, identify("--model", "../moved")...)

	write(t, "a.png", bar(t, 1, 0, 105))
	if _, said := tool(t, "enroll", "a", "a.png", "--gallery", "zoo.gallery"); !strings.Contains(said, "omniglot of the zoo") {
		t.Errorf("the model is not named:\n%s", said)
	}
	saveModel(t, filepath.Join("runs", "newer", "model.safetensors"), nil)
	tool(t, "enroll", "b", "../bars/bar0/0.png", "--gallery", "zoo.gallery")
	out, _ := tool(t, "identify", "a.png", "--gallery", "zoo.gallery")
	printed(t, "identify by the zoo's model", out, `a\.png  a  distance 0\.\d{4}  threshold 0\.\d{4}\n`)
}

// By prototypes, if a new gallery is told so.
func TestEnrollByPrototypes(t *testing.T) {
	barGallery(t, nil)
	tool(t, "enroll", "--folder", "bars", "--gallery", "means.gallery", "--model", "run", "--rule", "prototype")
	out, _ := tool(t, "identify", "bars/bar1/0.png", "--gallery", "means.gallery")
	if strings.Contains(out, "distance 0.000") { // which it is from the nearest example
		t.Errorf("identify prints %s", out)
	}
	toolFails(t, failure, []string{"its rule is nearest, found prototype"}, "enroll", "--folder", "bars", "--gallery", "bars.gallery", "--rule", "prototype")
}

// What cannot be is refused with what to do, and leaves nothing behind.
func TestGalleryRefusals(t *testing.T) {
	model := barGallery(t, nil)
	write(t, filepath.Join("broken", "a", "1.png"), "no image")
	write(t, "outside/1.png", bar(t, 0, 1, 12))
	other := saveModel(t, "other.safetensors", nil)
	other.Weights.All()[0].Value.Float32s()[0]++
	if err := other.Save("other.safetensors"); err != nil {
		t.Fatal(err)
	}
	opened, err := gallery.Create("open.gallery", model, gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	in := func(file string, args ...string) []string { return append(args, "--gallery", file) }
	const image = "bars/bar1/0.png"
	for name, test := range map[string]struct {
		code int
		say  []string
		args []string
	}{
		"nothing to enrol":  {failure, []string{"either a class and its images or --folder"}, in("new.gallery", "enroll")},
		"two ways to enrol": {failure, []string{"either a class and its images or --folder"}, in("new.gallery", "enroll", "a", image, "--folder", "bars")},
		"no images":         {failure, []string{`class "a"`, "likeness enroll a a.png --gallery new.gallery"}, in("new.gallery", "enroll", "a")},
		"missing image":     {failure, []string{"missing.png"}, in("new.gallery", "enroll", "a", "missing.png")},
		"broken folder":     {failure, []string{filepath.Join("broken", "a", "1.png")}, in("new.gallery", "enroll", "--folder", "broken", "--model", "run")},
		"image outside":     {failure, []string{filepath.Join("outside", "1.png"), "outside the folders of the classes"}, in("new.gallery", "enroll", "--folder", "outside", "--model", "run")},
		"rule":              {failure, []string{`unknown rule "means"`, "nearest, prototype"}, in("new.gallery", "enroll", "a", image, "--rule", "means", "--model", "run")},
		"no gallery named":  {misuse, []string{"--gallery"}, []string{"identify", image}},
		"no gallery":        {failure, []string{"new.gallery", "likeness enroll makes a gallery"}, in("new.gallery", "identify", image)},
		"a text":            {failure, []string{"tiny.toml", "no gallery"}, in("tiny.toml", "identify", image)},
		"another model":     {failure, []string{"bars.gallery", filepath.Join("run", "model.safetensors"), "other.safetensors", "checksum"}, in("bars.gallery", "identify", image, "--model", "other.safetensors")},
		"enrol by another":  {failure, []string{"cannot be compared"}, in("bars.gallery", "enroll", "a", image, "--model", "other.safetensors")},
		"misspelt class":    {failure, []string{`unknown class "bra1": did you mean "bar1"? There are bar0, bar1, bar2`}, in("bars.gallery", "verify", "bra1", image)},
		"forget nobody":     {failure, []string{`unknown class "nobody". There are bar0`}, in("bars.gallery", "forget", "nobody")},
		"no candidates":     {failure, []string{"0 candidates"}, in("bars.gallery", "identify", image, "-k", "0")},
		"no image":          {failure, []string{"missing.png"}, in("bars.gallery", "verify", "bar1", "missing.png")},
		"no data":           {failure, []string{"nowhere"}, in("bars.gallery", "calibrate", "--data", "nowhere", "--rate", "0.1")},
		"no rate":           {misuse, []string{"--rate"}, in("bars.gallery", "calibrate", "--data", "bars")},
		"rate":              {failure, []string{"rate is 2"}, in("bars.gallery", "calibrate", "--data", "bars", "--rate", "2")},
		"open elsewhere":    {failure, []string{"open.gallery", "another process has it open"}, in("open.gallery", "identify", image, "--model", "run")},
	} {
		t.Run(name, func(t *testing.T) { toolFails(t, test.code, test.say, test.args...) })
	}
	if _, err := os.Stat("new.gallery"); err == nil {
		t.Error("a refused enrolment leaves a gallery behind")
	}
	if _, said := tool(t, "classes", "--gallery", "bars.gallery"); !strings.Contains(said, "no threshold") {
		t.Errorf("classes says\n%s", said)
	}
	library, err := gallery.Create("library.gallery", model, gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := library.Close(); err != nil {
		t.Fatal(err)
	}
	toolFails(t, failure, []string{"library.gallery", "does not say where its model is", "--model"}, in("library.gallery", "identify", image)...)
	toolFails(t, failure, []string{"library.gallery holds no examples", "likeness enroll"}, in("library.gallery", "identify", image, "--model", "run")...)
}
