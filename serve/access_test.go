package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const secret = "a token of this test"

// With a token, all of /v1 and the metrics require it, and requests with it may come from
// any host and origin. The page, the OpenAPI document and /healthz do not require it.
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
	for _, path := range []string{"/", "/app.js", "/pad.js", "/heat.js", "/icon.svg", "/style.css", "/openapi.json", "/healthz"} {
		if w := ask(s, plainRequest("GET", path, "")); w.Code != http.StatusOK {
			t.Errorf("%s: found %d, want it without a token", path, w.Code)
		}
	}
}

// Without a token, requests with another host name or another origin are refused and have
// no effect.
func TestOtherOriginsAreRefused(t *testing.T) {
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
			r := form("/v1/enroll", "class", "a", "image", grayPNG(1, 2, 3))
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

// A CORS preflight request of another origin gets no permission to send a token.
func TestCORSPreflightIsNotAllowed(t *testing.T) {
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

// Every answer, including errors, has the headers that restrict browsers.
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

// The token is compared only by subtle.ConstantTimeCompare, on checksums whose length does
// not depend on the token: access.go has no other comparison. TestToken tries tokens that
// are wrong, truncated and too long.
func TestTokenIsComparedInConstantTime(t *testing.T) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "access.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if f, ok := call.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "ConstantTimeCompare" {
				compared++
				return false
			}
		}
		if selector, ok := n.(*ast.SelectorExpr); ok && selector.Sel.Name == "token" {
			t.Errorf("%v: the token is used outside of ConstantTimeCompare", set.Position(n.Pos()))
		}
		return true
	})
	if compared != 1 {
		t.Errorf("found %d constant-time comparisons, want one", compared)
	}
}

// private changes to a folder with an image and a page that the server must not read, and
// returns the path of the image.
func private(t *testing.T) (picture string) {
	t.Helper()
	folder := t.TempDir()
	t.Chdir(folder)
	if err := os.Mkdir("static", 0o777); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"picture.png": grayPNG(1, 2, 3), "static/index.html": "private", "static/notes.txt": "private"} {
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(folder, "picture.png")
}

// No body can make the server read a file: the image in the folder is not embedded.
func TestBodiesReadNoFiles(t *testing.T) {
	picture := private(t)
	s := start(t, Options{})
	quoted := func(text string) string {
		content, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	for _, path := range []string{"picture.png", "./picture.png", "../" + filepath.Base(filepath.Dir(picture)) + "/picture.png", picture, "file://" + picture, "@" + picture} {
		for _, content := range []string{
			`{"image":` + quoted(path) + `}`,
			`{"image":[` + quoted(path) + `]}`,
			`{"image":{"path":` + quoted(path) + `}}`,
			`{"path":` + quoted(path) + `}`,
			`{"image":null,"file":` + quoted(path) + `}`,
		} {
			if w := ask(s, newRequest("/v1/embed", "application/json", content)); w.Code/100 != 4 {
				t.Errorf("%s: found %d %s", content, w.Code, w.Body)
			}
		}
		// In a form, as the content and as the file name of a part.
		if w := ask(s, form("/v1/embed", "image", path)); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: found %d %s", path, w.Code, w.Body)
		}
		named := fmt.Sprintf("--b\r\nContent-Disposition: form-data; name=\"image\"; filename=%s\r\n\r\n\r\n--b--\r\n", quoted(path))
		refused(t, s, newRequest("/v1/embed", "multipart/form-data; boundary=b", named), http.StatusBadRequest, "image: found an empty file")
	}
}

// No path, sent without the cleaning of a client, can make the server return a file. The
// page is the embedded one, not the one in the folder.
func TestPathsReadNoFiles(t *testing.T) {
	picture := private(t)
	s := start(t, Options{})
	ctx, end := context.WithCancel(t.Context())
	address, ended := served(t, ctx, s)
	get := func(path string) (status, body string) {
		connection := dial(t, address)
		if _, err := fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", path); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		defer response.Body.Close()
		content, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return response.Status, string(content)
	}
	for _, path := range []string{
		picture, "/" + picture, "/picture.png", "/./picture.png", "/../picture.png", "/../../../../../../etc/passwd",
		"/%2e%2e/picture.png", "/..%2fpicture.png", "/..%5cpicture.png", "/static/notes.txt", "/static/../picture.png",
		"/static/%2e%2e/%2e%2e/picture.png", "/app.js/../picture.png", "/app.js/..%2fpicture.png", "/index.html", "/static/", "/static/index.html",
		"/v1/classes/../../picture.png", "/v1/classes/..%2f..%2fpicture.png", "/picture.png%00", "/app.js%00.png",
	} {
		status, body := get(path)
		if strings.HasPrefix(status, "2") || strings.Contains(body, "private") || strings.Contains(body, "PNG") || strings.Contains(body, "root:") {
			t.Errorf("%s: found %s %q", path, status, body)
		}
	}
	if status, body := get("/"); status != "200 OK" || strings.Contains(body, "private") || !strings.Contains(body, "<title>likeness</title>") {
		t.Errorf("the page: found %s %q", status, body)
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
