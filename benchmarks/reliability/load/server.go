package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// server is a process that runs `likeness serve`.
type server struct {
	command *exec.Cmd
	address string // "http://127.0.0.1:PORT"
	gallery string // path of its gallery

	ended  bool
	logged chan struct{} // closed when the log has been read completely
	codes  map[int]int   // number of logged requests by status code; valid after logged is closed
	others []string      // the first other lines of the log
}

// start builds the likeness command and starts the server.
func start(ctx context.Context, folder string) (*server, error) {
	tool := filepath.Join(folder, "likeness")
	build := exec.CommandContext(ctx, "go", "build", "-o", tool, "github.com/likeness-go/likeness/cmd/likeness")
	if text, err := build.CombinedOutput(); err != nil {
		return nil, errors.Wrapf(err, "go build: %s", text)
	}
	s := &server{gallery: filepath.Join(folder, "load.gallery"), logged: make(chan struct{}), codes: map[int]int{}}
	s.command = exec.Command(tool, "serve", "--model", model, "--gallery", s.gallery, "--address", "127.0.0.1:0")
	s.command.Env = append(os.Environ(), "LIKENESS_TOKEN=")
	out, err := s.command.StdoutPipe()
	if err != nil {
		return nil, errors.WithStack(err)
	}
	log, err := s.command.StderrPipe()
	if err != nil {
		return nil, errors.WithStack(err)
	}
	if err := s.command.Start(); err != nil {
		return nil, errors.WithStack(err)
	}
	go s.read(log)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.kill()
		return nil, errors.Errorf("likeness serve: found no address in the output; the log has %q", s.others)
	}
	s.address = strings.TrimSuffix(strings.TrimSpace(line), "/")
	return s, nil
}

// code matches the log line of a request.
var code = regexp.MustCompile(` msg=request .* code=(\d+) `)

// read counts the requests in the log.
func (s *server) read(log io.Reader) {
	defer close(s.logged)
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if found := code.FindSubmatch(lines.Bytes()); found != nil {
			number, _ := strconv.Atoi(string(found[1])) // digits
			s.codes[number]++
		} else if len(s.others) < 20 && lines.Text() != "" {
			s.others = append(s.others, lines.Text())
		}
	}
}

// terminate sends SIGTERM to the process.
func (s *server) terminate() error {
	return errors.WithStack(s.command.Process.Signal(syscall.SIGTERM))
}

// wait waits for the process to end with status 0, and kills it after the limit.
func (s *server) wait(limit time.Duration) error {
	s.ended = true
	late := time.AfterFunc(limit, func() { _ = s.command.Process.Kill() })
	<-s.logged // before Wait, which closes the pipe
	err := s.command.Wait()
	if !late.Stop() {
		return errors.Errorf("the server had not ended after %v", limit)
	}
	return errors.Wrapf(err, "the server's log has %q", s.others)
}

// kill kills the process unless it has ended.
func (s *server) kill() {
	if s.ended {
		return
	}
	s.ended = true
	_ = s.command.Process.Kill() // it may have ended
	<-s.logged
	_ = s.command.Wait()
}

// resident returns the resident memory of a process in bytes, as Linux reports it.
func resident(process int) (int64, error) {
	path := fmt.Sprintf("/proc/%d/status", process)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, errors.WithStack(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmRSS:" && fields[2] == "kB" {
			kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes << 10, errors.Wrap(err, path)
		}
	}
	return 0, errors.Errorf("%s: found no VmRSS in kB", path)
}

// descriptors returns the number of open files and connections of a process.
func descriptors(process int) (int, error) {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", process))
	return len(open), errors.WithStack(err)
}

// memory is the resident memory of a process, sampled at equal intervals.
type memory []int64

// watch samples the memory of a process every second until the context ends.
func watch(ctx context.Context, process int) (memory, error) {
	var samples memory
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		bytes, err := resident(process)
		if err != nil {
			return nil, err
		}
		samples = append(samples, bytes)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return samples, nil
		}
	}
}

// thirds returns the maximum of each third of the samples.
func (m memory) thirds() (largest [3]int64) {
	for i := range largest {
		if part := m[i*len(m)/3 : (i+1)*len(m)/3]; len(part) > 0 {
			largest[i] = slices.Max(part)
		}
	}
	return largest
}

// growth returns the relative growth of the maximum from the second to the last third.
func (m memory) growth() float64 {
	largest := m.thirds()
	return float64(largest[2])/float64(largest[1]) - 1
}

// state is the resource use of an idle server.
type state struct {
	goroutines, descriptors int
	resident                int64 // bytes
}

var goroutines = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)

// stateOf queries the server's metrics and its process. The request is added to the tally.
func stateOf(ctx context.Context, s *server, c *client, t *tally) (found state, err error) {
	response, err := c.send(ctx, "GET", "/metrics")
	if err != nil {
		return found, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return found, err
	}
	t.answer(metrics.name, response.StatusCode, 0)
	number := goroutines.FindSubmatch(text)
	if number == nil {
		return found, errors.Errorf("metrics: found no go_goroutines in %s %s", response.Status, text)
	}
	if found.goroutines, err = strconv.Atoi(string(number[1])); err != nil {
		return found, err
	}
	if found.descriptors, err = descriptors(s.command.Process.Pid); err != nil {
		return found, err
	}
	found.resident, err = resident(s.command.Process.Pid)
	return found, err
}

// whole opens the gallery after the server has ended and checks that it has exactly the
// examples that were acknowledged.
func whole(path string, clients []*client) (classes, examples int, err error) {
	network, err := zoo.Load(model)
	if err != nil {
		return 0, 0, err
	}
	g, err := gallery.Open(path, network, gallery.Options{})
	if err != nil {
		return 0, 0, err
	}
	defer g.Close()
	for _, c := range clients {
		if c.enrolled == 0 {
			continue
		}
		found, err := g.Examples(c.class)
		if err != nil {
			return 0, 0, err
		}
		if len(found) != c.enrolled {
			return 0, 0, errors.Errorf("gallery: found %d examples of %s, expected the %d that were acknowledged", len(found), c.class, c.enrolled)
		}
		classes++
		examples += len(found)
	}
	if g.Len() != examples {
		return 0, 0, errors.Errorf("gallery: found %d examples, expected the %d that were acknowledged", g.Len(), examples)
	}
	return classes, examples, nil
}
