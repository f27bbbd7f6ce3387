package page

import (
	"image/color"
	"strings"
	"unicode"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// legend says what is what, below a chart, where it covers nothing.
type legend struct {
	columns int
	entries []entry
}

// entry is a line or, where the line has no width, a filled box.
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

// height is what the legend takes below a chart.
func (l legend) height() vg.Length {
	if len(l.entries) == 0 {
		return 0
	}
	return entryHeight*vg.Length(l.rows()) + sampleGap
}

func (l legend) rows() int { return (len(l.entries) + l.columns - 1) / l.columns }

// below draws the legend at the bottom of the canvas, column by column, and
// returns what is left above it.
func (l legend) below(c draw.Canvas) draw.Canvas {
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
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
		Color: color.Black, Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: small},
		YAlign: draw.YCenter, Handler: plot.DefaultTextHandler,
	}
}

// fit is a name in one line no longer than the width.
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
	letters := []rune(name)
	for len(letters) > 0 && style.Width(string(letters)+"…") > width {
		letters = letters[:len(letters)-1]
	}
	return string(letters) + "…"
}
