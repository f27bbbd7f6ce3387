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

// fuzzing are the settings of the check of hostile input.
type fuzzing struct {
	executions int           // in all; turns go on until there are so many
	turn       time.Duration // of one target
	workers    int
	only       string // pattern of the targets
	note       func(format string, arguments ...any)
}

// fuzz gives every fuzz target of the tree a turn, and then turns to the faster half
// of them until there are as many executions as were asked for: the others start
// servers and write files. An input that a target fails on ends it, and lies in the
// target's testdata/fuzz.
func fuzz(ctx context.Context, s settings) ([]Finding, error) {
	f := fuzzing{note: s.note}
	flags := flag.NewFlagSet("fuzz", flag.ContinueOnError)
	flags.IntVar(&f.executions, "executions", 10_000_000, "`number` of executions in all; 0 is one turn of each target")
	flags.DurationVar(&f.turn, "turn", 20*time.Second, "`time` of a target's turn")
	flags.IntVar(&f.workers, "workers", 1, "`number` of executions at a time")
	flags.StringVar(&f.only, "only", ".", "`pattern` of the targets, such as gallery.FuzzPages")
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
	findings := []Finding{{"executions in all, without a failure", thousands(sum(targets))}, {"targets", strconv.Itoa(len(targets))}}
	for _, t := range targets {
		findings = append(findings, Finding{"executions of " + t.title(), thousands(t.executions)})
	}
	return findings, nil
}

// run builds the targets and gives them their turns.
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
		f.note("%s, %s executions, %s in all", t.title(), thousands(t.executions), thousands(sum(targets)))
	}
	return nil
}

// fasterHalf are the targets that did the most in their first turns, in the order of
// their names.
func fasterHalf(targets []*fuzzTarget) []*fuzzTarget {
	faster := slices.Clone(targets)
	slices.SortStableFunc(faster, func(a, b *fuzzTarget) int { return cmp.Compare(b.first, a.first) })
	faster = faster[:(len(faster)+1)/2]
	slices.SortFunc(faster, func(a, b *fuzzTarget) int { return strings.Compare(a.title(), b.title()) })
	return faster
}

// take gives one target a turn.
func (f fuzzing) take(ctx context.Context, folder string, t *fuzzTarget) error {
	binary := filepath.Join(folder, strings.ReplaceAll(t.pkg, "/", "-")+".test")
	if _, err := os.Stat(binary); err != nil { // one for all targets of a package
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
	// Making interesting inputs small, which is no execution that counts, would take
	// most of a turn.
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

// late is what package testing says, as if it were a failure, where the time of a
// turn ends while an input is under way (golang/go issue 75804, mended in Go 1.27).
var late = regexp.MustCompile(`--- FAIL: \w+ \([0-9.]+s\)\n    context deadline exceeded\nFAIL\n$`)

// ended says whether a target that failed did so only because its turn was over.
func ended(text string) bool {
	return late.MatchString(text) && strings.Count(text, "--- FAIL") == 1 && !strings.Contains(text, "Failing input")
}

// observed are the packages whose branches the fuzzing is led by: our own, and those
// that read. go test -fuzz takes all, and then looks through millions of counters of
// graphs and drawings after each execution.
var observed = []string{
	"github.com/likeness-go/likeness/...", "github.com/BurntSushi/toml/...", "go.etcd.io/bbolt/...", "golang.org/x/image/...",
	"archive/...", "compress/...", "encoding/...", "image/...", "mime/...",
}

var reported = regexp.MustCompile(`fuzz: elapsed: .*, execs: (\d+) `)

// executions is how many a target's last report says.
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

// thousands writes a number as 12,345,678.
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
	first       int // of them, in the first turn
}

// title is such as "imaging.FuzzDecode".
func (t *fuzzTarget) title() string { return path.Base(t.pkg) + "." + t.name }

// fuzzTargets finds the targets of all packages.
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

// fuzzNames are the targets in one file.
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
