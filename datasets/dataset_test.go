package datasets_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
)

func TestSubset(t *testing.T) {
	d := toy(2, 2)
	d.Drawers = []int{1, 2, 3, 4}
	got := d.Subset([]int{3, 0})
	want := &datasets.Dataset{
		Name: "toy", Size: onePixel, Classes: []string{"a", "b"}, Labels: []int{1, 0},
		Images: [][]uint8{{3}, {0}}, Sources: []string{"toy[3]", "toy[0]"}, Drawers: []int{4, 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if &got.Images[0][0] != &d.Images[3][0] {
		t.Error("the images were copied, expected them to be shared")
	}
}

func TestSubsetOfAnUnlabeledDataset(t *testing.T) {
	d := toy(3)
	d.Labels, d.Classes = nil, nil
	if got := d.Subset([]int{1}); got.Labels != nil || got.Len() != 1 {
		t.Errorf("found %+v", got)
	}
}

func TestByClass(t *testing.T) {
	if diff := cmp.Diff([][]int{{0, 1}, nil, {2}}, toy(2, 0, 1).ByClass()); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyClassesRenumbersLabels(t *testing.T) {
	got, err := toy(1, 2, 1, 1).OnlyClasses("d", "b")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b", "d"}, got.Classes); diff != "" {
		t.Errorf("classes, in the dataset's order:\n%s", diff)
	}
	if diff := cmp.Diff([]int{0, 0, 1}, got.Labels); diff != "" {
		t.Errorf("labels:\n%s", diff)
	}
	if diff := cmp.Diff([]int{1, 2, 4}, values(got)); diff != "" {
		t.Errorf("images:\n%s", diff)
	}
	_, err = toy(1, 1).OnlyClasses("b", "z")
	expectError(t, "a class that is not there", err, datasets.ErrUnknownClass, `"z"`, "a, b")
}

func TestGroups(t *testing.T) {
	d := toy(1, 1, 0, 1, 1)
	d.Classes = []string{"Greek/1", "Latin/1", "Greek/2", "Greek/3", "Latin/2"}
	want := [][]string{{"Greek/1", "Greek/3"}, {"Latin/1", "Latin/2"}} // Greek/2 has no image
	if diff := cmp.Diff(want, d.Groups()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]string{{"a", "b"}}, toy(1, 1).Groups()); diff != "" {
		t.Error(diff)
	}
}

// Channel 0 is 0, 255, 255, 0: mean 1/2, deviation 1/2. Channel 1 is 51 always.
// Channel 2 is 0, 0, 0, 255: mean 1/4, deviation √(1/4 − 1/16).
func TestMoments(t *testing.T) {
	d := &datasets.Dataset{
		Size:   imaging.Size{Height: 1, Width: 2, Channels: 3},
		Images: [][]uint8{{0, 51, 0, 255, 51, 0}, {255, 51, 0, 0, 51, 255}},
	}
	mean, deviation := d.Moments()
	for channel, want := range []struct{ mean, deviation float64 }{{0.5, 0.5}, {0.2, 0}, {0.25, math.Sqrt(3.0 / 16)}} {
		if math.Abs(mean[channel]-want.mean) > 1e-12 || math.Abs(deviation[channel]-want.deviation) > 1e-7 {
			t.Errorf("channel %d: found %v and %v, expected %v", channel, mean[channel], deviation[channel], want)
		}
	}
	d.Inverted = true
	p := d.Preprocessing()
	if err := p.Validate(); err != nil || !p.Invert || p.Size != d.Size || p.StdDev[1] != 1 {
		t.Errorf("found %+v, %v; expected a deviation of 1 for the constant channel", p, err)
	}
	mean, deviation = d.Subset(nil).Moments()
	if diff := cmp.Diff([][]float64{{0, 0, 0}, {0, 0, 0}}, [][]float64{mean, deviation}); diff != "" {
		t.Error(diff)
	}
}

func TestValidate(t *testing.T) {
	if err := toy(2, 1).Validate(); err != nil {
		t.Error(err)
	}
	for message, spoil := range map[string]func(d *datasets.Dataset){
		"found 2 channels":              func(d *datasets.Dataset) { d.Size.Channels = 2 },
		"found 2 Labels for 3":          func(d *datasets.Dataset) { d.Labels = d.Labels[:2] },
		"found 1 Sources for 3":         func(d *datasets.Dataset) { d.Sources = d.Sources[:1] },
		"found 4 Drawers for 3":         func(d *datasets.Dataset) { d.Drawers = make([]int, 4) },
		"image 1 has 2 bytes":           func(d *datasets.Dataset) { d.Images[1] = []uint8{1, 2} },
		"image 2 has label 2":           func(d *datasets.Dataset) { d.Labels[2] = 2 },
		"image 0 has label -1":          func(d *datasets.Dataset) { d.Labels[0] = -1 },
		`two classes are called "same"`: func(d *datasets.Dataset) { d.Classes = []string{"same", "same"} },
	} {
		d := toy(2, 1)
		spoil(d)
		expectError(t, message, d.Validate(), nil, "toy", message)
	}
}

// Arguments that do not fit, and fields that do not fit one another, do not panic: a
// method that can give an error gives one, another gives nothing.
func TestArgumentsThatDoNotFit(t *testing.T) {
	d := toy(3, 3, 3)
	short := *d
	short.Labels = d.Labels[:2]
	mislabeled := *d
	mislabeled.Labels = []int{0, 0, 9, -1, 1, 1, 2, 2, 2}
	for _, test := range []struct {
		name    string
		dataset *datasets.Dataset
		indices []int
	}{
		{"an index below 0", d, []int{-1}}, {"an index beyond the end", d, []int{0, 9}},
		{"an image without a label", &short, []int{2}}, {"of nil", nil, []int{0}},
	} {
		if found := test.dataset.Subset(test.indices); found != nil {
			t.Errorf("subset, %s: found %v, expected nil", test.name, found)
		}
	}
	for name, broken := range map[string]*datasets.Dataset{"nil": nil, "too few labels": &short, "wrong labels": &mislabeled} {
		if _, err := broken.OnlyClasses("a"); err == nil {
			t.Errorf("%s: OnlyClasses: found no error", name)
		}
		if _, err := broken.Symmetries(); err == nil {
			t.Errorf("%s: Symmetries: found no error", name)
		}
		if err := datasets.Fill(nil, broken, nil, d.Preprocessing(), nil, 1, 0, ""); broken == nil && err == nil {
			t.Errorf("%s: Fill: found no error", name)
		}
		broken.Groups()
		broken.Moments()
		broken.Limit(5, 1) // returns, though there are fewer labels
	}
	if found := mislabeled.ByClass(); len(found) != 3 || len(found[0]) != 2 {
		t.Errorf("wrong labels: found %v by class", found)
	}
	expectError(t, "nil", (*datasets.Dataset)(nil).Validate(), nil, "the dataset is nil, expected")

	r := rand.New(rand.NewPCG(1, 1))
	batches, err := datasets.ClassBatches(d, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	if found := batches.Sample(nil, 4); found.Len() != 0 {
		t.Errorf("a batch without a random source: found %v", found)
	}
	if found := batches.Sample(r, 3); found.Len() != 0 {
		t.Errorf("a batch of 4 where 3 are asked for: found %v", found)
	}
	episodes, err := datasets.NewEpisodes(d, 2, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if found := episodes.Episode(nil); found.Support != nil {
		t.Errorf("an episode without a random source: found %v", found)
	}
	episodes.Shot = 3
	if found := episodes.Episode(r); found.Support != nil {
		t.Errorf("an episode of 4 of 3 images: found %v", found)
	}
	pairs, err := datasets.BalancedPairs(d)
	if err != nil {
		t.Fatal(err)
	}
	triplets, err := datasets.RandomTriplets(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, sampler := range []datasets.Sampler{pairs, datasets.ListedPairs(make([]datasets.Pair, 3))} {
		if len(sampler.Sample(nil, 3).Pairs()) != 0 || len(sampler.Sample(r, -1).Pairs()) != 0 {
			t.Errorf("%T: found pairs without a random source, or -1 of them", sampler)
		}
	}
	for _, sampler := range []datasets.Sampler{triplets, datasets.ListedTriplets(make([]datasets.Triplet, 3))} {
		if len(sampler.Sample(nil, 3).Triplets()) != 0 || len(sampler.Sample(r, -1).Triplets()) != 0 {
			t.Errorf("%T: found triplets without a random source, or -1 of them", sampler)
		}
	}

	size := imaging.Size{Height: 2, Width: 2, Channels: 1}
	if imaging.AffineAugmentations(make([]uint8, 3), size) != nil || imaging.SymmetryAugmentations(make([]uint8, 3), size) != nil ||
		imaging.SymmetryAugmentations(make([]uint8, 2), imaging.Size{Height: 1, Width: 2, Channels: 1}) != nil {
		t.Error("found views of pixels that are no image of the size")
	}
	src := []uint8{1, 2, 3, 4}
	for name, apply := range map[string]func(dst []uint8){
		"no chance":     func(dst []uint8) { datasets.Distortion{}.Apply(dst, src, size, 0, nil) },
		"a short image": func(dst []uint8) { datasets.Distortion{}.Apply(dst, src[:3], size, 0, r) },
		"not valid": func(dst []uint8) {
			datasets.Distortion{Elastic: datasets.Elastic{Displacement: 1, Probability: 1}}.Apply(dst, src, size, 0, r)
		},
	} {
		dst := make([]uint8, 4)
		if apply(dst); !slices.Equal(dst, make([]uint8, 4)) {
			t.Errorf("%s: found %v, expected it to stay as it is", name, dst)
		}
	}
}

func TestJoin(t *testing.T) {
	first, second := toy(1, 2), toy(1)
	second.Classes = []string{"z"}
	all, err := datasets.Join("both", first, second)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "z"}, all.Classes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{0, 1, 1, 2}, all.Labels); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{0, 1, 2, 0}, values(all)); diff != "" {
		t.Error(diff)
	}
}

func TestJoinRefuses(t *testing.T) {
	_, err := datasets.Join("both", toy(1), toy(1))
	expectError(t, "a class twice", err, nil, "both", `"a"`)
	larger := toy(1)
	larger.Classes, larger.Size, larger.Images = []string{"z"}, imaging.Size{Height: 1, Width: 2, Channels: 1}, [][]uint8{{1, 2}}
	_, err = datasets.Join("both", toy(1), larger)
	expectError(t, "two sizes", err, datasets.ErrSizes, "1x1x1", "1x2x1")
	_, err = datasets.Join("both", toy(1), &datasets.Dataset{Name: "nameless", Size: onePixel, Images: [][]uint8{{1}}})
	expectError(t, "no labels", err, datasets.ErrUnlabeled, "nameless")
}

// Halving averages each 2×2 square, channel by channel; the original stays.
func TestResize(t *testing.T) {
	gray := &datasets.Dataset{
		Size: imaging.Size{Height: 2, Width: 4, Channels: 1}, Classes: []string{"a"}, Labels: []int{0},
		Images: [][]uint8{{0, 100, 8, 8, 100, 200, 8, 8}}, Sources: []string{"a"},
	}
	small := gray.Resize(1, 2)
	if diff := cmp.Diff([][]uint8{{100, 8}}, small.Images); diff != "" || small.Size.String() != "1x2x1" {
		t.Errorf("gray %v (-want +got):\n%s", small.Size, diff)
	}
	if gray.Size.Height != 2 || len(gray.Images[0]) != 8 {
		t.Error("the original has changed")
	}
	color := &datasets.Dataset{
		Size: imaging.Size{Height: 1, Width: 2, Channels: 3}, Classes: []string{"a"}, Labels: []int{0},
		Images: [][]uint8{{0, 10, 20, 100, 30, 40}}, Sources: []string{"a"},
	}
	if diff := cmp.Diff([][]uint8{{50, 20, 30}}, color.Resize(1, 1).Images); diff != "" {
		t.Errorf("color (-want +got):\n%s", diff)
	}
}

// The image 1 2 over 3 4, in all ways.
func TestSymmetries(t *testing.T) {
	d := &datasets.Dataset{
		Name: "squares", Size: imaging.Size{Height: 2, Width: 2, Channels: 1},
		Classes: []string{"a", "b"}, Labels: []int{1}, Images: [][]uint8{{1, 2, 3, 4}},
		Sources: []string{"b.png"},
	}
	all, err := d.Symmetries()
	if err != nil {
		t.Fatal(err)
	}
	if err := all.Validate(); err != nil {
		t.Error(err)
	}
	want := [][]uint8{
		{1, 2, 3, 4}, {2, 4, 1, 3}, {4, 3, 2, 1}, {3, 1, 4, 2},
		{2, 1, 4, 3}, {1, 3, 2, 4}, {3, 4, 1, 2}, {4, 2, 3, 1},
	}
	if diff := cmp.Diff(want, all.Images); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1, 3, 5, 7, 9, 11, 13, 15}, all.Labels); diff != "" {
		t.Error(diff)
	}
	if got, want := all.Classes[11], "b mirrored, turned 90°"; got != want {
		t.Errorf("found class %q, expected %q", got, want)
	}
	if got, want := all.Sources[2], "b.png turned 180°"; got != want {
		t.Errorf("found source %q, expected %q", got, want)
	}
}

func TestSymmetriesRefuse(t *testing.T) {
	wide := &datasets.Dataset{Name: "wide", Size: imaging.Size{Height: 1, Width: 2, Channels: 1}, Labels: []int{}}
	_, err := wide.Symmetries()
	expectError(t, "wide images", err, nil, "wide", "1x2", "square")
	_, err = (&datasets.Dataset{Name: "nameless", Size: imaging.Size{Height: 2, Width: 2, Channels: 1}}).Symmetries()
	expectError(t, "no labels", err, datasets.ErrUnlabeled, "nameless")
}

// The symmetry of a class that has a group is the group's.
func TestSymmetriesOfGroups(t *testing.T) {
	d := &datasets.Dataset{
		Name: "squares", Size: imaging.Size{Height: 1, Width: 1, Channels: 1},
		Classes: []string{"Greek/alpha", "Greek/beta"}, Labels: []int{0, 1}, Images: [][]uint8{{1}, {2}},
	}
	all, err := d.Symmetries()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := all.Classes[3], "Greek turned 90°/beta"; got != want {
		t.Errorf("found class %q, expected %q", got, want)
	}
	if got := len(all.Groups()); got != 8 {
		t.Errorf("found %d groups, expected 8", got)
	}
}

// Images of derived datasets are found in the one that they come from, in memory and not, and
// images of others are not, however equal their pixels are.
func TestIndicesIn(t *testing.T) {
	memory := &datasets.Dataset{
		Name: "memory", Size: imaging.Size{Height: 1, Width: 1, Channels: 1}, Classes: []string{"a", "b"},
		Labels: []int{0, 1, 0, 1}, Images: [][]uint8{{1}, {1}, {2}, {3}},
	}
	lazy, err := datasets.NewDataset("lazy", memory)
	if err != nil {
		t.Fatal(err)
	}
	for _, whole := range []*datasets.Dataset{memory, lazy} {
		class, err := whole.OnlyClasses("b")
		if err != nil {
			t.Fatal(err)
		}
		if found, ok := class.IndicesIn(whole); !ok || !slices.Equal(found, []int{1, 3}) {
			t.Errorf("%s: found %v, %v, expected the images 1 and 3", whole.Name, found, ok)
		}
		if found, ok := whole.Subset([]int{3, 0}).IndicesIn(whole.Subset([]int{0, 2, 3})); !ok || !slices.Equal(found, []int{2, 0}) {
			t.Errorf("%s: found %v, %v, expected the images 2 and 0", whole.Name, found, ok)
		}
		if found, ok := whole.IndicesIn(class); ok || found != nil {
			t.Errorf("%s in a part: found %v, %v", whole.Name, found, ok)
		}
		if found, ok := whole.Subset(nil).IndicesIn(whole); !ok || len(found) != 0 {
			t.Errorf("%s: no images: found %v, %v", whole.Name, found, ok)
		}
	}
	if found, ok := lazy.IndicesIn(memory); ok {
		t.Errorf("images from elsewhere: found %v", found)
	}
}
