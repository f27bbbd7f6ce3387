package serve

import (
	"bytes"
	"context"
	"embed"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"
)

// route is the handler of a method and a path, which is a pattern of http.ServeMux.
type route struct {
	method, path string
	open         bool // requires no token
	anywhere     bool // ignores the headers Host and Origin
	fields       []field
	serve        func(http.ResponseWriter, *http.Request) error
}

// table lists all routes of the server; openapi.json documents them.
func (s *Server) table() []route {
	image := field{name: "image", kind: imageField}
	images := field{name: "image", kind: imageField, several: true}
	class := field{name: "class", kind: textField}
	candidates := field{name: "candidates", kind: numberField, optional: true}
	confidence := field{name: "confidence", kind: fractionField, optional: true}
	routes := []route{
		s.api("POST", "/v1/embed", s.embed, images),
		s.api("POST", "/v1/compare", s.compare, field{name: "a", kind: imageField}, field{name: "b", kind: imageField}),
		s.api("POST", "/v1/explain", s.explain, field{name: "a", kind: imageField}, field{name: "b", kind: imageField}),
		s.api("POST", "/v1/enroll", s.enroll, class, images),
		s.api("POST", "/v1/identify", s.identify, images, candidates, confidence),
		s.api("POST", "/v1/verify", s.verify, class, image),
		s.api("GET", "/v1/classes", s.classes),
		s.api("DELETE", "/v1/classes/{name}", s.forget),
		{method: "GET", path: "/healthz", open: true, anywhere: true, serve: s.answering(s.health)},
		{method: "GET", path: "/metrics", serve: plain(s.metrics.handler())},
	}
	return append(routes, s.fileRoutes()...)
}

// api returns a route under /v1 that answers in JSON. Without fields it reads no body.
func (s *Server) api(method, pattern string, do func(*http.Request, body) (any, error), fields ...field) route {
	return route{method: method, path: pattern, fields: fields, serve: s.answering(func(w http.ResponseWriter, r *http.Request) (any, error) {
		if err := s.slots.check(); err != nil { // before the body is read
			return nil, err
		}
		late := errors.Wrapf(errLate, "%v", s.options.RequestTimeout)
		ctx, end := context.WithTimeoutCause(r.Context(), s.options.RequestTimeout, late)
		defer end()
		r = r.WithContext(ctx)
		var found body
		if len(fields) > 0 {
			content := &counted{ReadCloser: r.Body, memory: s.memory}
			defer content.release()
			r.Body = content
			var err error
			if found, err = s.readBody(w, r, fields); err != nil {
				if content.gone {
					err = errors.Wrap(errGone, err.Error())
				}
				return nil, err
			}
		}
		if err := s.slots.acquire(); err != nil {
			return nil, err
		}
		defer s.slots.release()
		return do(r, found)
	})}
}

// routes returns the handler of all routes. Unknown paths and methods are answered in
// JSON, too.
func (s *Server) routes() http.Handler {
	paths := map[string]map[string]route{}
	for _, r := range s.table() {
		if paths[r.path] == nil {
			paths[r.path] = map[string]route{}
		}
		paths[r.path][r.method] = r
	}
	mux := http.NewServeMux()
	for pattern, methods := range paths {
		mux.Handle(pattern, s.watched(pattern, s.byMethod(methods)))
	}
	mux.Handle("/", s.watched("other", func(_ http.ResponseWriter, r *http.Request) error {
		if err := s.access.check(r, true); err != nil {
			return err
		}
		return refuse(http.StatusNotFound, "path: found %q, which does not exist: /openapi.json lists all paths", r.URL.Path)
	}))
	return mux
}

// byMethod dispatches the methods of one path.
func (s *Server) byMethod(methods map[string]route) func(http.ResponseWriter, *http.Request) error {
	allowed := strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
	return func(w http.ResponseWriter, r *http.Request) error {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet // net/http omits the body
		}
		route, known := methods[method]
		if !route.anywhere {
			if err := s.access.check(r, route.open); err != nil {
				return err
			}
		}
		if !known {
			w.Header().Set("Allow", allowed)
			return refuse(http.StatusMethodNotAllowed, "method: found %s, expected %s", r.Method, allowed)
		}
		return route.serve(w, r)
	}
}

// The files of the web page and the OpenAPI document.
//
//go:embed static
var files embed.FS

// pageFiles lists the files and media types by path.
var pageFiles = map[string]struct{ file, media string }{
	"/{$}":          {"index.html", "text/html; charset=utf-8"},
	"/style.css":    {"style.css", "text/css; charset=utf-8"},
	"/app.js":       {"app.js", "text/javascript; charset=utf-8"},
	"/pad.js":       {"pad.js", "text/javascript; charset=utf-8"},
	"/heat.js":      {"heat.js", "text/javascript; charset=utf-8"},
	"/icon.svg":     {"icon.svg", "image/svg+xml"},
	"/openapi.json": {"openapi.json", "application/json"},
}

// fileRoutes returns the routes of files. They need no token, because the page asks the user
// for it. With a model of color images, such as photographs, the page does not offer to draw.
func (s *Server) fileRoutes() (routes []route) {
	for pattern, file := range pageFiles {
		routes = append(routes, route{method: "GET", path: pattern, open: true, serve: func(w http.ResponseWriter, _ *http.Request) error {
			content, err := files.ReadFile(path.Join("static", file.file))
			if err != nil {
				return err
			}
			if file.file == "index.html" && s.model.Preprocessing.Size.Channels == 3 {
				content = bytes.Replace(content, []byte("<body>"), []byte(`<body class="photographs">`), 1)
			}
			w.Header().Set("Content-Type", file.media)
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			_, err = w.Write(content)
			return err
		}})
	}
	return routes
}
