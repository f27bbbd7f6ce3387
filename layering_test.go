package likeness_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/likeness-go/likeness"

// layers reads the table of layers in ARCHITECTURE.md: for each pattern of
// packages, in the order of the table, the number of its layer.
func layers(t *testing.T) (patterns []string, numbers []int) {
	t.Helper()
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| (\d+) \| ([^|]+) \|`)
	name := regexp.MustCompile("`([^`]+)`")
	for _, found := range row.FindAllStringSubmatch(string(text), -1) {
		layer, err := strconv.Atoi(found[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, pattern := range name.FindAllStringSubmatch(found[2], -1) {
			patterns, numbers = append(patterns, pattern[1]), append(numbers, layer)
		}
	}
	if len(patterns) < 15 {
		t.Fatalf("found %d packages in the table of layers in ARCHITECTURE.md, expected at least 15", len(patterns))
	}
	return patterns, numbers
}

// place finds a package in the table: the entry that names it, or the longest
// entry of the form "DIR/..." that covers it. A missing package is at -1.
func place(patterns []string, pkg string) int {
	best, length := -1, -1
	for i, pattern := range patterns {
		folder, all := strings.CutSuffix(pattern, "/...")
		covers := pkg == folder || all && strings.HasPrefix(pkg, folder+"/")
		if covers && len(folder) > length {
			best, length = i, len(folder)
		}
	}
	return best
}

// moduleImports are the packages of this module with those of it that they import,
// both by their folders ("." is the root), and others the packages of other modules that they
// import. Imports of tests are left out.
func moduleImports(t *testing.T) (imports, others map[string][]string) {
	t.Helper()
	imports, others = map[string][]string{}, map[string][]string{}
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if base := entry.Name(); base == "testdata" || len(base) > 1 && base[0] == '.' {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(file, "go.mod")); err == nil && file != "." {
				return filepath.SkipDir // another module
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(file))
		imports[pkg] = append(imports[pkg], pkg)[:len(imports[pkg])] // known, even without imports
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if imported == modulePath {
				imports[pkg] = append(imports[pkg], ".")
			} else if folder, ok := strings.CutPrefix(imported, modulePath+"/"); ok {
				imports[pkg] = append(imports[pkg], folder)
			} else {
				others[pkg] = append(others[pkg], imported)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return imports, others
}

// What the tool links decides its size and the time of its start. Plotting libraries link fonts and
// writers of other formats, more than five megabytes: only benchmarks use them.
func TestToolStaysSmall(t *testing.T) {
	imports, others := moduleImports(t)
	linked := []string{"cmd/likeness"}
	for i := 0; i < len(linked); i++ {
		for _, pkg := range imports[linked[i]] {
			if !slices.Contains(linked, pkg) {
				linked = append(linked, pkg)
			}
		}
	}
	if len(linked) < 30 {
		t.Fatalf("found %d packages of this module in the tool, expected at least 30", len(linked))
	}
	for _, pkg := range linked {
		for _, imported := range others[pkg] {
			for _, large := range []string{"gonum.org/v1/plot", "git.sr.ht/~sbinet/gg", "github.com/google/go-cmp", "codeberg.org/go-fonts"} {
				if imported == large || strings.HasPrefix(imported, large+"/") {
					t.Errorf("%s imports %s, which makes the tool larger: use internal/plot, or import it in benchmarks or tests", pkg, imported)
				}
			}
		}
	}
}

// A package imports only packages of lower layers and, of its own layer, those
// that stand before it in the table of ARCHITECTURE.md.
func TestLayers(t *testing.T) {
	patterns, numbers := layers(t)
	edges := 0
	imports, _ := moduleImports(t)
	for pkg, imported := range imports {
		from := place(patterns, pkg)
		if from < 0 {
			t.Errorf("package %s is not in the table of layers in ARCHITECTURE.md: add it to its layer", pkg)
			continue
		}
		for _, other := range imported {
			edges++
			if to := place(patterns, other); to > from {
				t.Errorf("%s (layer %d) imports %s (layer %d), which stands after it in the table of layers in ARCHITECTURE.md", pkg, numbers[from], other, numbers[to])
			}
		}
	}
	if edges < 100 {
		t.Errorf("found %d imports within the module, expected at least 100: the test does not see them all", edges)
	}
}

// Packages under internal/ are leaves: they import nothing of this module but
// other packages under internal/.
func TestInternalPackagesAreLeaves(t *testing.T) {
	imports, _ := moduleImports(t)
	for pkg, imported := range imports {
		if !strings.HasPrefix(pkg, "internal/") {
			continue
		}
		for _, other := range imported {
			if !strings.HasPrefix(other, "internal/") {
				t.Errorf("%s imports %s, expected only packages under internal/", pkg, other)
			}
		}
	}
}

// The table names no package that does not exist.
func TestLayersExist(t *testing.T) {
	patterns, _ := layers(t)
	imports, _ := moduleImports(t)
	for i, pattern := range patterns {
		if slices.Contains(patterns[:i], pattern) {
			t.Errorf("the table of layers names %s twice", pattern)
		}
		folder := strings.TrimSuffix(pattern, "/...")
		exists := false
		for pkg := range imports {
			exists = exists || pkg == folder || pattern != folder && strings.HasPrefix(pkg, folder+"/")
		}
		if !exists {
			t.Errorf("the table of layers in ARCHITECTURE.md names %s, which is no package", path.Clean(pattern))
		}
	}
}
