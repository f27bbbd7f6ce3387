package page

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"io"
	"strings"

	"github.com/pkg/errors"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// chart is a drawing, for the page and for a file beside it.
type chart struct {
	name   string // of its file
	title  string // what there is to see, for those who do not see it
	height vg.Length
	draw   func(draw.Canvas)
}

// All charts are as wide as a phone shows without making their letters small;
// larger screens enlarge them.
const (
	chartWidth = 420 * vg.Length(1)
	letters    = 13 * vg.Length(1)
	small      = 12 * vg.Length(1) // of ticks and legends
)

// resolution of the files, in dots an inch: 1120 pixels wide.
const resolution = 192

// svg is the chart as a part of the page.
func (c chart) svg() (template.HTML, error) {
	canvas := vgsvg.New(chartWidth, c.height)
	c.draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", errors.Wrapf(err, "draw %s", c.name)
	}
	// The library's opening tag has a size in points, where the page's width is to
	// count. What it wants said of fonts and of PNG is put right.
	_, rest, found := strings.Cut(b.String(), "<svg")
	_, rest, closed := strings.Cut(rest, ">")
	if !found || !closed {
		return "", errors.Errorf("draw %s: found no <svg> in what was drawn", c.name)
	}
	rest = strings.NewReplacer(
		"font-family:Liberation Sans;", "font-family:'Liberation Sans',Arial,Helvetica,sans-serif;",
		"data:image/jpg;base64,", "data:image/png;base64,",
	).Replace(rest)
	opening := fmt.Sprintf(`<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, float64(chartWidth), float64(c.height), html.EscapeString(c.title))
	return template.HTML(opening + rest), nil
}

// png writes the chart as a file.
func (c chart) png(w io.Writer) error {
	canvas := vgimg.NewWith(vgimg.UseWH(chartWidth, c.height), vgimg.UseDPI(resolution))
	c.draw(draw.New(canvas))
	_, err := vgimg.PngCanvas{Canvas: canvas}.WriteTo(w)
	return errors.Wrapf(err, "draw %s", c.name)
}

// newPlot is an empty plot in the page's letters.
func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding = 6
	p.X.Label.Padding, p.Y.Label.Padding = 3, 3
	for _, style := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle} {
		style.Font.Variant, style.Font.Size = "Sans", letters
	}
	for _, style := range []*text.Style{&p.X.Tick.Label, &p.Y.Tick.Label} {
		style.Font.Variant, style.Font.Size = "Sans", small
	}
	p.X.Tick.Length, p.Y.Tick.Length = 4, 4
	return p
}
