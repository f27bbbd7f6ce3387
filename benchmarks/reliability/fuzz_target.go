package main

import (
	"bytes"
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pkg/errors"
)

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
