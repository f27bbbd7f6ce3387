package serve

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/testutil"
)

// A repeated enrollment with the same key adds nothing and gets the same answer; a key of
// another enrollment is refused.
func TestIdempotencyKey(t *testing.T) {
	s := start(t, Options{})
	send := func(key, class string, images ...string) *http.Request {
		pairs := []string{"class", class}
		for _, image := range images {
			pairs = append(pairs, "image", image)
		}
		r := form("/v1/enroll", pairs...)
		r.Header.Set("Idempotency-Key", key)
		return r
	}
	gray := grayPNG(1, 2, 3)
	for range 3 {
		if found := answer[enrolled](t, s, send("first", "a", gray, gray)); found.Class != "a" || found.Enrolled != 2 || found.Examples != 2 {
			t.Errorf("found %+v", found)
		}
	}
	if found := answer[enrolled](t, s, send("second", "a", gray)); found.Class != "a" || found.Enrolled != 1 || found.Examples != 3 {
		t.Errorf("found %+v", found)
	}
	refused(t, s, send("first", "b", gray, gray), http.StatusUnprocessableEntity, "Idempotency-Key")
	refused(t, s, send("first", "a", gray), http.StatusUnprocessableEntity, "Idempotency-Key")
	refused(t, s, send("a b", "a", gray), http.StatusUnprocessableEntity, "Idempotency-Key")
	if n := s.options.Gallery.Len(); n != 3 {
		t.Errorf("found %d examples, want 3", n)
	}
}

// proxy connects clients to a database, unless it is cut.
type proxy struct {
	listener         net.Listener
	network, address string
	mutex            sync.Mutex
	cut              bool
	open             []net.Conn
	all              sync.WaitGroup
}

func (p *proxy) run() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mutex.Lock()
		server, err := net.Dial(p.network, p.address)
		if p.cut || err != nil {
			client.Close()
		} else {
			p.open = append(p.open, client, server)
			p.all.Go(func() { io.Copy(server, client); server.Close() })
			p.all.Go(func() { io.Copy(client, server); client.Close() })
		}
		p.mutex.Unlock()
	}
}

func (p *proxy) set(cut bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.cut = cut
	if cut {
		for _, c := range p.open {
			c.Close()
		}
		p.open = nil
	}
}

// While the database cannot be reached, requests are tried until their time is up and then
// get 503; afterwards they succeed. Neither answers nor the log have the password.
func TestLostDatabase(t *testing.T) {
	testutil.NeedPostgres(t)
	config, err := pgconn.ParseConfig(os.Getenv(testutil.PostgresVariable))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	p := &proxy{listener: listener, network: network, address: address}
	p.all.Go(p.run)
	defer p.all.Wait()
	defer p.set(true)
	defer listener.Close()

	password := config.Password
	if password == "" { // which such a server does not ask for
		password = "a-secret"
	}
	schema := testutil.SchemaOf(testutil.NewSchema(t))
	path := fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable&schema=%s", url.UserPassword(config.User, password), listener.Addr(), url.PathEscape(config.Database), schema)
	model := plainModel(t, heads.L1{}, 3)
	g, err := gallery.Create(path, model, gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	var log bytes.Buffer
	s := startModel(t, model, Options{Gallery: g, RequestTimeout: 400 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	gray := grayPNG(1, 2, 3)
	answer[enrolled](t, s, form("/v1/enroll", "class", "a", "image", gray))
	p.set(true)
	answers := ""
	for name, r := range map[string]*http.Request{
		"enroll": form("/v1/enroll", "class", "a", "image", gray), "identify": form("/v1/identify", "image", gray),
		"verify": form("/v1/verify", "class", "a", "image", gray), "classes": plainRequest("GET", "/v1/classes", ""), "forget": plainRequest("DELETE", "/v1/classes/a", ""),
	} {
		begun := time.Now()
		w := refused(t, s, r, http.StatusServiceUnavailable, "the database cannot be reached")
		if took := time.Since(begun); took < 50*time.Millisecond || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: answered after %v, expected attempts until the time is up", name, took)
		}
		answers += w.Body.String()
	}
	time.AfterFunc(100*time.Millisecond, func() { p.set(false) }) // within the time of the request
	if found := answer[verified](t, s, form("/v1/verify", "class", "a", "image", gray)); found.Distance != 0 {
		t.Errorf("found %+v", found)
	}
	if found := answer[enrolled](t, s, form("/v1/enroll", "class", "a", "image", gray)); found.Examples != 2 {
		t.Errorf("found %+v", found)
	}
	if text := answers + log.String() + g.Path(); strings.Contains(text, password) || !strings.Contains(log.String(), "code=503") {
		t.Errorf("found the password or no 503 in %s", text)
	}
}
