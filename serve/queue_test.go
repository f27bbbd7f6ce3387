package serve

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/testutil"
)

// Concurrent requests of one to three images get their own answers.
func TestConcurrentRequestsGetTheirOwnAnswers(t *testing.T) {
	s := start(t, Options{BatchSize: 8})
	batches := make(chan int, 1000)
	s.queue.embedded = func(images int) { batches <- images }
	var asked sync.WaitGroup
	for i := range uint8(60) {
		asked.Go(func() {
			var pairs []string
			var want [][]float32
			for j := range i%3 + 1 {
				pairs = append(pairs, "image", grayPNG(i, j, 7))
				want = append(want, []float32{float32(i), float32(j), 7})
			}
			w := ask(s, form("/v1/embed", pairs...))
			if w.Code != http.StatusOK {
				t.Errorf("request %d: found %d %s", i, w.Code, w.Body)
				return
			}
			if found := decoded[embedded](t, w); !cmp.Equal(want, found.Embeddings) {
				t.Errorf("request %d: found %v, want %v", i, found.Embeddings, want)
			}
		})
	}
	asked.Wait()
	close(batches)
	images := 0
	for size := range batches {
		if images += size; size > 8 {
			t.Errorf("found a batch of %d images, want 8 at most", size)
		}
	}
	if images != 120 {
		t.Errorf("%d images were embedded, want 120", images)
	}
}

// While a batch is embedded, other images are collected for the next batch. A full queue
// refuses images immediately and accepts them when it has space again.
func TestFullQueueRefuses(t *testing.T) {
	s := start(t, Options{BatchSize: 4, BatchWait: -1, QueueSize: 3, MaxImages: 3})
	g := gated(s)
	answers := make(chan *httptest.ResponseRecorder)
	send := func(values ...uint8) {
		var pairs []string
		for _, v := range values {
			pairs = append(pairs, "image", grayPNG(v, v, v))
		}
		go func() { answers <- ask(s, form("/v1/embed", pairs...)) }()
	}
	send(1)
	if first := <-g.entered; len(first) != 1 {
		t.Fatalf("found a first batch of %d images, want 1", len(first))
	}
	send(2)
	wait(func() bool { return s.queue.length() == 1 })
	send(3, 4)
	wait(func() bool { return s.queue.length() == 3 })
	if w := refused(t, s, form("/v1/embed", "image", grayPNG(5, 5, 5)), http.StatusServiceUnavailable, "the queue is full"); w.Header().Get("Retry-After") != "1" {
		t.Errorf("found the headers %v, want Retry-After", w.Header())
	}
	g.let <- struct{}{}
	if second := <-g.entered; len(second) != 3 {
		t.Errorf("found a second batch of %d images, want 3", len(second))
	}
	send(6)
	wait(func() bool { return s.queue.length() == 1 }) // there is space again
	g.let <- struct{}{}
	<-g.entered
	g.let <- struct{}{}
	for range 4 {
		if w := <-answers; w.Code != http.StatusOK {
			t.Errorf("found %d %s", w.Code, w.Body)
		}
	}
}

// More concurrent requests than slots are refused immediately, except those that need no
// slot.
func TestTooManyRequests(t *testing.T) {
	s := start(t, Options{MaxConcurrent: 1})
	g := gated(s)
	answers := make(chan *httptest.ResponseRecorder)
	go func() { answers <- ask(s, form("/v1/embed", "image", grayPNG(1, 2, 3))) }()
	<-g.entered
	if w := refused(t, s, plainRequest("GET", "/v1/classes", ""), http.StatusTooManyRequests, "maximum of 1"); w.Header().Get("Retry-After") != "1" {
		t.Errorf("found the headers %v, want Retry-After", w.Header())
	}
	answer[health](t, s, plainRequest("GET", "/healthz", ""))
	g.let <- struct{}{}
	if w := <-answers; w.Code != http.StatusOK {
		t.Errorf("found %d %s", w.Code, w.Body)
	}
	answer[classes](t, s, plainRequest("GET", "/v1/classes", ""))
}

// The images of a client that has disconnected are removed from the queue and not embedded.
func TestDisconnectedClient(t *testing.T) {
	s := start(t, Options{BatchSize: 4, BatchWait: -1})
	g := gated(s)
	server := httptest.NewServer(s)
	defer server.Close()
	send := func(ctx context.Context, v uint8, done chan<- error) {
		r := form("/v1/embed", "image", grayPNG(v, v, v))
		out, err := http.NewRequestWithContext(ctx, "POST", server.URL+"/v1/embed", r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		out.Header = r.Header
		response, err := server.Client().Do(out)
		if err == nil {
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				err = fmt.Errorf("found %s", response.Status)
			}
		}
		done <- err
	}
	stays, goes, comes := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	ctx, leave := context.WithCancel(t.Context())
	go send(t.Context(), 1, stays)
	<-g.entered
	go send(ctx, 2, goes)
	wait(func() bool { return s.queue.length() == 1 })
	leave()
	if err := <-goes; err == nil {
		t.Error("a client that disconnects gets an answer")
	}
	wait(func() bool { return s.queue.length() == 0 })
	go send(t.Context(), 3, comes)
	wait(func() bool { return s.queue.length() == 1 })
	g.let <- struct{}{}
	if batch := <-g.entered; len(batch) != 1 || batch[0][0] != 3 {
		t.Errorf("found the batch %v, want the image of threes alone", batch)
	}
	g.let <- struct{}{}
	for _, done := range []chan error{stays, comes} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Close waits until the waiting images are embedded.
func TestCloseFinishesWaitingImages(t *testing.T) {
	s := start(t, Options{BatchSize: 1})
	g := gated(s)
	answers := make(chan *httptest.ResponseRecorder)
	for v := range uint8(2) {
		go func() { answers <- ask(s, form("/v1/embed", "image", grayPNG(v, v, v))) }()
	}
	<-g.entered
	wait(func() bool { return s.queue.length() == 1 })
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	wait(s.closing.Load)
	g.let <- struct{}{}
	<-g.entered
	g.let <- struct{}{}
	for range 2 {
		if w := <-answers; w.Code != http.StatusOK {
			t.Errorf("found %d %s", w.Code, w.Body)
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// Many concurrent clients, each with classes of its own, get the same answers as a single
// client.
func TestManyClients(t *testing.T) {
	s := start(t, Options{})
	ctx, end := context.WithCancel(t.Context())
	address, ended := served(t, ctx, s)
	const clients, rounds = 8, 6
	var crowd sync.WaitGroup
	for i := range uint8(clients) {
		c := client(t)
		crowd.Go(func() {
			image := grayPNG(20*i, 20*i+100, 7)
			class := fmt.Sprint("class ", i)
			want := func(r *http.Request, texts ...string) {
				found := said(c, address, r)
				for _, text := range append(texts, "200 OK") {
					if !strings.Contains(found, text) {
						t.Errorf("client %d, %s: found %s, want %s", i, r.URL.Path, found, text)
					}
				}
			}
			for range rounds {
				want(form("/v1/enroll", "class", class, "image", image), `"examples":1`)
				want(form("/v1/identify", "image", image, "candidates", "1"), `"class":"`+class+`","known":true`)
				want(form("/v1/verify", "class", class, "image", image), `"distance":0,`, `"same":true`)
				want(form("/v1/embed", "image", image), fmt.Sprintf("[[%d,%d,7]]", 20*i, 20*i+100))
				want(form("/v1/compare", "a", image, "b", grayPNG(20*i, 20*i+100, 9)), `"distance":2,`)
				forget, err := http.NewRequest("DELETE", address+"/v1/classes/class%20"+fmt.Sprint(i), nil)
				if err != nil {
					t.Error(err)
					return
				}
				response, err := c.Do(forget)
				if err != nil || response.StatusCode != http.StatusOK {
					t.Errorf("client %d, forget: found %v, %v", i, response, err)
					return
				}
				response.Body.Close()
			}
		})
	}
	crowd.Wait()
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if left := s.options.Gallery.Len(); left != 0 {
		t.Errorf("%d examples are left, want none", left)
	}
}

// Under far more requests than the limits, each request is answered or refused, and
// afterwards all are answered again.
func TestOverload(t *testing.T) {
	s := start(t, Options{MaxConcurrent: 3, QueueSize: 2, MaxImages: 2, BatchSize: 1, BatchWait: -1})
	g := gated(s)
	ctx, end := context.WithCancel(t.Context())
	address, ended := served(t, ctx, s)
	answers := make(chan string)
	ask := func() { answers <- said(client(t), address, form("/v1/embed", "image", grayPNG(1, 2, 3))) }
	go ask()
	<-g.entered   // one is being embedded before others come, which might fill the queue first,
	for range 2 { // and two are waiting
		go ask()
	}
	wait(func() bool { return s.queue.length() == 2 })
	for range 40 {
		go ask()
	}
	for range 40 {
		if found := <-answers; !strings.HasPrefix(found, "429") {
			t.Errorf("found %s, want 429", found)
		}
	}
	for i := range 3 {
		g.let <- struct{}{}
		if found := <-answers; !strings.HasPrefix(found, "200") {
			t.Errorf("found %s, want 200", found)
		}
		if i < 2 {
			<-g.entered
		}
	}
	go ask()
	<-g.entered
	g.let <- struct{}{}
	if found := <-answers; !strings.HasPrefix(found, "200") {
		t.Errorf("afterwards: found %s, want 200", found)
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// When a server ends under load, each accepted request is answered: the server counts as
// many as the clients do. All enrolled examples are in the gallery.
func TestShutdownUnderLoad(t *testing.T) {
	model := plainModel(t, heads.L1{}, 3)
	path := testutil.NewGallery(t, t.TempDir(), "test.gallery")
	g, err := gallery.Create(path, model, gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s := startModel(t, model, Options{Gallery: g, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	ctx, end := context.WithCancel(t.Context())
	address, ended := served(t, ctx, s)
	var crowd sync.WaitGroup
	answered := make(chan string, 10_000)
	for i := range uint8(8) {
		c := client(t)
		crowd.Go(func() {
			for n := 0; ; n++ { // until the server has ended
				class := fmt.Sprintf("class %d of %d", n, i)
				r := form("/v1/enroll", "class", class, "image", grayPNG(i, uint8(n), uint8(n>>8)))
				response, err := c.Post(address+r.URL.Path, r.Header.Get("Content-Type"), r.Body)
				if err != nil {
					return
				}
				text, err := io.ReadAll(response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != http.StatusOK {
					t.Errorf("found %s %s, %v", response.Status, text, err)
					return
				}
				answered <- class
			}
		})
	}
	wait(func() bool { return len(answered) >= 20 })
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	crowd.Wait()
	close(answered)
	if told := strings.Count(log.String(), "code=200"); told != len(answered) {
		t.Errorf("the server answered %d requests, the clients have %d answers", told, len(answered))
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if g, err = gallery.Open(path, model, gallery.Options{}); err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if g.Len() != len(answered) {
		t.Errorf("found %d examples, want the %d that were acknowledged", g.Len(), len(answered))
	}
	for class := range answered {
		if examples, err := g.Examples(class); err != nil || len(examples) != 1 {
			t.Errorf("%s: found %v, %v", class, examples, err)
		}
	}
}
