package record

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/internal/processor"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// Record is a result with the information needed to reproduce it.
type Record struct {
	Title   string
	Command string   // as run in the root folder of the repository
	Tools   []string // tools other than Go with their versions, such as "torch 2.15.0"
	Took    time.Duration
	Result  string // Markdown
}

// WriteFile writes the record with the current commit, machine and date. It creates the
// folder of the file if necessary.
func (r Record) WriteFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return errors.Wrap(err, "write record")
	}
	commit, err := Commit()
	if err != nil {
		return errors.Wrap(err, "write record")
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error { return r.write(w, commit, Machine(), time.Now()) })
}

func (r Record) write(w io.Writer, commit, machine string, now time.Time) error {
	_, err := fmt.Fprintf(w, `# %s

- command: %s
- commit: %s
- processor: %s
- versions: %s
- date: %s, after %v

%s
`, r.Title, "`"+r.Command+"`", commit, machine, strings.Join(append([]string{runtime.Version()}, r.Tools...), ", "),
		now.UTC().Format(time.DateOnly), r.Took.Round(time.Second), strings.TrimSpace(r.Result))
	return errors.WithStack(err)
}

// Commit returns the abbreviated hash of the commit from which the program was built, or of
// the current commit if the program has no build information. It ends in ", with changes"
// if the code differs from that commit.
func Commit() (string, error) {
	if name := built(); name != "" {
		return name, nil
	}
	name, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "", errors.Wrap(err, "git rev-parse")
	}
	// Only these files determine what a program computes.
	changes, err := exec.Command("git", "status", "--porcelain", "--", ":/*.go", ":/*.py", ":/go.mod", ":/go.sum").Output()
	if err != nil {
		return "", errors.Wrap(err, "git status")
	}
	text := string(bytes.TrimSpace(name))
	if len(changes) > 0 {
		text += ", with changes"
	}
	return text, nil
}

// built returns the commit in the build information of the program, which go build adds
// but go run and go test do not. It is empty if there is none.
func built() string {
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return ""
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	name := settings["vcs.revision"]
	if len(name) > 7 {
		name = name[:7]
	}
	if name != "" && settings["vcs.modified"] == "true" {
		name += ", with changes"
	}
	return name
}

// Machine returns the name of the processor, the instruction set that the kernels use, and
// the number of processors that the program runs on.
func Machine() string {
	return fmt.Sprintf("%s (%s), %d of its processors", processor.Name(), vector.For[float32]().Name(), runtime.GOMAXPROCS(0))
}
