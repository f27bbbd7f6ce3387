package datasets_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
)

// faces are pictures of one pixel: Ann is 1 and 2, Bob is 3, Cem is 4.
func faces(t testing.TB, list string) map[string][]byte {
	return map[string][]byte{
		"ann/1.png": grayPNG(t, []uint8{1}), "ann/2.png": grayPNG(t, []uint8{2}),
		"bob/1.png": grayPNG(t, []uint8{3}), "cem/1.png": grayPNG(t, []uint8{4}),
		"list.csv": []byte(list), "ages.csv": []byte("name,age\nann,7\n"),
	}
}

// pairsOf writes the pairs of a list by the values of their images.
func pairsOf(list *datasets.PairList) [][3]int {
	if list == nil {
		return nil
	}
	var result [][3]int
	v := values(list.Dataset)
	for _, pair := range list.Pairs {
		different := 0
		if pair.Different {
			different = 1
		}
		result = append(result, [3]int{v[pair.Left], v[pair.Right], different})
	}
	return result
}

func TestOpenPairs(t *testing.T) {
	for name, list := range map[string]string{
		"numbers":          "a,b,different\nann/1.png,ann/2.png,0\nann/1.png,bob/1.png,1\n",
		"words and spaces": "a, b ,different\nann/1.png, ./ann/2.png , False\nann/1.png,bob/../bob/1.png,TRUE",
		"another order":    "different,b,a\n0,ann/2.png,ann/1.png\n1,bob/1.png,ann/1.png\n",
		"old line ends":    "a,b,different\rann/1.png,ann/2.png,0\r\"ann/1.png\",bob/1.png,1\r",
		"from a table":     "\ufeffa,b,different\r\nann/1.png,ann/2.png,0\r\n\"ann/1.png\",bob/1.png,1\r\n",
	} {
		splits, err := datasets.Open(folder(t, faces(t, list)), datasets.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		train := splits.Pairs.Train
		if diff := cmp.Diff([][3]int{{1, 2, 0}, {1, 3, 1}}, pairsOf(train)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
		if train.Dataset.Len() != 3 || train.Dataset.Labels != nil || train.Dataset.Name != splits.Name+" train" {
			t.Errorf("%s: found %+v, expected each image once and no labels", name, train.Dataset)
		}
		if splits.Train != nil || splits.Pairs.Test != nil || splits.Triplets.Train != nil {
			t.Errorf("%s: found more than pairs for training", name)
		}
	}
}

func TestOpenPairsOfSeveralParts(t *testing.T) {
	list := "split,a,b,different\ntrain,ann/1.png,bob/1.png,1\nTest,ann/2.png,cem/1.png,1\nval,cem/1.png,cem/1.png,0\ntrain,ann/1.png,ann/1.png,0\n"
	dir := folder(t, faces(t, list))
	splits, err := datasets.Open(filepath.Join(dir, "list.csv"), datasets.Options{Invert: true})
	if err != nil {
		t.Fatal(err)
	}
	if splits.Name != "list" {
		t.Errorf("found the name %q, expected the file's", splits.Name)
	}
	for _, part := range []struct {
		list *datasets.PairList
		want [][3]int
		size int
	}{
		{splits.Pairs.Train, [][3]int{{254, 252, 1}, {254, 254, 0}}, 2},
		{splits.Pairs.Validation, [][3]int{{251, 251, 0}}, 1},
		{splits.Pairs.Test, [][3]int{{253, 251, 1}}, 2},
	} {
		if diff := cmp.Diff(part.want, pairsOf(part.list)); diff != "" {
			t.Error(diff)
		}
		if part.list.Dataset.Len() != part.size {
			t.Errorf("%s: found %d images, expected %d", part.list.Dataset.Name, part.list.Dataset.Len(), part.size)
		}
	}
	_, err = splits.Experiment(datasets.ExperimentOptions{})
	expectError(t, "an experiment without labels", err, datasets.ErrTooFew, "no labeled training images")
}

func TestOpenTriplets(t *testing.T) {
	dir := folder(t, faces(t, ""))
	absolute := filepath.Join(dir, "cem", "1.png")
	list := "anchor,positive,negative\nann/1.png,ann/2.png,bob/1.png\nann/2.png,ann/1.png," + absolute + "\n"
	if err := os.WriteFile(filepath.Join(dir, "list.csv"), []byte(list), 0o644); err != nil {
		t.Fatal(err)
	}
	splits, err := datasets.Open(dir, datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []datasets.Triplet{{Anchor: 0, Positive: 1, Negative: 2}, {Anchor: 1, Positive: 0, Negative: 3}}
	if diff := cmp.Diff(want, splits.Triplets.Train.Triplets); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1, 2, 3, 4}, values(splits.Triplets.Train.Dataset)); diff != "" {
		t.Error(diff)
	}
}

func TestOpenTuplesRefuses(t *testing.T) {
	const pairs = "a,b,different\n"
	for _, test := range []struct {
		name, list string
		mentions   []string
	}{
		{"neither 0 nor 1", pairs + "ann/1.png,ann/2.png,0\nann/1.png,bob/1.png,2\n", []string{"line 3, field different", `found "2"`, "0, 1, true or false"}},
		{"no path", pairs + "ann/1.png,,0\n", []string{"line 2, field b", "the path of an image"}},
		{"an unknown part", "a,b,different,split\nann/1.png,ann/2.png,0,dev\n", []string{"line 2, field split", `found "dev"`, "train, val or test"}},
		{"a field too few", pairs + "ann/1.png,ann/2.png\n", []string{"list.csv, line 2: found 2 fields, expected 3: a,b,different"}},
		{"a field too many", pairs + "ann/1.png,ann/2.png,0\nann/1.png,ann/2.png,0,0\n", []string{"list.csv, line 3: found 4 fields, expected 3"}},
		{"a folder for an image", pairs + "ann/1.png,ann,0\n", []string{"line 2, field b", "is not a file"}},
		{"an empty file for an image", pairs + "ann/1.png,empty.png,0\n", []string{"empty.png: the file is empty"}},
		{"an open quote", pairs + "ann/1.png,\"ann/2.png,0\n", []string{"list.csv", "quote"}},
		{"a missing image", pairs + "ann/1.png,ann/2.png,0\nann/9.png,ann/1.png,0\n", []string{"list.csv, line 3, field a", filepath.Join("ann", "9.png"), "no such file"}},
		{"a text for an image", pairs + "ann/1.png,ages.csv,0\n", []string{"ages.csv", "known format"}},
		{"an unknown column", "a,b,different,weight\nann/1.png,ann/2.png,0,1\n", []string{`found the header "a,b,different,weight"`}},
		{"a column twice", "a,b,different,a\nann/1.png,ann/2.png,0,1\n", []string{"found the header"}},
		{"no rows", pairs, []string{"lists nothing"}},
	} {
		_, err := datasets.Open(folder(t, merge(faces(t, test.list), map[string][]byte{"empty.png": {}})), datasets.Options{})
		expectError(t, test.name, err, nil, test.mentions...)
	}
	_, err := datasets.Open(folder(t, map[string][]byte{"pairs.csv": []byte("left,right,label\n")}), datasets.Options{})
	expectError(t, "a CSV file alone, with another header", err, nil, `found the header "left,right,label"`, "a,b,different or anchor,positive,negative")

	two := faces(t, pairs+"ann/1.png,ann/2.png,0\n")
	two["more.csv"] = two["list.csv"]
	_, err = datasets.Open(folder(t, two), datasets.Options{})
	expectError(t, "two lists", err, nil, "2 lists of tuples (list.csv, more.csv)", "by its path")

	mixed := faces(t, pairs+"ann/1.png,ann/2.png,0\n")
	mixed["ann/2.png"] = grayPNG(t, []uint8{1, 2})
	_, err = datasets.Open(folder(t, mixed), datasets.Options{})
	expectError(t, "images of two sizes", err, datasets.ErrSizes, "choose a size")
	if _, err := datasets.Open(folder(t, mixed), datasets.Options{Size: imaging.Size{Height: 2, Width: 2}}); err != nil {
		t.Error(err)
	}
}

// What was found is repeated in messages, but not all of a file.
func TestMessagesAreShort(t *testing.T) {
	long := strings.Repeat("é,", 6000)
	for name, list := range map[string]string{
		"a header": long, "a header of one line": strings.Repeat("x;y\r", 5000), "a value": "a,b,different\na,b," + strings.Repeat("é", 6000) + "\n",
		"a part": "a,b,different,split\na,b,0," + strings.Repeat("z", 6000) + "\n",
	} {
		_, err := datasets.Open(folder(t, map[string][]byte{"list.csv": []byte(list)}), datasets.Options{})
		if err == nil || len(err.Error()) > 600 || !strings.Contains(err.Error(), "bytes)") && name != "a header of one line" || !utf8.ValidString(err.Error()) {
			t.Errorf("%s: found an error of %d bytes: %.700v", name, len(fmt.Sprint(err)), err)
		}
	}
	_, err := toy(1, 1).OnlyClasses(strings.Repeat("c", 5000))
	if err == nil || len(err.Error()) > 600 {
		t.Errorf("found %.700v", err)
	}
	d := toy(1, 1)
	d.Classes = []string{strings.Repeat("c", 5000), "b"}
	if _, err = d.OnlyClasses("a"); err == nil || len(err.Error()) > 600 {
		t.Errorf("found %.700v", err)
	}
}

// Rows that contradict one another, that repeat one another, and that are trained and
// tested on are reported with their lines.
func TestOpenTuplesWarns(t *testing.T) {
	for _, test := range []struct {
		list string
		want []string
	}{
		{"a,b,different\nann/1.png,ann/2.png,0\nann/1.png,bob/1.png,1\nann/1.png,ann/1.png,0\n", nil},
		{"a,b,different\nann/1.png,ann/2.png,0\nbob/1.png,cem/1.png,1\n./ann/2.png,ann/1.png,1\ncem/1.png,bob/1.png,0\nann/1.png,ann/2.png,1\n", []string{
			"pairs of images that are listed both as the same and as different: 2, on lines 2 and 4, 3 and 5",
			"rows that repeat an earlier one of their part, and count as often as they occur: 1, on lines 6",
		}},
		{"a,b,different\nann/1.png,ann/1.png,1\nann/1.png,bob/1.png,1\n", []string{"images that are listed as different from themselves: 1, on lines 2"}},
		{"a,b,different,split\nann/1.png,bob/1.png,1,train\nbob/1.png,ann/1.png,1,test\nann/1.png,ann/2.png,0,test\nann/1.png,bob/1.png,1,val\n", []string{
			"rows of validation that are in training, too, so that figures on them say nothing about new images: 1, on lines 5 as 2",
			"rows of test that are in training, too, so that figures on them say nothing about new images: 1, on lines 3 as 2",
		}},
		{"anchor,positive,negative\nann/1.png,ann/2.png,bob/1.png\nann/1.png,bob/1.png,cem/1.png\nann/2.png,ann/1.png,ann/2.png\nann/1.png,ann/2.png,bob/1.png\n", []string{
			"pairs of images that are listed both as the same and as different: 1, on lines 2 and 3",
			"images that are listed as different from themselves: 1, on lines 4",
			"rows that repeat an earlier one of their part, and count as often as they occur: 1, on lines 5",
		}},
	} {
		dir := folder(t, faces(t, test.list))
		splits, err := datasets.Open(dir, datasets.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, text := range test.want {
			want = append(want, filepath.Join(dir, "list.csv")+": "+text)
		}
		if diff := cmp.Diff(want, splits.Warnings); diff != "" {
			t.Errorf("%s (-want +found):\n%s", test.list, diff)
		}
	}
}
