package sheet

import (
	"image"

	"github.com/pkg/errors"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

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

func (l lettering) title(canvas *image.RGBA, left, top, room int, text string) {
	write(canvas, l.bold, left, top, room, TitleHeight, text)
}

func (l lettering) caption(canvas *image.RGBA, left, top, room int, text string) {
	write(canvas, l.regular, left, top, room, LineHeight, text)
}

// write writes a line of text into the room that it has, in the middle of the
// line's height.
func write(canvas *image.RGBA, face font.Face, left, top, room, height int, text string) {
	metrics := face.Metrics()
	baseline := top + (height+metrics.Ascent.Round()-metrics.Descent.Round())/2
	drawer := font.Drawer{Dst: canvas, Src: image.NewUniform(ink), Face: face, Dot: fixed.P(left, baseline)}
	drawer.DrawString(elide(face, room, text))
}

// elide cuts a text in its middle to the room that it has: what tells names apart
// stands at their ends.
func elide(face font.Face, room int, text string) string {
	fits := func(s string) bool { return font.MeasureString(face, s) <= fixed.I(room) }
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
