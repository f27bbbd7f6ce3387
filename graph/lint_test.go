package graph_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// forbidden are the functions of Gorgonia that are wrong, with what to use in
// their place.
var forbidden = map[string]string{
	"Reshape":             "Builder.Reshape: it shares memory with its source",
	"Dropout":             "graph.Dropout: its gradient divides by p in place of 1 − p",
	"LogSumExp":           "a stable sum of its own: it computes log(sum + max)",
	"GlobalAveragePool2D": "graph.GlobalAveragePool: it cannot be differentiated",
	"AveragePool2D":       "graph.AveragePool: its gradient is wrong",
	"InverseSqrt":         "Pow or Sqrt: its gradient is wrong",
	"Log2":                "Log: its gradient is wrong",
	"BinaryXent":          "cross-entropy of logits: it is not stable",
	"Softplus":            "Builder.Softplus: it is cut off above 16",
	"Sigmoid":             "Builder.Sigmoid: it is cut off above 19",
	"NewConstant":         "Builder.Constant or Builder.Input: tensors whose abbreviated text is the same are merged",
}

// allowed is what this package may use all the same: it makes scalars alone.
const allowed = "NewConstant"

// The module's code uses none of them.
func TestForbiddenFunctions(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); name == "benchmarks" || name == "testdata" || len(name) > 2 && name[0] == '.' {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files++
		for _, use := range forbiddenUses(t, path, nil) {
			name := use[strings.LastIndex(use, ".")+1:]
			if name == allowed && filepath.Dir(path) == filepath.Join("..", "graph") {
				continue
			}
			t.Errorf("%s: use %s", use, forbidden[name])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Errorf("found %d files of the module, expected more than 20", files)
	}
}

// The search knows the functions under any name of the package.
func TestForbiddenUses(t *testing.T) {
	source := `package p
		import G "gorgonia.org/gorgonia"
		import "gorgonia.org/tensor"
		func f(x *G.Node, y *tensor.Dense) {
			y.Reshape(2)
			tensor.Reshape(y)
			G.Must(G.Sub(x, G.Must(G.Dropout(x, 0.5))))
			G.Must(apply(G.InverseSqrt, x))
			G.NewConstant(y)
		}`
	expected := []string{"p.go:7:27: G.Dropout", "p.go:8:17: G.InverseSqrt", "p.go:9:4: G.NewConstant"}
	if diff := cmp.Diff(expected, forbiddenUses(t, "p.go", source)); diff != "" {
		t.Error(diff)
	}
}

// forbiddenUses finds where a file, or its source if that is given, uses a
// forbidden function.
func forbiddenUses(t *testing.T, path string, source any) []string {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	gorgonia := ""
	for _, spec := range file.Imports {
		if spec.Path.Value == `"gorgonia.org/gorgonia"` {
			gorgonia = "gorgonia"
			if spec.Name != nil {
				gorgonia = spec.Name.Name
			}
		}
	}
	var uses []string
	ast.Inspect(file, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		name, ok := selector.X.(*ast.Ident)
		if ok && gorgonia != "" && name.Name == gorgonia && forbidden[selector.Sel.Name] != "" {
			uses = append(uses, files.Position(selector.Pos()).String()+": "+name.Name+"."+selector.Sel.Name)
		}
		return true
	})
	return uses
}
