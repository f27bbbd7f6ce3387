package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/serve"
	"github.com/pkg/errors"
)

// tokenVariable is where serve finds a token if no file has it.
const tokenVariable = "LIKENESS_TOKEN"

// shortestToken is the fewest bytes of a token: what is shorter may be guessed.
const shortestToken = 16

// serveCommand answers over HTTP.
type serveCommand struct {
	Model            string        `placeholder:"MODEL" help:"A model.safetensors, a run folder or a model of the zoo (${zoo}). Without it: the gallery's own, or omniglot of the zoo."`
	Gallery          string        `placeholder:"FILE" help:"A gallery to enroll in and to identify by, which is made if it is not there."`
	Address          string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where to listen; port 0 takes a free one."`
	MaxRequestPixels int           `default:"67108864" placeholder:"N" help:"The most pixels that all images of a request may have together, known from their headers; pixels of 16 bits a channel count twice. [67108864]"`
	RequestTimeout   time.Duration `default:"45s" placeholder:"TIME" help:"How long a request may take until its answer is ready; then its work ends and the answer is 503. [45s]"`
	TokenFile        string        `placeholder:"FILE" help:"A file with the token that requests must carry; else the environment variable LIKENESS_TOKEN. Needed beyond the loopback interface."`
}

// Help is what --help says beside the flags.
func (serveCommand) Help() string {
	return `It prints the address of a page that compares two images, enrols what you draw or drop and identifies it. Programs send images as files of a form, or in base64 as JSON:

  likeness serve --gallery faces.gallery
  curl -F a=@a.png -F b=@b.png http://127.0.0.1:8080/v1/compare
  curl -F image=@a.png -F image=@b.png http://127.0.0.1:8080/v1/embed
  curl -F class=alice -F image=@alice.jpg http://127.0.0.1:8080/v1/enroll
  curl -F image=@photo.jpg -F candidates=3 http://127.0.0.1:8080/v1/identify
  curl -F class=alice -F image=@photo.jpg http://127.0.0.1:8080/v1/verify
  curl -X DELETE http://127.0.0.1:8080/v1/classes/alice

/openapi.json describes all of it, /metrics is for Prometheus, /healthz for whoever watches.

A request has at most 16 MiB, 32 images, 16,777,216 pixels in an image and --max-request-pixels in all of them; what is more is refused before it is decoded.

Only this machine is answered, unless there is a token; beyond it let a proxy add TLS:

  openssl rand -hex 32 > token
  likeness serve --address :8080 --token-file token
  curl -H "Authorization: Bearer $(cat token)" -F a=@a.png -F b=@b.png http://HOST:8080/v1/compare

Interrupted, it finishes what it has accepted. While it runs no other command can change the gallery.`
}

// Run serves until the context ends.
func (k *serveCommand) Run(c *console) (err error) {
	switch {
	case k.MaxRequestPixels < 1:
		return errors.Errorf("--max-request-pixels: found %d, expected 1 or more", k.MaxRequestPixels)
	case k.RequestTimeout <= 0:
		return errors.Errorf("--request-timeout: found %v, expected more than 0, such as 45s", k.RequestTimeout)
	}
	token, err := k.token()
	if err != nil {
		return err
	}
	model, g, err := k.open(c)
	if err != nil {
		return err
	}
	if g != nil {
		defer func() {
			if closing := g.Close(); err == nil {
				err = closing
			}
		}()
	}
	server, err := serve.New(model, serve.Options{
		Gallery: g, Token: token, Logger: slog.New(slog.NewTextHandler(c.err, nil)),
		MaxPixels: min(1<<24, k.MaxRequestPixels), MaxRequestPixels: k.MaxRequestPixels, RequestTimeout: k.RequestTimeout,
	})
	if err != nil {
		return err
	}
	defer server.Close()
	listener, err := net.Listen("tcp", k.Address)
	if err != nil {
		return errors.Wrap(err, "listen")
	}
	if token != "" || listener.Addr().(*net.TCPAddr).IP.IsLoopback() { // else Serve refuses
		if _, err := fmt.Fprintf(c.out, "http://%s/\n", listener.Addr()); err != nil {
			return err
		}
	}
	err = server.Serve(c, listener)
	if errors.Is(err, serve.ErrNoToken) {
		return errors.Errorf("%s is beyond this machine: found no token, expected one in --token-file FILE or %s, or an address such as 127.0.0.1:8080", k.Address, tokenVariable)
	}
	return err
}

// open opens the model and, where one is named, the gallery.
func (k *serveCommand) open(c *console) (*likeness.Model, *gallery.Gallery, error) {
	switch {
	case k.Gallery != "":
	case k.Model != "":
		model, err := loadNamed(c, k.Model)
		return model.model, nil, err
	default: // whatever the images will be
		model, err := newGalleryModel(c, nil)
		model.say(c)
		return model.model, nil, err
	}
	g, _, err := (&enrollCommand{Gallery: k.Gallery, Model: k.Model}).open(c, nil, gallery.Options{})
	if err != nil {
		return nil, nil, err
	}
	return g.Model(), g, nil
}

// token is the one that requests must carry; empty if none is asked for.
func (k *serveCommand) token() (string, error) {
	token, source := os.Getenv(tokenVariable), tokenVariable
	if k.TokenFile != "" {
		content, err := os.ReadFile(k.TokenFile)
		if err != nil {
			return "", errors.Wrap(err, "token file")
		}
		token, source = strings.TrimSpace(string(content)), k.TokenFile
		if token == "" {
			return "", errors.Errorf("token file %s: found nothing, expected a token such as openssl rand -hex 32 makes", source)
		}
	}
	if token != "" && len(token) < shortestToken {
		return "", errors.Errorf("the token of %s has %d bytes, expected at least %d, such as openssl rand -hex 32 makes", source, len(token), shortestToken)
	}
	return token, nil
}
