package imaging

import (
	"image"
	"io"

	"github.com/likeness-go/likeness/internal/tiffdir"
	"github.com/pkg/errors"
	"golang.org/x/image/tiff"
)

// minTile is the smallest number of pixels of a tile of a TIFF, whose sides are
// multiples of 16 (TIFF 6.0, section 15). Smaller tiles take as much time as large ones,
// so that a small file could take minutes.
const minTile = 16 * 16

// checkTIFF returns an error for files that need much memory or time to decode.
func checkTIFF(r *io.SectionReader) error {
	const tileWidth, tileLength = 0x0142, 0x0143
	pixels, tiled := int64(1), false
	err := tiffdir.Each(r, func(entry tiffdir.Entry) bool {
		if entry.Tag == tileWidth || entry.Tag == tileLength {
			pixels, tiled = pixels*min(int64(entry.Number()), MaxSide), true
		}
		return true
	})
	if err == nil && tiled && pixels < minTile {
		err = errors.Errorf("found tiles of %d pixels, expected at least %d", pixels, minTile)
	}
	if err == nil {
		_, err = faxReversed(r)
	}
	return errors.Wrap(err, "TIFF: read the directory")
}

// faxReversed reports, for a TIFF with the compression of facsimiles (ITU-T T.4 and T.6),
// whether the decoder returns the negative. The codes are white and black runs, which
// TIFF stores as zeros and ones whatever zero means (TIFF 6.0, page 50, as libtiff
// does): if PhotometricInterpretation says that zero is black, a white run is shown
// black, but golang.org/x/image/tiff returns white. It is an error if the decoder would
// differ from libtiff otherwise.
func faxReversed(r *io.SectionReader) (reversed bool, err error) {
	const (
		bits, compression, photometric = 0x0102, 0x0103, 0x0106
		group3, group4                 = 3, 4
		whiteIsZero, blackIsZero       = 0, 1
	)
	values := map[uint16]uint32{bits: 1, photometric: whiteIsZero}
	err = tiffdir.Each(r, func(entry tiffdir.Entry) bool {
		switch entry.Tag {
		case bits, compression, photometric:
			values[entry.Tag] = entry.Number()
		}
		return true
	})
	if err != nil || values[compression] != group3 && values[compression] != group4 {
		return false, err
	}
	if values[bits] != 1 {
		return false, errors.Errorf("found %d bits for each pixel with the compression of facsimiles (CCITT group 3 or 4), expected 1", values[bits])
	}
	if values[photometric] != whiteIsZero && values[photometric] != blackIsZero {
		return false, errors.Errorf("found PhotometricInterpretation %d with the compression of facsimiles (CCITT group 3 or 4), expected 0 or 1: save the image with another compression", values[photometric])
	}
	return values[photometric] == blackIsZero, nil
}

// decodeTIFF decodes a TIFF that checkTIFF has accepted.
func decodeTIFF(r io.Reader) (image.Image, error) {
	section, ok := r.(*io.SectionReader)
	if !ok {
		return nil, errors.Errorf("TIFF: found a %T, expected one that reads in any order", r)
	}
	reversed, err := faxReversed(section)
	if err != nil {
		return nil, err
	}
	img, err := tiff.Decode(section)
	if err != nil || !reversed {
		return img, err
	}
	gray, ok := img.(*image.Gray)
	if !ok {
		return nil, errors.Errorf("TIFF: found a %T of the compression of facsimiles, expected gray levels", img)
	}
	for i, v := range gray.Pix {
		gray.Pix[i] = 255 - v
	}
	return gray, nil
}
