package serve

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Many requests at once, of one to three images, get their own answers each.
func TestConcurrentRequestsGetTheirOwn(t *testing.T) {
	s := start(t, Options{BatchSize: 8})
	batches := make(chan int, 1000)
	s.queue.embedded = func(images int) { batches <- images }
	var asked sync.WaitGroup
	for i := range uint8(60) {
		asked.Go(func() {
			var pairs []string
			var want [][]float32
			for j := range i%3 + 1 {
				pairs = append(pairs, "image", greys(i, j, 7))
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

// While a batch is embedded, the images of others gather into the next one. A full
// queue refuses at once and takes more when it is emptier.
func TestFullQueueRefuses(t *testing.T) {
	s := start(t, Options{BatchSize: 4, BatchWait: -1, QueueSize: 3, MaxImages: 3})
	g := gated(s)
	answers := make(chan *httptest.ResponseRecorder)
	send := func(values ...uint8) {
		var pairs []string
		for _, v := range values {
			pairs = append(pairs, "image", greys(v, v, v))
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
	if w := refused(t, s, form("/v1/embed", "image", greys(5, 5, 5)), http.StatusServiceUnavailable, "the queue is full"); w.Header().Get("Retry-After") != "1" {
		t.Errorf("found the headers %v, want Retry-After", w.Header())
	}
	g.let <- struct{}{}
	if second := <-g.entered; len(second) != 3 {
		t.Errorf("found a second batch of %d images, want 3", len(second))
	}
	send(6)
	wait(func() bool { return s.queue.length() == 1 }) // there is room again
	g.let <- struct{}{}
	<-g.entered
	g.let <- struct{}{}
	for range 4 {
		if w := <-answers; w.Code != http.StatusOK {
			t.Errorf("found %d %s", w.Code, w.Body)
		}
	}
}

// More requests than there are places are refused at once, but for those that are
// no work.
func TestTooManyRequests(t *testing.T) {
	s := start(t, Options{MaxConcurrent: 1})
	g := gated(s)
	answers := make(chan *httptest.ResponseRecorder)
	go func() { answers <- ask(s, form("/v1/embed", "image", greys(1, 2, 3))) }()
	<-g.entered
	if w := refused(t, s, plainRequest("GET", "/v1/classes", ""), http.StatusTooManyRequests, "1 requests at a time"); w.Header().Get("Retry-After") != "1" {
		t.Errorf("found the headers %v, want Retry-After", w.Header())
	}
	answer[health](t, s, plainRequest("GET", "/healthz", ""))
	g.let <- struct{}{}
	if w := <-answers; w.Code != http.StatusOK {
		t.Errorf("found %d %s", w.Code, w.Body)
	}
	answer[classes](t, s, plainRequest("GET", "/v1/classes", ""))
}

// The images of a client that has gone leave the queue, and are not embedded.
func TestClientThatGoes(t *testing.T) {
	s := start(t, Options{BatchSize: 4, BatchWait: -1})
	g := gated(s)
	server := httptest.NewServer(s)
	defer server.Close()
	send := func(ctx context.Context, v uint8, done chan<- error) {
		r := form("/v1/embed", "image", greys(v, v, v))
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
		t.Error("a client that goes gets an answer")
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

// A closed server finishes what waits.
func TestCloseFinishesWhatWaits(t *testing.T) {
	s := start(t, Options{BatchSize: 1})
	g := gated(s)
	answers := make(chan *httptest.ResponseRecorder)
	for v := range uint8(2) {
		go func() { answers <- ask(s, form("/v1/embed", "image", greys(v, v, v))) }()
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
