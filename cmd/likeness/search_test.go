package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/plot"
	"github.com/likeness-go/likeness/zoo"
)

// ring and cross are black drawings on white paper of side × side pixels.
func ring(side int) image.Image {
	return drawn(side, func(x, y float64) bool { return math.Abs(math.Hypot(x-0.5, y-0.5)-0.3) < 0.025 })
}

func cross(side int) image.Image {
	return drawn(side, func(x, y float64) bool {
		x, y = math.Abs(x-0.5), math.Abs(y-0.5)
		return min(x, y) < 0.025 && max(x, y) < 0.3
	})
}

func drawn(side int, ink func(x, y float64) bool) image.Image {
	img := image.NewGray(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			img.SetGray(x, y, color.Gray{Y: 255})
			if ink((float64(x)+0.5)/float64(side), (float64(y)+0.5)/float64(side)) {
				img.SetGray(x, y, color.Gray{})
			}
		}
	}
	return img
}

// scans writes a folder of drawings: a ring three times, a cross twice.
func scans(t *testing.T) {
	t.Helper()
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, ring(105), nil); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join("scans", "cross.png"), encode(t, cross(105)))
	write(t, filepath.Join("scans", "more", "cross.png"), encode(t, cross(150)))
	write(t, filepath.Join("scans", "ring.jpg"), photo.String())
	write(t, filepath.Join("scans", "ring.png"), encode(t, ring(105)))
	write(t, filepath.Join("scans", "zring.png"), encode(t, ring(180)))
	write(t, filepath.Join("scans", "notes.txt"), "no image")
}

// scanned is a path within scans.
func scanned(parts ...string) string { return filepath.Join(append([]string{"scans"}, parts...)...) }

// distanceBy is the distance of two files by the zoo's model.
func distanceBy(t *testing.T, a, b string) float64 {
	t.Helper()
	model, err := zoo.Load(zoo.Default)
	if err != nil {
		t.Fatal(err)
	}
	comparison, err := model.CompareFiles(a, b)
	if err != nil {
		t.Fatal(err)
	}
	return comparison.Distance
}

var closely = cmpopts.EquateApprox(0, 1e-5) // one image is embedded otherwise than many

// Both groups are found, each member beside the nearest above it, as text and as
// JSON.
func TestNearDuplicates(t *testing.T) {
	inFolder(t)
	scans(t)
	stdout, stderr := tool(t, "near-duplicates", "scans", "--threshold", "0.05", "--json")
	var got groups
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(stderr, "omniglot: 5 of 5 images examined are drawings") {
		t.Errorf("it does not say which model it uses: %s", stderr)
	}
	members := func(group []groupMember) (files []string) {
		for _, m := range group {
			files = append(files, m.File)
		}
		slices.Sort(files)
		return files
	}
	var found [][]string
	for _, group := range got.Groups {
		found = append(found, members(group))
	}
	slices.SortFunc(found, slices.Compare)
	want := [][]string{{scanned("cross.png"), scanned("more", "cross.png")}, {scanned("ring.jpg"), scanned("ring.png"), scanned("zring.png")}}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	if got.Folder != "scans" || got.Model != "zoo/omniglot" || got.Threshold != 0.05 || got.Images != 5 || len(got.Pairs) != 4 {
		t.Errorf("found %+v", got)
	}
	for i, pair := range got.Pairs {
		if i > 0 && pair.Distance < got.Pairs[i-1].Distance {
			t.Errorf("pair %d is nearer than the one before it", i)
		}
		if diff := cmp.Diff(distanceBy(t, pair.A, pair.B), pair.Distance, closely); diff != "" {
			t.Errorf("the distance of %s and %s (-want +got):\n%s", pair.A, pair.B, diff)
		}
	}

	stdout, stderr = tool(t, "near-duplicates", "scans", "--threshold", "0.05", "--model", "omniglot")
	for _, text := range []string{"group 1, ", "group 2, ", "\n  " + scanned("more", "cross.png") + "  0.0", " from " + scanned("cross.png")} {
		if !strings.Contains(stdout, text) {
			t.Errorf("want %q in\n%s", text, stdout)
		}
	}
	if !strings.Contains(stderr, "model        zoo/omniglot") || !strings.Contains(stderr, "2 groups of near duplicates among 5 images, within a distance of 0.0500") {
		t.Errorf("it says %s", stderr)
	}
	stdout, stderr = tool(t, "near-duplicates", "scans")
	if strings.Count(stdout, "group") != 2 || !strings.Contains(stderr, "that of the model") {
		t.Errorf("by the model's own threshold: %s%s", stdout, stderr)
	}
	stdout, stderr = tool(t, "near-duplicates", "scans", "--threshold=-1", "--sheet", "none.png")
	if stdout != "" || !strings.Contains(stderr, "0 groups") || !strings.Contains(stderr, "no images to show") {
		t.Errorf("within -1: %s%s", stdout, stderr)
	}
}

// flag is a drawing without symmetry, with x and y exchanged or mirrored before it is drawn.
func flag(side int, change func(x, y float64) (float64, float64)) image.Image {
	return drawn(side, func(x, y float64) bool {
		x, y = change(x, y)
		return math.Abs(x-0.3) < 0.025 && y > 0.2 && y < 0.8 || math.Abs(y-0.2) < 0.025 && x > 0.3 && x < 0.75 || math.Abs(y-0.45) < 0.025 && x > 0.3 && x < 0.6
	})
}

// With --flips, copies that are flipped and rotated are found, and the text and the JSON say
// how they are made of the image before them; without, nothing is said of symmetries.
func TestNearDuplicatesWithFlips(t *testing.T) {
	inFolder(t)
	write(t, "scans/a.png", encode(t, flag(105, func(x, y float64) (float64, float64) { return x, y })))
	write(t, "scans/b.png", encode(t, flag(150, func(x, y float64) (float64, float64) { return x, y })))
	write(t, "scans/mirrored.png", encode(t, flag(105, func(x, y float64) (float64, float64) { return 1 - x, y })))
	write(t, "scans/left.png", encode(t, flag(105, func(x, y float64) (float64, float64) { return 1 - y, x })))
	write(t, "scans/ring.png", encode(t, ring(105)))
	find := func(args ...string) (found groups, text string) {
		t.Helper()
		args = append([]string{"near-duplicates", "scans", "--threshold", "0.02"}, args...)
		stdout, _ := tool(t, append(args, "--json")...)
		if err := json.Unmarshal([]byte(stdout), &found); err != nil {
			t.Fatal(err)
		}
		text, _ = tool(t, append(args, "--sheet", "sheet.png")...)
		return found, text + stdout
	}
	found, text := find()
	if len(found.Pairs) != 1 || strings.Contains(text, "symmetry") || strings.Contains(text, "flip") || strings.Contains(text, "unchanged") {
		t.Errorf("without --flips:\n%s", text)
	}
	found, text = find("--flips")
	want := map[string]string{
		"a b": "unchanged", "a mirrored": "flipped left-right", "b mirrored": "flipped left-right", "a left": "rotated left by 90 degrees",
		"b left": "rotated left by 90 degrees", "left mirrored": "flipped along the diagonal",
	}
	symmetries := map[string]string{}
	name := func(file string) string { return strings.TrimSuffix(filepath.Base(file), ".png") }
	for _, pair := range found.Pairs {
		symmetries[name(pair.A)+" "+name(pair.B)] = pair.Symmetry
	}
	if diff := cmp.Diff(want, symmetries); diff != "" {
		t.Errorf("pairs (-want +got):\n%s", diff)
	}
	if len(found.Groups) != 1 || len(found.Groups[0]) != 4 || !found.Flips {
		t.Fatalf("found %+v", found)
	}
	backward := map[string]string{"rotated left by 90 degrees": "rotated right by 90 degrees"}
	for i, m := range found.Groups[0] {
		if i == 0 {
			if m.Symmetry != "" {
				t.Errorf("the first of the group is %q", m.Symmetry)
			}
			continue
		}
		symmetry, forward := want[name(m.From)+" "+name(m.File)]
		if !forward {
			symmetry = want[name(m.File)+" "+name(m.From)]
			if inverse, differs := backward[symmetry]; differs {
				symmetry = inverse
			}
		}
		if m.Symmetry != symmetry {
			t.Errorf("%s is %q from %s, expected %q", m.File, m.Symmetry, m.From, symmetry)
		}
		line := fmt.Sprintf("  %s  %.4f %s from %s\n", m.File, m.Distance, symmetry, m.From)
		if symmetry == "unchanged" {
			line = fmt.Sprintf("  %s  %.4f from %s\n", m.File, m.Distance, m.From)
		}
		if !strings.Contains(text, line) {
			t.Errorf("expected the line %q in\n%s", line, text)
		}
	}
	if !exists("sheet.png") {
		t.Error("the sheet is not written")
	}
}

// The nearest come in the order of their distances, without the image itself.
func TestSearch(t *testing.T) {
	inFolder(t)
	scans(t)
	query := scanned("ring.png")
	stdout, stderr := tool(t, "search", query, "--in", "scans", "--json")
	var got matches
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(stderr, "omniglot: 5 of 5 images examined are drawings") {
		t.Errorf("it does not say which model it uses: %s", stderr)
	}
	want := []fileMatch{}
	for _, file := range []string{scanned("cross.png"), scanned("more", "cross.png"), scanned("ring.jpg"), scanned("zring.png")} {
		distance := distanceBy(t, query, file)
		same := strings.Contains(file, "ring")
		want = append(want, fileMatch{File: file, Distance: distance, Same: &same})
	}
	slices.SortFunc(want, func(x, y fileMatch) int {
		if x.Distance < y.Distance {
			return -1
		}
		return 1
	})
	if diff := cmp.Diff(want, got.Matches, closely); diff != "" || got.Images != 4 || got.Threshold == nil {
		t.Errorf("%+v (-want +got):\n%s", got, diff)
	}

	write(t, "elsewhere.png", encode(t, cross(90)))
	stdout, _ = tool(t, "search", "elsewhere.png", "--in", "scans", "--nearest", "2")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "  same       "+scanned()) || !strings.Contains(stdout, scanned("cross.png")) || !strings.Contains(stdout, scanned("more", "cross.png")) {
		t.Errorf("the two nearest to a cross are\n%s", stdout)
	}
	stdout, _ = tool(t, "search", "elsewhere.png", "--in", "scans")
	if !strings.Contains(stdout, "  different  "+scanned("ring.jpg")) {
		t.Errorf("all that there is:\n%s", stdout)
	}
}

// The sheets have the groups in rows, and the image that was looked for above
// what was found.
func TestSheets(t *testing.T) {
	inFolder(t)
	scans(t)
	line := plot.TitleHeight + plot.Side + plot.CaptionLines*plot.LineHeight + plot.Gap
	for _, test := range []struct {
		args    []string
		columns int
	}{
		{[]string{"near-duplicates", "scans", "--threshold", "0.05"}, 3},
		{[]string{"search", scanned("ring.png"), "--in", "scans"}, 4},
	} {
		_, stderr := tool(t, append(test.args, "--sheet", "sheet.png")...)
		if !strings.Contains(stderr, "wrote sheet.png") {
			t.Errorf("%s says %s", test.args[0], stderr)
		}
		picture, err := imaging.DecodeFile("sheet.png")
		if err != nil {
			t.Fatal(err)
		}
		want := image.Rect(0, 0, plot.Gap+test.columns*(plot.Side+plot.Gap), plot.Gap+2*line)
		if picture.Bounds() != want {
			t.Errorf("the sheet of %s is %v, expected %v", test.args[0], picture.Bounds(), want)
		}
	}
	// In the search's sheet the ring that was looked for: white in the middle, black
	// at three tenths of the side from it.
	picture, err := png.Decode(strings.NewReader(read(t, "sheet.png")))
	if err != nil {
		t.Fatal(err)
	}
	middle := image.Pt(plot.Gap+plot.Side/2, plot.Gap+plot.TitleHeight+plot.Side/2)
	if gray, _, _, _ := picture.At(middle.X, middle.Y).RGBA(); gray < 0xf000 {
		t.Errorf("the middle of the ring is %x, expected white", gray)
	}
	if gray, _, _, _ := picture.At(middle.X+plot.Side*3/10, middle.Y).RGBA(); gray > 0x4000 {
		t.Errorf("the line of the ring is %x, expected black", gray)
	}
}

// A model of drawings rejects photographs, unless --force is set.
func TestUnsuitableImages(t *testing.T) {
	inFolder(t)
	scans(t)
	write(t, filepath.Join("photos", "a.png"), red(t, 40))
	write(t, filepath.Join("photos", "b.png"), red(t, 41))
	for _, args := range [][]string{{"near-duplicates", "photos"}, {"search", scanned("ring.png"), "--in", "photos"}, {"search", "photos/a.png", "--in", "scans"}} {
		args = append(args, "--model", "omniglot")
		code, _, stderr := runTool(args...)
		if code != failure || !strings.Contains(stderr, "grayscale") || !strings.Contains(stderr, "--force") {
			t.Errorf("%v: exit code %d\n%s", args, code, stderr)
		}
		if _, stderr := tool(t, append(args, "--force")...); !strings.Contains(stderr, "continuing with photos") {
			t.Errorf("%v --force says %s", args, stderr)
		}
	}
}

func TestLookupRefusals(t *testing.T) {
	inFolder(t)
	scans(t)
	saveModel(t, "plain.safetensors", nil)
	broken := scanned("broken.png")
	write(t, broken, "no image")
	write(t, filepath.Join("alone", "ring.png"), encode(t, ring(50)))
	write(t, filepath.Join("texts", "a.txt"), "no image")
	for name, test := range map[string]struct {
		say  []string
		args []string
	}{
		"no threshold":    {[]string{"threshold: the model plain.safetensors has none", "--threshold DISTANCE", "likeness compare"}, []string{"near-duplicates", "scans", "--model", "plain.safetensors"}},
		"a file":          {[]string{"alone", "ring.png is a file, expected a folder of images"}, []string{"near-duplicates", filepath.Join("alone", "ring.png")}},
		"not in a folder": {[]string{"--in: ", "nowhere"}, []string{"search", scanned("ring.png"), "--in", "nowhere"}},
		"no images":       {[]string{"texts", "no images"}, []string{"near-duplicates", "texts"}},
		"no folder":       {[]string{"nowhere"}, []string{"near-duplicates", "nowhere"}},
		"a broken file":   {[]string{broken, "--skip-broken"}, []string{"near-duplicates", "scans"}},
		"a broken folder": {[]string{broken, "--skip-broken"}, []string{"search", scanned("ring.png"), "--in", "scans"}},
		"a broken image":  {[]string{broken}, []string{"search", broken, "--in", "scans"}},
		"no sheet":        {[]string{"sheet", ".png"}, []string{"near-duplicates", "scans", "--sheet", "sheet.jpg"}},
		"none":            {[]string{"nearest: found 0"}, []string{"search", scanned("ring.png"), "--in", "scans", "--nearest", "0"}},
		"itself alone":    {[]string{"alone", "no other image"}, []string{"search", filepath.Join("alone", "ring.png"), "--in", "alone"}},
		"no model":        {[]string{"omniglott"}, []string{"near-duplicates", "scans", "--model", "omniglott"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := runTool(test.args...)
			if code != failure {
				t.Errorf("exit code %d, want %d\n%s", code, failure, stderr)
			}
			for _, text := range test.say {
				if !strings.Contains(stderr, text) {
					t.Errorf("want %q in\n%s", text, stderr)
				}
			}
		})
	}
	toolFails(t, misuse, []string{"--in"}, "search", scanned("ring.png"))
	stdout, stderr := tool(t, "near-duplicates", "scans", "--threshold", "0.05", "--skip-broken", "--json")
	if !strings.Contains(stderr, "skipped") || !strings.Contains(stderr, broken) || !strings.Contains(stdout, broken) {
		t.Errorf("broken files are not named: %s%s", stdout, stderr)
	}
}

// Two images whose names are not UTF-8, and differ by such a byte alone, stay two in
// JSON, and their names forge no line elsewhere.
func TestLookupsOfNamesThatAreNotText(t *testing.T) {
	inFolder(t)
	names := []string{"\xfc.png", "\xf6.png", "a\nb.png"}
	for i, name := range names {
		path := filepath.Join("odd", name)
		if err := os.MkdirAll("odd", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(encode(t, ring(50+i))), 0o666); err != nil {
			t.Skipf("this file system has no such names: %v", err)
		}
	}
	stdout, _ := tool(t, "near-duplicates", "odd", "--threshold", "0.5", "--json")
	var found groups
	if err := json.Unmarshal([]byte(stdout), &found); err != nil || strings.Count(stdout, "\n") != 1 {
		t.Fatalf("%v: %q", err, stdout)
	}
	seen := map[string]bool{}
	for _, pair := range found.Pairs {
		seen[pair.A+pair.ABytes], seen[pair.B+pair.BBytes] = true, true
	}
	if len(seen) != len(names) {
		t.Errorf("found %d files in %s, expected %d", len(seen), stdout, len(names))
	}
	stdout, _ = tool(t, "search", filepath.Join("odd", names[0]), "--in", "odd", "--json")
	var matches struct{ Matches []fileMatch }
	if err := json.Unmarshal([]byte(stdout), &matches); err != nil || len(matches.Matches) != 2 || matches.Matches[0].File+matches.Matches[0].FileBytes == matches.Matches[1].File+matches.Matches[1].FileBytes {
		t.Errorf("%v: %s", err, stdout)
	}
	stdout, _ = tool(t, "compare", filepath.Join("odd", names[0]), filepath.Join("odd", names[1]), "--json")
	var compared answer
	if err := json.Unmarshal([]byte(stdout), &compared); err != nil || compared.ABytes == "" || compared.ABytes == compared.BBytes {
		t.Errorf("%v: %s", err, stdout)
	}
	stdout, _ = tool(t, "search", filepath.Join("odd", names[0]), "--in", "odd")
	if strings.Count(stdout, "\n") != 2 || !strings.Contains(stdout, `a\nb.png`) {
		t.Errorf("found %q, expected a line for each of two files", stdout)
	}
}

// An image that cannot be opened is named, also where the model is to suit it.
func TestDefaultModelNamesWhatIsMissing(t *testing.T) {
	inFolder(t)
	write(t, "ring.png", encode(t, ring(50)))
	for _, args := range [][]string{
		{"compare", "ring.png", "missing.png"},
		{"embed", "missing.png", "--out", "e.csv"},
		{"enroll", "a", "missing.png", "--gallery", "new.gallery"},
	} {
		if code, _, stderr := runTool(args...); code != failure || !strings.Contains(stderr, "missing.png: no such file") {
			t.Errorf("likeness %s: exit code %d, %s", strings.Join(args, " "), code, stderr)
		}
	}
}
