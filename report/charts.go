package report

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"html"
	"html/template"
	"image"
	"image/color"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"git.sr.ht/~sbinet/gg"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// chart is a chart, for the page and for a PNG file.
type chart struct {
	name   string // of its file, without the extension
	title  string // a description for screen readers
	height vg.Length
	draw   func(draw.Canvas)
}

// All charts have the width of a phone's screen, so that their text is readable
// there; larger screens scale them up.
const (
	chartWidth = 420 * vg.Length(1)
	fontSize   = 13 * vg.Length(1)
	smallSize  = 12 * vg.Length(1) // of tick labels and legends
)

// resolution of the PNG files in dots per inch, which makes them 1120 pixels wide.
const resolution = 192

// svg renders the chart as an element of the page.
func (c chart) svg() (template.HTML, error) {
	canvas := vgsvg.New(chartWidth, c.height)
	c.draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", errors.Wrapf(err, "draw %s", c.name)
	}
	// The library's opening tag sets a size in points; the page's layout needs a view
	// box instead. Its font family and its media type of PNG images are corrected.
	_, rest, found := strings.Cut(b.String(), "<svg")
	_, rest, closed := strings.Cut(rest, ">")
	if !found || !closed {
		return "", errors.Errorf("draw %s: found no <svg> element in the output of the plotting library", c.name)
	}
	rest = strings.NewReplacer(
		"font-family:Liberation Sans;", "font-family:'Liberation Sans',Arial,Helvetica,sans-serif;",
		"data:image/jpg;base64,", "data:image/png;base64,",
	).Replace(rest)
	opening := fmt.Sprintf(`<svg viewBox="0 0 %g %g" role="img" aria-label="%s"><rect width="100%%" height="100%%" fill="#fff"/>`,
		float64(chartWidth), float64(c.height), html.EscapeString(c.title))
	return template.HTML(opening + rest), nil
}

// png renders the chart as a PNG file.
func (c chart) png(w io.Writer) error {
	dots := func(length vg.Length) int { return int(math.Round(length.Dots(resolution))) }
	width, height := dots(chartWidth), dots(c.height)
	// The image is the canvas's own and is reused, because it has several megabytes.
	pixels := pictures.Get().(*[]uint8)
	defer pictures.Put(pixels)
	*pixels = slices.Grow((*pixels)[:0], 4*width*height)[:4*width*height]
	picture := &image.RGBA{Pix: *pixels, Stride: 4 * width, Rect: image.Rect(0, 0, width, height)}
	context := gg.NewContextForRGBA(picture)
	context.SetLineCapButt()
	context.InvertY()
	canvas := vgimg.NewWith(vgimg.UseImageWithContext(picture, context), vgimg.UseDPI(resolution)) // which paints it white
	c.draw(draw.New(canvas))
	return errors.Wrapf(encodePNG(w, picture), "draw %s", c.name)
}

// pictures are the pixels of charts.
var pictures = sync.Pool{New: func() any { return new([]uint8) }}

// encodePNG writes an opaque image as a PNG file with the filter Up in every line. In a
// chart nearly all pixels are equal to those above them, so that this takes a fraction of
// the time in which package image/png tries all filters.
func encodePNG(w io.Writer, img *image.RGBA) error {
	size := img.Rect.Size()
	var data bytes.Buffer
	compressed := compressors.Get().(*zlib.Writer)
	defer compressors.Put(compressed)
	compressed.Reset(&data)
	const up = 2
	line := append([]byte{up}, make([]byte, 3*size.X)...)
	above := make([]byte, 4*size.X)
	for y := range size.Y {
		row := img.Pix[y*img.Stride:][:4*size.X]
		if y > 0 && bytes.Equal(row, above) {
			clear(line[1:])
			compressed.Write(line) // whose error Close returns
			continue
		}
		for x := range size.X {
			from, before, to := row[4*x:][:3], above[4*x:][:3], line[1+3*x:][:3]
			to[0], to[1], to[2] = from[0]-before[0], from[1]-before[1], from[2]-before[2]
		}
		compressed.Write(line)
		above = row
	}
	if err := compressed.Close(); err != nil {
		return err
	}
	const bits, rgb = 8, 2
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(size.X)), uint32(size.Y))
	file := []byte("\x89PNG\r\n\x1a\n")
	for _, chunk := range []struct {
		kind string
		data []byte
	}{{"IHDR", append(header, bits, rgb, 0, 0, 0)}, {"IDAT", data.Bytes()}, {"IEND", nil}} {
		file = binary.BigEndian.AppendUint32(file, uint32(len(chunk.data)))
		begin := len(file)
		file = append(append(file, chunk.kind...), chunk.data...)
		file = binary.BigEndian.AppendUint32(file, crc32.ChecksumIEEE(file[begin:]))
	}
	_, err := w.Write(file)
	return err
}

// compressors are reused, because each has about a megabyte of tables.
var compressors = sync.Pool{New: func() any {
	w, err := zlib.NewWriterLevel(nil, zlib.BestSpeed)
	if err != nil {
		panic(err) // the level is valid
	}
	return w
}}

// newPlot returns an empty plot in the page's font, without a background of its own: the
// chart is white already.
func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding = 6
	p.X.Label.Padding, p.Y.Label.Padding = 3, 3
	for _, style := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle} {
		style.Font.Variant, style.Font.Size = "Sans", fontSize
	}
	for _, style := range []*text.Style{&p.X.Tick.Label, &p.Y.Tick.Label} {
		style.Font.Variant, style.Font.Size = "Sans", smallSize
	}
	p.X.Tick.Length, p.Y.Tick.Length = 4, 4
	return p
}

// roundTicks places about the given number of labeled ticks at round numbers; whole
// ones only at integers.
type roundTicks struct {
	about int
	whole bool
}

// Ticks implements plot.Ticker.
func (r roundTicks) Ticks(low, high float64) (ticks []plot.Tick) {
	step := roundStep((high - low) / float64(r.about))
	if r.whole {
		step = max(1, step)
	}
	for i := math.Ceil(low / step); i*step <= high; i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: tickLabel(i*step, step)})
	}
	return ticks
}

// roundStep returns the smallest of …, 0.5, 1, 2, 5, 10, 20, … that is at least the
// given positive number.
func roundStep(low float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(low)))
	for _, factor := range []float64{1, 2, 5} {
		if factor*power >= low {
			return factor * power
		}
	}
	return 10 * power
}

// tickLabel formats a tick with enough digits to distinguish it from its neighbors.
func tickLabel(value, step float64) string {
	if math.Abs(value) < step/2 {
		return "0" // instead of -0.0
	}
	if step < 1e-4 || math.Abs(value) >= 1e5 {
		return strconv.FormatFloat(value, 'g', 3, 64)
	}
	digits := max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	return strconv.FormatFloat(value, 'f', digits, 64)
}

// legend is a chart's legend, which is placed below the chart so that it covers no data.
type legend struct {
	columns int
	entries []entry
}

// entry explains a line or, if the line has no width, a filled area.
type entry struct {
	name string
	line draw.LineStyle
	fill color.Color
}

const (
	entryHeight = 18 * vg.Length(1)
	sampleWidth = 22 * vg.Length(1)
	sampleGap   = 6 * vg.Length(1)
)

// height is the height of the legend.
func (l legend) height() vg.Length {
	if len(l.entries) == 0 {
		return 0
	}
	return entryHeight*vg.Length(l.rows()) + sampleGap
}

func (l legend) rows() int { return (len(l.entries) + l.columns - 1) / l.columns }

// below draws the legend at the bottom of the canvas, column by column, and returns
// the part of the canvas above it.
func (l legend) below(c draw.Canvas) draw.Canvas {
	width := (c.Max.X - c.Min.X) / vg.Length(max(1, l.columns))
	style := legendStyle()
	for i, e := range l.entries {
		left := c.Min.X + width*vg.Length(i/l.rows()) + sampleGap
		middle := c.Min.Y + entryHeight*(vg.Length(l.rows()-1-i%l.rows())+0.5) + sampleGap/2
		e.sample(c, left, middle)
		c.FillText(style, vg.Point{X: left + sampleWidth + sampleGap, Y: middle}, fit(e.name, style, width-sampleWidth-3*sampleGap))
	}
	return draw.Crop(c, 0, 0, l.height(), 0)
}

func (e entry) sample(c draw.Canvas, left, middle vg.Length) {
	if e.line.Width > 0 {
		c.StrokeLine2(e.line, left, middle, left+sampleWidth, middle)
		return
	}
	const half = 5
	box := vg.Rectangle{Min: vg.Point{X: left, Y: middle - half}, Max: vg.Point{X: left + sampleWidth, Y: middle + half}}
	c.SetColor(e.fill)
	c.Fill(box.Path())
}

func legendStyle() text.Style {
	return text.Style{
		Color: color.Black, Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: smallSize},
		YAlign: draw.YCenter, Handler: plot.DefaultTextHandler,
	}
}

// fit shortens a name to one line of at most the given width.
func fit(name string, style text.Style, width vg.Length) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, name)
	if style.Width(name) <= width {
		return name
	}
	runes := []rune(name)
	for len(runes) > 0 && style.Width(string(runes)+"…") > width {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}

// panelHeight is the height of one learning curve.
const panelHeight = 150 * vg.Length(1)

var (
	blue   = color.RGBA{31, 119, 180, 255}
	orange = color.RGBA{214, 90, 10, 255}
	green  = color.RGBA{35, 130, 35, 255}
	gray   = color.RGBA{110, 110, 110, 255}
)

// learningCurves plots the loss, the validation and the learning rate over the
// epochs, one above the other, without the validation if there was none.
func learningCurves(epochs []trainer.Epoch) (chart, error) {
	c := chart{name: "loss", title: fmt.Sprintf("Loss, validation and learning rate over %d epochs", len(epochs))}
	var panels []*plot.Plot
	for _, curve := range []struct {
		name  string
		color color.Color
		zero  bool // whether the axis begins at 0
		value func(trainer.Epoch) *float64
	}{
		{"loss", blue, false, func(e trainer.Epoch) *float64 { return &e.Loss }},
		{"validation", green, false, func(e trainer.Epoch) *float64 { return e.Validation }},
		{"learning rate", gray, true, func(e trainer.Epoch) *float64 { return &e.LearningRate }},
	} {
		var points plotter.XYs
		for _, e := range epochs {
			if value := curve.value(e); value != nil {
				points = append(points, plotter.XY{X: float64(e.Epoch), Y: *value})
			}
		}
		if len(points) == 0 {
			continue
		}
		panel, err := newCurve(points, curve.name, curve.color, curve.zero)
		if err != nil {
			return c, err
		}
		first, last := epochs[0].Epoch, epochs[len(epochs)-1].Epoch
		panel.X.Min, panel.X.Max = float64(first)-0.2, float64(last)+0.2
		panels = append(panels, panel)
	}
	panels[0].Title.Text = "Learning curves"
	panels[len(panels)-1].X.Label.Text = "epoch"
	c.height = panelHeight * vg.Length(len(panels))
	c.draw = func(canvas draw.Canvas) { drawStack(canvas, panels) }
	return c, nil
}

func newCurve(points plotter.XYs, name string, stroke color.Color, zero bool) (*plot.Plot, error) {
	p := newPlot("", "", name)
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return nil, err
	}
	line.Color, line.Width = stroke, 2
	dots.Color, dots.Shape, dots.Radius = stroke, draw.CircleGlyph{}, 3
	p.Add(plotter.NewGrid(), line, dots)
	if zero {
		p.Y.Min = min(0, p.Y.Min)
	}
	if p.Y.Min == p.Y.Max { // one epoch, or a constant, such as a validation of 1 throughout
		p.Y.Min, p.Y.Max = min(0, p.Y.Min), max(0, p.Y.Max)
	}
	margin := (p.Y.Max - p.Y.Min) / 20
	p.Y.Min, p.Y.Max = p.Y.Min-margin, p.Y.Max+margin
	p.X.Tick.Marker, p.Y.Tick.Marker = roundTicks{about: 8, whole: true}, roundTicks{about: 4}
	return p, nil
}

// drawStack draws plots one above the other, with aligned axes.
func drawStack(canvas draw.Canvas, panels []*plot.Plot) {
	column := make([][]*plot.Plot, len(panels))
	for i, p := range panels {
		column[i] = []*plot.Plot{p}
	}
	tiles := draw.Tiles{Rows: len(panels), Cols: 1, PadY: 10, PadTop: 4, PadBottom: 2, PadLeft: 2, PadRight: 8}
	for i, row := range plot.Align(column, tiles, canvas) {
		panels[i].Draw(row[0])
	}
}
