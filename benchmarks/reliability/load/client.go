package load

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// client asks one thing after the other. It has one class of its own in the gallery,
// of one drawing of its own, so that it knows each answer.
type client struct {
	http    *http.Client
	address string
	chance  *rand.Rand
	class   string
	drawing []byte
	other   []byte // of nobody's class
	// enrolled is how many examples of the class the server has acknowledged.
	enrolled int
}

// newClients makes clients, which have connections of their own.
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

// part is one of a form's.
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

// send sends what has no body.
func (c *client) send(ctx context.Context, method, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.address+path, nil)
	if err != nil {
		return nil, err
	}
	return c.http.Do(request)
}

func (c *client) classPath() string { return "/v1/classes/" + url.PathEscape(c.class) }

// errLost says that a request got no answer, or not all of one.
var errLost = errors.New("no answer")

// ask does one request, of the kind and with the answer that it should have, and adds
// what comes of it to the tally. The error is errLost, wrapped, where the connection
// failed; a wrong answer is told to the tally alone.
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

// read reads an answer in JSON.
func read[T any](text []byte) (answer T, err error) {
	return answer, json.Unmarshal(text, &answer)
}
