package serve

import (
	"net/http"
	"strings"
	"testing"
)

const secret = "a token of this test"

// With a token everything under /v1 and the metrics need it; whoever has it may come
// from anywhere. The page, which asks for it, and what tells nothing are free.
func TestToken(t *testing.T) {
	s := start(t, Options{Token: secret})
	for name, c := range map[string]struct {
		header string
		code   int
	}{
		"none":         {"", 401},
		"right":        {"Bearer " + secret, 200},
		"small letter": {"bearer " + secret, 200},
		"wrong":        {"Bearer another token", 401},
		"begun":        {"Bearer " + secret[:5], 401},
		"longer":       {"Bearer " + secret + "s", 401},
		"empty":        {"Bearer ", 401},
		"by itself":    {secret, 401},
		"basic":        {"Basic " + secret, 401},
	} {
		for _, path := range []string{"/v1/classes", "/metrics"} {
			r := plainRequest("GET", path, "")
			r.Host = "likeness.example.org"
			r.Header.Set("Origin", "https://elsewhere.example.org")
			if c.header != "" {
				r.Header.Set("Authorization", c.header)
			}
			w := ask(s, r)
			if w.Code != c.code || (c.code == 401) != (w.Header().Get("WWW-Authenticate") != "") {
				t.Errorf("%s, %s: found %d and the headers %v, want %d", path, name, w.Code, w.Header(), c.code)
			}
		}
	}
	for _, r := range s.table() {
		w := ask(s, plainRequest(r.method, pathOf(r), ""))
		if free := w.Code != http.StatusUnauthorized; free != r.open {
			t.Errorf("%s %s without a token: found %d", r.method, r.path, w.Code)
		}
	}
	for _, path := range []string{"/", "/app.js", "/pad.js", "/icon.svg", "/style.css", "/openapi.json", "/healthz"} {
		if w := ask(s, plainRequest("GET", path, "")); w.Code != http.StatusOK {
			t.Errorf("%s: found %d, want it free", path, w.Code)
		}
	}
}

// Without a token, a name that is not this machine's or another origin is refused
// before anything is done.
func TestOtherSitesAreRefused(t *testing.T) {
	s := start(t, Options{Hosts: []string{"Photos.internal"}})
	for name, c := range map[string]struct {
		host, origin string
		code         int
	}{
		"address":               {"127.0.0.1:8080", "", 200},
		"address with page":     {"127.0.0.1:8080", "http://127.0.0.1:8080", 200},
		"another loopback":      {"127.1.2.3", "", 200},
		"name":                  {"LOCALHOST:8080", "http://localhost:8080", 200},
		"IPv6":                  {"[::1]:8080", "http://[::1]:8080", 200},
		"IPv4 in IPv6":          {"[::ffff:127.0.0.1]", "", 200},
		"a host that was named": {"photos.internal", "https://photos.internal", 200},
		"rebound name":          {"evil.example.org:8080", "http://evil.example.org:8080", 403},
		"rebound, no origin":    {"evil.example.org", "", 403},
		"begins alike":          {"127.0.0.1.evil.example.org", "", 403},
		"ends alike":            {"evillocalhost", "", 403},
		"a subdomain":           {"evil.localhost", "", 403},
		"this network":          {"192.168.1.7:8080", "", 403},
		"all addresses":         {"0.0.0.0:8080", "", 403},
		"no host":               {"", "", 403},
		"other site":            {"127.0.0.1:8080", "https://evil.example.org", 403},
		"other port":            {"127.0.0.1:8080", "http://127.0.0.1:3000", 403},
		"other name":            {"127.0.0.1:8080", "http://localhost:8080", 403},
		"a file or a sandbox":   {"127.0.0.1:8080", "null", 403},
		"no URL":                {"127.0.0.1:8080", "http://%", 403},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.options.Gallery.Len()
			r := form("/v1/enroll", "class", "a", "image", greys(1, 2, 3))
			r.Host = c.host
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			if w := ask(s, r); w.Code != c.code {
				t.Errorf("found %d %s, want %d", w.Code, w.Body, c.code)
			}
			if enrolled := s.options.Gallery.Len() > before; enrolled != (c.code == 200) {
				t.Errorf("enrolled: %v", enrolled)
			}
		})
	}
	for _, path := range []string{"/", "/openapi.json", "/metrics", "/nothing"} {
		r := plainRequest("GET", path, "")
		r.Host = "evil.example.org"
		refused(t, s, r, http.StatusForbidden, `Host: found "evil.example.org"`)
	}
	r := plainRequest("GET", "/healthz", "")
	r.Host = "evil.example.org"
	answer[health](t, s, r)
}

// A page of another origin that asks beforehand whether it may send a token is told
// nothing that would let it, and so it does not.
func TestOtherSitesMayNotSendTokens(t *testing.T) {
	s := start(t, Options{Token: secret})
	for _, path := range []string{"/v1/enroll", "/v1/classes", "/metrics", "/"} {
		r := plainRequest("OPTIONS", path, "")
		r.Header.Set("Origin", "https://evil.example.org")
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "authorization")
		w := ask(s, r)
		if w.Code/100 != 4 {
			t.Errorf("%s: found %d", path, w.Code)
		}
		for name := range w.Header() {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: found %s", path, name)
			}
		}
	}
}

// Every answer, refusals among them, tells a browser to do nothing more with it.
func TestHeaders(t *testing.T) {
	s := start(t, Options{})
	for _, path := range []string{"/", "/app.js", "/v1/classes", "/nothing", "/metrics"} {
		header := ask(s, plainRequest("GET", path, "")).Header()
		for name, want := range map[string]string{
			"Content-Security-Policy":      "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
			"X-Content-Type-Options":       "nosniff",
			"Referrer-Policy":              "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Cache-Control":                "no-store",
		} {
			if found := header.Get(name); found != want {
				t.Errorf("%s: found %s: %q, want %q", path, name, found, want)
			}
		}
		if header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: other origins may read it", path)
		}
	}
}
