package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"math/bits"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// variants are ways to change a picture: the five of the benchmark of imagededup
// (https://idealo.github.io/imagededup/user_guide/benchmarks/), then four more.
var variants = []struct {
	name string
	make func(*image.RGBA, *rand.Rand) (image.Image, error)
}{
	{"cropped at random to 7/8 of the height and width", func(img *image.RGBA, r *rand.Rand) (image.Image, error) {
		size := image.Pt(max(1, img.Rect.Dx()*7/8), max(1, img.Rect.Dy()*7/8))
		at := image.Pt(r.IntN(img.Rect.Dx()-size.X+1), r.IntN(img.Rect.Dy()-size.Y+1))
		return img.SubImage(image.Rectangle{Min: at, Max: at.Add(size)}), nil
	}},
	{"mirrored left to right", func(img *image.RGBA, _ *rand.Rand) (image.Image, error) {
		return moved(img, func(x, y int) (int, int) { return img.Rect.Dx() - 1 - x, y }), nil
	}},
	{"mirrored top to bottom", func(img *image.RGBA, _ *rand.Rand) (image.Image, error) {
		return moved(img, func(x, y int) (int, int) { return x, img.Rect.Dy() - 1 - y }), nil
	}},
	{"rotated by 25°, on black", func(img *image.RGBA, _ *rand.Rand) (image.Image, error) { return rotated(img, 25, color.Black), nil }},
	{"stretched to a square", func(img *image.RGBA, _ *rand.Rand) (image.Image, error) {
		side := min(img.Rect.Dx(), img.Rect.Dy())
		square := image.NewRGBA(image.Rect(0, 0, side, side))
		draw.BiLinear.Scale(square, square.Rect, img, img.Rect, draw.Src, nil)
		return square, nil
	}},
	{"cropped to the middle 70 % of the height and width", func(img *image.RGBA, _ *rand.Rand) (image.Image, error) {
		return img.SubImage(image.Rect(img.Rect.Dx()*15/100, img.Rect.Dy()*15/100, img.Rect.Dx()*85/100+1, img.Rect.Dy()*85/100+1)), nil
	}},
	{"JPEG of quality 20", func(img *image.RGBA, _ *rand.Rand) (image.Image, error) { return compressed(img, 20) }},
	{"with a caption over the lowest sixth", func(img *image.RGBA, _ *rand.Rand) (image.Image, error) {
		captioned := moved(img, func(x, y int) (int, int) { return x, y })
		band := captioned.Rect
		band.Min.Y = band.Max.Y * 5 / 6
		draw.Draw(captioned, band, image.Black, image.Point{}, draw.Src)
		text := font.Drawer{Dst: captioned, Src: image.White, Face: basicfont.Face7x13, Dot: fixed.P(6, band.Min.Y+13)}
		text.DrawString("the best picture of the day")
		return captioned, nil
	}},
	{"turned by 90°", func(img *image.RGBA, _ *rand.Rand) (image.Image, error) {
		turned := image.NewRGBA(image.Rect(0, 0, img.Rect.Dy(), img.Rect.Dx()))
		for y := range img.Rect.Dy() {
			for x := range img.Rect.Dx() {
				turned.SetRGBA(y, img.Rect.Dx()-1-x, img.RGBAAt(x, y))
			}
		}
		return turned, nil
	}},
}

// moved returns a copy in which each pixel is that at the place of from.
func moved(img *image.RGBA, from func(x, y int) (int, int)) *image.RGBA {
	copied := image.NewRGBA(img.Rect)
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			copied.SetRGBA(x, y, img.RGBAAt(from(x, y)))
		}
	}
	return copied
}

// peers is the answer of the peer: for each file its perceptual hash in hexadecimal digits,
// and the features of a network in cnn.npy.
type peers struct {
	Hashes []string `json:"hashes"`
	Tools  []string `json:"tools"`
}

// findVariants compares ways of finding the variants of pictures.
func findVariants(o options) error {
	start := time.Now()
	folder, err := os.MkdirTemp("", "variants")
	if err != nil {
		return errors.WithStack(err)
	}
	defer os.RemoveAll(folder)
	files, err := o.writeVariants(folder)
	if err != nil {
		return err
	}
	model, err := zoo.Load(zoo.Photo)
	if err != nil {
		return err
	}
	own, _, plain, err := nearDuplicates(model, files, retrieval.Options{})
	if err != nil {
		return err
	}
	_, flipped, turned, err := nearDuplicates(model, files, retrieval.Options{Flips: true})
	if err != nil {
		return err
	}
	found, err := o.askPeers(folder)
	if err != nil {
		return err
	}
	if len(found.Hashes) != len(files) {
		return errors.Errorf("found %d hashes, expected %d", len(found.Hashes), len(files))
	}
	features, err := os.Open(filepath.Join(folder, "cnn.npy"))
	if err != nil {
		return errors.WithStack(err)
	}
	defer features.Close()
	theirs, err := evaluate.ReadNpy(features)
	if err != nil {
		return errors.Wrap(err, "cnn.npy")
	}
	methods := []method{
		{"likeness, bundled model photo", func(i, j int) float64 { return cosineDistance(own.Embeddings, i, j) }},
		{"likeness --flips, bundled model photo", func(i, j int) float64 { return listed(flipped, i, j) }},
		{"imagededup CNN, with the same weights", func(i, j int) float64 { return cosineDistance(theirs, i, j) }},
		{"imagededup phash", func(i, j int) float64 { return hamming(found.Hashes[i], found.Hashes[j]) }},
	}
	var table, each strings.Builder
	table.WriteString("| method | threshold | precision | recall | F1 |\n|---|---|---|---|---|\n")
	each.WriteString("| method | " + variants[0].name)
	for _, v := range variants[1:] {
		each.WriteString(" | " + v.name)
	}
	each.WriteString(" |\n|---|" + strings.Repeat("---|", len(variants)) + "\n")
	for k, m := range methods {
		c := count(m, len(files)/(1+len(variants)))
		best := c.best()
		table.WriteString(c.row(m.name+", best threshold", best))
		each.WriteString(c.recalls(m.name+", best threshold", best))
		if k < 2 {
			if best >= farthest {
				return errors.Errorf("%s: the best threshold is not below %v, above which pairs are not listed", m.name, farthest)
			}
			table.WriteString(c.row(m.name+", default threshold", zoo.PhotoDuplicates))
			each.WriteString(c.recalls(m.name+", default threshold", zoo.PhotoDuplicates))
		}
	}
	result := fmt.Sprintf("Pairs of an original and one of its variants, among all pairs of an original with another file: %d pictures of Caltech-101, evenly\nspaced in the list of all classes without BACKGROUND_Google, each with %d variants, as JPEG files of quality 95. The best threshold is\nthat of the largest F1. The weights of imagededup's own network were not available: its CNN method has the network and the weights\nof the bundled model here, with Pillow's reading and resizing.\n\n%s\nRecall by variant:\n\n%s\nReading, embedding and comparing the %d files takes likeness %.0f s of processor time, and %.0f s with `--flips`, which embeds eight\nsymmetries of each.\n",
		len(files)/(1+len(variants)), len(variants), table.String(), each.String(), len(files), plain.Seconds(), turned.Seconds())
	fmt.Print(result)
	return record.Record{
		Title:   "Finding variants of photographs",
		Command: fmt.Sprintf("%s -count %d", o.command(), o.count),
		Tools:   found.Tools,
		Took:    time.Since(start),
		Result:  result,
	}.WriteFile(filepath.Join(o.out, "photographs-variants.md"))
}

// farthest is the distance up to which the pairs of a search with flips are listed.
const farthest = 0.3

// nearDuplicates does what the command near-duplicates does. It returns the embeddings, the
// distances of pairs and the processor time, which other programs change less than the time that
// passes.
func nearDuplicates(model *likeness.Model, files []string, o retrieval.Options) (*retrieval.Collection, map[[2]int]float64, time.Duration, error) {
	start := processorTime()
	collection, err := retrieval.Embed(context.Background(), model, files, o)
	if err != nil {
		return nil, nil, 0, err
	}
	pairs, err := collection.Near(context.Background(), farthest, nil)
	if err != nil {
		return nil, nil, 0, err
	}
	took := processorTime() - start
	fmt.Fprintf(os.Stderr, "near duplicates of %d files, flips %v: %.0f s of processor time\n", len(files), o.Flips, took.Seconds())
	distances := make(map[[2]int]float64, len(pairs))
	for _, p := range pairs {
		distances[[2]int{p.A, p.B}] = p.Distance
	}
	return collection, distances, took, nil
}

// listed is the distance of two files in a list of pairs, infinite for others.
func listed(pairs map[[2]int]float64, i, j int) float64 {
	if d, found := pairs[[2]int{min(i, j), max(i, j)}]; found {
		return d
	}
	return math.Inf(1)
}

// writeVariants writes the originals and their variants: 0000-0.jpg is an original, and
// 0000-1.jpg its first variant.
func (o options) writeVariants(folder string) ([]string, error) {
	all, err := o.everyPicture()
	if err != nil {
		return nil, err
	}
	pictures := min(o.count, len(all))
	files := make([]string, 0, pictures*(1+len(variants)))
	for i := range pictures {
		for k := range 1 + len(variants) {
			files = append(files, filepath.Join(folder, fmt.Sprintf("%05d-%d.jpg", i, k)))
		}
	}
	err = parallel.Each(context.Background(), 0, pictures, func(i int) error {
		img, err := imaging.DecodeFile(all[i*len(all)/pictures])
		if err != nil {
			return err
		}
		original := image.NewRGBA(image.Rect(0, 0, img.Bounds().Dx(), img.Bounds().Dy()))
		draw.Draw(original, original.Rect, img, img.Bounds().Min, draw.Src)
		r := random.New(1, "variants", strconv.Itoa(i))
		images := []image.Image{original}
		for _, v := range variants {
			changed, err := v.make(original, r)
			if err != nil {
				return errors.Wrap(err, v.name)
			}
			images = append(images, changed)
		}
		for k, img := range images {
			var file bytes.Buffer
			if err := jpeg.Encode(&file, img, &jpeg.Options{Quality: 95}); err != nil {
				return errors.WithStack(err)
			}
			if err := os.WriteFile(files[i*len(images)+k], file.Bytes(), 0o666); err != nil {
				return errors.WithStack(err)
			}
		}
		return nil
	})
	return files, err
}

// askPeers runs imagededup on the files.
func (o options) askPeers(folder string) (p peers, err error) {
	command := exec.Command(o.python, "-B", filepath.Join(filepath.Dir(o.script), "reference_variants.py"), o.weights, folder)
	command.Stderr = os.Stderr
	text, err := command.Output()
	if err != nil {
		return p, errors.Wrap(err, "run the peer")
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return p, errors.Wrap(json.Unmarshal([]byte(lines[len(lines)-1]), &p), "answer of the peer")
}

// method is a distance between two files.
type method struct {
	name     string
	distance func(i, j int) float64
}

// cosineDistance is 1 − cos of two rows.
func cosineDistance(e evaluate.Embeddings, i, j int) float64 {
	var product, x2, y2 float64
	x, y := e.Data[i*e.Columns:][:e.Columns], e.Data[j*e.Columns:][:e.Columns]
	for k := range x {
		a, b := float64(x[k]), float64(y[k])
		product, x2, y2 = product+a*b, x2+a*a, y2+b*b
	}
	return 1 - product/math.Sqrt(x2*y2)
}

// hamming is the number of different bits of two hashes in hexadecimal digits.
func hamming(a, b string) float64 {
	x, err := strconv.ParseUint(a, 16, 64)
	y, other := strconv.ParseUint(b, 16, 64)
	if err != nil || other != nil {
		return math.Inf(1)
	}
	return float64(bits.OnesCount64(x ^ y))
}

// counts are numbers of pairs by distance.
type counts struct {
	width     float64 // of a bin
	different []int
	same      [][]int // by variant
}

// count counts the pairs of each original with every other file.
func count(m method, pictures int) counts {
	const bins = 5001
	c := counts{width: 0.0004, // of which the default threshold is a multiple
		different: make([]int, bins), same: make([][]int, len(variants))}
	if strings.Contains(m.name, "phash") {
		c.width = 1
	}
	for v := range c.same {
		c.same[v] = make([]int, bins)
	}
	each := 1 + len(variants)
	rows := make([][]int, pictures)
	parallel.For(pictures, func(i int) {
		rows[i] = make([]int, pictures*each)
		for j := range rows[i] {
			rows[i][j] = int(min(max(math.Ceil(m.distance(i*each, j)/c.width-1e-6), 0), bins-1))
		}
	})
	for i, row := range rows {
		for j, bin := range row {
			switch {
			case j/each != i && (j%each != 0 || j > i*each): // two originals are one pair
				c.different[bin]++
			case j/each == i && j%each != 0:
				c.same[j%each-1][bin]++
			}
		}
	}
	return c
}

// within sums the bins up to a threshold.
func (c counts) within(bins []int, threshold float64) (sum int) {
	for i, n := range bins {
		if float64(i)*c.width <= threshold+1e-9 {
			sum += n
		}
	}
	return sum
}

func (c counts) recall(variant int, threshold float64) float64 {
	return float64(c.within(c.same[variant], threshold)) / float64(c.within(c.same[variant], math.Inf(1)))
}

// measures are the precision, the recall and their harmonic mean.
func (c counts) measures(threshold float64) (precision, recall, f1 float64) {
	var found, all int
	for _, same := range c.same {
		found, all = found+c.within(same, threshold), all+c.within(same, math.Inf(1))
	}
	precision, recall = float64(found)/float64(max(1, found+c.within(c.different, threshold))), float64(found)/float64(all)
	return precision, recall, 2 * precision * recall / max(precision+recall, 1e-9)
}

// best is the threshold of the largest F1.
func (c counts) best() (threshold float64) {
	largest := -1.0
	for i := range c.different {
		if _, _, f1 := c.measures(float64(i) * c.width); f1 > largest {
			threshold, largest = float64(i)*c.width, f1
		}
	}
	return threshold
}

// recalls is a row of the table of recalls by variant.
func (c counts) recalls(name string, threshold float64) string {
	row := "| " + name
	for v := range variants {
		row += fmt.Sprintf(" | %.1f %%", 100*c.recall(v, threshold))
	}
	return row + " |\n"
}

func (c counts) row(name string, threshold float64) string {
	precision, recall, f1 := c.measures(threshold)
	return fmt.Sprintf("| %s | %.4g | %.4f | %.4f | %.4f |\n", name, threshold, precision, recall, f1)
}
