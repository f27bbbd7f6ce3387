package serve

import (
	"embed"
	"net/http"
	"path"
	"strconv"
)

// The page and the description of the routes, which are the same for everybody.
//
//go:embed static
var files embed.FS

// pageFiles are the files by their paths, with their media types.
var pageFiles = map[string]struct{ file, media string }{
	"/{$}":          {"index.html", "text/html; charset=utf-8"},
	"/style.css":    {"style.css", "text/css; charset=utf-8"},
	"/app.js":       {"app.js", "text/javascript; charset=utf-8"},
	"/pad.js":       {"pad.js", "text/javascript; charset=utf-8"},
	"/icon.svg":     {"icon.svg", "image/svg+xml"},
	"/openapi.json": {"openapi.json", "application/json"},
}

// fileRoutes need no token: the page is what asks for it.
func fileRoutes() (routes []route) {
	for pattern, file := range pageFiles {
		routes = append(routes, route{method: "GET", path: pattern, open: true, serve: func(w http.ResponseWriter, _ *http.Request) error {
			content, err := files.ReadFile(path.Join("static", file.file))
			if err != nil {
				return err
			}
			w.Header().Set("Content-Type", file.media)
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			_, err = w.Write(content)
			return err
		}})
	}
	return routes
}
