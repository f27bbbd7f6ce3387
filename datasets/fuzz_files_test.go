package datasets

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"image"
	"image/png"
	"io/fs"
	"testing"

	"github.com/likeness-go/likeness/imaging"
)

// dot is a file of one pixel.
func dot(t testing.TB) []byte {
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// packed is the data in gzip's format, not compressed, so that the fuzzing sees
// through it.
func packed(t testing.TB, data []byte) []byte {
	var file bytes.Buffer
	w, err := gzip.NewWriterLevel(&file, gzip.NoCompression)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// archive is a tar archive of one file, whose header may claim more than is there.
func archive(t testing.TB, header tar.Header) []byte {
	var file bytes.Buffer
	w := tar.NewWriter(&file)
	header.Mode = 0o600
	if err := w.WriteHeader(&header); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("12345")[:min(5, header.Size)]); err != nil {
		t.Fatal(err)
	}
	_ = w.Close() // an error where the header claims more
	return file.Bytes()
}

// zipped is a zip file of pairs of name and content, stored as they are.
func zipped(t testing.TB, pairs ...string) []byte {
	var file bytes.Buffer
	w := zip.NewWriter(&file)
	for i := 0; i < len(pairs); i += 2 {
		entry, err := w.CreateHeader(&zip.FileHeader{Name: pairs[i], Method: zip.Store})
		if err == nil {
			_, err = entry.Write([]byte(pairs[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// opened is the archive as Open and OpenRuns read it; nil if they refuse it.
func opened(data []byte) *zip.Reader {
	files, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil || checkNames(files) != nil {
		return nil
	}
	return files
}

// inflated is the number of pixels that the images of an archive claim: many large
// ones are slow, and no other case.
func inflated(files *zip.Reader) (pixels int) {
	_ = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil
		}
		if file, err := files.Open(name); err == nil {
			size, _ := imaging.DecodeSize(file, name)
			pixels += size.Len() + 1<<10
			file.Close()
		}
		return nil
	})
	return pixels
}
