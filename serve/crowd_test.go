package serve

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
)

// Many clients ask for everything at once, each about classes of its own, and all
// get the answers that they would get alone.
func TestCrowd(t *testing.T) {
	s := start(t, Options{})
	ctx, end := context.WithCancel(t.Context())
	address, ended := served(t, ctx, s)
	const clients, rounds = 8, 6
	var crowd sync.WaitGroup
	for i := range uint8(clients) {
		c := client(t)
		crowd.Go(func() {
			image := greys(20*i, 20*i+100, 7)
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
				want(form("/v1/compare", "a", image, "b", greys(20*i, 20*i+100, 9)), `"distance":2,`)
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

// Of far more requests than a server takes, each is answered or refused, and when
// they are over all is taken again.
func TestOverload(t *testing.T) {
	s := start(t, Options{MaxConcurrent: 3, QueueSize: 2, MaxImages: 2, BatchSize: 1, BatchWait: -1})
	g := gated(s)
	ctx, end := context.WithCancel(t.Context())
	address, ended := served(t, ctx, s)
	answers := make(chan string)
	ask := func() { answers <- said(client(t), address, form("/v1/embed", "image", greys(1, 2, 3))) }
	go ask()
	<-g.entered   // one is embedded before others come, which might fill the queue first,
	for range 2 { // and two wait
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

// When a server ends under load, each request that it has taken gets its answer: it
// tells of as many as its clients have. All that was enrolled is in the gallery.
func TestEndUnderLoad(t *testing.T) {
	model := plainModel(t, heads.L1{}, 3)
	path := filepath.Join(t.TempDir(), "test.gallery")
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
			for n := 0; ; n++ { // until the server is there no more
				class := fmt.Sprintf("class %d of %d", n, i)
				r := form("/v1/enroll", "class", class, "image", greys(i, uint8(n), uint8(n>>8)))
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
