package serve

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// The token is looked at by subtle.ConstantTimeCompare alone, on sums of one length
// whatever the token's: nothing else in access.go compares it, byte by byte or by
// its length. TestToken tries tokens that are wrong, begun and too long.
func TestTokenIsComparedInConstantTime(t *testing.T) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "access.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if f, ok := call.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "ConstantTimeCompare" {
				compared++
				return false
			}
		}
		if selector, ok := n.(*ast.SelectorExpr); ok && selector.Sel.Name == "token" {
			t.Errorf("%v: the token is used outside of ConstantTimeCompare", set.Position(n.Pos()))
		}
		return true
	})
	if compared != 1 {
		t.Errorf("found %d constant-time comparisons, want one", compared)
	}
}
