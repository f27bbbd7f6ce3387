package load

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pkg/errors"
)

// server is a process that runs `likeness serve`.
type server struct {
	command *exec.Cmd
	address string // "http://127.0.0.1:PORT"
	gallery string // its file

	ended  bool
	logged chan struct{} // is closed when the log has been read to its end
	codes  map[int]int   // requests that the log tells of, by status code; to be read then
	others []string      // lines of the log that are of no request, a few
}

// start builds the tool into a folder and starts it there.
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
		return nil, errors.Errorf("likeness serve: found no address, its log says %q", s.others)
	}
	s.address = strings.TrimSuffix(strings.TrimSpace(line), "/")
	return s, nil
}

// code is in the log's line of a request.
var code = regexp.MustCompile(` msg=request .* code=(\d+) `)

// read counts what the log tells of.
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

// terminate asks the process to end, which wait waits for.
func (s *server) terminate() error {
	return errors.WithStack(s.command.Process.Signal(syscall.SIGTERM))
}

// wait returns when the process has ended with the status 0, or kills it after the
// bound.
func (s *server) wait(bound time.Duration) error {
	s.ended = true
	late := time.AfterFunc(bound, func() { _ = s.command.Process.Kill() })
	<-s.logged // before Wait, which closes the pipe
	err := s.command.Wait()
	if !late.Stop() {
		return errors.Errorf("the server had not ended after %v", bound)
	}
	return errors.Wrapf(err, "the server's log says %q", s.others)
}

// kill ends a process that has not ended.
func (s *server) kill() {
	if s.ended {
		return
	}
	s.ended = true
	_ = s.command.Process.Kill() // it may have ended
	<-s.logged
	_ = s.command.Wait()
}
