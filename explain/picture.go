package explain

import (
	"fmt"
	"image"
	"image/png"
	"io"
	"path/filepath"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/internal/guard"
	"github.com/likeness-go/likeness/internal/plot"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// Named is an image with the title that a picture gives it, such as the name of its file.
type Named struct {
	Image image.Image
	Title string
}

// Picture draws the two images of an explanation side by side: above as they are, and below in
// gray with the maps as colors, on one scale from 0 to the largest value, and with a line around
// the values above half of that. Values below 0 have the color of 0. What the network does not
// see is pale. The similarity, the bias and the scale are written beside. The images must be those
// that were explained.
func (e *Explanation) Picture(a, b Named) (picture image.Image, err error) {
	defer guard.Recover(&err, "draw an explanation")
	if e == nil {
		return nil, errors.New("draw an explanation: found nil, expected one of Explain")
	}
	largest, lowest := 0.0, 0.0
	maps := make([]plot.HeatMap, 2)
	for i, part := range []struct {
		found Map
		image Named
	}{{e.A, a}, {e.B, b}} {
		if err := imaging.Check(part.image.Image); err != nil {
			return nil, errors.WithMessagef(err, "draw an explanation: image %d", i)
		}
		m := part.found
		if size := part.image.Image.Bounds().Size(); size.X != m.ImageWidth || size.Y != m.ImageHeight {
			return nil, errors.Errorf("draw an explanation: image %d has %d × %d pixels, expected %d × %d, those of the image that was explained", i, size.X, size.Y, m.ImageWidth, m.ImageHeight)
		}
		if m.Width < 1 || m.Height < 1 || len(m.Values) != m.Width*m.Height || len(m.X) != m.Width || len(m.Y) != m.Height {
			return nil, errors.Errorf("draw an explanation: map %d has %d values for %d × %d places, expected one of Explain", i, len(m.Values), m.Height, m.Width)
		}
		for _, v := range m.Values {
			largest, lowest = max(largest, v), min(lowest, v)
		}
		maps[i] = plot.HeatMap{Title: wording.Printable(part.image.Title), Image: part.image.Image, Value: func(x, y float64) (float64, bool) {
			return m.At(x, y), x >= m.Area.Left && x <= m.Area.Right && y >= m.Area.Top && y <= m.Area.Bottom
		}}
	}
	limit := largest
	if limit == 0 { // no place makes the images similar
		limit = 1
	}
	notes := []string{
		fmt.Sprintf("Colors: what each of the %d × %d places of the last feature map contributes to the similarity. White line: half of the largest value.", e.A.Height, e.A.Width),
		fmt.Sprintf("The places of each image add up to %s, and the biases of the last layers contribute %s.", digits(e.Similarity-e.Bias), digits(e.Bias)),
	}
	low := "0"
	if lowest < 0 {
		low = fmt.Sprintf("0 and less (lowest %s)", digits(lowest))
	}
	return plot.DrawHeatMaps("Cosine similarity "+digits(e.Similarity), maps, limit, low, digits(largest), notes...)
}

// digits is a number to four digits after the point, without the sign of zero.
func digits(v float64) string {
	text := fmt.Sprintf("%.4f", v)
	if text == "-0.0000" {
		return text[1:]
	}
	return text
}

// CheckFileName reports a path to which WriteFile does not write.
func CheckFileName(path string) error {
	if filepath.Ext(path) != ".png" {
		return errors.Errorf("found %q, expected a file that ends in .png", path)
	}
	return nil
}

// WriteFile writes the Picture to a PNG file, which is written completely or not at all.
func (e *Explanation) WriteFile(path string, a, b Named) error {
	if err := CheckFileName(path); err != nil {
		return errors.Wrap(err, "write an explanation")
	}
	picture, err := e.Picture(a, b)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error { return png.Encode(w, picture) })
}
