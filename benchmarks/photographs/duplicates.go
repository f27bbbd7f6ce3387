package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
	"golang.org/x/image/draw"
	"golang.org/x/image/math/f64"
)

// originals is the number of pictures that are copied.
const originals = 250

// copies are ways to copy a picture with a change.
var copies = []struct {
	name string
	make func(*image.RGBA) (image.Image, error)
}{
	{"JPEG of quality 25", func(img *image.RGBA) (image.Image, error) { return compressed(img, 25) }},
	{"half of the height and width", func(img *image.RGBA) (image.Image, error) {
		half := image.NewRGBA(image.Rect(0, 0, max(1, img.Rect.Dx()/2), max(1, img.Rect.Dy()/2)))
		draw.CatmullRom.Scale(half, half.Rect, img, img.Rect, draw.Src, nil)
		return half, nil
	}},
	{"cropped by 6 % on each side", func(img *image.RGBA) (image.Image, error) {
		return img.SubImage(img.Rect.Inset(int(0.06 * float64(min(img.Rect.Dx(), img.Rect.Dy()))))), nil
	}},
	{"brighter by 30 %", each(func(c color.RGBA) color.RGBA {
		lighter := func(v uint8) uint8 { return uint8(min(255, 1.3*float64(v))) }
		return color.RGBA{lighter(c.R), lighter(c.G), lighter(c.B), 255}
	})},
	{"rotated by 4°", func(img *image.RGBA) (image.Image, error) { return rotated(img, 4, color.Gray{Y: 128}), nil }},
	{"in gray", each(func(c color.RGBA) color.RGBA {
		gray := color.GrayModel.Convert(c).(color.Gray).Y
		return color.RGBA{gray, gray, gray, 255}
	})},
}

// each changes every pixel.
func each(f func(color.RGBA) color.RGBA) func(*image.RGBA) (image.Image, error) {
	return func(img *image.RGBA) (image.Image, error) {
		changed := image.NewRGBA(img.Rect)
		for y := range img.Rect.Dy() {
			for x := range img.Rect.Dx() {
				changed.SetRGBA(x, y, f(img.RGBAAt(x, y)))
			}
		}
		return changed, nil
	}
}

func compressed(img *image.RGBA, quality int) (image.Image, error) {
	var file bytes.Buffer
	if err := jpeg.Encode(&file, img, &jpeg.Options{Quality: quality}); err != nil {
		return nil, err
	}
	return jpeg.Decode(&file)
}

// rotated turns a picture around its middle.
func rotated(img *image.RGBA, degrees float64, background color.Color) image.Image {
	turned := image.NewRGBA(img.Rect)
	draw.Draw(turned, turned.Rect, image.NewUniform(background), image.Point{}, draw.Src)
	sine, cosine := math.Sincos(degrees * math.Pi / 180)
	x, y := float64(img.Rect.Dx())/2, float64(img.Rect.Dy())/2
	draw.BiLinear.Transform(turned, f64.Aff3{cosine, -sine, x - cosine*x + sine*y, sine, cosine, y - sine*x - cosine*y}, img, img.Rect, draw.Over, nil)
	return turned
}

// duplicates measures the distances of changed copies, and of different pictures, by the
// bundled model.
func duplicates(o options) error {
	start := time.Now()
	all, err := o.everyPicture()
	if err != nil {
		return err
	}
	model, err := zoo.Load(zoo.Photo)
	if err != nil {
		return err
	}
	distance, err := model.Head.Distance(model.Weights)
	if err != nil {
		return err
	}
	embedded := make([][][]float32, 1+len(copies)) // the originals, then each kind of copy
	count := min(originals, len(all))
	for i := range count {
		img, err := imaging.DecodeFile(all[i*len(all)/count])
		if err != nil {
			return err
		}
		original := image.NewRGBA(image.Rect(0, 0, img.Bounds().Dx(), img.Bounds().Dy()))
		draw.Draw(original, original.Rect, img, img.Bounds().Min, draw.Src)
		images := []image.Image{original}
		for _, c := range copies {
			changed, err := c.make(original)
			if err != nil {
				return errors.Wrap(err, c.name)
			}
			images = append(images, changed)
		}
		embeddings, err := model.Embed(images...)
		if err != nil {
			return err
		}
		for k, e := range embeddings {
			embedded[k] = append(embedded[k], e)
		}
	}
	var table strings.Builder
	fmt.Fprintf(&table, "| copy | median distance | 95th percentile | within %v |\n|---|---|---|---|\n", zoo.PhotoDuplicates)
	for k, c := range copies {
		distances := make([]float64, count)
		within := 0
		for i := range count {
			if distances[i] = distance.Between(embedded[0][i], embedded[1+k][i]); distances[i] <= zoo.PhotoDuplicates {
				within++
			}
		}
		slices.Sort(distances)
		fmt.Fprintf(&table, "| %s | %.3f | %.3f | %.1f %% |\n", c.name, distances[count/2], distances[count*95/100], 100*float64(within)/float64(count))
	}
	different, err := betweenDifferent(distance, embedded[0])
	if err != nil {
		return err
	}
	slices.Sort(different)
	closer, _ := slices.BinarySearch(different, math.Nextafter(zoo.PhotoDuplicates, 1))
	fmt.Fprintf(&table, "\nOf the %d pairs of different pictures %d lie within %v; the nearest pair is %.3f apart, and one in a thousand is nearer than %.3f.\n",
		len(different), closer, zoo.PhotoDuplicates, different[0], different[len(different)/1000])
	fmt.Print(table.String())
	return record.Record{
		Title:   "Distances of copies of photographs by the bundled model",
		Command: fmt.Sprintf("go run ./benchmarks/photographs duplicates -data %s", filepath.Base(o.data)),
		Took:    time.Since(start),
		Result:  fmt.Sprintf("%d pictures of Caltech-101, evenly spaced in the list of all classes without BACKGROUND_Google; cosine distance of each copy from its\noriginal.\n\n", count) + table.String(),
	}.WriteFile(filepath.Join(o.out, "photographs-duplicates.md"))
}

// betweenDifferent returns the distances of all pairs of rows.
func betweenDifferent(distance heads.Distance, rows [][]float32) ([]float64, error) {
	if len(rows) < 2 {
		return nil, errors.Errorf("found %d pictures, expected at least 2", len(rows))
	}
	var distances []float64
	for i, x := range rows {
		for _, y := range rows[:i] {
			distances = append(distances, distance.Between(x, y))
		}
	}
	return distances, nil
}
