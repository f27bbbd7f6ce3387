package serve

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// dial is a connection to a server, for what no HTTP client does.
func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection
}

// begin sends a request's header, which promises a body of so many bytes, and what
// there is of it.
func begin(t *testing.T, connection net.Conn, promised int, body string) {
	t.Helper()
	_, err := fmt.Fprintf(connection, "POST /v1/embed HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", promised, body)
	if err != nil {
		t.Fatal(err)
	}
}

// A client that stops in the middle of its body keeps nobody out, though there is
// one place only, and what it has sent is given back when it goes.
func TestSlowSenderTakesNoPlace(t *testing.T) {
	s := start(t, Options{MaxConcurrent: 1, MaxBodyBytes: 4096, MaxBufferedBytes: 4096})
	ctx, end := context.WithCancel(t.Context())
	address, ended := served(t, ctx, s)
	slow := dial(t, address)
	begin(t, slow, 4000, strings.Repeat(" ", 3000))
	wait(func() bool { return s.memory.left.Load() == 4096-3000 })
	answer[embedded](t, s, form("/v1/embed", "image", greys(1, 2, 3)))

	// Together with it, a large body is more than there is memory for.
	large := posted("/v1/embed", "application/json", strings.Repeat(" ", 2000)+`{"image":`+inBase64(greys(1, 2, 3))+`}`)
	if w := refused(t, s, large, http.StatusServiceUnavailable, "the bodies of requests take all the memory"); w.Header().Get("Retry-After") != "1" {
		t.Errorf("found the headers %v, want Retry-After", w.Header())
	}
	slow.Close()
	wait(func() bool { return s.memory.left.Load() == 4096 })
	answer[embedded](t, s, posted("/v1/embed", "application/json", strings.Repeat(" ", 2000)+`{"image":`+inBase64(greys(1, 2, 3))+`}`))
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// slowReader takes an answer when it is let.
type slowReader struct {
	*httptest.ResponseRecorder
	entered, let chan struct{}
}

func (w slowReader) Write(p []byte) (int, error) {
	close(w.entered)
	<-w.let
	return w.ResponseRecorder.Write(p)
}

// Nor does a client that does not read its answer keep anybody out.
func TestSlowReaderTakesNoPlace(t *testing.T) {
	s := start(t, Options{MaxConcurrent: 1})
	slow := slowReader{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	done := make(chan struct{})
	go func() {
		s.ServeHTTP(slow, form("/v1/embed", "image", greys(1, 2, 3)))
		close(done)
	}()
	<-slow.entered
	answer[embedded](t, s, form("/v1/embed", "image", greys(4, 5, 6)))
	close(slow.let)
	<-done
	if found := decoded[embedded](t, slow.ResponseRecorder); found.Embeddings[0][0] != 1 {
		t.Errorf("found %v", found)
	}
}

// A client that goes while its image waits gives its place to others.
func TestGoneClientLeavesItsPlace(t *testing.T) {
	s := start(t, Options{MaxConcurrent: 2, BatchSize: 1, BatchWait: -1})
	g := gated(s)
	first := make(chan *httptest.ResponseRecorder)
	go func() { first <- ask(s, form("/v1/embed", "image", greys(1, 2, 3))) }()
	<-g.entered
	ctx, leave := context.WithCancel(t.Context())
	second := make(chan *httptest.ResponseRecorder)
	go func() { second <- ask(s, form("/v1/embed", "image", greys(4, 5, 6)).WithContext(ctx)) }()
	wait(func() bool { return s.queue.length() == 1 })
	refused(t, s, plainRequest("GET", "/v1/classes", ""), http.StatusTooManyRequests, "2 requests at a time")
	leave()
	if w := <-second; w.Code != clientGone {
		t.Errorf("found %d, want %d", w.Code, clientGone)
	}
	answer[classes](t, s, plainRequest("GET", "/v1/classes", ""))
	g.let <- struct{}{}
	if w := <-first; w.Code != http.StatusOK {
		t.Errorf("found %d %s", w.Code, w.Body)
	}
}

// A connection that is slow with a request, silent after one or too long in its
// header is closed.
func TestConnectionsAreBounded(t *testing.T) {
	const short = 50 * time.Millisecond
	for name, c := range map[string]struct {
		options    Options
		sent, want string
	}{
		"half a header": {Options{ReadTimeout: short}, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n", ""},
		"half a body":   {Options{ReadTimeout: short}, "POST /v1/embed HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", "408 Request Timeout"},
		"no more":       {Options{IdleTimeout: short}, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "200 OK"},
		"long header":   {Options{}, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + strings.Repeat("x", 2*maxHeaderBytes) + "\r\n\r\n", "431 Request Header Fields Too Large"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, c.options)
			ctx, end := context.WithCancel(t.Context())
			address, ended := served(t, ctx, s)
			connection := dial(t, address)
			_, _ = io.WriteString(connection, c.sent) // the server may not want all of it
			answered := bufio.NewReader(connection)
			line, _ := answered.ReadString('\n')
			found := strings.TrimPrefix(strings.TrimSpace(line), "HTTP/1.1 ")
			// On a machine that is slow itself the header may have come too late.
			if found != c.want && !(found == "" && c.options.ReadTimeout == short) {
				t.Errorf("found %q, want %q", found, c.want)
			}
			_, _ = io.Copy(io.Discard, answered) // until the server closes it
			end()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// A body that does not come in time is told so, and not where it was to come from.
func TestLateBody(t *testing.T) {
	s := start(t, Options{})
	for kind, begun := range map[string]string{"application/json": "{", "multipart/form-data; boundary=b": "--b\r\n"} {
		r := posted("/v1/embed", kind, "")
		late := iotest.ErrReader(&net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded})
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader(begun), late))
		refused(t, s, r, http.StatusRequestTimeout, "body: it did not come within the time")
	}
}
