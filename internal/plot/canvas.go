package plot

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"html"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	xdraw "golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// Point is a position on a Canvas in points, 1/72 inch, from the left and from the top.
type Point struct{ X, Y float64 }

// Box is a rectangle of a Canvas.
type Box struct{ Left, Top, Right, Bottom float64 }

// Inset is the box without strips of the given widths at its sides.
func (b Box) Inset(left, top, right, bottom float64) Box {
	return Box{b.Left + left, b.Top + top, b.Right - right, b.Bottom - bottom}
}

// Stroke is how a line is drawn: its width in points, and the lengths of dashes and of the gaps
// between them, in turn; none for a whole line.
type Stroke struct {
	Color  color.RGBA
	Width  float64
	Dashes []float64
}

// Alignment is the part of a text that is at its position.
type Alignment int

// The alignments of a text. Vertically, capital letters are centered.
const (
	Start Alignment = iota
	Middle
	End
	Rotated // the middle of a text that is read from the bottom to the top
)

// Canvas is what a chart is drawn on.
type Canvas interface {
	Line(points []Point, s Stroke)
	Area(corners []Point, fill color.RGBA, opacity float64)
	Disk(center Point, radius float64, fill color.RGBA)
	Text(at Point, text string, size float64, a Alignment)
	Image(b Box, img image.Image)
}

// letterHeight is the height of capital letters for a size of 1.
const letterHeight = 0.72

// faces are the font's faces by their size in pixels, with which texts are measured and drawn. A face
// is for one goroutine at a time.
var faces struct {
	sync.Mutex
	font *opentype.Font
	all  map[float64]font.Face
}

// withFace calls use with the face of a size.
func withFace(size float64, use func(font.Face)) {
	faces.Lock()
	defer faces.Unlock()
	if faces.all == nil {
		parsed, err := opentype.Parse(goregular.TTF)
		if err != nil {
			panic(err) // the font is part of the program
		}
		faces.font, faces.all = parsed, map[float64]font.Face{}
	}
	if faces.all[size] == nil {
		sized, err := opentype.NewFace(faces.font, &opentype.FaceOptions{Size: size, DPI: 72})
		if err != nil {
			panic(err) // the font is part of the program
		}
		faces.all[size] = sized
	}
	use(faces.all[size])
}

// Width is the width of a text in points.
func Width(text string, size float64) (width float64) {
	const fine = 64 // so that rounding to 1/64 does not matter
	withFace(fine, func(f font.Face) { width = float64(font.MeasureString(f, text)) / 64 / fine * size })
	return width
}

// svg is a Canvas that writes elements of SVG.
type svg struct{ strings.Builder }

// SVG draws an <svg> element with a view box of the given size in points, on white.
func SVG(width, height float64, title string, draw func(Canvas)) string {
	s := new(svg)
	fmt.Fprintf(s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" role="img" aria-label="%s" font-family="Go,Arial,Helvetica,sans-serif">`+
		`<rect width="100%%" height="100%%" fill="#fff"/>`, number(width), number(height), html.EscapeString(title))
	draw(s)
	s.WriteString("</svg>\n")
	return s.String()
}

// number formats a coordinate with up to two digits after the point.
func number(v float64) string {
	return strconv.FormatFloat(math.Round(100*v)/100+0, 'f', -1, 64)
}

func hex(c color.RGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

func (s *svg) path(points []Point) {
	s.WriteString(`<path d="`)
	for i, p := range points {
		s.WriteByte("ML"[min(i, 1)])
		s.WriteString(number(p.X) + " " + number(p.Y))
	}
}

func (s *svg) Line(points []Point, stroke Stroke) {
	s.path(points)
	fmt.Fprintf(s, `" fill="none" stroke="%s" stroke-width="%s" stroke-linejoin="round"`, hex(stroke.Color), number(stroke.Width))
	if len(stroke.Dashes) > 0 {
		s.WriteString(` stroke-dasharray="`)
		for i, length := range stroke.Dashes {
			s.WriteString(strings.Repeat(" ", min(i, 1)) + number(length))
		}
		s.WriteString(`"`)
	}
	s.WriteString("/>\n")
}

func (s *svg) Area(corners []Point, fill color.RGBA, opacity float64) {
	s.path(corners)
	fmt.Fprintf(s, "Z\" fill=\"%s\" fill-opacity=\"%s\"/>\n", hex(fill), number(opacity))
}

func (s *svg) Disk(center Point, radius float64, fill color.RGBA) {
	fmt.Fprintf(s, "<circle cx=\"%s\" cy=\"%s\" r=\"%s\" fill=\"%s\"/>\n", number(center.X), number(center.Y), number(radius), hex(fill))
}

func (s *svg) Text(at Point, text string, size float64, a Alignment) {
	anchor, down, turn := "start", letterHeight/2*size, ""
	switch a {
	case Middle:
		anchor = "middle"
	case End:
		anchor = "end"
	case Rotated:
		at.X, down, anchor = at.X+down, 0, "middle"
		turn = fmt.Sprintf(` transform="rotate(-90 %s %s)"`, number(at.X), number(at.Y))
	}
	fmt.Fprintf(s, "<text x=\"%s\" y=\"%s\" font-size=\"%s\" text-anchor=\"%s\"%s>%s</text>\n",
		number(at.X), number(at.Y+down), number(size), anchor, turn, html.EscapeString(text))
}

func (s *svg) Image(b Box, img image.Image) {
	var data bytes.Buffer
	if (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&data, img) != nil {
		return // an image without pixels
	}
	fmt.Fprintf(s, "<image x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\" preserveAspectRatio=\"none\" href=\"data:image/png;base64,%s\"/>\n",
		number(b.Left), number(b.Top), number(b.Right-b.Left), number(b.Bottom-b.Top), base64.StdEncoding.EncodeToString(data.Bytes()))
}

// resolution of the PNG files in dots per inch, and in dots per point.
const (
	resolution = 192
	dots       = resolution / 72.
)

// raster is a Canvas of pixels.
type raster struct {
	*image.RGBA
	filler vector.Rasterizer
}

// pictures are the pixels of charts, which are several megabytes and are used again.
var pictures = sync.Pool{New: func() any { return new([]uint8) }}

// PNG draws a chart of the given size in points on white as a PNG file.
func PNG(w io.Writer, width, height float64, draw func(Canvas)) error {
	across, down := int(math.Round(width*dots)), int(math.Round(height*dots))
	pixels := pictures.Get().(*[]uint8)
	defer pictures.Put(pixels)
	*pixels = slices.Grow((*pixels)[:0], 4*across*down)[:4*across*down]
	for i := range *pixels {
		(*pixels)[i] = 255
	}
	r := &raster{RGBA: &image.RGBA{Pix: *pixels, Stride: 4 * across, Rect: image.Rect(0, 0, across, down)}}
	draw(r)
	return encodePNG(w, r.RGBA)
}

// fill fills polygons whose corners are in pixels. All must have the same direction, or else what two
// of them have in common would be left out. Many polygons are filled tile by tile, because most of a
// line's bounding box is not touched by the line.
func (r *raster) fill(polygons [][]Point, fill color.RGBA, opacity float64) {
	boxes, whole := make([]image.Rectangle, len(polygons)), image.Rectangle{}
	for i, corners := range polygons {
		low, high := corners[0], corners[0]
		for _, p := range corners {
			low.X, low.Y, high.X, high.Y = min(low.X, p.X), min(low.Y, p.Y), max(high.X, p.X), max(high.Y, p.Y)
		}
		boxes[i] = image.Rect(int(math.Floor(low.X)), int(math.Floor(low.Y)), int(math.Ceil(high.X)), int(math.Ceil(high.Y)))
		whole = whole.Union(boxes[i])
	}
	whole = whole.Intersect(r.Rect)
	side := image.Pt(64, 64)
	if len(polygons) == 1 {
		side = whole.Size()
	}
	source := image.NewUniform(color.NRGBA{fill.R, fill.G, fill.B, uint8(math.Round(255 * opacity))})
	for top := whole.Min.Y; top < whole.Max.Y; top += side.Y {
		for left := whole.Min.X; left < whole.Max.X; left += side.X {
			tile := image.Rectangle{image.Pt(left, top), image.Pt(left, top).Add(side)}.Intersect(whole)
			touched := image.Rectangle{}
			for _, box := range boxes {
				touched = touched.Union(box.Intersect(tile))
			}
			if !touched.Empty() {
				r.fillTile(touched, polygons, boxes, source)
			}
		}
	}
}

// fillTile fills what polygons, whose bounding boxes are given, cover of a tile.
func (r *raster) fillTile(tile image.Rectangle, polygons [][]Point, boxes []image.Rectangle, source image.Image) {
	r.filler.Reset(tile.Dx(), tile.Dy())
	at := func(p Point) (float32, float32) {
		return float32(p.X - float64(tile.Min.X)), float32(p.Y - float64(tile.Min.Y))
	}
	for i, corners := range polygons {
		if !boxes[i].Overlaps(tile) {
			continue
		}
		r.filler.MoveTo(at(corners[0]))
		for _, p := range corners[1:] {
			r.filler.LineTo(at(p))
		}
		r.filler.ClosePath()
	}
	r.filler.Draw(r.RGBA, tile, source, image.Point{})
}

// pixels are points in pixels.
func pixels(points []Point) []Point {
	scaled := make([]Point, len(points))
	for i, p := range points {
		scaled[i] = Point{p.X * dots, p.Y * dots}
	}
	return scaled
}

func (r *raster) Line(points []Point, s Stroke) {
	half := s.Width * dots / 2
	var polygons [][]Point
	for _, line := range dashed(pixels(points), s.Dashes) {
		for i := range line[1:] {
			a, b := line[i], line[i+1]
			length := math.Hypot(b.X-a.X, b.Y-a.Y)
			if length == 0 {
				continue
			}
			x, y := half*(b.Y-a.Y)/length, -half*(b.X-a.X)/length // to the side
			polygons = append(polygons, []Point{{a.X + x, a.Y + y}, {b.X + x, b.Y + y}, {b.X - x, b.Y - y}, {a.X - x, a.Y - y}})
			if i > 0 {
				polygons = append(polygons, circle(a, half))
			}
		}
	}
	if len(polygons) > 0 {
		r.fill(polygons, s.Color, 1)
	}
}

// dashed divides a line in pixels into its dashes, whose lengths are in points.
func dashed(line []Point, lengths []float64) (dashes [][]Point) {
	if len(lengths) == 0 || len(line) == 0 {
		return [][]Point{line}
	}
	part, left, current := 0, lengths[0]*dots, []Point{line[0]}
	for i := range line[1:] {
		a, b := line[i], line[i+1]
		length := math.Hypot(b.X-a.X, b.Y-a.Y)
		done := 0.0
		for ; left <= length-done; left = lengths[part%len(lengths)] * dots {
			done += left
			at := Point{a.X + (b.X-a.X)*done/length, a.Y + (b.Y-a.Y)*done/length}
			if part%2 == 0 {
				dashes = append(dashes, append(current, at))
			}
			part, current = part+1, []Point{at}
		}
		left -= length - done
		current = append(current, b)
	}
	if part%2 == 0 {
		dashes = append(dashes, current)
	}
	return dashes
}

// circle is a polygon in the direction of the polygons of Line.
func circle(center Point, radius float64) []Point {
	const corners = 24
	polygon := make([]Point, corners)
	for i := range polygon {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / corners)
		polygon[i] = Point{center.X + radius*cos, center.Y + radius*sin}
	}
	return polygon
}

func (r *raster) Area(corners []Point, fill color.RGBA, opacity float64) {
	r.fill([][]Point{pixels(corners)}, fill, opacity)
}

func (r *raster) Disk(center Point, radius float64, fill color.RGBA) {
	r.fill([][]Point{circle(Point{center.X * dots, center.Y * dots}, radius*dots)}, fill, 1)
}

func (r *raster) Text(at Point, text string, size float64, a Alignment) {
	withFace(size*dots, func(f font.Face) {
		width := float64(font.MeasureString(f, text)) / 64
		x, y, down := at.X*dots, at.Y*dots, letterHeight/2*size*dots
		switch a {
		case Middle:
			x -= width / 2
		case End:
			x -= width
		case Rotated:
			// The text is drawn on a strip of its own, and the strip is turned.
			height := int(2 * size * dots)
			strip := image.NewAlpha(image.Rect(0, 0, int(width)+2, height))
			drawer := font.Drawer{Dst: strip, Src: image.Black, Face: f, Dot: fixed.P(0, height/2+int(math.Round(down)))}
			drawer.DrawString(text)
			left, top := int(x)-height/2, int(y+width/2)
			turned := image.NewAlpha(image.Rect(left, top-strip.Rect.Dx(), left+height, top))
			for v := range height {
				for u := range strip.Rect.Dx() {
					turned.SetAlpha(left+v, top-1-u, strip.AlphaAt(u, v))
				}
			}
			xdraw.DrawMask(r.RGBA, turned.Rect, image.Black, image.Point{}, turned, turned.Rect.Min, xdraw.Over)
			return
		}
		drawer := font.Drawer{Dst: r.RGBA, Src: image.Black, Face: f, Dot: fixed.Point26_6{X: fixed.Int26_6(64 * x), Y: fixed.Int26_6(64 * math.Round(y+down))}}
		drawer.DrawString(text)
	})
}

func (r *raster) Image(b Box, img image.Image) {
	whole := func(v float64) int { return int(math.Round(v * dots)) }
	xdraw.BiLinear.Scale(r.RGBA, image.Rect(whole(b.Left), whole(b.Top), whole(b.Right), whole(b.Bottom)), img, img.Bounds(), xdraw.Over, nil)
}

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
