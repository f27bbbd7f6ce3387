package imaging

import (
	"bytes"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// Format is a file format that Decode reads.
type Format struct {
	Name string // such as "JPEG"
	// Extensions are those of file names, in lower case and with the dot.
	Extensions []string
}

// Formats returns the formats that Decode reads. They are the same in the library,
// in the command-line tool and in the server: other decoders that a program
// registers with package image play no part.
func Formats() []Format {
	all := make([]Format, len(codecs))
	for i, c := range codecs {
		all[i] = Format{c.Name, slices.Clone(c.Extensions)}
	}
	return all
}

// codec is how a format is recognized and read.
type codec struct {
	Format
	recognize func(head []byte) bool
	decode    func(io.Reader) (image.Image, error)
	config    func(io.Reader) (image.Config, error)
	// orientation finds how the image is to be turned, 1 to 8; nil where the format
	// has no place for it.
	orientation func(*io.SectionReader) int
	// check, if there is one, refuses what the decoder must not be given. Its decoder
	// reads the file in any order, as an io.ReaderAt.
	check func(*io.SectionReader) error
}

var codecs = []codec{
	{Format: Format{"PNG", []string{".png"}}, recognize: magic("\x89PNG\r\n\x1a\n"), decode: png.Decode, config: png.DecodeConfig, orientation: pngOrientation},
	{Format: Format{"JPEG", []string{".jpg", ".jpeg", ".jpe", ".jfif"}}, recognize: magic("\xff\xd8\xff"), decode: jpeg.Decode, config: jpeg.DecodeConfig, orientation: jpegOrientation},
	{Format: Format{"GIF", []string{".gif"}}, recognize: magic("GIF8?a"), decode: gif.Decode, config: gif.DecodeConfig},
	{Format: Format{"BMP", []string{".bmp", ".dib"}}, recognize: magic("BM????\x00\x00\x00\x00"), decode: bmp.Decode, config: bmp.DecodeConfig},
	{Format: Format{"TIFF", []string{".tif", ".tiff"}}, recognize: magic("II*\x00", "MM\x00*"), decode: decodeTIFF, config: tiff.DecodeConfig, orientation: tiffOrientation, check: checkTIFF},
	{Format: Format{"WebP", []string{".webp"}}, recognize: magic("RIFF????WEBPVP8"), decode: decodeWebP, config: webp.DecodeConfig, orientation: webpOrientation},
	{Format: Format{"PGM", []string{".pgm", ".pnm"}}, recognize: netpbmMagic('2', '5'), decode: decodeNetpbm, config: decodeNetpbmConfig},
	{Format: Format{"PPM", []string{".ppm", ".pnm"}}, recognize: netpbmMagic('3', '6'), decode: decodeNetpbm, config: decodeNetpbmConfig},
}

// headLength is how many of a file's first bytes tell its format.
const headLength = 16

// magic recognizes what begins with one of the patterns, in which ? is any byte.
func magic(patterns ...string) func(head []byte) bool {
	return func(head []byte) bool {
		return slices.ContainsFunc(patterns, func(pattern string) bool {
			if len(head) < len(pattern) {
				return false
			}
			for i := range pattern {
				if pattern[i] != '?' && pattern[i] != head[i] {
					return false
				}
			}
			return true
		})
	}
}

// codecOf is the format that a file's first bytes are of; nil if it is none of ours.
func codecOf(head []byte) *codec {
	for i := range codecs {
		if codecs[i].recognize(head) {
			return &codecs[i]
		}
	}
	return nil
}

// otherKind names what a file is that Decode does not read, where its first bytes
// tell and somebody may take it for an image; empty otherwise.
func otherKind(head []byte) string {
	if len(head) >= 12 && string(head[4:8]) == "ftyp" {
		switch brand := string(head[8:12]); brand {
		case "heic", "heix", "hevc", "mif1", "msf1":
			return "a HEIC image"
		case "avif", "avis":
			return "an AVIF image"
		}
	}
	for start, kind := range map[string]string{
		"%PDF": "a PDF document", "<svg": "an SVG drawing", "<?xml": "an XML document", "PK\x03\x04": "a ZIP archive", "\x1f\x8b": "a gzip archive",
		"P1": "a PBM bitmap", "P4": "a PBM bitmap", "II+\x00": "a BigTIFF image", "MM\x00+": "a BigTIFF image", "\x00\x00\x00\x0cjP  ": "a JPEG 2000 image",
	} {
		if bytes.HasPrefix(head, []byte(start)) {
			return kind
		}
	}
	return ""
}

// formatNames lists the formats, as errors do.
func formatNames() string {
	var names []string
	for _, c := range codecs {
		names = append(names, c.Name)
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// HasExtension says whether a file is named as an image that Decode reads.
func HasExtension(name string) bool {
	extension := strings.ToLower(filepath.Ext(name))
	return slices.ContainsFunc(codecs, func(c codec) bool { return slices.Contains(c.Extensions, extension) })
}
