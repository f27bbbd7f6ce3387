package plot

import (
	"image/color"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Sizes of a chart in points.
const (
	textSize  = 13 // of titles and labels
	smallSize = 12 // of tick labels and legends
	lineSpace = 1.25
	tickSpace = 4 // length of a tick, and the gap to its label
)

var (
	black    = color.RGBA{A: 255}
	gridGray = color.RGBA{222, 222, 222, 255}
)

// Chart is a plane with two axes and what is drawn on it. The ranges are those of all that was added,
// unless they are set afterwards.
type Chart struct {
	Title, X, Y string // Y may be " ", for a chart as wide as one with a label
	// Low and High are the ranges of the axes, in the units of the data.
	Low, High Point
	// XTicks and YTicks are the axes' ticks; an axis without ticks is not drawn.
	XTicks, YTicks Ticks
	Columns, Rows  bool // grid lines at the ticks of X and of Y

	series []Series
	ranged bool // the ranges contain data
}

// Series is data that a Chart shows.
type Series interface {
	// Points are those that the ranges of the axes must contain.
	Points() []Point
	// Draw draws the data within a box; at converts their positions.
	Draw(c Canvas, b Box, at func(Point) Point)
}

// Add adds data and widens the ranges of the axes to theirs.
func (c *Chart) Add(all ...Series) {
	for _, s := range all {
		for _, p := range s.Points() {
			if !c.ranged {
				c.Low, c.High, c.ranged = p, p, true
			}
			c.Low, c.High = Point{min(c.Low.X, p.X), min(c.Low.Y, p.Y)}, Point{max(c.High.X, p.X), max(c.High.Y, p.Y)}
		}
		c.series = append(c.series, s)
	}
}

// Curve is a line through points.
type Curve struct {
	Of []Point
	Stroke
}

// Points returns the points.
func (l Curve) Points() []Point { return l.Of }

// Draw draws the line.
func (l Curve) Draw(c Canvas, _ Box, at func(Point) Point) { c.Line(mapped(l.Of, at), l.Stroke) }

// Dots are disks at points, with a radius in points.
type Dots struct {
	Of     []Point
	Radius float64
	Color  color.RGBA
}

// Points returns the points.
func (d Dots) Points() []Point { return d.Of }

// Draw draws the disks.
func (d Dots) Draw(c Canvas, _ Box, at func(Point) Point) {
	for _, p := range d.Of {
		c.Disk(at(p), d.Radius, d.Color)
	}
}

// Region is a filled polygon with an outline of the same color.
type Region struct {
	Of      []Point
	Color   color.RGBA
	Opacity float64
	Width   float64 // of the outline
}

// Points returns the corners.
func (r Region) Points() []Point { return r.Of }

// Draw draws the polygon.
func (r Region) Draw(c Canvas, _ Box, at func(Point) Point) {
	corners := mapped(r.Of, at)
	c.Area(corners, r.Color, r.Opacity)
	c.Line(corners, Stroke{Color: r.Color, Width: r.Width})
}

func mapped(points []Point, at func(Point) Point) []Point {
	all := make([]Point, len(points))
	for i, p := range points {
		all[i] = at(p)
	}
	return all
}

// Ticks places about the given number of labeled ticks at round numbers; whole ones only at integers.
type Ticks struct {
	About int
	Whole bool
}

// Tick is a labeled position of an axis.
type Tick struct {
	Value float64
	Label string
}

// Between returns the ticks of a range.
func (t Ticks) Between(low, high float64) (ticks []Tick) {
	if t.About == 0 {
		return nil
	}
	step := roundStep((high - low) / float64(t.About))
	if t.Whole {
		step = max(1, step)
	}
	for i := math.Ceil(low / step); i*step <= high; i++ {
		ticks = append(ticks, Tick{i * step, tickLabel(i*step, step)})
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

// titleHeight is the height of the title, 0 without one.
func (c *Chart) titleHeight() float64 {
	if c.Title == "" {
		return 0
	}
	return textSize*lineSpace + 6
}

// left is the width of the label and of the ticks of the Y axis.
func (c *Chart) left() (width float64) {
	for _, tick := range c.YTicks.Between(c.Low.Y, c.High.Y) {
		width = max(width, Width(tick.Label, smallSize)+2*tickSpace)
	}
	if c.Y != "" {
		width += textSize * lineSpace
	}
	return width
}

// bottom is the height of the label and of the ticks of the X axis.
func (c *Chart) bottom() (height float64) {
	if c.XTicks.About > 0 {
		height = 2*tickSpace + smallSize
	}
	if c.X != "" {
		height += textSize * lineSpace
	}
	return height
}

// Frame is the width and the height of a chart besides those of its plane.
func (c *Chart) Frame() (width, height float64) { return c.left(), c.titleHeight() + c.bottom() }

// Draw draws the chart within a box.
func (c *Chart) Draw(canvas Canvas, b Box) { c.draw(canvas, b, c.left()) }

// Stack draws charts of the same height one above the other, with aligned axes.
func Stack(canvas Canvas, b Box, charts []*Chart, gap float64) {
	left := 0.0
	for _, c := range charts {
		left = max(left, c.left())
	}
	height := (b.Bottom - b.Top + gap) / float64(len(charts))
	for i, c := range charts {
		c.draw(canvas, Box{b.Left, b.Top + float64(i)*height, b.Right, b.Top + float64(i+1)*height - gap}, left)
	}
}

func (c *Chart) draw(canvas Canvas, b Box, left float64) {
	plane := b.Inset(left, c.titleHeight(), 0, c.bottom())
	at := func(p Point) Point {
		return Point{
			plane.Left + (plane.Right-plane.Left)*(p.X-c.Low.X)/(c.High.X-c.Low.X),
			plane.Bottom - (plane.Bottom-plane.Top)*(p.Y-c.Low.Y)/(c.High.Y-c.Low.Y),
		}
	}
	middle := Point{(plane.Left + plane.Right) / 2, (plane.Top + plane.Bottom) / 2}
	if c.Title != "" {
		canvas.Text(Point{middle.X, b.Top + textSize*lineSpace/2}, Plain(c.Title), textSize, Middle)
	}
	axis := Stroke{Color: black, Width: 0.75}
	for _, tick := range c.XTicks.Between(c.Low.X, c.High.X) {
		x := at(Point{tick.Value, 0}).X
		if c.Columns {
			canvas.Line([]Point{{x, plane.Top}, {x, plane.Bottom}}, Stroke{Color: gridGray, Width: 0.75})
		}
		canvas.Line([]Point{{x, plane.Bottom}, {x, plane.Bottom + tickSpace}}, axis)
		canvas.Text(Point{x, plane.Bottom + 2*tickSpace + smallSize*letterHeight/2}, tick.Label, smallSize, Middle)
	}
	for _, tick := range c.YTicks.Between(c.Low.Y, c.High.Y) {
		y := at(Point{0, tick.Value}).Y
		if c.Rows {
			canvas.Line([]Point{{plane.Left, y}, {plane.Right, y}}, Stroke{Color: gridGray, Width: 0.75})
		}
		canvas.Line([]Point{{plane.Left - tickSpace, y}, {plane.Left, y}}, axis)
		canvas.Text(Point{plane.Left - 2*tickSpace, y}, tick.Label, smallSize, End)
	}
	for _, s := range c.series {
		s.Draw(canvas, plane, at)
	}
	if c.XTicks.About > 0 {
		canvas.Line([]Point{{plane.Left, plane.Bottom}, {plane.Right, plane.Bottom}}, axis)
	}
	if c.YTicks.About > 0 {
		canvas.Line([]Point{{plane.Left, plane.Top}, {plane.Left, plane.Bottom}}, axis)
	}
	if c.X != "" {
		canvas.Text(Point{middle.X, b.Bottom - textSize*lineSpace/2}, Plain(c.X), textSize, Middle)
	}
	if c.Y != "" {
		canvas.Text(Point{b.Left + textSize/2, middle.Y}, Plain(c.Y), textSize, Rotated)
	}
}

// Legend explains the lines and areas of a chart. It is below the chart, so that it covers no data.
type Legend struct {
	Columns int
	Entries []Entry
}

// Entry explains a line or, if the line has no width, a filled area.
type Entry struct {
	Name    string
	Line    Stroke
	Fill    color.RGBA
	Opacity float64 // of the area
}

const (
	entryHeight = 18.
	sampleWidth = 22.
	sampleGap   = 6.
)

// Height is the height of the legend.
func (l Legend) Height() float64 {
	if len(l.Entries) == 0 {
		return 0
	}
	return entryHeight*float64(l.rows()) + sampleGap
}

func (l Legend) rows() int { return (len(l.Entries) + l.Columns - 1) / l.Columns }

// Below draws the legend at the bottom of the box, column by column, and returns the box above it.
func (l Legend) Below(c Canvas, b Box) Box {
	width := (b.Right - b.Left) / float64(max(1, l.Columns))
	top := b.Bottom - l.Height()
	for i, e := range l.Entries {
		left := b.Left + width*float64(i/l.rows()) + sampleGap
		middle := top + entryHeight*(float64(i%l.rows())+0.5) + sampleGap/2
		if e.Line.Width > 0 {
			c.Line([]Point{{left, middle}, {left + sampleWidth, middle}}, e.Line)
		} else {
			const half = 5
			c.Area([]Point{{left, middle - half}, {left + sampleWidth, middle - half}, {left + sampleWidth, middle + half}, {left, middle + half}}, e.Fill, e.Opacity)
		}
		c.Text(Point{left + sampleWidth + sampleGap, middle}, Fit(e.Name, smallSize, width-sampleWidth-3*sampleGap), smallSize, Start)
	}
	b.Bottom = top
	return b
}

// Plain is a text on one line: control characters become spaces.
func Plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// Fit shortens a text to one line of at most the given width.
func Fit(text string, size, width float64) string {
	text = Plain(text)
	if Width(text, size) <= width {
		return text
	}
	runes := []rune(text)
	for len(runes) > 0 && Width(string(runes)+"…", size) > width {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}
