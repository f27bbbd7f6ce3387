package datasets_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
)

// photo is a JPEG file of a picture with edges and colors, which depend on the seed.
func photo(t testing.TB, seed, width, height int) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.SetRGBA(x, y, color.RGBA{uint8(x * (seed + 3)), uint8(y*7 + seed*40), uint8((x ^ y) * seed), 255})
		}
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, img, nil); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// photos are class folders of photographs of several sizes, five in each of five classes.
func photos(t testing.TB) string {
	files := map[string][]byte{}
	for class := range 5 {
		for i := range 5 {
			files[fmt.Sprintf("%c/%d.jpg", 'a'+class, i)] = photo(t, 5*class+i, 20+3*i, 30-2*class)
		}
	}
	return folder(t, files)
}

var smallSquare = imaging.Size{Height: 12, Width: 12, Channels: 3}

// memories are a cache that keeps no image, one that keeps a few, and one that keeps all.
var memories = []int64{1, 2000, math.MaxInt64}

// inMemory is a dataset with its pixels in memory.
func inMemory(t testing.TB, d *datasets.Dataset) *datasets.Dataset {
	t.Helper()
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	read, err := d.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// Every operation on images of files gives what it gives in memory, whatever the cache
// keeps, and none but those that need pixels reads any.
func TestStreamIsAsInMemory(t *testing.T) {
	dir := photos(t)
	options := datasets.Options{Size: smallSquare, Invert: true}
	want, err := datasets.Open(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	must := func(d *datasets.Dataset, err error) *datasets.Dataset {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	operations := map[string]func(d *datasets.Dataset) []*datasets.Dataset{
		"all":    func(d *datasets.Dataset) []*datasets.Dataset { return []*datasets.Dataset{d} },
		"Subset": func(d *datasets.Dataset) []*datasets.Dataset { return []*datasets.Dataset{d.Subset([]int{7, 0, 7})} },
		"Limit":  func(d *datasets.Dataset) []*datasets.Dataset { return []*datasets.Dataset{d.Limit(13, 1)} },
		"OnlyClasses": func(d *datasets.Dataset) []*datasets.Dataset {
			return []*datasets.Dataset{must(d.OnlyClasses("d", "b"))}
		},
		"SplitSamples": func(d *datasets.Dataset) []*datasets.Dataset {
			kept, held, err := d.SplitSamples(0.3, 1)
			return []*datasets.Dataset{must(kept, err), held}
		},
		"SplitClasses": func(d *datasets.Dataset) []*datasets.Dataset {
			kept, held, err := d.SplitClasses(2, 1)
			return []*datasets.Dataset{must(kept, err), held}
		},
		"Symmetries": func(d *datasets.Dataset) []*datasets.Dataset { return []*datasets.Dataset{must(d.Symmetries())} },
		"Symmetries of Subset": func(d *datasets.Dataset) []*datasets.Dataset {
			return []*datasets.Dataset{must(d.Limit(5, 2).Symmetries())}
		},
		"Resize": func(d *datasets.Dataset) []*datasets.Dataset { return []*datasets.Dataset{d.Resize(5, 9)} },
		"Join": func(d *datasets.Dataset) []*datasets.Dataset {
			return []*datasets.Dataset{must(datasets.Join("joined", must(d.OnlyClasses("e")), must(d.OnlyClasses("a"))))}
		},
		"Experiment": func(d *datasets.Dataset) []*datasets.Dataset {
			e, err := datasets.Splits{Name: "photos", Train: d}.Experiment(datasets.ExperimentOptions{ValidationFraction: 0.3, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			return []*datasets.Dataset{e.Train, e.Validation, e.Seen, e.Unseen}
		},
	}
	for _, memory := range memories {
		options.Stream, options.Memory = true, memory
		splits, err := datasets.Open(dir, options)
		if err != nil {
			t.Fatal(err)
		}
		if splits.Train.Images != nil {
			t.Fatal("all images are in memory")
		}
		for name, operation := range operations {
			expected, found := operation(want.Train), operation(splits.Train)
			for i, d := range found {
				if d.From == nil {
					t.Errorf("%s: the images were read", name)
				}
				if diff := cmp.Diff(expected[i], inMemory(t, d)); diff != "" {
					t.Errorf("memory %d, %s, part %d (-in memory +read):\n%s", memory, name, i, diff)
				}
				if diff := cmp.Diff(expected[i].Preprocessing(), d.Preprocessing()); diff != "" {
					t.Errorf("memory %d, %s, part %d: moments (-in memory +read):\n%s", memory, name, i, diff)
				}
			}
		}
	}
}

// Listed pairs are read like folders of classes, and share the files.
func TestStreamOfPairs(t *testing.T) {
	dir := folder(t, map[string][]byte{
		"pairs.csv": []byte("a,b,different,split\n1.jpg,2.jpg,1,train\n2.jpg,3.jpg,0,train\n3.jpg,1.jpg,1,test\n"),
		"1.jpg":     photo(t, 1, 20, 20), "2.jpg": photo(t, 2, 20, 20), "3.jpg": photo(t, 3, 20, 20),
	})
	want, err := datasets.Open(filepath.Join(dir, "pairs.csv"), datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	found, err := datasets.Open(filepath.Join(dir, "pairs.csv"), datasets.Options{Stream: true, Memory: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i, list := range []*datasets.PairList{found.Pairs.Train, found.Pairs.Test} {
		expected := []*datasets.PairList{want.Pairs.Train, want.Pairs.Test}[i]
		if list.Dataset.From == nil {
			t.Error("the images are in memory")
		}
		if diff := cmp.Diff(expected, &datasets.PairList{Dataset: inMemory(t, list.Dataset), Pairs: list.Pairs}); diff != "" {
			t.Error(diff)
		}
	}
}

// A broken file is found before a training begins, or skipped.
func TestStreamOfBrokenFiles(t *testing.T) {
	dir := photos(t)
	broken := filepath.Join(dir, "b", "3.jpg")
	if err := os.WriteFile(broken, []byte("\xff\xd8\xff no image"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := datasets.Open(dir, datasets.Options{Size: smallSquare, Stream: true})
	expectError(t, "a broken file", err, datasets.ErrBroken, broken)
	splits, err := datasets.Open(dir, datasets.Options{Size: smallSquare, Stream: true, SkipBroken: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(splits.Skipped) != 1 || !strings.Contains(splits.Skipped[0], broken) {
		t.Errorf("skipped %q, expected %s", splits.Skipped, broken)
	}
	want, err := datasets.Open(dir, datasets.Options{Size: smallSquare, SkipBroken: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Train, inMemory(t, splits.Train)); diff != "" {
		t.Error(diff)
	}
	_, err = datasets.Open(dir, datasets.Options{Stream: true, Memory: -1})
	expectError(t, "negative memory", err, nil, "-1")
}

// filesOf returns files of the classes a and b, one image each, and their folder.
func filesOf(t testing.TB, p imaging.Preprocessing, memory int64) (*datasets.Files, string) {
	t.Helper()
	dir := folder(t, map[string][]byte{"a/1.jpg": photo(t, 1, 40, 20), "b/1.jpg": photo(t, 2, 40, 20)})
	references := []datasets.Reference{{Path: filepath.Join(dir, "a", "1.jpg")}, {Path: filepath.Join(dir, "b", "1.jpg"), Class: 1}}
	files, err := datasets.NewFiles(references, []string{"a", "b"}, p, memory)
	if err != nil {
		t.Fatal(err)
	}
	return files, dir
}

// A file whose content changes while it is in use is an error that names it; one that is
// written again with the same content is none.
func TestFilesThatChange(t *testing.T) {
	p := imaging.Preprocessing{Size: smallSquare}
	files, dir := filesOf(t, p, 1)
	path := filepath.Join(dir, "a", "1.jpg")
	pixels := make([]uint8, smallSquare.Len())
	if err := files.Read(0, pixels); err != nil {
		t.Fatal(err)
	}
	identity, before := files.Identity(), slices.Clone(pixels)
	if err := os.WriteFile(path, photo(t, 1, 40, 20), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := files.Read(0, pixels); err != nil || !slices.Equal(pixels, before) {
		t.Errorf("the same content: found error %v", err)
	}
	if err := os.WriteFile(path, photo(t, 9, 40, 20), 0o644); err != nil {
		t.Fatal(err)
	}
	expectError(t, "another content", files.Read(0, pixels), datasets.ErrChanged, path)
	d, err := datasets.NewDataset("d", files)
	if err != nil {
		t.Fatal(err)
	}
	expectError(t, "another content of a dataset", datasets.ReadAll(d, func(int, []uint8) error { return nil }), datasets.ErrChanged, path)
	// Another training begins with the new content.
	again, err := datasets.NewFiles([]datasets.Reference{{Path: path}, {Path: filepath.Join(dir, "b", "1.jpg"), Class: 1}}, []string{"a", "b"}, p, 0)
	if err != nil {
		t.Fatal(err)
	}
	if again.Identity() == identity {
		t.Error("the identity does not depend on the content of a file")
	}
}

// The identity of files depends on their content, classes and preprocessing, and neither on
// where they are nor on the cache. It is the same for a dataset that has not been read.
func TestIdentityOfFiles(t *testing.T) {
	p := imaging.Preprocessing{Size: smallSquare}
	files, dir := filesOf(t, p, 0)
	moved, _ := filesOf(t, p, 1)
	if files.Identity() != moved.Identity() || !strings.Contains(files.Identity(), "2 files of digest") {
		t.Errorf("found %s and, of moved files, %s", files.Identity(), moved.Identity())
	}
	inverted, _ := filesOf(t, imaging.Preprocessing{Size: smallSquare, Invert: true}, 0)
	if inverted.Identity() == files.Identity() {
		t.Error("the identity does not depend on the preprocessing")
	}
	references := []datasets.Reference{{Path: filepath.Join(dir, "a", "1.jpg"), Class: 1}, {Path: filepath.Join(dir, "b", "1.jpg"), Class: 1}}
	relabeled, err := datasets.NewFiles(references, []string{"a", "b"}, p, 0)
	if err != nil {
		t.Fatal(err)
	}
	if relabeled.Identity() == files.Identity() {
		t.Error("the identity does not depend on the classes")
	}
	d, err := datasets.NewDataset("d", files)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := datasets.Identity(d); err != nil || found != files.Identity() {
		t.Errorf("the identity of the dataset is %s, %v, expected %s", found, err, files.Identity())
	}
	all, err := datasets.Digests(d)
	if err != nil || len(all) != 2 || all[0] == all[1] {
		t.Errorf("found the digests %x, %v", all, err)
	}
	turned, err := d.Symmetries()
	if err != nil {
		t.Fatal(err)
	}
	eight, err := datasets.Digests(turned)
	if err != nil || len(eight) != 16 || eight[0] != all[0] || eight[2] == all[0] {
		t.Errorf("found the digests %x of symmetries, %v", eight, err)
	}
	if inMemory, err := d.InMemory(); err != nil {
		t.Error(err)
	} else if none, err := datasets.Digests(inMemory); none != nil || err != nil {
		t.Errorf("found the digests %x of images in memory, %v", none, err)
	} else if a, err := datasets.PixelIdentity(d); err != nil {
		t.Error(err)
	} else if b, err := datasets.Identity(inMemory); err != nil || a != b {
		t.Errorf("the pixels of files have the identity %s, those in memory %s, %v", a, b, err)
	}
	if err := os.Remove(filepath.Join(dir, "a", "1.jpg")); err != nil {
		t.Fatal(err)
	}
	if missing, err := datasets.NewFiles(references, []string{"a", "b"}, p, 0); err != nil {
		t.Error(err)
	} else if !strings.Contains(missing.Identity(), "no such file") {
		t.Errorf("the identity of a missing file is %s", missing.Identity())
	}
}

// An original has the proportions of the file and at most twice the side of the input along
// the shorter side, and is scaled from the file and not from the prepared image.
func TestReadOriginal(t *testing.T) {
	square := func(side int) imaging.Size { return imaging.Size{Height: side, Width: side, Channels: 3} }
	for _, test := range []struct{ side, height, width int }{{15, 20, 40}, {10, 20, 40}, {7, 14, 28}} {
		files, dir := filesOf(t, imaging.Preprocessing{Size: square(test.side)}, 0)
		img, err := imaging.DecodeFile(filepath.Join(dir, "b", "1.jpg"))
		if err != nil {
			t.Fatal(err)
		}
		want := imaging.Size{Height: test.height, Width: test.width, Channels: 3}
		pixels, size, err := files.ReadOriginal(1)
		if err != nil || size != want {
			t.Errorf("side %d: found %v, %v, expected %v", test.side, size, err, want)
		}
		if !slices.Equal(pixels, imaging.Preprocessing{Size: want}.Pixels(img)) {
			t.Errorf("side %d: other pixels than those of the file at this size", test.side)
		}
	}
	// An image is prepared from a JPEG file that is decoded at a reduced size, if the
	// preprocessing says so, and an original is not.
	p := imaging.Preprocessing{Size: square(10), ScaledJPEG: true}
	files, dir := filesOf(t, p, 0)
	stretched, _ := filesOf(t, imaging.Preprocessing{Size: p.Size}, 0)
	if a, b := files.Identity(), stretched.Identity(); a == b {
		t.Error("the identity does not depend on scaled decoding")
	}
	centered, _ := filesOf(t, imaging.Preprocessing{Size: p.Size, ShorterSide: 12}, 0)
	path := filepath.Join(dir, "b", "1.jpg")
	scaled, err := p.DecodeFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if small := make([]uint8, p.Size.Len()); files.Read(1, small) != nil || !slices.Equal(small, p.Pixels(scaled)) {
		t.Error("scaled decoding: other pixels than those of Preprocessing.DecodeFile")
	}
	whole, err := imaging.DecodeFile(path)
	if err != nil {
		t.Fatal(err)
	}
	straight, own, err := files.ReadOriginal(1)
	if err != nil || own.Height != 20 || !slices.Equal(straight, imaging.Preprocessing{Size: own}.Pixels(whole)) {
		t.Errorf("scaled decoding: found an original of %v, %v, expected the whole file", own, err)
	}
	if found, size, err := centered.ReadOriginal(1); err != nil || size != own || !slices.Equal(found, straight) {
		t.Errorf("with a shorter side: found an original of %v, %v, expected the whole file", size, err)
	}

	d, err := datasets.NewDataset("d", files)
	if err != nil {
		t.Fatal(err)
	}
	turned, err := d.Symmetries()
	if err != nil {
		t.Fatal(err)
	}
	// Image 3 is image 1 turned by 90°.
	pixels, size, err := turned.ReadOriginal(3)
	if want := (imaging.Size{Height: 40, Width: 20, Channels: 3}); err != nil || size != want || !slices.Equal(pixels, imaging.Turn(straight, own, 1, false)) {
		t.Errorf("a symmetry has the size %v, %v, expected %v and the pixels of a turned image", size, err, want)
	}
	read := inMemory(t, d)
	if pixels, size, err := read.ReadOriginal(1); err != nil || size != p.Size || !slices.Equal(pixels, read.Images[1]) {
		t.Errorf("in memory: found %v, %v, expected the image", size, err)
	}
	cropped, _ := filesOf(t, imaging.Preprocessing{Size: square(9), Crop: &imaging.Crop{Margin: 1}}, 0)
	if _, size, err := cropped.ReadOriginal(0); err != nil || size != square(18) {
		t.Errorf("cropped: found %v, %v, expected the square of 18 x 18", size, err)
	}
	_, _, err = files.ReadOriginal(2)
	expectError(t, "image 2", err, nil, "index 2")
}

// A random resized crop begins with the original of a file, whatever the cache keeps.
func TestRandomCropsOfFiles(t *testing.T) {
	augmentation := &datasets.Augmentation{Photo: datasets.Photo{Crop: datasets.RandomResizedCrop{ScaleMin: 0.3, ScaleMax: 0.5}, HorizontalFlip: 0.5}}
	p := imaging.Preprocessing{Size: smallSquare}
	fill := func(images datasets.Images) []float32 {
		t.Helper()
		batch := make([]float32, 6*smallSquare.Len())
		if err := datasets.Fill(batch, images, []int{0, 1, 0, 1, 1, 0}, p, augmentation, 1, 2, "images"); err != nil {
			t.Fatal(err)
		}
		return batch
	}
	var first []float32
	for _, memory := range memories {
		files, _ := filesOf(t, p, memory)
		d, err := datasets.NewDataset("d", files)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // from the files, and from the cache
			found := fill(d)
			if first == nil {
				first = found
			}
			if !slices.Equal(found, first) {
				t.Errorf("memory %d: other pixels", memory)
			}
		}
		if slices.Equal(fill(inMemory(t, d)), first) {
			t.Error("the crops are those of the small images in memory")
		}
	}
}

func TestNewFilesRefuses(t *testing.T) {
	p, one := imaging.Preprocessing{Size: smallSquare}, []datasets.Reference{{Path: "a.jpg"}}
	_, err := datasets.NewFiles(one, []string{"a"}, imaging.Preprocessing{}, 0)
	expectError(t, "no size", err, nil, "size")
	_, err = datasets.NewFiles(one, []string{"a"}, p, -1)
	expectError(t, "negative memory", err, nil, "-1")
	_, err = datasets.NewFiles(nil, []string{"a"}, p, 0)
	expectError(t, "no references", err, datasets.ErrTooFew)
	_, err = datasets.NewFiles(one, nil, p, 0)
	expectError(t, "no class", err, nil, "a.jpg has label 0")
	files, err := datasets.NewFiles(append(one, datasets.Reference{Path: "b.jpg", Class: -1}), []string{"a"}, p, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = datasets.NewDataset("mixed", files)
	expectError(t, "classes of some", err, datasets.ErrUnlabeled, "a.jpg", "b.jpg")
	expectError(t, "too little room", files.Read(0, make([]uint8, 3)), nil, "room for 3")
	expectError(t, "a missing file", files.Read(0, make([]uint8, smallSquare.Len())), nil, "a.jpg")
	unlabeled, err := datasets.NewFiles([]datasets.Reference{{Path: "b.jpg", Class: -1}}, nil, p, 0)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := datasets.NewDataset("none", unlabeled); err != nil || d.Labels != nil || d.Source(0) != "b.jpg" {
		t.Errorf("found %+v, %v", d, err)
	}
}

func TestDatasetOfOtherImagesIsValidated(t *testing.T) {
	files, _ := filesOf(t, imaging.Preprocessing{Size: smallSquare}, 0)
	for want, change := range map[string]func(d *datasets.Dataset){
		"both Images and From":        func(d *datasets.Dataset) { d.Images = [][]uint8{{}} },
		"images of size 12x12x3":      func(d *datasets.Dataset) { d.Size.Height = 3 },
		"image 1 is image 2 of From":  func(d *datasets.Dataset) { d.Indices = []int{0, 2} },
		"found 2 Labels for 1 images": func(d *datasets.Dataset) { d.Indices = []int{0} },
	} {
		d, err := datasets.NewDataset("d", files)
		if err != nil {
			t.Fatal(err)
		}
		change(d)
		expectError(t, want, d.Validate(), nil, want)
	}
}

// Goroutines that read the same images through a small cache at once find the same pixels.
func TestFilesAreReadAtOnce(t *testing.T) {
	dir := photos(t)
	want, err := datasets.Open(dir, datasets.Options{Size: smallSquare})
	if err != nil {
		t.Fatal(err)
	}
	splits, err := datasets.Open(dir, datasets.Options{Size: smallSquare, Stream: true, Memory: 2000})
	if err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	for reader := range 4 {
		readers.Go(func() {
			err := parallel.Each(context.Background(), 0, 200, func(i int) error {
				i = i * (reader + 1) % want.Train.Len()
				pixels, err := splits.Train.Pixels(i)
				if err == nil && !slices.Equal(pixels, want.Train.Images[i]) {
					err = fmt.Errorf("image %d has other pixels", i)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	readers.Wait()
}
