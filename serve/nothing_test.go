package serve

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/testutil"
)

// Nothing, as a server, a model or an argument, is an error and no panic.
func TestNothing(t *testing.T) {
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
