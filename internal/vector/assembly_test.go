package vector

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Assembly may change numbers of its argument, which it uses as variables, but no pointer of it: the garbage
// collector, which does not see such a write, ends the program when it then finds a pointer past the end of an
// array in memory that is not in use.
func TestAssemblyWritesNoPointers(t *testing.T) {
	for _, processor := range []string{"amd64", "arm64"} {
		t.Run(processor, func(t *testing.T) {
			context := build.Default
			context.GOOS, context.GOARCH = "linux", processor
			found, err := context.ImportDir(".", 0)
			if err != nil {
				t.Fatal(err)
			}
			scope := typesOf(t, found.GoFiles)
			functions, written := 0, 0
			for _, file := range found.SFiles {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				for _, part := range strings.Split(string(text), "\nTEXT ·")[1:] {
					name, _, _ := strings.Cut(part, "(SB)")
					argument := loadOfArgument.FindStringSubmatch(part)
					if argument == nil {
						continue // its arguments are not in a structure
					}
					function := scope.Lookup(name)
					if function == nil {
						t.Fatalf("%s: function %s is not declared", file, name)
					}
					pointers := pointersOf(function.Type().(*types.Signature).Params().At(0).Type(), processor)
					functions++
					for _, write := range writes(part, argument[1]) {
						written++
						for _, offset := range pointers {
							if offset < write.end && write.first < offset+8 {
								t.Errorf("%s: %s writes the pointer at %d of its argument", file, name, offset)
							}
						}
					}
				}
			}
			if functions < 50 || written < 50 {
				t.Errorf("%d functions write %d numbers: the test no longer understands the assembly", functions, written)
			}
		})
	}
}

// typesOf returns the declarations of files; types of other packages are left out.
func typesOf(t *testing.T, names []string) *types.Scope {
	files := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range names {
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, file)
	}
	config := types.Config{Error: func(error) {}, FakeImportC: true}
	result, _ := config.Check("vector", files, parsed, nil)
	return result.Scope()
}

// pointersOf returns the offsets of the pointers of a structure that is given by a pointer.
func pointersOf(pointer types.Type, processor string) []int64 {
	sizes := types.SizesFor("gc", processor)
	var offsets []int64
	var visit func(t types.Type, at int64)
	visit = func(t types.Type, at int64) {
		switch t := t.Underlying().(type) {
		case *types.Struct:
			fields := make([]*types.Var, t.NumFields())
			for i := range fields {
				fields[i] = t.Field(i)
			}
			for i, offset := range sizes.Offsetsof(fields) {
				visit(fields[i].Type(), at+offset)
			}
		case *types.Array:
			for i := range t.Len() {
				visit(t.Elem(), at+i*sizes.Sizeof(t.Elem()))
			}
		case *types.Basic:
			if t.Kind() == types.UnsafePointer {
				offsets = append(offsets, at)
			}
		default:
			offsets = append(offsets, at)
		}
	}
	if p, ok := pointer.Underlying().(*types.Pointer); ok {
		visit(p.Elem(), 0)
	}
	return offsets
}

// span is a range of bytes of a structure.
type span struct{ first, end int64 }

// store is an instruction with memory as its last operand: its name, the other operands, the offset and the register.
var store = regexp.MustCompile(`(?m)^\s*([A-Z0-9.]+)\s+(?:(.*),\s*)?(-?[0-9]*)\((\w+)\)\s*$`)

// loadOfArgument loads the argument of a function to a register.
var loadOfArgument = regexp.MustCompile(`(?m)^\s*MOV[QD]\s+call\+0\(FP\), (\w+)`)

// writes returns the bytes that a function writes relative to a register.
func writes(function, register string) []span {
	var spans []span
	for _, match := range store.FindAllStringSubmatch(function, -1) {
		name, operands := match[1], match[2]
		if match[4] != register || strings.HasPrefix(name, "CMP") || strings.HasPrefix(name, "TEST") || strings.HasPrefix(name, "PREFETCH") {
			continue
		}
		offset := int64(0)
		if match[3] != "" {
			offset, _ = strconv.ParseInt(match[3], 10, 64)
		}
		width := int64(8)
		switch {
		case strings.HasPrefix(operands, "Z"):
			width = 64
		case strings.HasPrefix(operands, "Y") || strings.HasPrefix(name, "FSTPQ"):
			width = 32
		case strings.HasPrefix(operands, "X") || strings.HasPrefix(name, "STP") || strings.HasPrefix(name, "FSTP") || strings.HasPrefix(name, "FMOVQ"):
			width = 16
		}
		spans = append(spans, span{offset, offset + width})
	}
	return spans
}
