package load

import (
	"bytes"
	"context"
	"net/http"
	"slices"

	"github.com/pkg/errors"
)

// kind is one of the things that a client asks for.
type kind struct {
	name  string
	share int // of a hundred requests
	ask   func(ctx context.Context, c *client) (*http.Response, error)
	// check says what is wrong with an answer of the code 200, and notes what the
	// server has acknowledged.
	check func(c *client, text []byte) error
}

// mixture is what the clients ask for. Classes are bounded in number by the clients
// and in size by mostExamples.
var mixture = []kind{embed, compare, enroll, identify, verify, forget, health, metrics}

// mostExamples is from how many on a class is forgotten rather than enrolled in.
const mostExamples = 5

// manyImages are of a request of an overload: of 64 requests, which have a place each,
// they are more than the queue takes.
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

// embedMany is of overloads alone.
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

// next is what a client asks for now: one of the mixture, by chance, that makes sense
// of its class.
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
	case c.enrolled >= mostExamples && k.name == "enroll":
		return forget
	}
	return k
}
