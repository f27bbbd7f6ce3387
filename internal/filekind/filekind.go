// Package filekind recognizes the format of a file by its first bytes, for errors about
// files of an unexpected format. It is one table for all readers of files.
package filekind

import "bytes"

// kinds are formats by the bytes at an offset.
var kinds = []struct {
	at    int
	bytes string
	name  string
}{
	{0, "\x89PNG\r\n\x1a\n", "a PNG image"},
	{0, "\xff\xd8\xff", "a JPEG image"},
	{0, "GIF87a", "a GIF image"},
	{0, "GIF89a", "a GIF image"},
	{0, "II*\x00", "a TIFF image"},
	{0, "MM\x00*", "a TIFF image"},
	{0, "II+\x00", "a BigTIFF image"},
	{0, "MM\x00+", "a BigTIFF image"},
	{8, "WEBPVP8", "a WebP image"},
	{0, "\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"},
	{0, "P1\n", "a PBM bitmap"},
	{0, "P1 ", "a PBM bitmap"},
	{0, "P4\n", "a PBM bitmap"},
	{0, "P4 ", "a PBM bitmap"},
	{4, "ftypheic", "a HEIC image"},
	{4, "ftypheix", "a HEIC image"},
	{4, "ftyphevc", "a HEIC image"},
	{4, "ftypmif1", "a HEIC image"},
	{4, "ftypmsf1", "a HEIC image"},
	{4, "ftypavif", "an AVIF image"},
	{4, "ftypavis", "an AVIF image"},
	{0, "<svg", "an SVG drawing"},
	{0, "<?xml", "an XML document"},
	{0, "%PDF", "a PDF document"},
	{0, "PK\x03\x04", "a ZIP archive"},
	{0, "\x1f\x8b", "a gzip archive"},
	{0, "\x80\x02", "a Python pickle"},
	{0, "\x93NUMPY", "a NumPy array"},
	{0, "\x89HDF\r\n\x1a\n", "an HDF5 file"},
	{16, "\xed\xda\x0c\xed", "a bbolt database"},
	{0, "version https://git-lfs", "a pointer of Git LFS"},
}

// Of returns the name of the format of a file with these first bytes, with its article,
// such as "a PNG image"; it is empty if the format is unknown.
func Of(start []byte) string {
	for _, kind := range kinds {
		if len(start) > kind.at && bytes.HasPrefix(start[kind.at:], []byte(kind.bytes)) {
			return kind.name
		}
	}
	return ""
}
