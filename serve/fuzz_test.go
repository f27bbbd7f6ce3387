package serve

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
)

// fuzzed asks a server with a body and fails the test if it does not answer in JSON
// with a code that is meant for bodies. What it embeds it must embed whole.
func fuzzed(t *testing.T, s *Server, path, kind, content string) {
	w := ask(s, posted(path, kind, content))
	if !json.Valid(w.Body.Bytes()) {
		t.Errorf("found %q", w.Body)
	}
	switch w.Code {
	case http.StatusOK, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
	default:
		t.Errorf("found %d %s", w.Code, w.Body)
	}
	if w.Code == http.StatusOK && path == "/v1/embed" {
		for _, e := range decoded[embedded](t, w).Embeddings {
			if len(e) != 3 {
				t.Errorf("found an embedding of %d dimensions", len(e))
			}
		}
	}
}

func fuzzServer(f *testing.F) *Server {
	return startModel(f, plainModel(f, heads.L1{}, 3), Options{MaxPixels: 1 << 12, MaxBodyBytes: 1 << 16, BatchWait: -1})
}

// FuzzForm sends forms with the boundary b.
func FuzzForm(f *testing.F) {
	s := fuzzServer(f)
	part := func(field, content string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + field + "\"; filename=\"x\"\r\n\r\n" + content + "\r\n"
	}
	f.Add(part("image", greys(1, 2, 3)) + "--b--\r\n")
	f.Add(part("a", greys(1, 2, 3)) + part("b", greys(4, 5, 6)) + "--b--\r\n")
	f.Add(part("image", "GIF89a") + "--b--\r\n")
	f.Add("--b--\r\n")
	f.Fuzz(func(t *testing.T, content string) {
		for _, path := range []string{"/v1/embed", "/v1/compare"} {
			fuzzed(t, s, path, "multipart/form-data; boundary=b", content)
		}
	})
}

// FuzzJSON sends JSON.
func FuzzJSON(f *testing.F) {
	s := fuzzServer(f)
	f.Add(`{"image":` + inBase64(greys(1, 2, 3)) + `}`)
	f.Add(`{"image":[` + inBase64(greys(1, 2, 3)) + `,` + inBase64(greys(4, 5, 6)) + `]}`)
	f.Add(`{"a":` + inBase64(greys(1, 2, 3)) + `,"b":"YQ=="}`)
	f.Add(`{"image":{}}`)
	f.Fuzz(func(t *testing.T, content string) {
		for _, path := range []string{"/v1/embed", "/v1/compare"} {
			fuzzed(t, s, path, "application/json", content)
		}
	})
}

// FuzzClass enrols under any name. What is taken is known by that name until it is
// forgotten by it, and no name writes anything beside the gallery.
func FuzzClass(f *testing.F) {
	folder := f.TempDir()
	model := plainModel(f, heads.L1{}, 3)
	g, err := gallery.Create(filepath.Join(folder, "test.gallery"), model, gallery.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { g.Close() })
	s := startModel(f, model, Options{Gallery: g, BatchWait: -1})
	for _, name := range []string{"a", "..", "../../a", "/etc/passwd", `..\a`, "a/../..", "a//b", "%2e%2e", "a?b#c", "\x00", "a\nb", "\xff", "ä ", "classes", "{name}"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, left := range g.Classes() { // by an input that failed
			if _, err := g.Forget(left.Name); err != nil {
				t.Fatal(err)
			}
		}
		text, err := json.Marshal(map[string]any{"class": name, "image": []byte(greys(1, 2, 3))})
		if err != nil {
			t.Fatal(err)
		}
		w := ask(s, posted("/v1/enroll", "application/json", string(text)))
		switch w.Code {
		case http.StatusBadRequest:
			return
		case http.StatusOK:
		default:
			t.Fatalf("found %d %s", w.Code, w.Body)
		}
		class := decoded[enrolled](t, w).Class
		gone := ask(s, plainRequest("DELETE", "/v1/classes/"+url.PathEscape(class), ""))
		if gone.Code != http.StatusOK || g.Len() != 0 {
			t.Errorf("the class %q: found %d %s and %d examples left", class, gone.Code, gone.Body, g.Len())
		}
		entries, err := os.ReadDir(folder)
		if err != nil || len(entries) != 1 {
			t.Errorf("found %v (%v), expected the gallery alone", entries, err)
		}
	})
}
