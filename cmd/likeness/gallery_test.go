package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/internal/testutil"
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

// All images of a folder of classes become examples of the one class that is named, which is said.
func TestEnrollWarnsOfAFolderOfClasses(t *testing.T) {
	barGallery(t, nil)
	const warning = "warning: bars has 3 subfolders with images, such as bar0"
	if out, said := tool(t, "enroll", "all", "bars", "--gallery", "bars.gallery"); !strings.Contains(out, "enrolled 6 examples of all") ||
		!strings.Contains(said, warning) || !strings.Contains(said, "likeness forget all --gallery bars.gallery and enroll with --folder bars") {
		t.Errorf("found\n%s%s", out, said)
	}
	for _, args := range [][]string{{"bar3", "bars/bar0", "bars/bar1"}, {"bar4", "bars/bar0/0.png"}} {
		if _, said := tool(t, append([]string{"enroll", "--gallery", "bars.gallery"}, args...)...); strings.Contains(said, "warning") {
			t.Errorf("%v: found\n%s", args, said)
		}
	}
}

// From enrollment to forgetting, in the order of use: each command says what it did.
func TestGalleryCommands(t *testing.T) {
	threshold := 1e-3
	barGallery(t, &threshold)
	write(t, "known.png", bar(t, 1, 0, 12)) // bars/bar1/0.png
	write(t, "new.png", bar(t, 5, 7, 12))

	out, said := tool(t, "enroll", "late", "new.png", "--gallery", "bars.gallery")
	printed(t, "enroll", out, `enrolled 1 example of late; bars\.gallery holds 7 examples of 4 classes\n`)
	own := `model        .*/run/model\.safetensors, the gallery's own\n`
	printed(t, "enroll says", said, own)
	out, said = tool(t, "identify", "known.png", "--gallery", "bars.gallery")
	printed(t, "identify says", said, own)
	if help, _ := tool(t, "identify", "--help"); !strings.Contains(help, fmt.Sprintf("[%d]", gallery.DefaultCandidates)) || strings.Count(out, "bar") != gallery.DefaultCandidates {
		t.Errorf("found %q, want the default number of candidates %d, as in the HTTP API, and in the help:\n%s", out, gallery.DefaultCandidates, help)
	}
	printed(t, "identify", out, `known\.png  bar1  distance 0\.000\d  threshold 0\.0010\n`)
	out, said = tool(t, "verify", "bar1", "known.png", "--gallery", "bars.gallery")
	printed(t, "verify says", said, own)
	printed(t, "verify", out, `distance 0\.000\d  threshold 0\.0010  bar1\n`)
	out, _ = tool(t, "verify", "bar2", "known.png", "--gallery", "bars.gallery")
	printed(t, "verify another", out, `distance \d+\.\d{4}  threshold 0\.0010  not bar2\n`)
	out, said = tool(t, "classes", "--gallery", "bars.gallery")
	printed(t, "classes", out, ` +2  bar0\n +2  bar1\n +2  bar2\n +1  late\n`)
	if !strings.Contains(said, "rule         nearest") || !strings.Contains(said, "0.0010, the model's own") || !strings.Contains(said, "tiny, 12x12x1, l2, checksum ") {
		t.Errorf("classes says\n%s", said)
	}

	out, said = tool(t, "forget", "late", "--gallery", "bars.gallery")
	printed(t, "forget says", said, own)
	printed(t, "forget", out, `removed 1 examples of late\n`)
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
	toolFails(t, failure, []string{"0.001 requires at least 10000 such pairs", "found 135", "support rates from 0.074"},
		"calibrate", "--gallery", "bars.gallery", "--data", "strangers", "--false-accept-rate", "0.001")

	out, _ = tool(t, "calibrate", "--gallery", "bars.gallery", "--data", "strangers", "--false-accept-rate", "0.1")
	printed(t, "calibrate", out, `threshold \d+\.\d{4} at a false accept rate of 0\.1, on strangers train: 18 images of 6 classes, accepts 13 of 135 different-class pairs and \d+ of 18 same-class pairs\n`)
	threshold := strings.Fields(out)[1]
	out, said = tool(t, "identify", "bars/bar1/0.png", "--gallery", "bars.gallery")
	printed(t, "identify", out, `bars/bar1/0\.png  bar1  distance 0\.000\d  threshold `+regexp.QuoteMeta(threshold)+`\n`)
	printed(t, "identify says", said, `model        .*/run/model\.safetensors, the gallery's own\n`)
	if _, err := strconv.ParseFloat(threshold, 64); err != nil {
		t.Error(err)
	}
	if _, said := tool(t, "classes", "--gallery", "bars.gallery"); !strings.Contains(said, "calibration  threshold "+threshold) {
		t.Errorf("classes says\n%s", said)
	}
}

// A rate with a confidence needs classes that the gallery does not have, and is kept until
// something is enrolled. Sets are found from the calibration.
func TestCalibrateWithConfidence(t *testing.T) {
	barGallery(t, nil)
	bars(t, "all", 8, 2)
	calibrate := func(more ...string) []string {
		return append([]string{"calibrate", "--gallery", "bars.gallery", "--data", "all", "--rate", "0.5"}, more...)
	}
	toolFails(t, failure, []string{"bars.gallery", "the gallery is not calibrated: run likeness calibrate"},
		"identify", "bars/bar1/0.png", "--gallery", "bars.gallery", "--set")
	if code, _, said := runTool(calibrate("--confidence", "0.99")...); code != failure || !strings.Contains(said, "all train has 5 classes that the gallery does not have and 3 that it has") ||
		!strings.Contains(said, "found 5, expected at least 7 for a rate of 0.5 with a confidence of 0.99; 5 support rates from 0.602") {
		t.Errorf("calibrate says %d\n%s", code, said)
	}
	out, _ := tool(t, calibrate("--confidence", "0.8", "--seed", "3")...)
	printed(t, "calibrate", out, `threshold \d+\.\d{4}: with a confidence of 0\.8, at most 0\.5 of the images of unknown classes are accepted \(identify\), on all train: accepts \d of 5 trials, one for each class that the gallery did not have, and \d of 3 examples of the gallery's own classes\n`)
	out, said := tool(t, "identify", "bars/bar1/0.png", "--gallery", "bars.gallery", "--set", "--confidence", "0.6")
	printed(t, "identify", out, `bars/bar1/0\.png  bar1  distance 0\.000\d  threshold \d+\.\d{4}
  set of \d class(es)? within distance \d+\.\d{4}, confidence 0\.6
    bar1  distance 0\.000\d
(    bar\d  distance \d+\.\d{4}
)*`)
	if strings.Contains(said, "stale") {
		t.Errorf("identify says\n%s", said)
	}
	out, _ = tool(t, "identify", "bars/bar1/0.png", "--gallery", "bars.gallery", "--set", "--confidence", "0.6", "--json")
	var answer identified
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Set == nil || answer.Set.Confidence != 0.6 || answer.Set.Trials != 3 || answer.Set.Candidates[0].Class != "bar1" || len(answer.Candidates) != 1 {
		t.Errorf("found %s", out)
	}
	out, _ = tool(t, calibrate("--confidence", "0.8", "--task", "verify")...)
	if !strings.Contains(out, "(verify)") {
		t.Errorf("calibrate prints %s", out)
	}
	const stale = `stale        1 example was enrolled after the calibration of \d{4}-\d\d-\d\d: the false accept rate may be above 0\.5, run likeness calibrate again\n`
	for _, command := range [][]string{
		{"enroll", "late", "all/bar7/0.png", "--gallery", "bars.gallery"}, {"classes", "--gallery", "bars.gallery"},
		{"identify", "bars/bar1/0.png", "--gallery", "bars.gallery"}, {"verify", "bar1", "bars/bar1/0.png", "--gallery", "bars.gallery"},
	} {
		if _, said := tool(t, command...); !regexp.MustCompile(stale).MatchString(said) {
			t.Errorf("%s says\n%s", command[0], said)
		}
	}
	for flag, args := range map[string][]string{
		"--task: it has no effect without --confidence": calibrate("--task", "verify"),
		"--seed: it has no effect without --confidence": calibrate("--seed", "1"),
		`--task: unknown task "guess"`:                  calibrate("--confidence", "0.8", "--task", "guess"),
		"--confidence: found 1, expected a number":      calibrate("--confidence", "1"),
		"--confidence: found 0, expected a number":      calibrate("--confidence", "0"),
		"--confidence: it has no effect without --set":  {"identify", "bars/bar1/0.png", "--gallery", "bars.gallery", "--confidence", "0.9"},
		"--confidence: found NaN":                       {"identify", "bars/bar1/0.png", "--gallery", "bars.gallery", "--set", "--confidence", "NaN"},
		"found 3, expected at least 20":                 {"identify", "bars/bar1/0.png", "--gallery", "bars.gallery", "--set"},
	} {
		if code, _, said := runTool(args...); code != failure || !strings.Contains(said, flag) {
			t.Errorf("%v: exit code %d and\n%s", args, code, said)
		}
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

	// Never of the newest run that lies about, but of the zoo.
	saveModel(t, filepath.Join("runs", "newer", "model.safetensors"), nil)
	write(t, "a.png", drawing(t, 30))
	_, said := tool(t, "enroll", "a", "a.png", "--gallery", "zoo.gallery")
	printed(t, "enroll by the zoo's model says", said, `model        zoo/omniglot, 1 of 1 images examined are drawings \(--model chooses another\)\n`)
	_, said = tool(t, "enroll", "b", "../bars/bar0/0.png", "--gallery", "zoo.gallery")
	printed(t, "enroll again says", said, `model        zoo/omniglot, the gallery's own\n`)
	out, _ := tool(t, "identify", "a.png", "--gallery", "zoo.gallery")
	printed(t, "identify by the zoo's model", out, `a\.png  a  distance 0\.\d{4}  threshold 0\.\d{4}\n`)
}

// With the rule prototype, if a new gallery is created with it.
func TestEnrollByPrototypes(t *testing.T) {
	barGallery(t, nil)
	tool(t, "enroll", "--folder", "bars", "--gallery", "means.gallery", "--model", "run", "--rule", "prototype")
	out, _ := tool(t, "identify", "bars/bar1/0.png", "--gallery", "means.gallery")
	if strings.Contains(out, "distance 0.000") { // which it is from the nearest example
		t.Errorf("identify prints %s", out)
	}
	toolFails(t, failure, []string{"rule is nearest, found prototype"}, "enroll", "--folder", "bars", "--gallery", "bars.gallery", "--rule", "prototype")
}

// What cannot be is refused with what to do, and leaves nothing behind.
func TestGalleryRefusals(t *testing.T) {
	model := barGallery(t, nil)
	write(t, filepath.Join("broken", "a", "1.png"), "no image")
	write(t, "outside/1.png", bar(t, 0, 1, 12))
	write(t, "odd/\u202egnp/1.png", bar(t, 0, 1, 12))
	other := saveModel(t, "other.safetensors", nil)
	other.Weights.All()[0].Value.Float32s()[0]++
	if err := other.Save("other.safetensors"); err != nil {
		t.Fatal(err)
	}
	opened, err := gallery.Create(galleryAt("open.gallery"), model, gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	in := func(file string, args ...string) []string { return append(args, "--gallery", file) }
	const image = "bars/bar1/0.png"
	write(t, "gray.png", encode(t, halftones(0.15)))
	for name, test := range map[string]struct {
		code int
		say  []string
		args []string
	}{
		"folder as gallery":  {failure, []string{"gallery bars: found a folder, expected the file of a gallery"}, in("bars", "identify", image)},
		"nothing to enroll":  {failure, []string{"either a class and its images or --folder"}, in("new.gallery", "enroll")},
		"two ways to enroll": {failure, []string{"either a class and its images or --folder"}, in("new.gallery", "enroll", "a", image, "--folder", "bars")},
		"no images":          {failure, []string{`class "a"`, "likeness enroll a a.png --gallery new.gallery"}, in("new.gallery", "enroll", "a")},
		"missing image":      {failure, []string{"missing.png"}, in("new.gallery", "enroll", "a", "missing.png")},
		"broken folder":      {failure, []string{filepath.Join("broken", "a", "1.png")}, in("new.gallery", "enroll", "--folder", "broken", "--model", "run")},
		"image outside":      {failure, []string{filepath.Join("outside", "1.png"), "expected images in subfolders named after their classes"}, in("new.gallery", "enroll", "--folder", "outside", "--model", "run")},
		"rule":               {failure, []string{`unknown rule "means"`, "nearest, prototype"}, in("new.gallery", "enroll", "a", image, "--rule", "means", "--model", "run")},
		"no gallery named":   {misuse, []string{"--gallery"}, []string{"identify", image}},
		"no gallery":         {failure, []string{"new.gallery", "create a gallery with likeness enroll"}, in("new.gallery", "identify", image)},
		"a text":             {failure, []string{"tiny.toml", "not a gallery of a known format"}, in("tiny.toml", "identify", image)},
		"another model":      {failure, []string{"bars.gallery", filepath.Join("run", "model.safetensors"), "other.safetensors", "checksum"}, in("bars.gallery", "identify", image, "--model", "other.safetensors")},
		"enroll by another":  {failure, []string{"embeddings of different models are not comparable"}, in("bars.gallery", "enroll", "a", image, "--model", "other.safetensors")},
		"misspelt class":     {failure, []string{`unknown class "bra1": did you mean "bar1"? The classes are bar0, bar1, bar2`}, in("bars.gallery", "verify", "bra1", image)},
		"forget nobody":      {failure, []string{`unknown class "nobody". The classes are bar0`}, in("bars.gallery", "forget", "nobody")},
		"no candidates":      {failure, []string{"--candidates: found 0, expected at least 1"}, in("bars.gallery", "identify", image, "-k", "0")},
		"no image":           {failure, []string{"missing.png"}, in("bars.gallery", "verify", "bar1", "missing.png")},
		"no data":            {failure, []string{"nowhere"}, in("bars.gallery", "calibrate", "--data", "nowhere", "--false-accept-rate", "0.1")},
		"no rate":            {misuse, []string{"--false-accept-rate"}, in("bars.gallery", "calibrate", "--data", "bars")},
		"rate":               {failure, []string{"--false-accept-rate: found 2, expected a number between 0 and 1"}, in("bars.gallery", "calibrate", "--data", "bars", "--false-accept-rate", "2")},
		"rate of no number":  {failure, []string{"--false-accept-rate: found NaN"}, in("bars.gallery", "calibrate", "--data", "bars", "--false-accept-rate", "NaN")},
		"rate in words":      {misuse, []string{"--false-accept-rate", `"much"`}, in("bars.gallery", "calibrate", "--data", "bars", "--false-accept-rate", "much")},
		"negative wait":      {failure, []string{"--wait: found -1s, expected 0 or more"}, in("new.gallery", "enroll", "a", image, "--model", "run", "--wait=-1s")},
		"enroll elsewhere":   {failure, []string{"open.gallery", "another process has the gallery open", "--wait"}, in("open.gallery", "enroll", "a", image, "--model", "run", "--wait", "1ms")},
		"class of two lines": {failure, []string{`invalid class name "a\nb"`, "U+000A"}, in("new.gallery", "enroll", "a\nb", image, "--model", "run")},
		"class not UTF-8":    {failure, []string{`invalid class name "caf\xe9"`, "UTF-8"}, in("new.gallery", "enroll", "caf\xe9", image, "--model", "run")},
		"class in a folder":  {failure, []string{`invalid class name "\u202egnp"`, `image "odd/\u202egnp/1.png"`}, in("new.gallery", "enroll", "--folder", "odd", "--model", "run")},
		"class of nothing":   {misuse, []string{"<class>", "empty"}, in("new.gallery", "enroll", "", image, "--model", "run")},
		"unsuitable default": {failure, []string{"neither clearly photographs nor clearly drawings", "--model"}, in("new.gallery", "enroll", "a", "gray.png")},
		"open elsewhere":     {failure, []string{"open.gallery", "another process has the gallery open"}, in("open.gallery", "identify", image, "--model", "run")},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "a text" || strings.HasSuffix(name, "elsewhere") {
				testutil.NeedFile(t)
			}
			toolFails(t, test.code, test.say, test.args...)
		})
	}
	if _, err := os.Stat("new.gallery"); err == nil {
		t.Error("a refused enrollment leaves a gallery behind")
	}
	if _, said := tool(t, "classes", "--gallery", "bars.gallery"); !strings.Contains(said, "no threshold") {
		t.Errorf("classes says\n%s", said)
	}
	library, err := gallery.Create(galleryAt("library.gallery"), model, gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := library.Close(); err != nil {
		t.Fatal(err)
	}
	toolFails(t, failure, []string{"library.gallery", "does not record where its model is", "--model"}, in("library.gallery", "identify", image)...)
	toolFails(t, failure, []string{"library.gallery has no examples", "likeness enroll"}, in("library.gallery", "identify", image, "--model", "run")...)
}

// drawing is a PNG of a dark line on light paper, at a place.
func drawing(t *testing.T, at int) string {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 105, 105))
	for i := range img.Pix {
		img.Pix[i] = 255
		if x, y := i%105, i/105; x >= at && x < at+5 && y > 20 && y < 80 {
			img.Pix[i] = 0
		}
	}
	return encode(t, img)
}

// Several first enrollments at once wait for one another, and what each of them
// enrolls is kept; one whose image cannot be read takes nothing from the others.
func TestFirstEnrollmentsAtOnce(t *testing.T) {
	inFolder(t)
	saveModel(t, filepath.Join("run", "model.safetensors"), nil)
	bars(t, "bars", 4, 1)
	write(t, "broken.png", "no image")
	var all sync.WaitGroup
	for i := range 4 {
		class := fmt.Sprint("bar", i)
		all.Go(func() {
			args := []string{"enroll", class, filepath.Join("bars", class, "0.png"), "--gallery", "new.gallery", "--model", "run"}
			if code, _, stderr := runTool(args...); code != success {
				t.Errorf("exit code %d, %s", code, stderr)
			}
		})
		all.Go(func() {
			code, _, stderr := runTool("enroll", "nobody", "broken.png", "--gallery", "new.gallery", "--model", "run")
			if code != failure || !strings.Contains(stderr, "broken.png") {
				t.Errorf("exit code %d, %s", code, stderr)
			}
		})
	}
	all.Wait()
	out, _ := tool(t, "classes", "--gallery", "new.gallery")
	printed(t, "classes", out, ` +1  bar0\n +1  bar1\n +1  bar2\n +1  bar3\n`)
}

// Classes of a gallery that is older than the rules for names are printed in lines of
// their own, and are found by what is printed or by their exact bytes.
func TestOddClassesOfAnOldGallery(t *testing.T) {
	testutil.NeedFile(t)
	threshold := 1e-3
	barGallery(t, &threshold)
	const odd, escaped = "x\n     9  forged \u202egnp", `x\n     9  forged \u202egnp`
	testutil.RenameClass(t, "bars.gallery", "bar0", odd)
	testutil.RenameClass(t, "bars.gallery", "bar2", "tab\t")
	out, _ := tool(t, "classes", "--gallery", "bars.gallery")
	printed(t, "classes", out, ` +2  bar1\n +2  tab\\t\n +2  `+regexp.QuoteMeta(escaped)+`\n`)
	out, _ = tool(t, "identify", "bars/bar0/0.png", "--gallery", "bars.gallery", "-k", "2")
	printed(t, "identify", out, `bars/bar0/0\.png  `+regexp.QuoteMeta(escaped)+`  distance 0\.000\d  threshold 0\.0010\n  then .*\n`)
	out, _ = tool(t, "identify", "bars/bar0/0.png", "--gallery", "bars.gallery", "--json")
	var answer identified
	if err := json.Unmarshal([]byte(out), &answer); err != nil || *answer.Class != odd || printable(out) != strings.TrimSuffix(out, "\n")+`\n` {
		t.Errorf("found %v in %q", err, out)
	}
	for _, name := range []string{odd, escaped} {
		out, _ = tool(t, "verify", name, "bars/bar0/0.png", "--gallery", "bars.gallery")
		printed(t, "verify", out, `distance 0\.000\d  threshold 0\.0010  `+regexp.QuoteMeta(escaped)+`\n`)
	}
	toolFails(t, failure, []string{`The classes are bar1, tab\t, x\n`}, "verify", "nobody", "bars/bar0/0.png", "--gallery", "bars.gallery")
	out, _ = tool(t, "forget", escaped, "--gallery", "bars.gallery")
	printed(t, "forget", out, `removed 2 examples of `+regexp.QuoteMeta(escaped)+`\n`)
	tool(t, "forget", "tab\t", "--gallery", "bars.gallery")

	// A class of exactly the name that is printed comes first, and of several that are
	// printed alike none is guessed.
	tool(t, "enroll", `p\nq\nr`, "bars/bar0/0.png", "--gallery", "bars.gallery")
	tool(t, "enroll", "s1", "bars/bar0/0.png", "bars/bar0/1.png", "--gallery", "bars.gallery")
	tool(t, "enroll", "s2", "bars/bar0/0.png", "--gallery", "bars.gallery")
	testutil.RenameClass(t, "bars.gallery", "s1", `p\nq`+"\nr")
	testutil.RenameClass(t, "bars.gallery", "s2", "p\nq"+`\nr`)
	out, _ = tool(t, "forget", `p\nq\nr`, "--gallery", "bars.gallery")
	printed(t, "forget", out, `removed 1 examples of p\\nq\\nr\n`)
	toolFails(t, failure, []string{"class: found 2 classes that are printed as"}, "forget", `p\nq\nr`, "--gallery", "bars.gallery")
	tool(t, "forget", "p\nq"+`\nr`, "--gallery", "bars.gallery")
	out, _ = tool(t, "forget", `p\nq\nr`, "--gallery", "bars.gallery")
	printed(t, "forget", out, `removed 2 examples of p\\nq\\nr\n`)
}

// Files are named by bytes: those that are not UTF-8 are read, and no two of them are
// one in what is printed.
func TestPathsAreBytes(t *testing.T) {
	inFolder(t)
	threshold := 1e-3
	saveModel(t, filepath.Join("mod\xe9le", "model.safetensors"), &threshold)
	first, second := "caf\xe8\n.png", "caf\xe9\n.png"
	write(t, first, bar(t, 1, 0, 12))
	write(t, second, bar(t, 2, 0, 12))
	const file = "g\xe9.gallery"
	out, _ := tool(t, "enroll", "one", first, "--gallery", file, "--model", "mod\xe9le")
	printed(t, "enroll", out, `enrolled 1 example of one; g\\xe9\.gallery holds 1 example of 1 class\n`)
	tool(t, "enroll", "two", second, "--gallery", file)
	out, said := tool(t, "identify", first, second, "--gallery", file)
	printed(t, "identify says", said, `model        .*/mod\\xe9le/model\.safetensors, the gallery's own\n`)
	printed(t, "identify", out, `caf\\xe8\\n\.png  one  distance 0\.000\d  threshold 0\.0010\ncaf\\xe9\\n\.png  two  .*\n`)
	out, _ = tool(t, "identify", first, second, "--gallery", file, "--json")
	for line := range strings.Lines(out) {
		var a identified
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"one": first, "two": second}[*a.Class]
		encoded, _ := base64.StdEncoding.DecodeString(a.ImageBytes)
		source, _ := base64.StdEncoding.DecodeString(a.Candidates[0].SourceBytes)
		if string(encoded) != want || string(source) != want {
			t.Errorf("found %q and %q, want %q in %s", encoded, source, want, line)
		}
	}
	out, _ = tool(t, "verify", "two", second, "--gallery", file, "--json")
	var v verified
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.ImageBytes != base64.StdEncoding.EncodeToString([]byte(second)) {
		t.Errorf("found %s (%v)", out, err)
	}
}

// halftones is a white image of which a share, from the top, is gray.
func halftones(share float64) image.Image {
	const side = 100
	img := image.NewGray(image.Rect(0, 0, side, side))
	for i := range img.Pix {
		img.Pix[i] = 255
		if float64(i) < share*side*side {
			img.Pix[i] = 128
		}
	}
	return img
}

// A gallery is copied with its threshold, to PostgreSQL and to a file, and the copy answers
// alike; what is there is not overwritten.
func TestGalleryCopyCommand(t *testing.T) {
	barGallery(t, nil)
	bars(t, "strangers", 6, 3)
	tool(t, "calibrate", "--gallery", "bars.gallery", "--data", "strangers", "--false-accept-rate", "0.1")
	out, said := tool(t, "gallery", "copy", "bars.gallery", "copy.gallery")
	printed(t, "copy", out, `copied 6 examples\n`)
	printed(t, "copy says", said, `model        .*/run/model\.safetensors, the gallery's own\n`)
	out, _ = tool(t, "gallery", "copy", "copy.gallery", "a file")
	printed(t, "copy again", out, `copied 6 examples\n`)
	identify := func(file string) string {
		out, _ := tool(t, "identify", "bars", "--gallery", file, "-k", "3", "--json")
		return out
	}
	for _, file := range []string{"copy.gallery", "a file"} {
		if diff := cmp.Diff(identify("bars.gallery"), identify(file)); diff != "" {
			t.Errorf("%s (-original +copy):\n%s", file, diff)
		}
	}
	toolFails(t, failure, []string{"the gallery exists"}, "gallery", "copy", "bars.gallery", "copy.gallery")
	toolFails(t, failure, []string{"no-such.gallery", "create a gallery with likeness enroll"}, "gallery", "copy", "no-such.gallery", "new.gallery")
	toolFails(t, failure, []string{"a file: index: a gallery in a file has no index"}, "gallery", "index", "--gallery", "a file")
	if testutil.InPostgres() {
		out, _ = tool(t, "gallery", "index", "--gallery", "copy.gallery")
		printed(t, "index", out, `indexed copy\.gallery\n`)
		if out := identify("copy.gallery"); !strings.Contains(out, `"approximate":true`) {
			t.Errorf("found %s", out)
		}
	}
}

// No output has the password of a gallery's URI.
func TestPasswordsAreNotPrinted(t *testing.T) {
	barGallery(t, nil)
	const uri, broken = "postgres://me:secret@127.0.0.1:1/db?sslmode=disable&sslpassword=secret", "postgres://me:secret@127.0.0.1:port/db"
	for name, args := range map[string][]string{
		"refused":      {"enroll", "a", "bars/bar0/0.png", "--gallery", uri, "--model", "run", "--wait", "1ms"},
		"no images":    {"enroll", "a", "--gallery", uri},
		"broken":       {"identify", "bars", "--gallery", broken},
		"copy":         {"gallery", "copy", broken, uri},
		"copy to":      {"gallery", "copy", "bars.gallery", broken},
		"index":        {"gallery", "index", "--gallery", broken},
		"parameter":    {"classes", "--gallery", uri + "&search=fast"},
		"serve":        {"serve", "--gallery", broken, "--model", "run"},
		"no such flag": {"identify", "bars", "--galery", uri},
		"superfluous":  {"classes", uri, "--gallery", uri},
		"command":      {uri},
		"as an image":  {"compare", uri, "bars/bar0/0.png"},
		"as a model":   {"identify", "bars", "--gallery", "bars.gallery", "--model", uri},
		"as data":      {"train", "--data", uri},
	} {
		code, stdout, stderr := runTool(args...)
		if code == success || strings.Contains(stdout+stderr, "secret") {
			t.Errorf("%s: exit code %d, %s%s", name, code, stdout, stderr)
		}
	}
}
