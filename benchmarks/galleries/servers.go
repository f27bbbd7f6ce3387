package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// Images of the servers have one row of pixels.
const pixels = 8

// perEnrollment is the number of images of an enrollment, all or none.
const perEnrollment = 3

// picture is the PNG of image j of class i: the class in the first pixels.
func picture(i, j int) []byte {
	img := image.NewGray(image.Rect(0, 0, pixels, 1))
	for x := range 4 {
		img.SetGray(x, 0, color.Gray{Y: uint8(i >> (6 * x) & 63 * 4)})
	}
	img.SetGray(4, 0, color.Gray{Y: uint8(j)})
	var file bytes.Buffer
	if err := png.Encode(&file, img); err != nil {
		panic(err) // writing to memory cannot fail
	}
	return file.Bytes()
}

// program builds the tool and saves the model of its servers.
func (s setting) program(ctx context.Context) (path, model string, err error) {
	path, model = filepath.Join(s.folder, "likeness"), filepath.Join(s.folder, "model.safetensors")
	if output, err := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/likeness").CombinedOutput(); err != nil {
		return "", "", errors.Errorf("go build ./cmd/likeness: %v: %s", err, output)
	}
	m, err := rowModel(pixels)
	if err != nil {
		return "", "", err
	}
	return path, model, m.Save(model)
}

// server is a running likeness serve.
type server struct {
	url     string
	process *exec.Cmd
	log     *bytes.Buffer
}

// startServer starts likeness serve on a gallery.
func startServer(ctx context.Context, program, model, gallery string) (*server, error) {
	s := &server{process: exec.CommandContext(ctx, program, "serve", "--model", model, "--gallery", gallery, "--address", "127.0.0.1:0"), log: new(bytes.Buffer)}
	s.process.Stderr = s.log
	output, err := s.process.StdoutPipe()
	if err != nil {
		return nil, errors.WithStack(err)
	}
	if err := s.process.Start(); err != nil {
		return nil, errors.WithStack(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		_ = s.process.Wait()
		return nil, errors.Errorf("likeness serve did not start: %s", s.log)
	}
	s.url = strings.TrimSpace(line)
	return s, nil
}

// end interrupts the server, which then finishes its requests.
func (s *server) end() error {
	if err := s.process.Process.Signal(os.Interrupt); err != nil {
		return errors.WithStack(err)
	}
	return errors.WithStack(s.process.Wait())
}

// post sends a form and decodes the answer. The error is one of the connection.
func post(ctx context.Context, client *http.Client, url, key, class string, images ...[]byte) (code int, answer map[string]any, err error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if class != "" {
		_ = form.WriteField("class", class) // writing to memory cannot fail
	}
	for _, content := range images {
		part, err := form.CreateFormFile("image", "image.png")
		if err != nil {
			return 0, nil, errors.WithStack(err)
		}
		_, _ = part.Write(content)
	}
	form.Close()
	request, err := http.NewRequestWithContext(ctx, "POST", url, &body)
	if err != nil {
		return 0, nil, errors.WithStack(err)
	}
	request.Header.Set("Content-Type", form.FormDataContentType())
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, errors.WithStack(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, nil, errors.WithStack(err)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return 0, nil, errors.WithStack(err)
	}
	return response.StatusCode, answer, nil
}

// enrollers are clients that enroll until they are stopped. Each repeats an enrollment
// without an answer, with its key, until it has one.
type enrollers struct {
	url          atomic.Pointer[string]
	next         atomic.Int64
	repeated     atomic.Int64 // requests that had no answer
	refused      atomic.Int64 // answers other than 200
	mutex        sync.Mutex
	acknowledged map[int]bool
	stop         chan struct{}
	all          sync.WaitGroup
}

func (s setting) enroll(ctx context.Context, clients int, schema string) *enrollers {
	e := &enrollers{acknowledged: map[int]bool{}, stop: make(chan struct{})}
	for range clients {
		client := &http.Client{Transport: &http.Transport{}}
		e.all.Go(func() {
			defer client.CloseIdleConnections()
			for {
				select {
				case <-e.stop:
					return
				case <-ctx.Done():
					return
				default:
				}
				i := int(e.next.Add(1)) - 1
				var images [][]byte
				for j := range perEnrollment {
					images = append(images, picture(i, j))
				}
				for { // until it is acknowledged
					url := e.url.Load()
					if url == nil || ctx.Err() != nil {
						time.Sleep(5 * time.Millisecond)
						if ctx.Err() != nil {
							return
						}
						continue
					}
					code, _, err := post(ctx, client, *url+"v1/enroll", fmt.Sprintf("%s-%d", schema, i), fmt.Sprint("class ", i), images...)
					if err != nil {
						e.repeated.Add(1)
						time.Sleep(5 * time.Millisecond)
						continue
					}
					if code != http.StatusOK {
						e.refused.Add(1)
						time.Sleep(5 * time.Millisecond)
						continue
					}
					e.mutex.Lock()
					e.acknowledged[i] = true
					e.mutex.Unlock()
					break
				}
			}
		})
	}
	return e
}

func (e *enrollers) count() int {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return len(e.acknowledged)
}

// check checks that all acknowledged classes, and no others, have their examples once.
func (e *enrollers) check(path string) error {
	model, err := rowModel(pixels)
	if err != nil {
		return err
	}
	g, err := gallery.Open(path, model, gallery.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer g.Close()
	classes, err := g.Request(context.Background(), "").Classes()
	if err != nil {
		return err
	}
	if len(classes) != len(e.acknowledged) {
		return errors.Errorf("found %d classes, %d were acknowledged", len(classes), len(e.acknowledged))
	}
	for _, c := range classes {
		var i int
		if _, err := fmt.Sscanf(c.Name, "class %d", &i); err != nil || !e.acknowledged[i] || c.Examples != perEnrollment {
			return errors.Errorf("found %d examples of %s, acknowledged %v", c.Examples, c.Name, e.acknowledged[i])
		}
	}
	return nil
}

// killsOf kills servers and then processes of PostgreSQL while clients enroll.
func (s setting) killsOf(ctx context.Context) (string, error) {
	program, model, err := s.program(ctx)
	if err != nil {
		return "", err
	}
	chance := random.New(s.seed, "kills")
	var b strings.Builder
	b.WriteString("Four clients enroll three images a request with an Idempotency-Key, and repeat a request that has no answer. Afterwards each acknowledged class has its three examples, once, and there is no other.\n\n")
	b.WriteString("| killed by SIGKILL | kills | acknowledged enrollments | lost or doubled | requests without an answer, repeated | answers other than 200 |\n|---|---|---|---|---|---|\n")
	for _, kind := range []struct {
		name string
		kill func(ctx context.Context, path, program, model string, e *enrollers, chance *rand.Rand) error
	}{
		{"`likeness serve`", s.killServers},
		{"a process of PostgreSQL that serves a connection", s.killBackends},
	} {
		if err := s.drop(ctx, "kills"); err != nil {
			return "", err
		}
		path, err := s.gallery("kills", "application_name", "likeness-kills")
		if err != nil {
			return "", err
		}
		e := s.enroll(ctx, 4, fmt.Sprint(time.Now().UnixNano()))
		if err := kind.kill(ctx, path, program, model, e, chance); err != nil {
			return "", errors.Wrap(err, kind.name)
		}
		if err := e.check(path); err != nil {
			return "", errors.Wrap(err, kind.name)
		}
		fmt.Fprintf(&b, "| %s | %d | %d | 0 | %d | %d |\n", kind.name, s.kills, len(e.acknowledged), e.repeated.Load(), e.refused.Load())
	}
	return b.String(), s.drop(ctx, "kills")
}

// killServers kills a server after a random time, and starts the next, so many times.
func (s setting) killServers(ctx context.Context, path, program, model string, e *enrollers, chance *rand.Rand) error {
	for kill := range s.kills {
		process, err := startServer(ctx, program, model, path)
		if err != nil {
			return err
		}
		e.url.Store(&process.url)
		time.Sleep(time.Duration(chance.Float64() * float64(500*time.Millisecond)))
		if err := process.process.Process.Kill(); err != nil {
			return errors.WithStack(err)
		}
		_ = process.process.Wait() // which was killed
		e.url.Store(nil)
		if kill%10 == 9 {
			s.note("killed %d servers, %d enrollments acknowledged", kill+1, e.count())
		}
	}
	return s.finish(ctx, path, program, model, e)
}

// finish lets clients finish with a server that is not killed.
func (s setting) finish(ctx context.Context, path, program, model string, e *enrollers) error {
	process, err := startServer(ctx, program, model, path)
	if err != nil {
		return err
	}
	e.url.Store(&process.url)
	close(e.stop)
	e.all.Wait()
	return process.end()
}

// killBackends kills a process of the database that serves a connection of the server. The
// database then ends all of them and recovers.
func (s setting) killBackends(ctx context.Context, path, program, model string, e *enrollers, chance *rand.Rand) error {
	process, err := startServer(ctx, program, model, path)
	if err != nil {
		return err
	}
	e.url.Store(&process.url)
	for kill := 0; kill < s.kills; {
		before := e.count()
		for e.count() < before+5 { // the database and the server are back
			if ctx.Err() != nil {
				return ctx.Err()
			}
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Duration(chance.Float64() * float64(200*time.Millisecond)))
		pid, err := s.backend(ctx, chance)
		if err != nil {
			return err
		}
		if pid == 0 {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			if errors.Is(err, syscall.ESRCH) {
				continue
			}
			return errors.Wrapf(err, "kill the process %d of PostgreSQL", pid)
		}
		if kill++; kill%10 == 0 {
			s.note("killed %d processes of PostgreSQL, %d enrollments acknowledged", kill, e.count())
		}
	}
	close(e.stop)
	e.all.Wait()
	return process.end()
}

// backend returns the process of a connection of the server; 0 if there is none.
func (s setting) backend(ctx context.Context, chance *rand.Rand) (int, error) {
	for tries := 0; ; tries++ {
		pids, err := func() ([]int, error) {
			conn, err := pgx.Connect(ctx, s.uri)
			if err != nil {
				return nil, err
			}
			defer conn.Close(ctx)
			rows, err := conn.Query(ctx, `SELECT pid FROM pg_stat_activity WHERE application_name = 'likeness-kills' AND backend_type = 'client backend' ORDER BY pid`)
			if err != nil {
				return nil, err
			}
			return pgx.CollectRows(rows, pgx.RowTo[int])
		}()
		switch {
		case err == nil && len(pids) == 0:
			return 0, nil
		case err == nil:
			return pids[chance.IntN(len(pids))], nil
		case tries == 100:
			return 0, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// servers lets clients enroll and identify by three servers on one database.
func (s setting) servers(ctx context.Context) (string, error) {
	const count, clients, base = 3, 64, 200
	program, model, err := s.program(ctx)
	if err != nil {
		return "", err
	}
	if err := s.drop(ctx, "servers"); err != nil {
		return "", err
	}
	path, err := s.gallery("servers")
	if err != nil {
		return "", err
	}
	var running []*server
	for range count {
		process, err := startServer(ctx, program, model, path)
		if err != nil {
			return "", err
		}
		running = append(running, process)
	}
	defer func() {
		for _, process := range running {
			_ = process.process.Process.Kill() // unless it has ended
		}
	}()
	first := &http.Client{}
	for i := range base { // classes that stay, whose images have a last pixel of 0
		if code, answer, err := post(ctx, first, running[i%count].url+"v1/enroll", "", fmt.Sprint("base ", i), picture(i, 0)); err != nil || code != http.StatusOK {
			return "", errors.Errorf("enroll: found %d %v, %v", code, answer, err)
		}
	}
	first.CloseIdleConnections()
	limited, cancel := context.WithTimeout(ctx, s.duration)
	defer cancel()
	var enrolled, identified, verified, compared atomic.Int64
	failures := make(chan error, clients)
	var all sync.WaitGroup
	start := time.Now()
	for c := range clients {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
			defer client.CloseIdleConnections()
			ask := func(server int, route, key, class string, images ...[]byte) (map[string]any, error) {
				code, answer, err := post(ctx, client, running[server%count].url+"v1/"+route, key, class, images...)
				if err == nil && code != http.StatusOK {
					err = errors.Errorf("%s: found %d %v", route, code, answer)
				}
				return answer, err
			}
			err := func() error {
				for n := 0; limited.Err() == nil; n++ {
					// A class of this client: enrolled by one server, verified by the next. Its images
					// are far from those of the base.
					class, img := fmt.Sprintf("client %d, class %d", c, n), picture(1<<18+64*n+c, 255)
					if _, err := ask(n, "enroll", fmt.Sprintf("%d-%d-%d", start.UnixNano(), c, n), class, img); err != nil {
						return err
					}
					enrolled.Add(1)
					found, err := ask(n+1, "verify", "", class, img)
					if err != nil {
						return err
					}
					if found["distance"] != 0.0 {
						return errors.Errorf("%s, just enrolled by another server: found %v", class, found)
					}
					verified.Add(1)
					// The same question to all servers.
					i := (n*clients + c) % base
					var answers []map[string]any
					for server := range count {
						answer, err := ask(server, "identify", "", "", picture(i, 3))
						if err != nil {
							return err
						}
						identified.Add(1)
						answers = append(answers, answer)
					}
					if !reflect.DeepEqual(answers[0], answers[1]) || !reflect.DeepEqual(answers[0], answers[2]) || !strings.Contains(fmt.Sprint(answers[0]), fmt.Sprintf("class:base %d ", i)) {
						return errors.Errorf("found different answers %v", answers)
					}
					compared.Add(1)
				}
				return nil
			}()
			if err != nil {
				failures <- err
			}
		})
	}
	all.Wait()
	took := time.Since(start)
	close(failures)
	for err := range failures {
		return "", err
	}
	for _, process := range running {
		if err := process.end(); err != nil {
			return "", errors.Errorf("a server ended with %v: %s", err, process.log)
		}
		if strings.Contains(process.log.String(), "level=ERROR") {
			return "", errors.Errorf("the log of a server has errors: %s", process.log)
		}
	}
	m, err := rowModel(pixels)
	if err != nil {
		return "", err
	}
	g, err := gallery.Open(path, m, gallery.Options{ReadOnly: true})
	if err != nil {
		return "", err
	}
	left, err := g.Request(ctx, "").Len()
	if closing := g.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return "", err
	}
	if left != base+int(enrolled.Load()) {
		return "", errors.Errorf("found %d examples, expected %d", left, base+enrolled.Load())
	}
	text := fmt.Sprintf("%d clients of %d servers for %v: %d enrollments, each verified at once by another server, and %d identifications, in which all servers gave equal answers to each of %d questions. No error; afterwards the gallery has the %d examples. %.0f requests/s, in the background while others used the machine.\n",
		clients, count, took.Round(time.Second), enrolled.Load(), identified.Load(), compared.Load(), left, float64(enrolled.Load()+verified.Load()+identified.Load())/took.Seconds())
	return text, s.drop(ctx, "servers")
}
