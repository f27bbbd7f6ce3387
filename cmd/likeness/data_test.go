package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/imaging"
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
	for _, text := range []string{"skipped ", broken, "the images differ in size: all are brought to 64x64", "of 4 classes at 64x64x3"} {
		if !strings.Contains(said, text) {
			t.Errorf("want %q in\n%s", text, said)
		}
	}
	if again, said := tool(t, "eval", "--run", "run"); again == "" || withoutProgress(said) != "" {
		t.Errorf("eval finds differences:\n%s", said)
	}
}

// Sizes that nobody chose are the data's own, but for large images.
func TestSizes(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 2, 4)
	write(t, filepath.Join("large", "a", "1.png"), bar(t, 0, 1, 200))
	write(t, filepath.Join("large", "b", "1.png"), bar(t, 1, 1, 200))
	write(t, filepath.Join("parts", "train", "a", "1.png"), bar(t, 0, 1, 20))
	write(t, filepath.Join("parts", "test", "a", "1.png"), red(t, 30))
	for _, test := range []struct{ data, size, want string }{
		{"bars", "", "12x12x1"}, {"bars", "16", "16x16x1"}, {"bars", "16x18x3", "16x18x3"},
		{"large", "", "64x64x1"}, {"large", "200x200", "200x200x1"}, {"parts", "", "64x64x3"},
	} {
		settings := defaults
		settings.Data, settings.Size = test.data, test.size
		material, notes, err := settings.open(imaging.Size{})
		if err != nil {
			t.Errorf("%s at %q: %v", test.data, test.size, err)
			continue
		}
		if got := material.images().Size.String(); got != test.want {
			t.Errorf("%s at %q: found %s, want %s", test.data, test.size, got, test.want)
		}
		if decided := strings.HasPrefix(test.want, "64"); decided != (len(notes) > 0) {
			t.Errorf("%s at %q: found notes %q", test.data, test.size, notes)
		}
	}
}

// Lists of pairs and of triplets train, and are tested on their test rows.
func TestLists(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 4, 6)
	path := func(class, image int) string { return fmt.Sprintf("bars/bar%d/%d.png", class, image) }
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
		run := filepath.Join("runs", fmt.Sprint(i))
		table, said := tool(t, append(args, "--out", run)...)
		if !strings.Contains(table, "verification, ROC AUC") || !strings.Contains(table, "verification, accuracy") {
			t.Errorf("%v prints\n%s%s", args, table, said)
		}
		if again, _ := tool(t, "eval", "--run", run); again != table {
			t.Errorf("%v: eval prints another table:\n%s%s", args, table, again)
		}
	}
	write(t, "plain.csv", "a,b,different\n"+path(0, 0)+","+path(0, 1)+",0\n"+path(0, 0)+","+path(1, 0)+",1\n")
	if _, said := tool(t, append(list("plain.csv"), "--out", "plain")...); !strings.Contains(said, "nothing is measured") {
		t.Errorf("that nothing is measured is not said:\n%s", said)
	}
	toolFails(t, failure, []string{"judges triplets", "use contrastive or cross-entropy"}, list("pairs.csv", "--objective", "triplet")...)
	toolFails(t, failure, []string{"images with classes"}, list("pairs.csv", "--objective", "batch-hard")...)
	toolFails(t, failure, []string{"limit", "no triplet"}, list("triplets.csv", "--objective", "triplet", "--limit", "2")...)
}

// The shortlist takes tuples as long as their images fit, and says where each
// image is in it.
func TestShortlist(t *testing.T) {
	few := shortlist{most: 3, position: map[int]int{}}
	for _, test := range []struct {
		left, right int
		taken       bool
		first, last int // positions
	}{
		{7, 5, true, 0, 1}, {5, 7, true, 1, 0}, {8, 9, false, 8, 9}, {5, 4, true, 1, 2}, {6, 6, false, 6, 6}, {4, 4, true, 2, 2},
	} {
		left, right := test.left, test.right
		if taken := few.take(&left, &right); taken != test.taken || left != test.first || right != test.last {
			t.Errorf("%d, %d: found %v, %d, %d; want %+v", test.left, test.right, taken, left, right, test)
		}
	}
}
