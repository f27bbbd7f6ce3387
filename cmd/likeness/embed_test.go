package main

import (
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"image"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
)

// saveModel saves an untrained tiny model and returns it.
func saveModel(t *testing.T, path string, threshold *float64) *likeness.Model {
	t.Helper()
	network, err := backbone.Parse(testutil.TinyNetwork, "tiny.toml")
	if err != nil {
		t.Fatal(err)
	}
	model, err := likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: network.Size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	model.Threshold = threshold
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := model.Save(path); err != nil {
		t.Fatal(err)
	}
	return model
}

// The files have a vector for each image, the one that the library gives.
func TestEmbed(t *testing.T) {
	inFolder(t)
	bars(t, "photos", 2, 2)
	write(t, filepath.Join("photos", "notes.txt"), "no image")
	write(t, filepath.Join("photos", ".hidden.png"), bar(t, 0, 1, 12))
	write(t, filepath.Join("photos", ".thumbnails", "0.png"), bar(t, 0, 1, 12))
	write(t, "red.png", red(t, 30))
	model := saveModel(t, "model.safetensors", nil)
	files := []string{"red.png", "photos/bar0/0.png", "photos/bar0/1.png", "photos/bar1/0.png", "photos/bar1/1.png"}
	var images []image.Image
	for _, file := range files {
		img, err := imaging.DecodeFile(file)
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, img)
	}
	want, err := model.Embed(images...)
	if err != nil {
		t.Fatal(err)
	}

	tool(t, "embed", "red.png", "photos", "--model", "model.safetensors", "--out", "e.csv")
	rows, err := csv.NewReader(strings.NewReader(read(t, "e.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"file", "e0", "e1", "e2", "e3"}, rows[0]); diff != "" {
		t.Errorf("header of the CSV file: %s", diff)
	}
	for i, row := range rows[1:] {
		var vector []float32
		for _, text := range row[1:] {
			v, err := strconv.ParseFloat(text, 32)
			if err != nil {
				t.Fatal(err)
			}
			vector = append(vector, float32(v))
		}
		if diff := cmp.Diff(want[i], vector); diff != "" || filepath.ToSlash(row[0]) != files[i] {
			t.Errorf("row %d is of %s, want %s: %s", i, row[0], files[i], diff)
		}
	}

	_, said := tool(t, "embed", "red.png", "photos", "--model", "model.safetensors", "--out", "e.npy")
	if !strings.Contains(said, "wrote 5 embeddings of 4 features to e.npy") {
		t.Errorf("embed says %s", said)
	}
	content := read(t, "e.npy")
	header := fmt.Sprintf("%-117s\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (5, 4), }")
	const magic = "\x93NUMPY\x01\x00\x76\x00" // version 1.0, a header of 118 bytes: 128 in all
	if content[:128] != magic+header {
		t.Fatalf("the .npy file begins with %q", content[:128])
	}
	numbers := content[128:]
	for i, vector := range want {
		for j, v := range vector {
			if got := math.Float32frombits(binary.LittleEndian.Uint32([]byte(numbers[4*(4*i+j):]))); got != v {
				t.Errorf("element %d, %d of the .npy file is %v, want %v", i, j, got, v)
			}
		}
	}
	if len(numbers) != 4*5*4 {
		t.Errorf("the .npy file has %d bytes of numbers, want %d", len(numbers), 4*5*4)
	}
}

// A folder may be a link; what is hidden in it is passed over.
func TestImageFiles(t *testing.T) {
	inFolder(t)
	for _, file := range []string{"a.png", "b.txt", ".c.png", filepath.Join("more", "d.JPG"), filepath.Join(".thumbnails", "a.png")} {
		write(t, filepath.Join("photos", file), "")
	}
	folders := []string{"photos", "." + string(filepath.Separator) + "photos" + string(filepath.Separator)}
	if err := os.Symlink("photos", "link"); err == nil { // not every system has links
		folders = append(folders, "link")
	}
	for _, folder := range folders {
		files, err := imageFiles(&console{Context: t.Context(), err: io.Discard}, []string{folder})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{filepath.Join(folder, "a.png"), filepath.Join(folder, "more", "d.JPG")}
		if diff := cmp.Diff(want, files); diff != "" {
			t.Errorf("%s (-want +got):\n%s", folder, diff)
		}
	}
}

func TestEmbedRefusals(t *testing.T) {
	inFolder(t)
	saveModel(t, "model.safetensors", nil)
	write(t, "a.png", bar(t, 0, 1, 12))
	write(t, filepath.Join("photos", "broken.png"), "no image")
	write(t, filepath.Join("texts", "a.txt"), "no image")
	for _, test := range []struct {
		code int
		say  []string
		args []string
	}{
		{failure, []string{"out", ".npy or .csv"}, []string{"a.png", "--model", "model.safetensors", "--out", "e.txt"}},
		{failure, []string{"missing.png"}, []string{"missing.png", "--model", "model.safetensors", "--out", "e.npy"}},
		{failure, []string{filepath.Join("photos", "broken.png"), "not an image"}, []string{"photos", "--model", "model.safetensors", "--out", "e.npy"}},
		{failure, []string{"texts", "no images"}, []string{"texts", "--model", "model.safetensors", "--out", "e.npy"}},
		{failure, []string{"a.png"}, []string{"a.png", "--model", "a.png", "--out", "e.npy"}},
		{failure, []string{"photos", "it is not a run folder"}, []string{"a.png", "--model", "photos", "--out", "e.npy"}},
		{failure, []string{"--model: no such file", "omniglott", `unknown model "omniglott": did you mean "omniglot"?`}, []string{"a.png", "--model", "omniglott", "--out", "e.npy"}},
		{misuse, []string{"--out"}, []string{"a.png"}},
	} {
		toolFails(t, test.code, test.say, append([]string{"embed"}, test.args...)...)
	}
	if _, err := os.Stat("e.npy"); err == nil {
		t.Error("a failed embed leaves a file behind")
	}
}

// Images are compared by the model that is named; without one by a model of the zoo
// if it suits them, and it says so.
func TestCompare(t *testing.T) {
	inFolder(t)
	write(t, "a.png", encode(t, ring(50)))
	write(t, "b.png", encode(t, cross(50)))
	stdout, stderr := tool(t, "compare", "a.png", "b.png")
	if !strings.Contains(stdout, "distance 0.") || !strings.Contains(stderr, "omniglot: 2 of 2 images examined are drawings") {
		t.Errorf("without a model: %s%s", stdout, stderr)
	}
	if named, _ := tool(t, "compare", "a.png", "b.png", "--model", "omniglot"); named != stdout {
		t.Errorf("by the zoo's model by name: %s, want %s", named, stdout)
	}

	small, large := 1e-6, 1e6
	model := saveModel(t, filepath.Join("runs", "strict", "model.safetensors"), &small)
	saveModel(t, filepath.Join("runs", "lenient", "model.safetensors"), &large)
	saveModel(t, filepath.Join("runs", "plain", "model.safetensors"), nil)
	for i, run := range []string{"lenient", "plain", "strict"} {
		stamp := time.Now().Add(time.Duration(i) * time.Hour)
		if err := os.Chtimes(filepath.Join("runs", run, "model.safetensors"), stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	a, err := imaging.DecodeFile("a.png")
	if err != nil {
		t.Fatal(err)
	}
	b, err := imaging.DecodeFile("b.png")
	if err != nil {
		t.Fatal(err)
	}
	comparison, err := model.Compare(a, b)
	if err != nil {
		t.Fatal(err)
	}
	distance := fmt.Sprintf("distance %.4f  ", comparison.Distance)

	// A run folder that happens to be there is not asked.
	if found, stderr := tool(t, "compare", "a.png", "b.png"); found != stdout || !strings.Contains(stderr, "omniglot: 2 of 2 images examined are drawings") {
		t.Errorf("without a model, beside run folders: %s%s, want %s", found, stderr, stdout)
	}
	if stdout, _ := tool(t, "compare", "a.png", "b.png", "--model", "runs/strict"); stdout != distance+"threshold 0.0000  different\n" {
		t.Errorf("by the strict model: %s", stdout)
	}
	write(t, "photo.png", red(t, 12))
	if code, _, stderr := runTool("compare", "a.png", "photo.png"); code != failure || !strings.Contains(stderr, "1 are photographs and 1 are drawings") || !strings.Contains(stderr, "--model") {
		t.Errorf("a drawing and a photograph: code %d, %s", code, stderr)
	}
	if stdout, stderr := tool(t, "compare", "photo.png", "photo.png", "--json"); !strings.Contains(stdout, `"model":"zoo/photo","model_reason":"2 of 2 images examined are photographs`) || !strings.Contains(stdout, `"distance":0,`) || !strings.Contains(stderr, "photo: 2 of 2 images examined are photographs") {
		t.Errorf("two photographs: %s%s", stdout, stderr)
	}
	if stdout, stderr := tool(t, "compare", "a.png", "b.png", "--model", "runs/lenient"); stdout != distance+"threshold 1000000.0000  same\n" || stderr != "" {
		t.Errorf("by the lenient model: %s%s", stdout, stderr)
	}
	if stdout, _ := tool(t, "compare", "a.png", "b.png", "--model", "runs/plain"); stdout != distance+"no threshold\n" {
		t.Errorf("by the plain model: %s", stdout)
	}

	stdout, _ = tool(t, "compare", "a.png", "b.png", "--json", "--model", "runs/strict")
	var got answer
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatal(err)
	}
	same := false
	want := answer{A: "a.png", B: "b.png", Model: filepath.Join("runs/strict", "model.safetensors"), Distance: comparison.Distance, Threshold: &small, Same: &same}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	toolFails(t, failure, []string{"missing.png"}, "compare", "a.png", "missing.png", "--model", "runs/strict")
}

// With --skip-broken, embed, enroll and identify use the images that can be read and list the
// others; without it they fail and say so.
func TestSkipBroken(t *testing.T) {
	inFolder(t)
	bars(t, "photos", 2, 3)
	saveModel(t, "model.safetensors", nil)
	broken := filepath.Join("photos", "bar0", "broken.png")
	write(t, broken, bar(t, 2, 9, 12)[:60])
	commands := map[string]struct {
		arguments []string
		out       string // on standard output or error, with --skip-broken
	}{
		"embed":         {[]string{"embed", "photos", "--model", "model.safetensors", "--out", "e.csv"}, "wrote 6 embeddings"},
		"enroll folder": {[]string{"enroll", "--folder", "photos", "--gallery", "a.gallery", "--model", "model.safetensors"}, "enrolled 6 examples of 2 classes; a.gallery holds 6 examples of 2 classes"},
		"enroll class":  {[]string{"enroll", "bar0", "photos/bar0", "--gallery", "b.gallery", "--model", "model.safetensors"}, "enrolled 3 examples of bar0"},
	}
	for name, test := range commands {
		toolFails(t, failure, []string{broken, "truncated", "skip such files with --skip-broken"}, test.arguments...)
		stdout, stderr := tool(t, append(test.arguments, "--skip-broken")...)
		if said := stdout + stderr; !strings.Contains(said, test.out) || !strings.Contains(said, "skipped      decode image "+broken) {
			t.Errorf("%s: found\n%s", name, said)
		}
	}
	identify := []string{"identify", "photos", "--gallery", "a.gallery"}
	toolFails(t, failure, []string{broken, "--skip-broken"}, identify...)
	stdout, stderr := tool(t, append(identify, "--skip-broken")...)
	if strings.Count(stdout, "nearest bar") != 6 || !strings.Contains(stderr, "skipped      decode image "+broken) {
		t.Errorf("identify: found\n%s%s", stdout, stderr)
	}
	toolFails(t, failure, []string{"none of the images can be read", broken}, "identify", broken, "--gallery", "a.gallery", "--skip-broken")
}

// With --explain, compare also writes a picture, and its JSON has the maps, which add up to the
// similarity. What cannot be explained, and a file that is one of the images, are errors, and then
// nothing is written.
func TestCompareExplains(t *testing.T) {
	inFolder(t)
	write(t, "a.png", bar(t, 0, 1, 24))
	write(t, "b.png", bar(t, 0, 2, 24))
	saveModel(t, "l2.safetensors", nil)
	stdout, stderr := tool(t, "compare", "a.png", "b.png", "--model", "mnist", "--explain", "out.png")
	plain, _ := tool(t, "compare", "a.png", "b.png", "--model", "mnist")
	if stdout != plain || !strings.Contains(stderr, "wrote out.png") {
		t.Errorf("compare says %q and %q, expected %q", stdout, stderr, plain)
	}
	if picture, err := imaging.DecodeFile("out.png"); err != nil || picture.Bounds().Dx() < 800 {
		t.Errorf("found the picture %v, %v", picture, err)
	}
	stdout, _ = tool(t, "compare", "a.png", "b.png", "--model", "mnist", "--explain", "out.png", "--json")
	var found answer
	if err := json.Unmarshal([]byte(stdout), &found); err != nil || found.Explanation == nil {
		t.Fatalf("found %s, %v", stdout, err)
	}
	e := found.Explanation
	if sum := e.A.Sum() + e.Bias; math.Abs(sum-e.Similarity) > 1e-12 || math.Abs(1-found.Distance-e.Similarity) > 1e-5 || len(e.A.Values) != e.A.Height*e.A.Width {
		t.Errorf("the parts add up to %v, the similarity is %v, and the distance %v", sum, e.Similarity, found.Distance)
	}
	if stdout, _ := tool(t, "compare", "a.png", "b.png", "--model", "mnist", "--json"); strings.Contains(stdout, "explanation") {
		t.Errorf("without --explain: %s", stdout)
	}
	was := read(t, "b.png")
	toolFails(t, failure, []string{"--explain", `"out.jpg"`, "a file that ends in .png"}, "compare", "a.png", "b.png", "--model", "mnist", "--explain", "out.jpg")
	toolFails(t, failure, []string{"--explain", "is the image b.png"}, "compare", "a.png", "b.png", "--model", "mnist", "--explain", "./b.png")
	toolFails(t, failure, []string{"--explain", "found the head l2, expected cosine"}, "compare", "a.png", "b.png", "--model", "l2.safetensors", "--explain", "l2.png")
	toolFails(t, failure, []string{"no/such"}, "compare", "a.png", "b.png", "--model", "mnist", "--explain", "no/such/out.png")
	if exists("l2.png") || exists("out.jpg") || read(t, "b.png") != was {
		t.Error("a file was written in spite of an error")
	}
}
