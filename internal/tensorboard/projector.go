package tensorboard

import (
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

// Projection is embeddings of images.
type Projection struct {
	Embeddings [][]float32
	Images     [][]uint8 // (height, width, channels) bytes each
	Size       imaging.Size
	Classes    []string // of each image; nil where there are none
}

// spriteSide is the longest side of a sprite that the projector takes.
const spriteSide = 8192

// Write leaves the projector's files in a folder: tensors.tsv, metadata.tsv,
// sprite.png with all images in rows, and projector_config.pbtxt.
func (p Projection) Write(folder string) error {
	if len(p.Images) != len(p.Embeddings) || p.Classes != nil && len(p.Classes) != len(p.Embeddings) || len(p.Embeddings) == 0 {
		return errors.Errorf("projection: found %d embeddings, %d images and %d classes, expected as many of each", len(p.Embeddings), len(p.Images), len(p.Classes))
	}
	columns := int(math.Ceil(math.Sqrt(float64(len(p.Images)))))
	if side := columns * max(p.Size.Width, p.Size.Height); side > spriteSide {
		return errors.Errorf("projection: %d images of %v make a sprite of %d pixels, expected at most %d: show fewer", len(p.Images), p.Size, side, spriteSide)
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return errors.Wrap(err, "projection")
	}
	config := fmt.Sprintf("embeddings {\n  tensor_name: \"embeddings\"\n  tensor_path: \"tensors.tsv\"\n%s  sprite {\n    image_path: \"sprite.png\"\n    single_image_dim: %d\n    single_image_dim: %d\n  }\n}\n",
		p.metadataPath(), p.Size.Width, p.Size.Height)
	texts := map[string]string{"tensors.tsv": p.tensors(), "projector_config.pbtxt": config}
	if p.Classes != nil {
		texts["metadata.tsv"] = p.metadata()
	}
	for name, text := range texts {
		err := atomicfile.WriteFile(filepath.Join(folder, name), func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		})
		if err != nil {
			return err
		}
	}
	return atomicfile.WriteFile(filepath.Join(folder, "sprite.png"), func(w io.Writer) error { return png.Encode(w, p.sprite(columns)) })
}

func (p Projection) metadataPath() string {
	if p.Classes == nil {
		return ""
	}
	return "  metadata_path: \"metadata.tsv\"\n"
}

func (p Projection) tensors() string {
	var b strings.Builder
	for _, e := range p.Embeddings {
		for j, v := range e {
			if j > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(strconv.FormatFloat(float64(v), 'g', -1, 32))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// metadata has a class a line; one column has no header.
func (p Projection) metadata() string {
	plain := strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")
	var b strings.Builder
	for _, class := range p.Classes {
		b.WriteString(plain.Replace(class) + "\n")
	}
	return b.String()
}

// sprite has the images in rows, in order.
func (p Projection) sprite(columns int) image.Image {
	rows := (len(p.Images) + columns - 1) / columns
	sprite := image.NewRGBA(image.Rect(0, 0, columns*p.Size.Width, rows*p.Size.Height))
	for i, pixels := range p.Images {
		place := image.Pt(i%columns*p.Size.Width, i/columns*p.Size.Height)
		draw.Draw(sprite, image.Rectangle{Min: place, Max: place.Add(image.Pt(p.Size.Width, p.Size.Height))}, p.Size.Image(pixels), image.Point{}, draw.Src)
	}
	return sprite
}
