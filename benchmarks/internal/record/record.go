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

// Record is a result with what it takes to get it again.
type Record struct {
	Title   string
	Command string   // as typed at the root of the repository
	Tools   []string // beside Go, with their versions: "torch 2.15.0"
	Took    time.Duration
	Result  string // Markdown
}

// WriteFile writes the record with the present commit, machine and date. It
// makes the folder where there is none.
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

// Commit is the short name of the commit that the program was built at, or of
// the present one where it does not know, and whether the code differs from it.
func Commit() (string, error) {
	if name := built(); name != "" {
		return name, nil
	}
	name, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "", errors.Wrap(err, "git rev-parse")
	}
	// Only these determine what a program does; records and texts do not.
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

// built is the commit in the program's build information, which go build puts
// there and go run and go test do not; empty without one.
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

// Machine is the processor's name, the instructions that the kernels use of it,
// and the number of processors to run on.
func Machine() string {
	return fmt.Sprintf("%s (%s), %d of its processors", processor.Name(), vector.For[float32]().Name(), runtime.GOMAXPROCS(0))
}
