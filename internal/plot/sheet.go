// Package plot draws images of images as PNG files: contact sheets, with rows of
// captioned images (DrawSheet), scatter plots of two-dimensional embeddings, with
// the image of each point at its position (DrawScatter), and images with heat maps
// (DrawHeatMaps).
package plot

import (
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
	xdraw "golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// Row is a title with images under it, in as many lines of Columns as they take.
type Row struct {
	Title string
	Cells []Cell
}

// Cell is an image with its captions.
type Cell struct {
	File     string
	Captions [CaptionLines]string // what is too long for a cell is cut in the middle
}

// The layout, in pixels.
const (
	Side         = 160 // of the square that an image is scaled into
	Gap          = 12  // between cells, and around all
	TitleHeight  = 24
	LineHeight   = 16 // of a caption
	CaptionLines = 3
	Columns      = 8 // at most, in a line of cells

	cellHeight = Side + CaptionLines*LineHeight
)

// MaxCells is the largest number of images of a sheet.
const MaxCells = 1000

var (
	paper = color.RGBA{255, 255, 255, 255}
	frame = color.RGBA{200, 200, 200, 255} // shows where a white image ends
	ink   = color.RGBA{30, 30, 30, 255}
)

// DrawSheet draws a contact sheet of the rows; open returns the image of a file.
func DrawSheet(rows []Row, open func(file string) (image.Image, error)) (*image.RGBA, error) {
	text, err := newLettering()
	if err != nil {
		return nil, errors.Wrap(err, "draw a sheet")
	}
	size, cells := extent(rows)
	if cells == 0 || cells > MaxCells {
		return nil, errors.Errorf("draw a sheet: found %d images, expected 1 to %d", cells, MaxCells)
	}
	canvas := image.NewRGBA(image.Rectangle{Max: size})
	draw.Draw(canvas, canvas.Rect, image.NewUniform(paper), image.Point{}, draw.Src)
	top := Gap
	for _, row := range rows {
		text.title(canvas, Gap, top, size.X-2*Gap, row.Title)
		top += TitleHeight
		for i, cell := range row.Cells {
			img, err := open(cell.File)
			if err != nil {
				return nil, errors.WithMessage(err, "draw a sheet")
			}
			at := image.Pt(Gap+i%Columns*(Side+Gap), top+i/Columns*(cellHeight+Gap))
			fit(canvas, image.Rectangle{at, at.Add(image.Pt(Side, Side))}, img)
			for line, caption := range cell.Captions {
				text.caption(canvas, at.X, at.Y+Side+line*LineHeight, Side, caption)
			}
		}
		top += row.lines() * (cellHeight + Gap)
	}
	return canvas, nil
}

// WriteSheet draws a contact sheet and writes it to a PNG file, which is written
// completely or not at all.
func WriteSheet(path string, rows []Row, open func(file string) (image.Image, error)) error {
	picture, err := DrawSheet(rows, open)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error { return png.Encode(w, picture) })
}

// lines of cells that the row takes.
func (r Row) lines() int { return (len(r.Cells) + Columns - 1) / Columns }

// extent is the size of the sheet, and how many cells it has.
func extent(rows []Row) (size image.Point, cells int) {
	widest, height := 1, Gap
	for _, row := range rows {
		cells += len(row.Cells)
		widest = max(widest, min(len(row.Cells), Columns))
		height += TitleHeight + row.lines()*(cellHeight+Gap)
	}
	return image.Pt(Gap+widest*(Side+Gap), height), cells
}

// fit scales an image to the largest that the square holds, in its middle, and
// draws a frame around the square. What is transparent shows the paper.
func fit(canvas *image.RGBA, square image.Rectangle, img image.Image) {
	draw.Draw(canvas, square, image.NewUniform(frame), image.Point{}, draw.Src)
	inside := square.Inset(1)
	draw.Draw(canvas, inside, image.NewUniform(paper), image.Point{}, draw.Src)
	bounds := img.Bounds()
	longer := max(bounds.Dx(), bounds.Dy())
	width := max(1, bounds.Dx()*inside.Dx()/longer)
	height := max(1, bounds.Dy()*inside.Dy()/longer)
	corner := inside.Min.Add(image.Pt((inside.Dx()-width)/2, (inside.Dy()-height)/2))
	xdraw.BiLinear.Scale(canvas, image.Rectangle{corner, corner.Add(image.Pt(width, height))}, img, bounds, draw.Over, nil)
}

// lettering writes titles and captions.
type lettering struct{ bold, regular font.Face }

// Sizes of letters in pixels, which suit the heights of their lines.
const (
	titleSize   = 15
	captionSize = 12
)

func newLettering() (lettering, error) {
	bold, err := face(gobold.TTF, titleSize)
	if err != nil {
		return lettering{}, err
	}
	regular, err := face(goregular.TTF, captionSize)
	return lettering{bold, regular}, err
}

func face(ttf []byte, size float64) (font.Face, error) {
	parsed, err := opentype.Parse(ttf)
	if err != nil {
		return nil, errors.Wrap(err, "read a font")
	}
	// At 72 dots an inch a point is a pixel.
	drawn, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingFull})
	return drawn, errors.Wrap(err, "read a font")
}

func (l lettering) title(canvas *image.RGBA, left, top, width int, text string) {
	write(canvas, l.bold, left, top, width, TitleHeight, text)
}

func (l lettering) caption(canvas *image.RGBA, left, top, width int, text string) {
	write(canvas, l.regular, left, top, width, LineHeight, text)
}

// captionAtRight is caption for a text that ends at right.
func (l lettering) captionAtRight(canvas *image.RGBA, right, top, width int, text string) {
	text = elide(l.regular, width, text)
	l.caption(canvas, right-font.MeasureString(l.regular, text).Ceil(), top, width, text)
}

// write writes a line of text of at most the given width, vertically centered in
// the line's height.
func write(canvas *image.RGBA, face font.Face, left, top, width, height int, text string) {
	metrics := face.Metrics()
	baseline := top + (height+metrics.Ascent.Round()-metrics.Descent.Round())/2
	drawer := font.Drawer{Dst: canvas, Src: image.NewUniform(ink), Face: face, Dot: fixed.P(left, baseline)}
	drawer.DrawString(elide(face, width, text))
}

// elide shortens a text in its middle to the given width: names usually differ at
// their ends.
func elide(face font.Face, width int, text string) string {
	fits := func(s string) bool { return font.MeasureString(face, s) <= fixed.I(width) }
	if fits(text) {
		return text
	}
	runes := []rune(text)
	for kept := len(runes) - 1; kept > 0; kept-- {
		head := kept / 3 // the end says more: the extension, the number
		if short := string(runes[:head]) + "…" + string(runes[len(runes)-(kept-head):]); fits(short) {
			return short
		}
	}
	return "…"
}
