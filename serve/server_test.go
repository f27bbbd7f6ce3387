package serve

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/testutil"
)

// served starts a server on a free port of the loopback interface, which ends with the
// context.
func served(t *testing.T, ctx context.Context, s *Server) (address string, ended chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended = make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener) }()
	return "http://" + listener.Addr().String(), ended
}

// client returns a client with connections of its own, which are closed after the test.
func client(t *testing.T) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// said sends a request and returns the status and body of the answer, or the error.
func said(c *http.Client, address string, r *http.Request) string {
	response, err := c.Post(address+r.URL.Path, r.Header.Get("Content-Type"), r.Body)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return response.Status + " " + string(text)
}

// A request that was accepted before the shutdown is answered.
func TestServeFinishesRequests(t *testing.T) {
	s := start(t, Options{})
	g := gated(s)
	ctx, end := context.WithCancel(t.Context())
	address, ended := served(t, ctx, s)
	c := client(t)
	answers := make(chan string)
	go func() { answers <- said(c, address, form("/v1/embed", "image", grayPNG(1, 2, 3))) }()
	<-g.entered
	end()
	wait(func() bool { // until the server accepts no more connections
		connection, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
		if err == nil {
			connection.Close()
		}
		return err != nil
	})
	g.let <- struct{}{}
	if found := <-answers; !strings.Contains(found, "200 OK") || !strings.Contains(found, `"embeddings":[[1,2,3]]`) {
		t.Errorf("found %s", found)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Requests that are not finished within ShutdownTimeout are aborted.
func TestServeShutdownTimeout(t *testing.T) {
	s := start(t, Options{ShutdownTimeout: time.Millisecond})
	g := gated(s)
	ctx, end := context.WithCancel(t.Context())
	address, ended := served(t, ctx, s)
	c := client(t)
	answers := make(chan string)
	go func() { answers <- said(c, address, form("/v1/embed", "image", grayPNG(1, 2, 3))) }()
	<-g.entered
	end()
	if found := <-answers; !strings.Contains(found, "EOF") && !strings.Contains(found, "reset") {
		t.Errorf("found %s, want the connection closed", found)
	}
	g.let <- struct{}{}
	if err := <-ended; !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "within 1ms") {
		t.Errorf("found %v", err)
	}
}

// A server without a token does not listen on other interfaces than loopback.
func TestServeRequiresToken(t *testing.T) {
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := start(t, Options{}).Serve(t.Context(), listener); !errors.Is(err, ErrNoToken) {
		t.Errorf("found %v, want ErrNoToken", err)
	}
	if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is open: %v", err)
	}
	if listener, err = net.Listen("tcp", "0.0.0.0:0"); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := start(t, Options{Token: secret}).Serve(ended, listener); err != nil {
		t.Errorf("with a token: %v", err)
	}
}

// If the listener fails, Serve returns its error.
func TestServeReturnsListenerErrors(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if err := start(t, Options{}).Serve(t.Context(), listener); !errors.Is(err, net.ErrClosed) {
		t.Errorf("found %v", err)
	}
}

// Concurrent calls of Close, such as that of Serve and one of the program, do not deadlock.
func TestConcurrentClose(t *testing.T) {
	for range 20 {
		s, err := New(plainModel(t, heads.L1{}, 3), Options{})
		if err != nil {
			t.Fatal(err)
		}
		s.decoders = make(chan struct{}, 1000) // many, so that the calls interleave
		var closers sync.WaitGroup
		for range 4 {
			closers.Go(func() { s.Close() })
		}
		closers.Wait()
	}
}

// Nil receivers and arguments are errors and cause no panic.
func TestNil(t *testing.T) {
	testutil.CallOfNothing(t, "New", New, false)
	testutil.CallsOfNothing(t, (*Server)(nil), "Close")
	testutil.CallsOfNothing(t, new(Server), "Close")
	testutil.CallsOfNothing(t, start(t, Options{}), "Close")
	for name, model := range map[string]*likeness.Model{
		"zero":       {},
		"no network": {Backbone: backbone.Network{}, Head: heads.L1{}, Weights: graph.NewWeights(graph.Float32, 1)},
		"no head":    {Backbone: backbone.Network{}, Weights: graph.NewWeights(graph.Float32, 1)},
		"nil types":  {Backbone: (*ownNetwork)(nil), Head: (*ownHead)(nil), Weights: new(graph.Weights)},
	} {
		if s, err := New(model, Options{}); err == nil {
			s.Close()
			t.Errorf("%s: found no error", name)
		}
	}
	if _, err := New(plainModel(t, heads.L1{}, 3), Options{Gallery: new(gallery.Gallery)}); err == nil {
		t.Error("a gallery that is not open: found no error")
	}
	for name, s := range map[string]*Server{"nil": nil, "zero": new(Server)} {
		if w := ask(s, plainRequest("GET", "/healthz", "")); w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: found %d", name, w.Code)
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Serve(t.Context(), listener); err == nil {
			t.Errorf("%s: found no error", name)
		}
		if _, err := listener.Accept(); err == nil {
			t.Errorf("%s: the listener is open", name)
		}
	}
	w := httptest.NewRecorder()
	if start(t, Options{}).ServeHTTP(w, nil); w.Code != http.StatusBadRequest {
		t.Errorf("found %d", w.Code)
	}
}

type ownNetwork struct{ backbone.Network }

type ownHead struct{ heads.L1 }
