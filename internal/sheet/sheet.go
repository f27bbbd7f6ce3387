// Package sheet draws contact sheets: images in rows of equal cells, each with
// captions.
package sheet

import (
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
	xdraw "golang.org/x/image/draw"
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

// MostCells is how many images a sheet has room for.
const MostCells = 1000

var (
	paper = color.RGBA{255, 255, 255, 255}
	frame = color.RGBA{200, 200, 200, 255} // shows where a white image ends
	ink   = color.RGBA{30, 30, 30, 255}
)

// Draw draws the rows; open gives the image of a file.
func Draw(rows []Row, open func(file string) (image.Image, error)) (*image.RGBA, error) {
	text, err := newLettering()
	if err != nil {
		return nil, errors.Wrap(err, "draw a sheet")
	}
	size, cells := extent(rows)
	if cells == 0 || cells > MostCells {
		return nil, errors.Errorf("draw a sheet: found %d images, expected 1 to %d", cells, MostCells)
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

// Write draws to a PNG file, whole or not at all.
func Write(path string, rows []Row, open func(file string) (image.Image, error)) error {
	picture, err := Draw(rows, open)
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
