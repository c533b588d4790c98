// SPDX-License-Identifier: MPL-2.0

package shape

import (
	"go/ast"
	"go/constant"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestBoundsAreThoseOfTheCode holds each row of docs/bounds.md against the constant, or
// the default of an option, that its last column names.
func TestBoundsAreThoseOfTheCode(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "bounds.md"))
	if err != nil {
		t.Fatal(err)
	}
	place := regexp.MustCompile("^`([^`]+)` `([^`]+)`$")
	rows := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 5 || strings.HasPrefix(cells[0], "--") || strings.TrimSpace(cells[0]) == "what" {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows++
		m := place.FindStringSubmatch(cells[4])
		if m == nil {
			t.Errorf("%s: %q names no file and constant", cells[0], cells[4])
			continue
		}
		want, err := quantity(cells[1])
		if err != nil {
			t.Errorf("%s: %v", cells[0], err)
			continue
		}
		got, err := valueOf(filepath.Join(root, m[1]), m[2])
		if err != nil {
			t.Errorf("%s: %v", cells[0], err)
			continue
		}
		if got != want {
			t.Errorf("%s: the page says %s, which is %d, and %s in %s is %d", cells[0], cells[1], want, m[2], m[1], got)
		}
	}
	if rows < 40 {
		t.Errorf("%d rows were found", rows)
	}
}

// quantity reads "16 KiB", "10 s", "300 columns" and "1024".
func quantity(text string) (int64, error) {
	number, unit, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, err
	}
	units := map[string]int64{
		"": 1, "columns": 1, "KiB": 1 << 10, "MiB": 1 << 20,
		"s": int64(time.Second), "min": int64(time.Minute),
	}
	return n * units[unit], nil
}

// valueOf evaluates what a file gives to a name: a constant, or a field of a literal.
func valueOf(file, name string) (int64, error) {
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, file, nil, 0)
	if err != nil {
		return 0, err
	}
	var found ast.Expr
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			for i, ident := range n.Names {
				if ident.Name == name && i < len(n.Values) {
					found = n.Values[i]
				}
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == name && isConstant(n.Value) {
				found = n.Value
			}
		}
		return found == nil
	})
	if found == nil {
		return 0, os.ErrNotExist
	}
	var text strings.Builder
	if err := format.Node(&text, files, found); err != nil {
		return 0, err
	}
	expression := strings.NewReplacer("time.Millisecond", "1000000", "time.Second", "1000000000",
		"time.Minute", "60000000000", "time.Hour", "3600000000000").Replace(text.String())
	value, err := types.Eval(token.NewFileSet(), nil, token.NoPos, expression)
	if err != nil {
		return 0, err
	}
	n, exact := constant.Int64Val(constant.ToInt(value.Value))
	if !exact {
		return 0, strconv.ErrRange
	}
	return n, nil
}

// isConstant reports whether an expression is made of literals and units of time.
func isConstant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.BinaryExpr:
		return isConstant(e.X) && isConstant(e.Y)
	case *ast.SelectorExpr:
		x, ok := e.X.(*ast.Ident)
		return ok && x.Name == "time"
	}
	return false
}
