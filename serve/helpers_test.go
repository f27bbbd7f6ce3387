package serve

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
)

// plainModel embeds an image of one row of gray pixels as their values, 0 to 255, so that
// every answer can be computed by hand. Its threshold is 10.
func plainModel(t testing.TB, head heads.Head, pixels int) *likeness.Model {
	t.Helper()
	size := imaging.Size{Height: 1, Width: pixels, Channels: 1}
	network := backbone.Network{Name: "plain", Size: size, Blocks: []graph.Block{graph.Flatten{}}}
	model, err := likeness.New(network, head, imaging.Preprocessing{Size: size, StdDev: []float64{1.0 / 255}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	threshold := 10.0
	model.Threshold = &threshold
	return model
}

// start returns a server of images of three gray pixels with the head l1, with an empty
// gallery if the options have none.
func start(t testing.TB, o Options) *Server {
	t.Helper()
	model := plainModel(t, heads.L1{}, 3)
	if o.Gallery == nil {
		g, err := gallery.Create(testutil.NewGallery(t, t.TempDir(), "test.gallery"), model, gallery.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.Close() })
		o.Gallery = g
	}
	return startModel(t, model, o)
}

func startModel(t testing.TB, model *likeness.Model, o Options) *Server {
	t.Helper()
	s, err := New(model, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// grayPNG is the PNG of one row of gray pixels.
func grayPNG(values ...uint8) string {
	img := image.NewGray(image.Rect(0, 0, len(values), 1))
	for x, v := range values {
		img.SetGray(x, 0, color.Gray{Y: v})
	}
	return encode(img)
}

func encode(img image.Image) string {
	var file bytes.Buffer
	if err := png.Encode(&file, img); err != nil {
		panic(err) // writing to memory cannot fail
	}
	return file.String()
}

// form returns a request with pairs of a field and its content as a form.
func form(path string, pairs ...string) *http.Request {
	var content bytes.Buffer
	w := multipart.NewWriter(&content)
	for i := 0; i < len(pairs); i += 2 {
		part, err := w.CreateFormFile(pairs[i], "file")
		if err == nil {
			_, err = io.WriteString(part, pairs[i+1])
		}
		if err != nil {
			panic(err)
		}
	}
	w.Close()
	return newRequest(path, w.FormDataContentType(), content.String())
}

// newRequest returns a POST request from this machine.
func newRequest(path, kind, content string) *http.Request {
	r := plainRequest("POST", path, content)
	r.Header.Set("Content-Type", kind)
	return r
}

func plainRequest(method, path, content string) *http.Request {
	return httptest.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(content))
}

// inBase64 returns an image as in JSON.
func inBase64(file string) string {
	return `"` + base64.StdEncoding.EncodeToString([]byte(file)) + `"`
}

// ask returns the answer to a request.
func ask(s http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// answer decodes an answer with status 200.
func answer[T any](t testing.TB, s http.Handler, r *http.Request) (found T) {
	t.Helper()
	w := ask(s, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%s %s: found %d %s", r.Method, r.URL.Path, w.Code, w.Body)
	}
	decoder := json.NewDecoder(w.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&found); err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	return found
}

// refused fails the test if the answer does not have the status code and, in JSON, an error
// with the text.
func refused(t testing.TB, s http.Handler, r *http.Request, code int, text string) *httptest.ResponseRecorder {
	t.Helper()
	w := ask(s, r)
	var found failure
	if err := json.Unmarshal(w.Body.Bytes(), &found); err != nil {
		t.Errorf("%s %s: found %s, want JSON", r.Method, r.URL.Path, w.Body)
	}
	if w.Code != code || !strings.Contains(found.Error, text) {
		t.Errorf("%s %s: found %d %q, want %d and %q", r.Method, r.URL.Path, w.Code, found.Error, code, text)
	}
	return w
}

// wait waits until the condition holds.
func wait(condition func() bool) {
	for !condition() {
		time.Sleep(time.Millisecond)
	}
}

// gate is a network that embeds an image as its pixels and waits for a signal before each batch.
type gate struct {
	entered chan [][]uint8 // receives each batch when it waits for its signal
	let     chan struct{}  // one signal for each batch
}

// gated replaces the server's network by a gate.
func gated(s *Server) *gate {
	g := &gate{entered: make(chan [][]uint8), let: make(chan struct{})}
	s.queue.embed = func(pixels [][]uint8) ([][]float32, error) {
		g.entered <- pixels
		<-g.let
		return asEmbeddings(pixels), nil
	}
	return g
}

func asEmbeddings(pixels [][]uint8) [][]float32 {
	embeddings := make([][]float32, len(pixels))
	for i, p := range pixels {
		for _, v := range p {
			embeddings[i] = append(embeddings[i], float32(v))
		}
	}
	return embeddings
}

func decoded[T any](t testing.TB, w *httptest.ResponseRecorder) (found T) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &found); err != nil {
		t.Errorf("%v: %s", err, w.Body)
	}
	return found
}

// No test leaves a goroutine behind.
func TestMain(m *testing.M) { testutil.CheckGoroutines(m) }
