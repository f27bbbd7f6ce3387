package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// tokenOfTest is long enough.
const tokenOfTest = "a token of this test"

// serving runs the server at a free port until the test ends it, and gives the
// address that it prints and its exit code.
func serving(t *testing.T, args ...string) (address string, end func() (code int, stderr string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		code := execute(ctx, located(append([]string{"serve", "--address", "127.0.0.1:0"}, args...)), writer, &stderr)
		writer.Close()
		ended <- code
	}()
	line, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil {
		t.Fatalf("exit code %d, %s", <-ended, &stderr)
	}
	return strings.TrimSpace(line), func() (int, string) {
		cancel()
		return <-ended, stderr.String()
	}
}

// post sends fields as a form, those with a PNG as files, and gives the status and
// the answer.
func post(t *testing.T, url, token string, fields map[string]string) (int, map[string]any) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, content := range fields {
		part, err := form.CreateFormFile(name, name)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(part, content)
	}
	form.Close()
	request, err := http.NewRequest("POST", url, &body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", form.FormDataContentType())
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

// What is enrolled over HTTP is in the gallery, which is free when the server has
// ended.
func TestServe(t *testing.T) {
	inFolder(t)
	threshold := 1e-3
	saveModel(t, filepath.Join("run", "model.safetensors"), &threshold)
	address, end := serving(t, "--model", "run", "--gallery", "new.gallery")
	if code, answer := post(t, address+"v1/enroll", "", map[string]string{"class": "one", "image": bar(t, 1, 0, 12)}); code != http.StatusOK {
		t.Errorf("enroll: found %d %v", code, answer)
	}
	if code, answer := post(t, address+"v1/compare", "", map[string]string{"a": bar(t, 1, 0, 12), "b": bar(t, 1, 0, 12)}); code != http.StatusOK || answer["same"] != true {
		t.Errorf("compare: found %d %v", code, answer)
	}
	code, said := end()
	if code != success || !strings.Contains(said, "route=/v1/enroll code=200") {
		t.Errorf("exit code %d, %s", code, said)
	}
	out, _ := tool(t, "classes", "--gallery", "new.gallery")
	printed(t, "classes", out, ` +1  one\n`)

	// The gallery knows its model, and a token is asked for if there is one.
	write(t, "token", tokenOfTest+"\n")
	address, end = serving(t, "--gallery", "new.gallery", "--token-file", "token")
	for token, want := range map[string]int{"": http.StatusUnauthorized, "another token than that": http.StatusUnauthorized, tokenOfTest: http.StatusOK} {
		if code, answer := post(t, address+"v1/identify", token, map[string]string{"image": bar(t, 1, 0, 12)}); code != want {
			t.Errorf("token %q: found %d %v, want %d", token, code, answer, want)
		}
	}
	if code, said := end(); code != success || strings.Contains(said, tokenOfTest) {
		t.Errorf("exit code %d, %s", code, said)
	}
}

// Beyond this machine nothing is served without a token, and no short one will do.
func TestServeRefusals(t *testing.T) {
	inFolder(t)
	saveModel(t, filepath.Join("run", "model.safetensors"), nil)
	write(t, "empty", " \n")
	write(t, "short", "0123456789abcde\n")
	serve := func(args ...string) []string { return append([]string{"serve", "--model", "run"}, args...) }
	toolFails(t, failure, []string{"0.0.0.0:0 is not a loopback address", "--token-file", "LIKENESS_TOKEN"}, serve("--address", "0.0.0.0:0")...)
	toolFails(t, failure, []string{"--token-file: empty is empty"}, serve("--token-file", "empty")...)
	toolFails(t, failure, []string{"the token of short has 15 bytes, expected at least 16"}, serve("--token-file", "short")...)
	toolFails(t, failure, []string{"--token-file", "missing"}, serve("--token-file", "missing")...)
	toolFails(t, failure, []string{"--max-request-pixels: found 0, expected 1 or more"}, serve("--max-request-pixels", "0")...)
	toolFails(t, failure, []string{"--request-timeout: found 0s, expected more than 0"}, serve("--request-timeout", "0s")...)
	toolFails(t, misuse, []string{"--request-timeout", "soon"}, serve("--request-timeout", "soon")...)
	toolFails(t, failure, []string{"listen"}, serve("--address", "127.0.0.1:none")...)
	t.Setenv(tokenVariable, "too short")
	toolFails(t, failure, []string{"the token of LIKENESS_TOKEN has 9 bytes"}, serve()...)
}

// Its bounds come from the flags, and without a model or a gallery it serves the zoo's,
// not the newest run, and says so.
func TestServeBounds(t *testing.T) {
	inFolder(t)
	saveModel(t, filepath.Join("runs", "newest", "model.safetensors"), nil)
	address, end := serving(t, "--max-request-pixels", "11000")
	one := drawing(t, 30) // 105 × 105, which is 11,025
	code, answer := post(t, address+"v1/embed", "", map[string]string{"image": one})
	if code != http.StatusRequestEntityTooLarge || !strings.Contains(fmt.Sprint(answer), "found 105 × 105 pixels, expected at most 11000") {
		t.Errorf("found %d %v", code, answer)
	}
	code, said := end()
	if code != success || !strings.Contains(said, "model        zoo/omniglot") || !strings.Contains(said, "code=413") {
		t.Errorf("exit code %d, %s", code, said)
	}
	address, end = serving(t, "--max-request-pixels", "20000", "--request-timeout", "1h")
	if code, answer := post(t, address+"v1/compare", "", map[string]string{"a": one, "b": one}); code != http.StatusRequestEntityTooLarge || !strings.Contains(fmt.Sprint(answer), "found 22050 pixels in 2 images, expected at most 20000") {
		t.Errorf("found %d %v", code, answer)
	}
	if code, answer := post(t, address+"v1/embed", "", map[string]string{"image": one}); code != http.StatusOK {
		t.Errorf("found %d %v", code, answer)
	}
	if code, said := end(); code != success || !strings.Contains(said, "code=200") {
		t.Errorf("exit code %d, %s", code, said)
	}
}
