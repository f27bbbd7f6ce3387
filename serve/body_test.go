package serve

import (
	"bytes"
	"encoding/json"
	"image"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
)

// Each body that is not as it should be is refused with the field, what was found
// and what was expected.
func TestBodiesAreChecked(t *testing.T) {
	s := start(t, Options{MaxBodyBytes: 4096, MaxImages: 2, MaxPixels: 100})
	grey := greys(1, 2, 3)
	const js = "application/json"
	answer[enrolled](t, s, form("/v1/enroll", "class", "alice", "image", grey))
	for name, c := range map[string]struct {
		request *http.Request
		code    int
		text    string
	}{
		"no type":                 {posted("/v1/embed", "", "x"), 415, "expected multipart/form-data or application/json"},
		"other type":              {posted("/v1/embed", "image/png", grey), 415, `found "image/png"`},
		"no boundary":             {posted("/v1/embed", "multipart/form-data", "x"), 400, "boundary"},
		"cut off":                 {posted("/v1/embed", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nx"), 400, "body: "},
		"no image":                {form("/v1/embed"), 400, "image: found none, expected an image or more"},
		"one of two":              {form("/v1/compare", "a", grey), 400, "b: found none, expected an image"},
		"a twice":                 {form("/v1/compare", "a", grey, "a", grey), 400, "a: found several images, expected one"},
		"unknown field":           {form("/v1/embed", "imag", grey), 400, `unknown field "imag": did you mean "image"?`},
		"empty file":              {form("/v1/embed", "image", ""), 400, "image: found an empty file"},
		"no picture":              {form("/v1/embed", "image", "no picture"), 422, "image: found no image that can be read: not an image of a known format"},
		"half a picture":          {form("/v1/embed", "image", grey, "image", grey[:len(grey)-20]), 422, "image 2: found no image"},
		"too many images":         {form("/v1/embed", "image", grey, "image", grey, "image", grey), 413, "more than 2 images"},
		"too many in JSON":        {posted("/v1/embed", js, `{"image":["YQ==","YQ==","YQ=="]}`), 413, "more than 2 images"},
		"too many pixels":         {form("/v1/embed", "image", encode(image.NewGray(image.Rect(0, 0, 11, 10)))), 413, "image: found 11 × 10 pixels, expected at most 100"},
		"too many bytes":          {form("/v1/embed", "image", strings.Repeat("x", 5000)), 413, "more than 4096 bytes"},
		"too many JSON bytes":     {posted("/v1/embed", js, `{"image":"`+strings.Repeat("x", 5000)), 413, "more than 4096 bytes"},
		"no JSON":                 {posted("/v1/embed", js, "image"), 400, "found no JSON object"},
		"no object":               {posted("/v1/embed", js, `["a"]`), 400, "found no JSON object"},
		"two objects":             {posted("/v1/embed", js, `{"image":"YQ=="} {}`), 400, "something after the JSON object"},
		"null":                    {posted("/v1/embed", js, `{"image":null}`), 400, "image: found none"},
		"number for image":        {posted("/v1/embed", js, `{"image":7}`), 400, "image: found 7, expected an image in base64"},
		"numbers for images":      {posted("/v1/embed", js, `{"image":[7]}`), 400, "image: found a list of other things"},
		"list for one":            {posted("/v1/compare", js, `{"a":["YQ=="],"b":"YQ=="}`), 400, "a: found"},
		"no base64":               {posted("/v1/embed", js, `{"image":"*"}`), 400, `image: found "*", expected base64`},
		"unknown JSON field":      {posted("/v1/embed", js, `{"path":"/etc/passwd"}`), 400, `unknown field "path"`},
		"no class":                {form("/v1/enroll", "image", grey), 400, "class: found none, expected a text"},
		"empty class":             {form("/v1/enroll", "class", " ", "image", grey), 400, `class: invalid class name " ": found an empty name`},
		"class twice":             {form("/v1/enroll", "class", "a", "class", "b", "image", grey), 400, "class: found it twice"},
		"long class":              {form("/v1/enroll", "class", strings.Repeat("x", 201), "image", grey), 400, "class: found 201 bytes"},
		"longer class":            {form("/v1/enroll", "class", strings.Repeat("x", 2000), "image", grey), 400, "class: found more than 1024 bytes"},
		"class of a path":         {form("/v1/enroll", "class", "..", "image", grey), 400, `class: invalid class name ".."`},
		"class of two lines":      {form("/v1/enroll", "class", "a\nb", "image", grey), 400, "control characters"},
		"class not UTF-8":         {form("/v1/enroll", "class", "\xff", "image", grey), 400, "expected UTF-8"},
		"class turned around":     {form("/v1/enroll", "class", "\u202egnp", "image", grey), 400, "U+202E"},
		"class in white space":    {form("/v1/enroll", "class", "a ", "image", grey), 400, "white space at its beginning or end"},
		"class not UTF-8 in JSON": {posted("/v1/enroll", js, `{"class":"caf`+"\xe9"+`","image":`+inBase64(grey)+`}`), 400, "U+FFFD"},
		"class of half a pair":    {posted("/v1/enroll", js, `{"class":"\ud800","image":`+inBase64(grey)+`}`), 400, "U+FFFD"},
		"class of a line in JSON": {posted("/v1/enroll", js, `{"class":"a\u2028b","image":`+inBase64(grey)+`}`), 400, "U+2028"},
		"number for class":        {posted("/v1/enroll", js, `{"class":7,"image":"YQ=="}`), 400, "class: found 7, expected a text"},
		"candidates":              {form("/v1/identify", "image", grey, "candidates", "0"), 400, "candidates: found 0, expected 1 to 100"},
		"more candidates":         {posted("/v1/identify", js, `{"candidates":101,"image":"YQ=="}`), 400, "candidates: found 101"},
		"candidates in words":     {form("/v1/identify", "image", grey, "candidates", "two"), 400, `candidates: found "two", expected a whole number`},
		"unknown class":           {form("/v1/verify", "class", "alic", "image", grey), 404, `class: unknown class "alic": did you mean "alice"?`},
		"forgotten class":         {plainRequest("DELETE", "/v1/classes/bob", ""), 404, `unknown class "bob"`},
		"unknown path":            {plainRequest("GET", "/v1/nothing", ""), 404, "/openapi.json"},
		"path upwards":            {plainRequest("GET", "/static/%2e%2e/options.go", ""), 404, "none of the server's"},
		"other method":            {plainRequest("PUT", "/v1/classes", ""), 405, "found PUT, expected GET"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, s, c.request, c.code, c.text) })
	}
	if left := s.options.Gallery.Len(); left != 1 {
		t.Errorf("%d examples are in the gallery, want 1", left)
	}
	if allow := ask(s, plainRequest("GET", "/v1/compare", "")).Header().Get("Allow"); allow != "POST" {
		t.Errorf("Allow: found %q, want POST", allow)
	}
}

// A gallery without classes cannot identify, one that is read only cannot enrol, and
// one that is closed does nothing; no answer names its file.
func TestGalleryRefuses(t *testing.T) {
	model := plainModel(t, heads.L1{}, 3)
	path := filepath.Join(t.TempDir(), "private.gallery")
	g, err := gallery.Create(path, model, gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if g, err = gallery.Open(path, model, gallery.Options{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	s := startModel(t, model, Options{Gallery: g})
	refused(t, s, form("/v1/identify", "image", greys(1, 2, 3)), 409, "enrol first")
	answers := []string{
		refused(t, s, form("/v1/enroll", "class", "a", "image", greys(1, 2, 3)), 409, "opened for reading only").Body.String(),
		refused(t, s, form("/v1/verify", "class", "a", "image", greys(1, 2, 3)), 404, "There are none yet").Body.String(),
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	answers = append(answers, refused(t, s, form("/v1/verify", "class", "a", "image", greys(1, 2, 3)), 503, "shutting down").Body.String())
	for _, text := range answers {
		if strings.Contains(text, "private") {
			t.Errorf("found the gallery's file in %s", text)
		}
	}
}

// A panic is an answer of the code 500 that tells nothing, and a line of the log that
// tells all. The server goes on.
func TestPanicsAreAnswered(t *testing.T) {
	var log bytes.Buffer
	s := start(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), Gallery: nil})
	embed := s.queue.embed
	s.queue.embed = func([][]uint8) ([][]float32, error) { panic("in the network") }
	w := refused(t, s, form("/v1/embed", "image", greys(1, 2, 3)), 500, "its log says more")
	if id := w.Header().Get("X-Request-Id"); id == "" || !strings.Contains(log.String(), id) || !strings.Contains(log.String(), "in the network") {
		t.Errorf("request %q: the log says\n%s", id, &log)
	}
	s.queue.embed = embed
	answer[embedded](t, s, form("/v1/embed", "image", greys(1, 2, 3)))

	w = refused(t, s.watched("/broken", func(http.ResponseWriter, *http.Request) error { panic("in a handler") }), plainRequest("GET", "/broken", ""), 500, "its log says more")
	if strings.Contains(w.Body.String(), "in a handler") || !strings.Contains(log.String(), "in a handler") {
		t.Errorf("found %s, the log says\n%s", w.Body, &log)
	}
}

// What the log says is of requests, and not what is in them.
func TestLogIsDiscreet(t *testing.T) {
	var log bytes.Buffer
	s := start(t, Options{Token: "a token of this test", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	r := form("/v1/enroll", "class", "alice", "image", greys(1, 2, 3))
	r.Header.Set("Authorization", "Bearer a token of this test")
	answer[enrolled](t, s, r)
	r = plainRequest("DELETE", "/v1/classes/alice", "")
	r.Header.Set("Authorization", "Bearer a token of this test")
	answer[forgotten](t, s, r)
	for _, want := range []string{"route=/v1/enroll", "route=/v1/classes/{name}", "code=200", "method=POST", "duration="} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, &log)
		}
	}
	for _, secret := range []string{"alice", "token of this test"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log tells %s:\n%s", secret, &log)
		}
	}
}

// Options that cannot be are refused with the field.
func TestOptionsAreChecked(t *testing.T) {
	model := plainModel(t, heads.L1{}, 3)
	for text, o := range map[string]Options{
		"MaxPixels is -1":                                           {MaxPixels: -1},
		"ReadTimeout is -1ns":                                       {ReadTimeout: -1},
		"QueueSize is 31, expected at least Max":                    {QueueSize: 31},
		"MaxRequestPixels is 9, expected at leas":                   {MaxRequestPixels: 9},
		"MaxRequestPixels is -1":                                    {MaxRequestPixels: -1},
		"WriteTimeout is 1s, expected more than RequestTimeout, 1s": {WriteTimeout: time.Second, RequestTimeout: time.Second},
		"MaxBufferedBytes is 9, expected at lea":                    {MaxBufferedBytes: 9},
	} {
		if s, err := New(model, o); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("found %v, %v, want %q", s, err, text)
		}
	}
	other := start(t, Options{}).options.Gallery
	if s, err := New(plainModel(t, heads.L2{}, 3), Options{Gallery: other}); err == nil || !strings.Contains(err.Error(), "the gallery is of the model plain, 1x3x1, l1") {
		t.Errorf("a gallery of another model: found %v, %v", s, err)
	}
}

// There is always time to send an answer, whichever bounds are given.
func TestTimesFit(t *testing.T) {
	for _, c := range []struct{ given, want Options }{
		{Options{}, Options{RequestTimeout: 45 * time.Second, WriteTimeout: time.Minute}},
		{Options{ReadTimeout: 2 * time.Minute}, Options{RequestTimeout: 135 * time.Second, WriteTimeout: 150 * time.Second}},
		{Options{WriteTimeout: 20 * time.Second}, Options{RequestTimeout: 15 * time.Second, WriteTimeout: 20 * time.Second}},
		{Options{RequestTimeout: time.Hour}, Options{RequestTimeout: time.Hour, WriteTimeout: time.Hour + 15*time.Second}},
		{Options{WriteTimeout: 1}, Options{RequestTimeout: 1, WriteTimeout: 1}}, // no time to divide
	} {
		found, err := c.given.withDefaults()
		if found.RequestTimeout != c.want.RequestTimeout || found.WriteTimeout != c.want.WriteTimeout || (err == nil) != (found.RequestTimeout < found.WriteTimeout) {
			t.Errorf("%+v: found %v and %v, %v", c.given, found.RequestTimeout, found.WriteTimeout, err)
		}
	}
	if found, err := (Options{MaxPixels: math.MaxInt}).withDefaults(); err != nil || found.MaxRequestPixels != math.MaxInt {
		t.Errorf("found %d, %v", found.MaxRequestPixels, err)
	}
}

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
