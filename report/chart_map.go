package report

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/color"
	"image/png"
	"math"
	"slices"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/plot"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/tsne"
	"github.com/pkg/errors"
	xdraw "golang.org/x/image/draw"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// mappable reports whether there are enough images for a map.
func mappable(s *MapEvidence) bool { return s != nil && s.Images.Len() >= tsne.MinPoints }

// principalMap plots the images by their first two principal components.
func principalMap(s *MapEvidence, seed uint64) (chart, error) {
	c := chart{name: "map-pca", title: fmt.Sprintf("Map of %d images by the first two principal components of their embeddings", s.Images.Len())}
	positions, shares, err := principal(s.Embeddings)
	if err != nil {
		return c, err
	}
	p := &plot.Chart{
		Title: "Principal components (PCA)",
		X:     fmt.Sprintf("first component, %.0f %% of the variance", 100*shares[0]),
		Y:     fmt.Sprintf("second component, %.0f %%", 100*shares[1]),
	}
	colors, entries := classColors(s.Images)
	width := drawMap(&c, p, positions, s, colors, entries, seed)
	p.X += ", width " + distance(width) // because the map of a collapsed embedding is scaled to the frame, too
	return c, nil
}

// tsneMaps plot the images at their t-SNE coordinates: in the colors of their classes and, with
// labels, in those of the purity of their clusters.
func tsneMaps(s *MapEvidence, seed uint64) ([]chart, error) {
	positions, err := tsnePositions(s, seed)
	if err != nil {
		return nil, errors.Wrap(err, "map-tsne")
	}
	// The axes have no meaning, but with a label below all maps have the same size.
	draw := func(name, title, heading string, colors []color.RGBA, entries []plot.Entry) chart {
		c := chart{name: name, title: fmt.Sprintf(title, s.Images.Len())}
		drawMap(&c, &plot.Chart{Title: heading, X: "neither axis has a unit", Y: " "}, positions, s, colors, entries, seed)
		return c
	}
	colors, entries := classColors(s.Images)
	charts := []chart{draw("map-tsne", "Map of %d images by t-SNE of their distances", "Neighborhoods (t-SNE)", colors, entries)}
	if s.Clustering != nil {
		colors, entries = purityColors(s)
		charts = append(charts, draw("map-clusters", "Map of %d images by t-SNE of their distances, with the purity of their clusters", "Purity of clusters (k-means)", colors, entries))
	}
	return charts, nil
}

// purityLevels are the ranges of the purity of a cluster, from their lower bounds on, with colors
// that differ for color-blind readers, too (ColorBrewer's RdBu).
var purityLevels = []struct {
	from  float64
	name  string
	color color.RGBA
}{
	{1, "purity 100 %", color.RGBA{33, 102, 172, 255}},
	{0.8, "80 to 100 %", color.RGBA{103, 169, 207, 255}},
	{0.6, "60 to 80 %", color.RGBA{150, 150, 150, 255}},
	{0.4, "40 to 60 %", color.RGBA{239, 138, 98, 255}},
	{0, "below 40 %", color.RGBA{178, 24, 43, 255}},
}

// purityColors returns for each image the color of the purity of its cluster, the proportion of the
// most frequent class, and the legend.
func purityColors(s *MapEvidence) (colors []color.RGBA, legend []plot.Entry) {
	sizes, pure := make([]float64, s.Clustering.Clusters), make([]float64, s.Clustering.Clusters)
	for i, cluster := range s.Clustering.Assignments {
		sizes[cluster]++
		pure[cluster] += s.Clustering.Purity.Trials[i]
	}
	used := make([]bool, len(purityLevels))
	colors = make([]color.RGBA, len(s.Clustering.Assignments))
	for i, cluster := range s.Clustering.Assignments {
		level := 0
		for pure[cluster] < purityLevels[level].from*sizes[cluster] {
			level++
		}
		colors[i], used[level] = purityLevels[level].color, true
	}
	for i, level := range purityLevels {
		if used[i] {
			legend = append(legend, plot.Entry{Name: level.name, Fill: level.color, Opacity: 1})
		}
	}
	return colors, legend
}

// drawMap sets the chart to the plot with the images at their positions and in their colors, with the
// same scale on both axes, and returns the width of the region that they cover.
func drawMap(c *chart, p *plot.Chart, positions [][2]float64, s *MapEvidence, colors []color.RGBA, entries []plot.Entry, seed uint64) (width float64) {
	m := &imageMap{positions: positions, tiles: tiles(s.Images, colors), order: random.New(seed, "map").Perm(len(positions))}
	// Many images should cover about half of the map, and few should not be huge.
	m.side = min(30, max(13, 0.75*chartWidth/math.Sqrt(float64(len(positions)))))
	low, high := [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{math.Inf(-1), math.Inf(-1)}
	for _, position := range positions {
		for axis, at := range position {
			low[axis], high[axis] = min(low[axis], at), max(high[axis], at)
		}
	}
	width = max(high[0]-low[0], high[1]-low[1])
	radius := width / 2
	if radius == 0 {
		radius = 1 // all at the same position
	}
	radius *= 1 + m.side/(chartWidth-2*m.side) // so that no image crosses the frame
	p.Add(m)
	p.Low = plot.Point{X: (low[0]+high[0])/2 - radius, Y: (low[1]+high[1])/2 - radius}
	p.High = plot.Point{X: (low[0]+high[0])/2 + radius, Y: (low[1]+high[1])/2 + radius}
	below := plot.Legend{Columns: 2, Entries: entries}
	left, around := p.Frame()
	const margin = 2.
	c.height = chartWidth - left + around + below.Height() // so that the plane is a square
	c.draw = func(canvas plot.Canvas, b plot.Box) {
		p.Draw(canvas, below.Below(canvas, b).Inset(margin, margin, margin, margin))
	}
	return width
}

// imageMap plots images at their positions within a frame.
type imageMap struct {
	positions [][2]float64
	tiles     []image.Image
	order     []int   // order of drawing, random so that no class covers the others
	side      float64 // longer side of a tile, in points
}

// Points implements plot.Series: the ranges of the axes are set.
func (m *imageMap) Points() []plot.Point { return nil }

// Draw implements plot.Series.
func (m *imageMap) Draw(c plot.Canvas, b plot.Box, at func(plot.Point) plot.Point) {
	c.Line([]plot.Point{{X: b.Left, Y: b.Top}, {X: b.Right, Y: b.Top}, {X: b.Right, Y: b.Bottom}, {X: b.Left, Y: b.Bottom}, {X: b.Left, Y: b.Top}},
		plot.Stroke{Color: color.RGBA{190, 190, 190, 255}, Width: 1})
	for _, i := range m.order {
		size := m.tiles[i].Bounds().Size()
		longer := float64(max(size.X, size.Y))
		width, height := m.side*float64(size.X)/longer/2, m.side*float64(size.Y)/longer/2
		middle := at(plot.Point{X: m.positions[i][0], Y: m.positions[i][1]})
		c.Image(plot.Box{Left: middle.X - width, Top: middle.Y - height, Right: middle.X + width, Bottom: middle.Y + height}, m.tiles[i])
	}
}

// principal returns each embedding's scores on the first two principal components
// and these components' shares of the variance. The second score is 0 for
// embeddings of one feature, and shares are 0 if all embeddings are equal.
func principal(embeddings evaluate.Embeddings) (positions [][2]float64, shares [2]float64, err error) {
	rows, columns := embeddings.Rows, embeddings.Columns
	centered := mat.NewDense(rows, columns, nil)
	for column := range columns {
		var mean float64
		for row := range rows {
			mean += float64(embeddings.Row(row)[column]) / float64(rows)
		}
		for row := range rows {
			centered.Set(row, column, float64(embeddings.Row(row)[column])-mean)
		}
	}
	if sum := mat.Sum(centered); math.IsNaN(sum) || math.IsInf(sum, 0) {
		return nil, shares, errors.New("principal components: found an embedding with NaN or infinite values, expected finite ones")
	}
	var components stat.PC
	if !components.PrincipalComponents(centered, nil) {
		return nil, shares, errors.New("principal components: the decomposition did not converge")
	}
	variances := components.VarsTo(nil)
	var directions, scores mat.Dense
	components.VectorsTo(&directions)
	first := directions.Slice(0, columns, 0, min(2, len(variances)))
	scores.Mul(centered, first)
	var total float64
	for _, v := range variances {
		total += v
	}
	positions = make([][2]float64, rows)
	for k := range min(2, len(variances)) {
		for row := range positions {
			positions[row][k] = scores.At(row, k)
		}
		if total > 0 {
			shares[k] = variances[k] / total
		}
	}
	return positions, shares, nil
}

// tsnePositions returns each image's t-SNE coordinates, by the model's own distances.
func tsnePositions(s *MapEvidence, seed uint64) ([][2]float64, error) {
	n := s.Images.Len()
	return tsne.Map(n, squares(s.Distances, n), tsne.Options{Seed: seed})
}

// squares returns the squared distances, made symmetric by the mean of both
// directions, which rounding may make different. Signed distances, such as those of
// the weighted L1 head, may be negative: the smallest is then subtracted from all,
// which keeps their order.
func squares(distances []float64, n int) []float64 {
	squared, lowest := make([]float64, n*n), 0.0
	for i := range n {
		for j := range i {
			lowest = min(lowest, (distances[i*n+j]+distances[j*n+i])/2)
		}
	}
	for i := range n {
		for j := range i {
			d := (distances[i*n+j]+distances[j*n+i])/2 - lowest
			squared[i*n+j], squared[j*n+i] = d*d, d*d
		}
	}
	return squared
}

// The maximum side of images in the page; larger ones are scaled down.
const (
	largestPicture = 128
	largestTile    = 28 // on a map
	frame          = 2  // around a tile
)

// shrink scales an image down so that its longer side has at most the given length.
func shrink(img image.Image, maxSide int) image.Image {
	width, height := img.Bounds().Dx(), img.Bounds().Dy()
	longer := max(width, height)
	if longer <= maxSide {
		return img
	}
	bounds := image.Rect(0, 0, max(1, width*maxSide/longer), max(1, height*maxSide/longer))
	var small xdraw.Image = image.NewNRGBA(bounds)
	if _, gray := img.(*image.Gray); gray {
		small = image.NewGray(bounds)
	}
	xdraw.BiLinear.Scale(small, bounds, img, img.Bounds(), xdraw.Src, nil)
	return small
}

// inline returns the image as a data URL of a PNG file; empty for an image without
// pixels, which PNG does not allow.
func inline(img image.Image) template.URL {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return ""
	}
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()))
}

// tiles returns the images as a map shows them. Line drawings are shown as strokes
// in the color of their class on a transparent background, so that they may
// overlap; other images have a frame of that color.
func tiles(d *datasets.Dataset, colors []color.RGBA) []image.Image {
	ink := inkOf(d)
	result := make([]image.Image, d.Len())
	for i, pixels := range d.Images {
		img := d.Size.Image(pixels)
		if ink == nil {
			result[i] = framed(shrink(img, largestTile-2*frame), colors[i])
		} else {
			result[i] = inked(shrink(img, largestTile).(*image.Gray), ink, colors[i])
		}
	}
	return result
}

// inkOf returns the function from a gray value to the opacity of the stroke, 0 to
// 255, or nil if the images are no line drawings. Those are grayscale images of
// which at least half of the pixels are nearly black or nearly white.
func inkOf(d *datasets.Dataset) func(gray uint8) uint8 {
	if d.Size.Channels != 1 {
		return nil
	}
	var counts [256]int
	for _, pixels := range d.Images {
		for _, v := range pixels {
			counts[v]++
		}
	}
	const nearly = 32 // maximum difference from black or white
	half, median := d.Len()*d.Size.Len()/2, 0
	for sum := counts[0]; sum <= half && median < 255; sum += counts[median] {
		median++
	}
	switch {
	case median < nearly:
		return func(gray uint8) uint8 { return gray }
	case median > 255-nearly:
		return func(gray uint8) uint8 { return 255 - gray }
	}
	return nil
}

// inked colors a drawing with sixteen levels of opacity, which keeps its PNG small.
func inked(gray *image.Gray, ink func(uint8) uint8, tint color.RGBA) image.Image {
	const shades = 16
	shade := make(color.Palette, shades)
	for i := range shade {
		shade[i] = color.NRGBA{tint.R, tint.G, tint.B, uint8(i * 255 / (shades - 1))}
	}
	bounds := gray.Bounds()
	tile := image.NewPaletted(bounds, shade)
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			tile.SetColorIndex(x, y, ink(gray.GrayAt(x, y).Y)/(256/shades))
		}
	}
	return tile
}

func framed(img image.Image, tint color.RGBA) image.Image {
	size := img.Bounds().Size()
	tile := image.NewNRGBA(image.Rect(0, 0, size.X+2*frame, size.Y+2*frame))
	xdraw.Draw(tile, tile.Bounds(), image.NewUniform(tint), image.Point{}, xdraw.Src)
	xdraw.Draw(tile, tile.Bounds().Inset(frame), img, img.Bounds().Min, xdraw.Src)
	return tile
}

// The colors of images without a class and of classes without a color of their own.
var (
	classless = color.RGBA{40, 40, 90, 255}
	others    = color.RGBA{175, 175, 175, 255}
)

// classColors returns the color of each image and the legend. The ten classes with
// the most images have their own colors, in the order of the classes; the others
// share one. Without labels all images have one color and the legend is empty.
func classColors(d *datasets.Dataset) (colors []color.RGBA, legend []plot.Entry) {
	colors = make([]color.RGBA, d.Len())
	if d.Labels == nil {
		for i := range colors {
			colors[i] = classless
		}
		return colors, nil
	}
	classes := d.ByClass()
	var colored []int
	for class, images := range classes {
		if len(images) > 0 {
			colored = append(colored, class)
		}
	}
	slices.SortStableFunc(colored, func(a, b int) int { return cmp.Compare(len(classes[b]), len(classes[a])) })
	rest := colored[min(len(colored), len(plot.Colors)):]
	colored = colored[:len(colored)-len(rest)]
	slices.Sort(colored)
	for i, class := range colored {
		legend = append(legend, plot.Entry{Name: d.Classes[class], Fill: plot.Colors[i], Opacity: 1})
		for _, embedding := range classes[class] {
			colors[embedding] = plot.Colors[i]
		}
	}
	if len(rest) > 0 {
		legend = append(legend, plot.Entry{Name: "others", Fill: others, Opacity: 1})
	}
	for _, class := range rest {
		for _, embedding := range classes[class] {
			colors[embedding] = others
		}
	}
	return colors, legend
}
