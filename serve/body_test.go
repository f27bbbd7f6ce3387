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
	"github.com/likeness-go/likeness/internal/testutil"
)

// Each invalid body is refused with the field, what was found and what was expected.
func TestInvalidBodies(t *testing.T) {
	s := start(t, Options{MaxBodyBytes: 4096, MaxImages: 2, MaxPixels: 100})
	gray := grayPNG(1, 2, 3)
	const js = "application/json"
	answer[enrolled](t, s, form("/v1/enroll", "class", "alice", "image", gray))
	for name, c := range map[string]struct {
		request *http.Request
		code    int
		text    string
	}{
		"no type":                 {newRequest("/v1/embed", "", "x"), 415, "expected multipart/form-data or application/json"},
		"other type":              {newRequest("/v1/embed", "image/png", gray), 415, `found "image/png"`},
		"no boundary":             {newRequest("/v1/embed", "multipart/form-data", "x"), 400, "boundary"},
		"cut off":                 {newRequest("/v1/embed", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nx"), 400, "body: "},
		"no image":                {form("/v1/embed"), 400, "image: found none, expected at least one image"},
		"one of two":              {form("/v1/compare", "a", gray), 400, "b: found none, expected an image"},
		"a twice":                 {form("/v1/compare", "a", gray, "a", gray), 400, "a: found several images, expected one"},
		"unknown field":           {form("/v1/embed", "imag", gray), 400, `unknown field "imag": did you mean "image"?`},
		"empty file":              {form("/v1/embed", "image", ""), 400, "image: found an empty file"},
		"no picture":              {form("/v1/embed", "image", "no picture"), 422, "image: not a readable image: not an image of a known format"},
		"half a picture":          {form("/v1/embed", "image", gray, "image", gray[:len(gray)-20]), 422, "image 2: not a readable image"},
		"too many images":         {form("/v1/embed", "image", gray, "image", gray, "image", gray), 413, "more images than the maximum of 2"},
		"too many in JSON":        {newRequest("/v1/embed", js, `{"image":["YQ==","YQ==","YQ=="]}`), 413, "more images than the maximum of 2"},
		"too many pixels":         {form("/v1/embed", "image", encode(image.NewGray(image.Rect(0, 0, 11, 10)))), 413, "image: found 11 × 10 pixels, expected at most 100"},
		"too many bytes":          {form("/v1/embed", "image", strings.Repeat("x", 5000)), 413, "more bytes than the maximum of 4096"},
		"too many JSON bytes":     {newRequest("/v1/embed", js, `{"image":"`+strings.Repeat("x", 5000)), 413, "more bytes than the maximum of 4096"},
		"no JSON":                 {newRequest("/v1/embed", js, "image"), 400, "found no JSON object"},
		"no object":               {newRequest("/v1/embed", js, `["a"]`), 400, "found no JSON object"},
		"two objects":             {newRequest("/v1/embed", js, `{"image":"YQ=="} {}`), 400, "data after the JSON object"},
		"null":                    {newRequest("/v1/embed", js, `{"image":null}`), 400, "image: found none"},
		"number for image":        {newRequest("/v1/embed", js, `{"image":7}`), 400, "image: found 7, expected an image in base64"},
		"numbers for images":      {newRequest("/v1/embed", js, `{"image":[7]}`), 400, "image: found a list with other values"},
		"list for one":            {newRequest("/v1/compare", js, `{"a":["YQ=="],"b":"YQ=="}`), 400, "a: found"},
		"no base64":               {newRequest("/v1/embed", js, `{"image":"*"}`), 400, `image: found "*", expected base64`},
		"unknown JSON field":      {newRequest("/v1/embed", js, `{"path":"/etc/passwd"}`), 400, `unknown field "path"`},
		"no class":                {form("/v1/enroll", "image", gray), 400, "class: found none, expected a text"},
		"empty class":             {form("/v1/enroll", "class", " ", "image", gray), 400, `class: invalid class name " ": found an empty name`},
		"class twice":             {form("/v1/enroll", "class", "a", "class", "b", "image", gray), 400, "class: found the field twice"},
		"long class":              {form("/v1/enroll", "class", strings.Repeat("x", 201), "image", gray), 400, "class: found 201 bytes"},
		"longer class":            {form("/v1/enroll", "class", strings.Repeat("x", 2000), "image", gray), 400, "class: found more bytes than the maximum of 1024"},
		"class of a path":         {form("/v1/enroll", "class", "..", "image", gray), 400, `class: invalid class name ".."`},
		"class of two lines":      {form("/v1/enroll", "class", "a\nb", "image", gray), 400, "control characters"},
		"class not UTF-8":         {form("/v1/enroll", "class", "\xff", "image", gray), 400, "expected UTF-8"},
		"class turned around":     {form("/v1/enroll", "class", "\u202egnp", "image", gray), 400, "U+202E"},
		"class in white space":    {form("/v1/enroll", "class", "a ", "image", gray), 400, "white space at its beginning or end"},
		"class not UTF-8 in JSON": {newRequest("/v1/enroll", js, `{"class":"caf`+"\xe9"+`","image":`+inBase64(gray)+`}`), 400, "U+FFFD"},
		"class of half a pair":    {newRequest("/v1/enroll", js, `{"class":"\ud800","image":`+inBase64(gray)+`}`), 400, "U+FFFD"},
		"class of a line in JSON": {newRequest("/v1/enroll", js, `{"class":"a\u2028b","image":`+inBase64(gray)+`}`), 400, "U+2028"},
		"number for class":        {newRequest("/v1/enroll", js, `{"class":7,"image":"YQ=="}`), 400, "class: found 7, expected a text"},
		"candidates":              {form("/v1/identify", "image", gray, "candidates", "0"), 400, "candidates: found 0, expected 1 to 100"},
		"more candidates":         {newRequest("/v1/identify", js, `{"candidates":101,"image":"YQ=="}`), 400, "candidates: found 101"},
		"candidates in words":     {form("/v1/identify", "image", gray, "candidates", "two"), 400, `candidates: found "two", expected an integer`},
		"confidence":              {form("/v1/identify", "image", gray, "confidence", "1"), 400, `confidence: found "1", expected a number between 0 and 1`},
		"confidence in words":     {newRequest("/v1/identify", js, `{"confidence":"high","image":"YQ=="}`), 400, `confidence: found "\"high\"", expected a number between 0 and 1`},
		"confidence NaN":          {form("/v1/identify", "image", gray, "confidence", "NaN"), 400, `confidence: found "NaN"`},
		"uncalibrated":            {form("/v1/identify", "image", gray, "confidence", "0.9"), 409, "confidence: the gallery is not calibrated: run likeness calibrate"},
		"unknown class":           {form("/v1/verify", "class", "alic", "image", gray), 404, `class: unknown class "alic": did you mean "alice"?`},
		"forgotten class":         {plainRequest("DELETE", "/v1/classes/bob", ""), 404, `unknown class "bob"`},
		"unknown path":            {plainRequest("GET", "/v1/nothing", ""), 404, "/openapi.json"},
		"path upwards":            {plainRequest("GET", "/static/%2e%2e/options.go", ""), 404, "which does not exist"},
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

// An empty gallery cannot identify, a read-only one cannot enroll, and a closed one can do
// neither; no answer contains the path of its file.
func TestGalleryErrors(t *testing.T) {
	model := plainModel(t, heads.L1{}, 3)
	path := testutil.NewGallery(t, t.TempDir(), "private.gallery")
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
	refused(t, s, form("/v1/identify", "image", grayPNG(1, 2, 3)), 409, "enroll images first")
	answers := []string{
		refused(t, s, form("/v1/enroll", "class", "a", "image", grayPNG(1, 2, 3)), 409, "opened read-only").Body.String(),
		refused(t, s, form("/v1/verify", "class", "a", "image", grayPNG(1, 2, 3)), 404, "The gallery has no classes").Body.String(),
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	answers = append(answers, refused(t, s, form("/v1/verify", "class", "a", "image", grayPNG(1, 2, 3)), 503, "shutting down").Body.String())
	for _, text := range answers {
		if strings.Contains(text, "private") {
			t.Errorf("found the gallery's file in %s", text)
		}
	}
}

// A panic is answered with status 500 without details and logged with details, and the
// server continues.
func TestPanicsAreAnswered(t *testing.T) {
	var log bytes.Buffer
	s := start(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), Gallery: nil})
	embed := s.queue.embed
	s.queue.embed = func([][]uint8) ([][]float32, error) { panic("in the network") }
	w := refused(t, s, form("/v1/embed", "image", grayPNG(1, 2, 3)), 500, "see the server's log")
	if id := w.Header().Get("X-Request-Id"); id == "" || !strings.Contains(log.String(), id) || !strings.Contains(log.String(), "in the network") {
		t.Errorf("request %q: the log says\n%s", id, &log)
	}
	s.queue.embed = embed
	answer[embedded](t, s, form("/v1/embed", "image", grayPNG(1, 2, 3)))

	w = refused(t, s.watched("/broken", func(http.ResponseWriter, *http.Request) error { panic("in a handler") }), plainRequest("GET", "/broken", ""), 500, "see the server's log")
	if strings.Contains(w.Body.String(), "in a handler") || !strings.Contains(log.String(), "in a handler") {
		t.Errorf("found %s, the log says\n%s", w.Body, &log)
	}
}

// The log has no contents of requests.
func TestLogHasNoContents(t *testing.T) {
	var log bytes.Buffer
	s := start(t, Options{Token: "a token of this test", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	r := form("/v1/enroll", "class", "alice", "image", grayPNG(1, 2, 3))
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
			t.Errorf("the log contains %s:\n%s", secret, &log)
		}
	}
}

// Invalid options are refused with the name of the field.
func TestInvalidOptions(t *testing.T) {
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

// The default timeouts leave time to send an answer, whichever timeouts are set.
func TestDefaultTimeouts(t *testing.T) {
	for _, c := range []struct{ given, want Options }{
		{Options{}, Options{RequestTimeout: 45 * time.Second, WriteTimeout: time.Minute}},
		{Options{ReadTimeout: 2 * time.Minute}, Options{RequestTimeout: 135 * time.Second, WriteTimeout: 150 * time.Second}},
		{Options{WriteTimeout: 20 * time.Second}, Options{RequestTimeout: 15 * time.Second, WriteTimeout: 20 * time.Second}},
		{Options{RequestTimeout: time.Hour}, Options{RequestTimeout: time.Hour, WriteTimeout: time.Hour + 15*time.Second}},
		{Options{WriteTimeout: 1}, Options{RequestTimeout: 1, WriteTimeout: 1}}, // too short to be divided
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

// fuzzed sends a body and fails the test if the answer is not JSON, has an unexpected
// status, or has incomplete embeddings.
func fuzzed(t *testing.T, s *Server, path, kind, content string) {
	w := ask(s, newRequest(path, kind, content))
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
	f.Add(part("image", grayPNG(1, 2, 3)) + "--b--\r\n")
	f.Add(part("a", grayPNG(1, 2, 3)) + part("b", grayPNG(4, 5, 6)) + "--b--\r\n")
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
	f.Add(`{"image":` + inBase64(grayPNG(1, 2, 3)) + `}`)
	f.Add(`{"image":[` + inBase64(grayPNG(1, 2, 3)) + `,` + inBase64(grayPNG(4, 5, 6)) + `]}`)
	f.Add(`{"a":` + inBase64(grayPNG(1, 2, 3)) + `,"b":"YQ=="}`)
	f.Add(`{"image":{}}`)
	f.Fuzz(func(t *testing.T, content string) {
		for _, path := range []string{"/v1/embed", "/v1/compare"} {
			fuzzed(t, s, path, "application/json", content)
		}
	})
}

// FuzzClass enrolls under any name. An accepted class has that name until it is deleted
// by it, and no name creates a file next to the gallery.
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
		for _, left := range g.Classes() { // left by an input that failed
			if _, err := g.Forget(left.Name); err != nil {
				t.Fatal(err)
			}
		}
		text, err := json.Marshal(map[string]any{"class": name, "image": []byte(grayPNG(1, 2, 3))})
		if err != nil {
			t.Fatal(err)
		}
		w := ask(s, newRequest("/v1/enroll", "application/json", string(text)))
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
			t.Errorf("found %v (%v), expected only the gallery", entries, err)
		}
	})
}
