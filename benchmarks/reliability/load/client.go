package load

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// client sends one request after the other. It has a class of its own in the gallery, with a
// drawing of its own, so that it knows the correct answers.
type client struct {
	http    *http.Client
	address string
	chance  *rand.Rand
	class   string
	drawing []byte
	other   []byte // a drawing that is in no class
	// enrolled is the number of examples of the class that the server has acknowledged.
	enrolled int
}

// newClients returns clients with connections of their own.
func newClients(n int, s *server) ([]*client, error) {
	clients := make([]*client, n)
	for i := range clients {
		own, err := drawing(2 * i)
		if err != nil {
			return nil, err
		}
		other, err := drawing(2*i + 1)
		if err != nil {
			return nil, err
		}
		clients[i] = &client{
			http: &http.Client{Transport: &http.Transport{}}, address: s.address,
			chance: random.New(1, "client", i), class: "class " + strconv.Itoa(i), drawing: own, other: other,
		}
	}
	return clients, nil
}

// part is a part of a form.
type part struct {
	name    string
	content []byte
}

// post sends a form.
func (c *client) post(ctx context.Context, path string, parts ...part) (*http.Response, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, p := range parts {
		w, err := form.CreateFormFile(p.name, p.name)
		if err == nil {
			_, err = w.Write(p.content)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := form.Close(); err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address+path, &body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", form.FormDataContentType())
	return c.http.Do(request)
}

// send sends a request without a body.
func (c *client) send(ctx context.Context, method, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.address+path, nil)
	if err != nil {
		return nil, err
	}
	return c.http.Do(request)
}

func (c *client) classPath() string { return "/v1/classes/" + url.PathEscape(c.class) }

// errLost is the error of a request that got no complete answer.
var errLost = errors.New("no answer")

// ask sends a request of the kind, checks the answer and adds it to the tally. The error
// wraps errLost if the connection failed; wrong answers are only added to the tally.
func (c *client) ask(ctx context.Context, k kind, t *tally) (code int, err error) {
	begun := time.Now()
	response, err := k.ask(ctx, c)
	if err != nil {
		return 0, errors.Wrapf(errLost, "%s: %v", k.name, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, errors.Wrapf(errLost, "%s: %v", k.name, err)
	}
	t.answer(k.name, response.StatusCode, time.Since(begun))
	switch {
	case response.StatusCode == http.StatusOK:
		if err := k.check(c, text); err != nil {
			t.fail(errors.Wrapf(err, "%s: found %.200s", k.name, text))
		}
	case refused(response.StatusCode):
		if response.Header.Get("Retry-After") == "" {
			t.fail(errors.Errorf("%s: found %s without Retry-After", k.name, response.Status))
		}
	default:
		t.fail(errors.Errorf("%s: found %s %.200s", k.name, response.Status, text))
	}
	return response.StatusCode, nil
}

// read decodes an answer in JSON.
func read[T any](text []byte) (answer T, err error) {
	return answer, json.Unmarshal(text, &answer)
}

// side is the side of a drawing in pixels, as in Omniglot.
const side = 105

// drawing returns the PNG of a few random black strokes on white, which depend only on the
// number.
func drawing(number int) ([]byte, error) {
	r := random.New(1, "drawing", number)
	paper := image.NewGray(image.Rect(0, 0, side, side))
	for i := range paper.Pix {
		paper.Pix[i] = 255
	}
	x, y := 15+r.Float64()*75, 15+r.Float64()*75
	for range 5 {
		toX, toY := 15+r.Float64()*75, 15+r.Float64()*75
		const steps = 2 * side // no stroke is longer than the diagonal
		for i := range steps {
			part := float64(i) / steps
			dot(paper, int(x+part*(toX-x)), int(y+part*(toY-y)))
		}
		x, y = toX, toY
	}
	var file bytes.Buffer
	err := png.Encode(&file, paper)
	return file.Bytes(), err
}

// dot draws a dot of 3 × 3 pixels.
func dot(paper *image.Gray, x, y int) {
	for dy := -1; dy <= 1; dy++ {
		for dx := -1; dx <= 1; dx++ {
			paper.SetGray(x+dx, y+dy, color.Gray{})
		}
	}
}

// kind is a kind of request.
type kind struct {
	name  string
	share int // percentage of the requests
	ask   func(ctx context.Context, c *client) (*http.Response, error)
	// check checks an answer with status 200 and records what the server has acknowledged.
	check func(c *client, text []byte) error
}

// mixture lists the kinds of requests of the load. There is one class for each client, with
// at most maxExamples examples.
var mixture = []kind{embed, compare, enroll, identify, verify, forget, health, metrics}

// maxExamples is the number of examples at which a class is forgotten.
const maxExamples = 5

// manyImages is the number of images in a request of an overload; those of 64 concurrent
// requests exceed the queue.
const manyImages = 8

var embed = kind{"embed", 25, func(ctx context.Context, c *client) (*http.Response, error) {
	return c.post(ctx, "/v1/embed", part{"image", c.drawing}, part{"image", c.other})
}, func(_ *client, text []byte) error {
	answer, err := read[struct{ Embeddings [][]float32 }](text)
	if err == nil && (len(answer.Embeddings) != 2 || len(answer.Embeddings[0]) == 0) {
		err = errors.New("expected two embeddings")
	}
	return err
}}

// embedMany is used only in overloads.
var embedMany = kind{"embed many", 0, func(ctx context.Context, c *client) (*http.Response, error) {
	return c.post(ctx, "/v1/embed", slices.Repeat([]part{{"image", c.drawing}}, manyImages)...)
}, func(_ *client, text []byte) error {
	answer, err := read[struct{ Embeddings [][]float32 }](text)
	if err == nil && len(answer.Embeddings) != manyImages {
		err = errors.Errorf("expected %d embeddings", manyImages)
	}
	return err
}}

var compare = kind{"compare", 20, func(ctx context.Context, c *client) (*http.Response, error) {
	return c.post(ctx, "/v1/compare", part{"a", c.drawing}, part{"b", c.drawing})
}, func(_ *client, text []byte) error {
	answer, err := read[struct{ Same bool }](text)
	if err == nil && !answer.Same {
		err = errors.New("expected an image to be the same as itself")
	}
	return err
}}

var enroll = kind{"enroll", 10, func(ctx context.Context, c *client) (*http.Response, error) {
	return c.post(ctx, "/v1/enroll", part{"class", []byte(c.class)}, part{"image", c.drawing})
}, func(c *client, text []byte) error {
	c.enrolled++
	answer, err := read[struct{ Examples int }](text)
	if err == nil && answer.Examples != c.enrolled {
		err = errors.Errorf("expected %d examples", c.enrolled)
	}
	return err
}}

var identify = kind{"identify", 23, func(ctx context.Context, c *client) (*http.Response, error) {
	return c.post(ctx, "/v1/identify", part{"image", c.drawing})
}, func(c *client, text []byte) error {
	answer, err := read[struct{ Results []struct{ Class string } }](text)
	if err == nil && (len(answer.Results) != 1 || answer.Results[0].Class != c.class) {
		err = errors.Errorf("expected %s", c.class)
	}
	return err
}}

var verify = kind{"verify", 10, func(ctx context.Context, c *client) (*http.Response, error) {
	return c.post(ctx, "/v1/verify", part{"class", []byte(c.class)}, part{"image", c.drawing})
}, func(_ *client, text []byte) error {
	answer, err := read[struct{ Same bool }](text)
	if err == nil && !answer.Same {
		err = errors.New("expected the class to be that of its example")
	}
	return err
}}

var forget = kind{"forget", 5, func(ctx context.Context, c *client) (*http.Response, error) {
	return c.send(ctx, http.MethodDelete, c.classPath())
}, func(c *client, text []byte) error {
	had := c.enrolled
	c.enrolled = 0
	answer, err := read[struct{ Examples int }](text)
	if err == nil && answer.Examples != had {
		err = errors.Errorf("expected %d examples", had)
	}
	return err
}}

var health = kind{"health", 5, func(ctx context.Context, c *client) (*http.Response, error) {
	return c.send(ctx, http.MethodGet, "/healthz")
}, func(_ *client, text []byte) error {
	answer, err := read[struct{ Status string }](text)
	if err == nil && answer.Status != "ok" {
		err = errors.New("expected ok")
	}
	return err
}}

var metrics = kind{"metrics", 2, func(ctx context.Context, c *client) (*http.Response, error) {
	return c.send(ctx, http.MethodGet, "/metrics")
}, func(_ *client, text []byte) error {
	if !bytes.Contains(text, []byte("likeness_queue_images")) {
		return errors.New("expected likeness_queue_images")
	}
	return nil
}}

// next returns a random kind of the mixture that is possible for the client's class.
func (c *client) next() kind {
	drawn, k := c.chance.IntN(100), mixture[0]
	for _, k = range mixture {
		if drawn -= k.share; drawn < 0 {
			break
		}
	}
	switch {
	case c.enrolled == 0 && (k.name == "identify" || k.name == "verify" || k.name == "forget"):
		return enroll
	case c.enrolled >= maxExamples && k.name == "enroll":
		return forget
	}
	return k
}
