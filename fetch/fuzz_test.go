package fetch

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/likeness-go/likeness/internal/testutil"
)

// From any archive only the published member is written, and no more bytes are unpacked than
// the limit.
func FuzzUnpack(f *testing.F) {
	const whole = "whole"
	sum := sha256.Sum256([]byte(whole))
	members := []Member{{Path: "set/a.bin", Size: int64(len(whole)), SHA256: hex.EncodeToString(sum[:])}}
	for _, header := range []tar.Header{
		{Name: "set/a.bin"}, {Name: "../a.bin"}, {Name: "/a.bin"}, {Name: `..\a.bin`}, {Name: "set/a.bin", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		{Name: "set/../../a.bin"}, {Name: "set/a.bin", Typeflag: tar.TypeLink, Linkname: "b"}, {Name: "set/a.bin/", Typeflag: tar.TypeDir},
	} {
		var file bytes.Buffer
		w := tar.NewWriter(&file)
		header.Mode = 0o666
		if header.Typeflag == 0 {
			header.Size = int64(len(whole))
		}
		if err := w.WriteHeader(&header); err != nil {
			f.Fatal(err)
		}
		if header.Size > 0 {
			if _, err := w.Write([]byte(whole)); err != nil {
				f.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(file.Bytes())
	}
	around := f.TempDir()
	folder := filepath.Join(around, "folder")
	if err := os.Mkdir(folder, 0o777); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		testutil.LimitAllocations(t, 8*len(archive), func() {
			_ = take(bytes.NewReader(archive), members, folder) // whether it is refused is not the question
		})
		expectAlone(t, around, "folder")
		for _, name := range expectAlone(t, folder, "a.bin") {
			content, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil || string(content) != whole {
				t.Errorf("found %q (%v), expected %q", content, err, whole)
			}
			if err := os.Remove(filepath.Join(folder, name)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// expectAlone fails the test if a folder has an entry of another name.
func expectAlone(t *testing.T, folder, name string) (found []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if found = append(found, entry.Name()); entry.Name() != name {
			t.Errorf("found %s in %s, expected %s alone", entry.Name(), folder, name)
		}
	}
	return found
}

// Whatever a server answers to a request for the rest of a file, a download is resumed only
// with bytes of the same file.
func FuzzPrepare(f *testing.F) {
	f.Add(206, "bytes 3-9/10", `"a"`, `"a"`, int64(7), uint8(3))
	f.Add(206, "bytes 0-9/10", `W/"a"`, "", int64(10), uint8(0))
	f.Add(200, "", "", "yesterday", int64(-1), uint8(3))
	f.Add(416, "bytes */10", "", "", int64(0), uint8(9))
	folder := f.TempDir()
	file, err := os.Create(filepath.Join(folder, "set.part"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { file.Close() })
	f.Fuzz(func(t *testing.T, code int, ranged, tag, origined string, length int64, there uint8) {
		for _, wanted := range []File{{Size: 10}, {MaxSize: 20}} {
			p := &part{path: filepath.Join(folder, "set"), file: file, size: int64(there), known: wanted.Size, total: 10, origin: origin{URL: "u", Validator: origined}}
			response := &http.Response{StatusCode: code, ContentLength: length, Header: http.Header{"Content-Range": {ranged}, "Etag": {tag}}}
			began, err := p.prepare(response, wanted, "u")
			if err == nil && !began && (p.size != int64(there) || code != http.StatusPartialContent || ranged == "") {
				t.Errorf("goes on at %d of %d after the answer %d %q", p.size, there, code, ranged)
			}
			if err == nil && began && p.size != 0 {
				t.Errorf("begins anew at %d", p.size)
			}
			if err == nil && (p.total < 1 || p.total > 20 || wanted.Size > 0 && p.total != wanted.Size) {
				t.Errorf("%+v: expects %d bytes after the answer %d of %d", wanted, p.total, code, length)
			}
		}
	})
}

// Any origin file is invalid or is decoded and encoded without a change.
func FuzzOrigin(f *testing.F) {
	f.Add([]byte(`{"url":"http://a/b","validator":"\"x\""}`))
	f.Add([]byte(`{"url":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var first, second origin
		if json.Unmarshal(text, &first) != nil {
			return
		}
		written, err := json.Marshal(first)
		if err == nil {
			err = json.Unmarshal(written, &second)
		}
		if err != nil || first != second {
			t.Errorf("found %+v (%v), expected %+v", second, err, first)
		}
	})
}
