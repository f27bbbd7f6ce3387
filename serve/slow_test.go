package serve

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// dial opens a connection to a server, to send what no HTTP client sends.
func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection
}

// begin sends a request's header with the given length of the body, and the beginning of
// the body.
func begin(t *testing.T, connection net.Conn, promised int, body string) {
	t.Helper()
	_, err := fmt.Fprintf(connection, "POST /v1/embed HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", promised, body)
	if err != nil {
		t.Fatal(err)
	}
}

// A client that stalls while it sends its body does not block others, even with one slot,
// and its memory is released when it disconnects.
func TestSlowSenderTakesNoSlot(t *testing.T) {
	s := start(t, Options{MaxConcurrent: 1, MaxBodyBytes: 4096, MaxBufferedBytes: 4096})
	ctx, end := context.WithCancel(t.Context())
	address, ended := served(t, ctx, s)
	slow := dial(t, address)
	begin(t, slow, 4000, strings.Repeat(" ", 3000))
	wait(func() bool { return s.memory.left.Load() == 4096-3000 })
	answer[embedded](t, s, form("/v1/embed", "image", grayPNG(1, 2, 3)))

	// Together with it, a large body exceeds the memory.
	large := newRequest("/v1/embed", "application/json", strings.Repeat(" ", 2000)+`{"image":`+inBase64(grayPNG(1, 2, 3))+`}`)
	if w := refused(t, s, large, http.StatusServiceUnavailable, "the request bodies fill the memory"); w.Header().Get("Retry-After") != "1" {
		t.Errorf("found the headers %v, want Retry-After", w.Header())
	}
	slow.Close()
	wait(func() bool { return s.memory.left.Load() == 4096 })
	answer[embedded](t, s, newRequest("/v1/embed", "application/json", strings.Repeat(" ", 2000)+`{"image":`+inBase64(grayPNG(1, 2, 3))+`}`))
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// slowReader reads an answer after a signal.
type slowReader struct {
	*httptest.ResponseRecorder
	entered, let chan struct{}
}

func (w slowReader) Write(p []byte) (int, error) {
	close(w.entered)
	<-w.let
	return w.ResponseRecorder.Write(p)
}

// A client that does not read its answer does not block others.
func TestSlowReaderTakesNoSlot(t *testing.T) {
	s := start(t, Options{MaxConcurrent: 1})
	slow := slowReader{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	done := make(chan struct{})
	go func() {
		s.ServeHTTP(slow, form("/v1/embed", "image", grayPNG(1, 2, 3)))
		close(done)
	}()
	<-slow.entered
	answer[embedded](t, s, form("/v1/embed", "image", grayPNG(4, 5, 6)))
	close(slow.let)
	<-done
	if found := decoded[embedded](t, slow.ResponseRecorder); found.Embeddings[0][0] != 1 {
		t.Errorf("found %v", found)
	}
}

// The slot of a client that disconnects while its image waits is released.
func TestDisconnectedClientReleasesSlot(t *testing.T) {
	s := start(t, Options{MaxConcurrent: 2, BatchSize: 1, BatchWait: -1})
	g := gated(s)
	first := make(chan *httptest.ResponseRecorder)
	go func() { first <- ask(s, form("/v1/embed", "image", grayPNG(1, 2, 3))) }()
	<-g.entered
	ctx, leave := context.WithCancel(t.Context())
	second := make(chan *httptest.ResponseRecorder)
	go func() { second <- ask(s, form("/v1/embed", "image", grayPNG(4, 5, 6)).WithContext(ctx)) }()
	wait(func() bool { return s.queue.length() == 1 })
	refused(t, s, plainRequest("GET", "/v1/classes", ""), http.StatusTooManyRequests, "maximum of 2")
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

// A connection is closed if a request is slow, if it is idle for too long, or if a header
// is too large.
func TestConnectionTimeouts(t *testing.T) {
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
			_, _ = io.WriteString(connection, c.sent) // the server may stop reading
			answered := bufio.NewReader(connection)
			line, _ := answered.ReadString('\n')
			found := strings.TrimPrefix(strings.TrimSpace(line), "HTTP/1.1 ")
			// On a slow machine the header may be late.
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

// A late body is answered with status 408, without the client's address.
func TestLateBody(t *testing.T) {
	s := start(t, Options{})
	for kind, begun := range map[string]string{"application/json": "{", "multipart/form-data; boundary=b": "--b\r\n"} {
		r := newRequest("/v1/embed", kind, "")
		late := iotest.ErrReader(&net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded})
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader(begun), late))
		refused(t, s, r, http.StatusRequestTimeout, "body: it was not received within the time")
	}
}

// lines is a log for concurrent use.
type lines struct {
	mutex sync.Mutex
	text  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

// A request that exceeds RequestTimeout is answered and logged with status 503, and its
// images are not enrolled.
func TestLateRequestIsAnswered(t *testing.T) {
	for name, slow := range map[string]func(s *Server, until chan struct{}){
		"decoding": func(s *Server, until chan struct{}) {
			s.decode = func(context.Context, imageFile) (preparedImage, error) {
				<-until
				return preparedImage{pixels: []uint8{1, 2, 3}}, nil
			}
		},
		"embedding": func(s *Server, until chan struct{}) {
			s.queue.embed = func(pixels [][]uint8) ([][]float32, error) { <-until; return asEmbeddings(pixels), nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			log, until := &lines{}, make(chan struct{})
			s := start(t, Options{RequestTimeout: 50 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(log, nil))})
			slow(s, until)
			ctx, end := context.WithCancel(t.Context())
			address, ended := served(t, ctx, s)
			found := said(client(t), address, form("/v1/enroll", "class", "a", "image", grayPNG(1, 2, 3)))
			if !strings.HasPrefix(found, "503") || !strings.Contains(found, `{"error":"the time limit of a request is exceeded`) {
				t.Errorf("found %s", found)
			}
			close(until)
			end()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if text := log.String(); !strings.Contains(text, "code=503") || !strings.Contains(text, "50ms: the time limit of a request is exceeded") || strings.Contains(text, "code=200") {
				t.Errorf("the log says\n%s", text)
			}
			if left := s.options.Gallery.Len(); left != 0 {
				t.Errorf("%d examples are enrolled", left)
			}
		})
	}
}

// A client that disconnects while it sends its body or while its images are decoded or
// embedded is logged with status 499.
func TestDisconnectedClientIsLogged(t *testing.T) {
	whole := `{"image":` + inBase64(grayPNG(1, 2, 3)) + `}`
	for name, c := range map[string]struct {
		slow     func(s *Server, entered, until chan struct{})
		promised int
	}{
		"decoding": {func(s *Server, entered, until chan struct{}) {
			s.decode = func(ctx context.Context, _ imageFile) (preparedImage, error) {
				close(entered)
				<-ctx.Done() // as a decoder does that reads the file
				return preparedImage{}, errors.New("of the decoder")
			}
		}, len(whole)},
		"embedding": {func(s *Server, entered, until chan struct{}) {
			s.queue.embed = func(pixels [][]uint8) ([][]float32, error) { close(entered); <-until; return asEmbeddings(pixels), nil }
		}, len(whole)},
		"sending": {func(s *Server, entered, _ chan struct{}) { close(entered) }, len(whole) + 10},
	} {
		t.Run(name, func(t *testing.T) {
			log, entered, until := &lines{}, make(chan struct{}), make(chan struct{})
			s := start(t, Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
			c.slow(s, entered, until)
			ctx, end := context.WithCancel(t.Context())
			address, ended := served(t, ctx, s)
			connection := dial(t, address)
			begin(t, connection, c.promised, whole)
			<-entered
			if name == "sending" {
				wait(func() bool { return s.memory.left.Load() == s.options.MaxBufferedBytes-int64(len(whole)) })
			}
			connection.Close()
			wait(func() bool { return strings.Contains(log.String(), "code=") })
			if text := log.String(); !strings.Contains(text, "code=499") || !strings.Contains(text, "error=") || strings.Contains(text, "code=200") {
				t.Errorf("the log says\n%s", text)
			}
			close(until)
			end()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// broken is a connection whose writes fail.
type broken struct{ *httptest.ResponseRecorder }

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// unflushed is a connection that fails only when the buffered answer is sent.
type unflushed struct{ *httptest.ResponseRecorder }

func (unflushed) FlushError() error { return errors.New("broken pipe") }

// An answer that could not be sent is logged and counted with status 499.
func TestUnsentAnswerIsLogged(t *testing.T) {
	log := &lines{}
	s := start(t, Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	for _, w := range []http.ResponseWriter{broken{httptest.NewRecorder()}, unflushed{httptest.NewRecorder()}} {
		s.ServeHTTP(w, form("/v1/embed", "image", grayPNG(1, 2, 3)))
		s.ServeHTTP(w, plainRequest("GET", "/healthz", ""))
	}
	if text := log.String(); strings.Count(text, "code=499") != 4 || strings.Contains(text, "code=200") || !strings.Contains(text, "the answer 200 was not sent: broken pipe") {
		t.Errorf("the log says\n%s", text)
	}
	metrics := ask(s, plainRequest("GET", "/metrics", "")).Body.String()
	if !strings.Contains(metrics, `likeness_requests_total{code="499",route="/v1/embed"} 2`) || strings.Contains(metrics, `code="200",route="/v1/embed"`) {
		t.Errorf("the metrics say\n%s", metrics)
	}
}
