package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// private is a folder with a picture and a page of somebody's, in which the test
// runs, and the picture's path.
func private(t *testing.T) (picture string) {
	t.Helper()
	folder := t.TempDir()
	t.Chdir(folder)
	if err := os.Mkdir("static", 0o777); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"picture.png": greys(1, 2, 3), "static/index.html": "private", "static/notes.txt": "private"} {
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(folder, "picture.png")
}

// However a body names a file of the server's, it is not read: the picture there
// could be embedded, and nothing is.
func TestNoBodyReadsAFile(t *testing.T) {
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
			if w := ask(s, posted("/v1/embed", "application/json", content)); w.Code/100 != 4 {
				t.Errorf("%s: found %d %s", content, w.Code, w.Body)
			}
		}
		// In a form, as what is sent and as the name of a file, of which nothing is sent.
		if w := ask(s, form("/v1/embed", "image", path)); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: found %d %s", path, w.Code, w.Body)
		}
		named := fmt.Sprintf("--b\r\nContent-Disposition: form-data; name=\"image\"; filename=%s\r\n\r\n\r\n--b--\r\n", quoted(path))
		refused(t, s, posted("/v1/embed", "multipart/form-data; boundary=b", named), http.StatusBadRequest, "image: found an empty file")
	}
}

// Nor is a file given out, whatever the path, cleaned by no client on its way. The
// page is the one in the program, not the one in the folder.
func TestNoPathReadsAFile(t *testing.T) {
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
