package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pkg/errors"
)

// fuzzing holds the settings of the fuzzing check.
type fuzzing struct {
	executions int           // minimum number of executions in total
	turn       time.Duration // duration of one turn of a target
	workers    int
	only       string // regular expression of the targets
	note       func(format string, arguments ...any)
}

// fuzz runs every fuzz target of the module for one turn, and then the faster half of them in
// turns until the requested number of executions is reached; the slower ones start servers
// and write files. A failing input ends the check and is written to the target's
// testdata/fuzz.
func fuzz(ctx context.Context, s settings) ([]measured, error) {
	f := fuzzing{note: s.note}
	flags := flag.NewFlagSet("fuzz", flag.ContinueOnError)
	flags.IntVar(&f.executions, "executions", 10_000_000, "minimum `number` of executions in total; 0 means one turn of each target")
	flags.DurationVar(&f.turn, "turn", 20*time.Second, "`duration` of a turn of a target")
	flags.IntVar(&f.workers, "workers", 1, "`number` of concurrent executions")
	flags.StringVar(&f.only, "only", ".", "regular `expression` of the targets, for example boltfile.FuzzPages")
	if err := flags.Parse(s.arguments); err != nil {
		return nil, err
	}
	pattern, err := regexp.Compile(f.only)
	if err != nil {
		return nil, errors.Wrap(err, "only")
	}
	all, err := fuzzTargets(ctx)
	if err != nil {
		return nil, err
	}
	var targets []*fuzzTarget
	for _, t := range all {
		if pattern.MatchString(t.title()) {
			targets = append(targets, t)
		}
	}
	if len(targets) == 0 {
		return nil, errors.Errorf("only: %q matches none of %d targets", f.only, len(all))
	}
	if err := f.run(ctx, targets); err != nil {
		return nil, err
	}
	findings := []measured{{"executions in total, without a failure", thousands(sum(targets))}, {"targets", strconv.Itoa(len(targets))}}
	for _, t := range targets {
		findings = append(findings, measured{"executions of " + t.title(), thousands(t.executions)})
	}
	return findings, nil
}

// run builds the targets and runs them in turns.
func (f fuzzing) run(ctx context.Context, targets []*fuzzTarget) error {
	folder, err := os.MkdirTemp("", "fuzz")
	if err != nil {
		return errors.WithStack(err)
	}
	defer os.RemoveAll(folder)
	for turn := 0; turn < len(targets) || sum(targets) < f.executions; turn++ {
		t := targets[turn%len(targets)]
		if turn >= len(targets) {
			faster := fasterHalf(targets)
			t = faster[turn%len(faster)]
		}
		if err := f.take(ctx, folder, t); err != nil {
			return err
		}
		f.note("%s, %s executions, %s in total", t.title(), thousands(t.executions), thousands(sum(targets)))
	}
	return nil
}

// fasterHalf returns the half of the targets with the most executions in their first turns,
// sorted by name.
func fasterHalf(targets []*fuzzTarget) []*fuzzTarget {
	faster := slices.Clone(targets)
	slices.SortStableFunc(faster, func(a, b *fuzzTarget) int { return cmp.Compare(b.first, a.first) })
	faster = faster[:(len(faster)+1)/2]
	slices.SortFunc(faster, func(a, b *fuzzTarget) int { return strings.Compare(a.title(), b.title()) })
	return faster
}

// take runs one target for one turn.
func (f fuzzing) take(ctx context.Context, folder string, t *fuzzTarget) error {
	binary := filepath.Join(folder, strings.ReplaceAll(t.pkg, "/", "-")+".test")
	if _, err := os.Stat(binary); err != nil { // one binary for all targets of a package
		arguments := []string{"test", "-c", "-o", binary}
		for _, pattern := range observed {
			arguments = append(arguments, "-gcflags="+pattern+"=-d=libfuzzer")
		}
		if text, err := exec.CommandContext(ctx, "go", append(arguments, t.pkg)...).CombinedOutput(); err != nil {
			return errors.Wrapf(err, "build %s: %s", t.pkg, text)
		}
	}
	cache, err := exec.CommandContext(ctx, "go", "env", "GOCACHE").Output()
	if err != nil {
		return errors.Wrap(err, "go env GOCACHE")
	}
	// Minimizing interesting inputs, whose executions do not count, would take most of a turn.
	command := exec.CommandContext(ctx, binary, "-test.fuzzminimizetime=10x", "-test.run=^$", "-test.fuzz=^"+t.name+"$", "-test.fuzztime="+f.turn.String(),
		"-test.parallel="+strconv.Itoa(f.workers), "-test.timeout=0",
		"-test.fuzzcachedir="+filepath.Join(string(bytes.TrimSpace(cache)), "fuzz", t.pkg))
	command.Dir = t.folder
	text, err := command.CombinedOutput()
	if err != nil && !ended(string(text)) {
		return errors.Wrapf(err, "%s failed:\n%s", t.title(), text)
	}
	done, err := executions(string(text))
	if err != nil {
		return errors.Wrap(err, t.title())
	}
	if t.executions == 0 {
		t.first = done
	}
	t.executions += done
	return nil
}

// late matches the failure that package testing reports if the time of a turn ends during an
// execution (golang/go issue 75804, fixed in Go 1.27).
var late = regexp.MustCompile(`--- FAIL: \w+ \([0-9.]+s\)\n    context deadline exceeded\nFAIL\n$`)

// ended reports whether a target failed only because the time of its turn ended.
func ended(text string) bool {
	return late.MatchString(text) && strings.Count(text, "--- FAIL") == 1 && !strings.Contains(text, "Failing input")
}

// observed lists the packages whose coverage guides the fuzzing: those of this module and
// those that parse input. go test -fuzz instruments all packages and would process millions
// of coverage counters after each execution.
var observed = []string{
	"github.com/likeness-go/likeness/...", "github.com/BurntSushi/toml/...", "go.etcd.io/bbolt/...", "golang.org/x/image/...",
	"archive/...", "compress/...", "encoding/...", "image/...", "mime/...",
}

var reported = regexp.MustCompile(`fuzz: elapsed: .*, execs: (\d+) `)

// executions returns the number of executions in a target's last report.
func executions(text string) (int, error) {
	reports := reported.FindAllStringSubmatch(text, -1)
	if len(reports) == 0 {
		return 0, errors.Errorf("found no report of executions in %q", text)
	}
	return strconv.Atoi(reports[len(reports)-1][1])
}

func sum(targets []*fuzzTarget) (executions int) {
	for _, t := range targets {
		executions += t.executions
	}
	return executions
}

// thousands formats a number as 12,345,678.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// fuzzTarget is a function that go test -fuzz runs.
type fuzzTarget struct {
	pkg, folder string
	name        string
	executions  int
	first       int // executions in the first turn
}

// title returns the name of the target, for example "imaging.FuzzDecode".
func (t *fuzzTarget) title() string { return path.Base(t.pkg) + "." + t.name }

// fuzzTargets returns the targets of all packages.
func fuzzTargets(ctx context.Context) (targets []*fuzzTarget, err error) {
	text, err := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles", "./...").Output()
	if err != nil {
		return nil, errors.Wrap(err, "go list")
	}
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var pkg struct {
			ImportPath, Dir           string
			TestGoFiles, XTestGoFiles []string
		}
		if err := decoder.Decode(&pkg); err == io.EOF {
			return targets, nil
		} else if err != nil {
			return nil, errors.Wrap(err, "go list")
		}
		for _, file := range slices.Concat(pkg.TestGoFiles, pkg.XTestGoFiles) {
			names, err := fuzzNames(filepath.Join(pkg.Dir, file))
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				targets = append(targets, &fuzzTarget{pkg: pkg.ImportPath, folder: pkg.Dir, name: name})
			}
		}
	}
}

// fuzzNames returns the names of the targets in a file.
func fuzzNames(file string) (names []string, err error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	for _, declaration := range parsed.Decls {
		f, ok := declaration.(*ast.FuncDecl)
		if ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
			names = append(names, f.Name.Name)
		}
	}
	return names, nil
}
