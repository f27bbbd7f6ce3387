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
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/serve"
	"github.com/pkg/errors"
)

// tokenVariable is the environment variable of the token, if no file has it.
const tokenVariable = "LIKENESS_TOKEN"

// minTokenLength is in bytes: a shorter token may be guessed.
const minTokenLength = 16

// serveCommand serves the HTTP API and the web UI.
type serveCommand struct {
	Model            string        `placeholder:"MODEL" help:"Model file, run folder or name of a bundled model (${zoo}). Default: the model of the gallery, or omniglot, which is for drawings."`
	Gallery          string        `placeholder:"GALLERY" help:"Gallery for enrollment and identification: a file or a PostgreSQL URI, such as postgres://USER@HOST/DATABASE. It is created if it does not exist."`
	Address          string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to listen on; port 0 chooses a free port. [127.0.0.1:8080]"`
	MaxRequestPixels int           `default:"67108864" placeholder:"N" help:"Maximum number of pixels in all images of a request, by their headers; pixels with 16 bits per channel count twice. [67108864]"`
	RequestTimeout   time.Duration `default:"45s" placeholder:"TIME" help:"Maximum time to compute a response; after that the status is 503. [45s]"`
	TokenFile        string        `placeholder:"FILE" help:"File with the bearer token that requests must have. Default: the environment variable LIKENESS_TOKEN. Required for addresses other than loopback."`
}

// Help returns the text of --help before the flags.
func (serveCommand) Help() string {
	return `It prints the URL of the web UI, which compares two images and enrolls and identifies images that you draw or drop. API clients send images as files of a multipart form or as base64 in JSON:

  likeness serve --gallery faces.gallery
  curl -F a=@a.png -F b=@b.png http://127.0.0.1:8080/v1/compare
  curl -F image=@a.png -F image=@b.png http://127.0.0.1:8080/v1/embed
  curl -H "Idempotency-Key: $(uuidgen)" -F class=alice -F image=@alice.jpg http://127.0.0.1:8080/v1/enroll
  curl -F image=@photo.jpg -F candidates=3 http://127.0.0.1:8080/v1/identify
  curl -F class=alice -F image=@photo.jpg http://127.0.0.1:8080/v1/verify
  curl -X DELETE http://127.0.0.1:8080/v1/classes/alice

/openapi.json is the OpenAPI description, /metrics is for Prometheus, /healthz for health checks.

The class of /v1/identify is null, and candidates has the nearest classes, until the gallery or its model has a threshold: likeness calibrate.

A request has at most 16 MiB, 32 images and --max-request-pixels; larger requests are rejected before they are decoded.

Without a token it listens on the loopback interface only. For remote clients set a token and add TLS with a proxy:

  openssl rand -hex 32 > token
  likeness serve --address :8080 --token-file token
  curl -H "Authorization: Bearer $(cat token)" -F a=@a.png -F b=@b.png http://HOST:8080/v1/compare

When interrupted, it finishes accepted requests. While it runs, no other command can open a gallery file. Any number of servers can use one gallery in PostgreSQL: see docs/galleries.md.`
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
		MaxPixels: min(imaging.MaxPixels, k.MaxRequestPixels), MaxRequestPixels: k.MaxRequestPixels, RequestTimeout: k.RequestTimeout,
	})
	if err != nil {
		return err
	}
	defer server.Close()
	listener, err := net.Listen("tcp", k.Address)
	if err != nil {
		return errors.Wrap(err, "--address")
	}
	if token != "" || listener.Addr().(*net.TCPAddr).IP.IsLoopback() { // else Serve refuses
		if _, err := fmt.Fprintf(c.out, "http://%s/\n", listener.Addr()); err != nil {
			return err
		}
	}
	err = server.Serve(c, listener)
	if errors.Is(err, serve.ErrNoToken) {
		return errors.Errorf("--address: %s is not a loopback address: found no token, expected one in --token-file FILE or %s, or an address such as 127.0.0.1:8080", k.Address, tokenVariable)
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
	g, _, err := (&enrollCommand{Gallery: k.Gallery, Model: k.Model}).openGallery(c, nil, gallery.Options{})
	if err != nil {
		return nil, nil, err
	}
	return g.Model(), g, nil
}

// token is the one that requests must have; empty if none is required.
func (k *serveCommand) token() (string, error) {
	token, source := os.Getenv(tokenVariable), tokenVariable
	if k.TokenFile != "" {
		content, err := os.ReadFile(k.TokenFile)
		if err != nil {
			return "", errors.Wrap(err, "--token-file")
		}
		token, source = strings.TrimSpace(string(content)), k.TokenFile
		if token == "" {
			return "", errors.Errorf("--token-file: %s is empty, expected a token such as openssl rand -hex 32 prints", source)
		}
	}
	if token != "" && len(token) < minTokenLength {
		return "", errors.Errorf("the token of %s has %d bytes, expected at least %d, such as openssl rand -hex 32 prints", source, len(token), minTokenLength)
	}
	return token, nil
}
