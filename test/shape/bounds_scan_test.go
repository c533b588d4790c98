// SPDX-License-Identifier: MPL-2.0

package shape

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// quantities are the constants, and the constant values of fields, that the code of
// host/ and forks/go-plugin has.
type quantities struct {
	// values has them by file and name, as docs/bounds.md does: "host/api/api.go MaxCalls".
	values map[string]int64
	// bounds are those whose name or unit says that they may bound something.
	bounds map[string]bool
	// nameless are the places of bounds that have no name.
	nameless []string
}

// findQuantities reads the code that is not for tests.
func findQuantities(t *testing.T) *quantities {
	t.Helper()
	q := &quantities{values: make(map[string]int64), bounds: make(map[string]bool)}
	packages := make(map[string][]string) // directory to files
	for _, top := range []string{"host", "tracing", "forks/go-plugin"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "testkit" || strings.HasSuffix(entry.Name(), "test")):
				return fs.SkipDir
			case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
				packages[filepath.Dir(path)] = append(packages[filepath.Dir(path)], path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, files := range packages {
		if err := q.addPackage(files); err != nil {
			t.Fatal(err)
		}
	}
	return q
}

func (q *quantities) addPackage(files []string) error {
	set := token.NewFileSet()
	parsed := make(map[string]*ast.File)
	consts := make(constants)
	for _, file := range files {
		f, err := parser.ParseFile(set, file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if ast.IsGenerated(f) {
			continue
		}
		parsed[file] = f
		for _, decl := range f.Decls {
			if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.CONST {
				consts.add(g)
			}
		}
	}
	for file, f := range parsed {
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		var failed error
		ast.Inspect(f, func(n ast.Node) bool {
			if failed == nil {
				failed = q.addNode(filepath.ToSlash(name), set, n, consts)
			}
			return failed == nil
		})
		if failed != nil {
			return failed
		}
	}
	return nil
}

// addNode takes constants, fields of literals, fields that are set, and defaults of
// fields in tables and by cmp.Or.
func (q *quantities) addNode(file string, set *token.FileSet, n ast.Node, consts constants) error {
	switch n := n.(type) {
	case *ast.GenDecl:
		if n.Tok != token.CONST {
			return nil
		}
		for _, s := range n.Specs {
			for i, ident := range s.(*ast.ValueSpec).Names {
				if values := s.(*ast.ValueSpec).Values; i < len(values) {
					if err := q.add(file, ident.Name, values[i], consts); err != nil {
						return err
					}
				}
			}
		}
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && isLiteral(n.Value) {
			return q.add(file, key.Name, n.Value, consts)
		}
	case *ast.AssignStmt:
		if field, ok := n.Lhs[0].(*ast.SelectorExpr); ok && len(n.Rhs) == 1 && n.Tok == token.ASSIGN && isLiteral(n.Rhs[0]) {
			return q.add(file, field.Sel.Name, n.Rhs[0], consts)
		}
	case *ast.CompositeLit: // {"Timeout", &o.Timeout, 5 * time.Second}
		for i := range len(n.Elts) - 1 {
			field, ok := n.Elts[i].(*ast.UnaryExpr)
			if !ok || !isLiteral(n.Elts[i+1]) {
				continue
			}
			if selected, ok := field.X.(*ast.SelectorExpr); ok {
				return q.add(file, selected.Sel.Name, n.Elts[i+1], consts)
			}
		}
	case *ast.CallExpr:
		return q.addCall(file, set, n, consts)
	}
	return nil
}

func (q *quantities) addCall(file string, set *token.FileSet, call *ast.CallExpr, consts constants) error {
	if len(call.Args) < 2 || !isLiteral(call.Args[1]) {
		return nil
	}
	switch called := exprText(call.Fun); {
	case called == "cmp.Or":
		if field, ok := call.Args[0].(*ast.SelectorExpr); ok {
			return q.add(file, field.Sel.Name, call.Args[1], consts)
		}
	case called == "io.LimitReader", called == "context.WithTimeout", called == "context.WithTimeoutCause":
		q.nameless = append(q.nameless, set.Position(call.Pos()).String())
	case called == "make":
		if _, channel := call.Args[0].(*ast.ChanType); channel && exprText(call.Args[1]) != "1" {
			q.nameless = append(q.nameless, set.Position(call.Pos()).String())
		}
	}
	return nil
}

// boundWord is a word of a name that says what a bound is.
var boundWord = regexp.MustCompile(`^(max|most|limit|timeout|wait|backlog|buffer|size|kept|keep|burst|grace|linger|life|every|depth|queue|pending|second)$`)

func (q *quantities) add(file, name string, value ast.Expr, consts constants) error {
	v, ok := consts.evaluate(value)
	if !ok || v.Kind() != constant.Int {
		return nil
	}
	n, exact := constant.Int64Val(v)
	if !exact {
		return nil
	}
	words := strings.Fields(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(name, "$1 $2"))
	bound := hasUnit(value) || n > 1 && slices.ContainsFunc(words, func(w string) bool { return boundWord.MatchString(strings.ToLower(w)) })
	key := file + " " + name
	if old, there := q.values[key]; there && old != n && (bound || q.bounds[key]) {
		return fmt.Errorf("%s has two values, %d and %d: docs/bounds.md cannot tell them apart", key, old, n)
	}
	q.values[key] = n
	q.bounds[key] = q.bounds[key] || bound
	return nil
}

// constants are those of a package, by name.
type constants map[string]ast.Expr

func (c constants) add(g *ast.GenDecl) {
	for _, s := range g.Specs {
		for i, ident := range s.(*ast.ValueSpec).Names {
			if values := s.(*ast.ValueSpec).Values; i < len(values) {
				c[ident.Name] = values[i]
			}
		}
	}
}

var timeUnits = map[string]time.Duration{
	"Nanosecond": time.Nanosecond, "Microsecond": time.Microsecond, "Millisecond": time.Millisecond,
	"Second": time.Second, "Minute": time.Minute, "Hour": time.Hour,
}

// evaluate knows literals, units of time, other constants of the package, and what can
// be made of these.
func (c constants) evaluate(e ast.Expr) (constant.Value, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		return constant.MakeFromLiteral(e.Value, e.Kind, 0), e.Kind == token.INT
	case *ast.ParenExpr:
		return c.evaluate(e.X)
	case *ast.Ident:
		if value, ok := c[e.Name]; ok {
			return c.evaluate(value)
		}
	case *ast.SelectorExpr:
		unit, ok := timeUnits[e.Sel.Name]
		return constant.MakeInt64(int64(unit)), ok && exprText(e.X) == "time"
	case *ast.BinaryExpr:
		x, ok := c.evaluate(e.X)
		y, also := c.evaluate(e.Y)
		switch {
		case !ok || !also:
			return nil, false
		case e.Op == token.SHL:
			by, _ := constant.Uint64Val(y)
			return constant.Shift(x, e.Op, uint(by)), true
		case e.Op == token.QUO:
			return constant.BinaryOp(x, token.QUO_ASSIGN, y), true // of integers
		}
		return constant.BinaryOp(x, e.Op, y), true
	}
	return nil, false
}

// isLiteral reports whether an expression is made of literals and units of time.
func isLiteral(e ast.Expr) bool {
	_, ok := constants{}.evaluate(e)
	return ok
}

// hasUnit reports whether an expression counts KiB, MiB or time.
func hasUnit(e ast.Expr) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			found = found || exprText(n.X) == "time"
		case *ast.BinaryExpr:
			found = found || n.Op == token.SHL && (exprText(n.Y) == "10" || exprText(n.Y) == "20")
		}
		return true
	})
	return found
}

// exprText writes names and numbers, and nothing else.
func exprText(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.BasicLit:
		return e.Value
	case *ast.SelectorExpr:
		return exprText(e.X) + "." + e.Sel.Name
	}
	return ""
}

// TestEveryBoundHasARow finds what looks like a bound in the code: docs/bounds.md has
// a row for it, or notBounds says why not.
func TestEveryBoundHasARow(t *testing.T) {
	q := findQuantities(t)
	rows := make(map[string]bool)
	for _, r := range boundRows(t) {
		rows[r.place()] = true
	}
	excused := make(map[string]bool)
	for _, names := range notBounds {
		for _, name := range names {
			excused[name] = true
		}
	}
	for _, place := range slices.Sorted(maps.Keys(q.bounds)) {
		if !q.bounds[place] {
			continue
		}
		short := filepath.Dir(strings.Fields(place)[0]) + " " + strings.Fields(place)[1]
		switch {
		case rows[place] && excused[short]:
			t.Errorf("%s has a row in docs/bounds.md and is in notBounds", place)
		case !rows[place] && !excused[short]:
			t.Errorf("%s = %d has no row in docs/bounds.md: add one, or say in notBounds why it bounds nothing", place, q.values[place])
		}
		delete(excused, short)
	}
	for _, name := range slices.Sorted(maps.Keys(excused)) {
		t.Errorf("notBounds has %q, which is not in the code", name)
	}
	for _, place := range q.nameless {
		t.Errorf("%s: give the bound a name, and a row in docs/bounds.md", place)
	}
}

// notBounds are quantities that bound nothing which a peer can cost, by the reason:
// the directory and the name.
var notBounds = map[string][]string{
	"how finely a histogram counts, whatever it counts": {
		"host/daemon NativeHistogramMaxBucketNumber", "host/daemon NativeHistogramMinResetDuration",
	},
	"what a plugin under test has to keep, not this program": {
		"host/conform pieceWait", "host/conform maxRequest", "host/conform maxText",
	},
	"how often something is looked at or told": {
		"forks/go-plugin/tlsfile startPause", "forks/go-plugin/internal/dial Interval", "forks/go-plugin/internal/child parentPollInterval", "host/shim/attach hostPollInterval", "forks/go-plugin/internal/cmdrunner pollInterval",
		"forks/go-plugin/internal/multiplex KeepAliveInterval", "host/api Heartbeat", "host/doctor/kubernetes jobPoll",
		"host/history Step", "host/conn PingInterval", "host/conn quickPing", "host/conn Recheck", "host/discovery/dir Rescan",
		"host/discovery/static Interval", "host/discovery/static minInterval", "host/discovery/static retryInterval",
		"host/shim/expose recycleEvery", "host/cli firstPause", "host/cli lastPause",
	},
	"when something is worth a warning": {
		"host/doctor renewalTime", "host/doctor/kubernetes slowStart",
	},
	"the pause before the host's own next attempt": {
		"forks/go-plugin/internal/reopen minPause", "host/discovery minPause", "host/discovery maxPause",
		"host/discovery/kubernetes Duration", "host/discovery/kubernetes Cap", "host/stub firstPause", "host/stub lastPause",
		"host/shim/expose firstPause", "host/shim/expose lastPause", "host/shim/expose shortPause",
	},
	"after how long a state is believed": {
		"forks/go-plugin drainQuiet", "forks/go-plugin/tlsfile settleTime", "host/conn StableAfter", "host/shim/expose stableAfter", "host/discovery/dir Settle",
		"host/discovery/kubernetes outageGrace",
	},
	"how work is divided, for speed": {
		"forks/go-plugin/internal/stdio readChunk", "forks/go-plugin/internal/mux largeAnswer", "forks/go-plugin/internal/mux checkInterval",
		"forks/go-plugin/internal/mux writeSize", "forks/go-plugin/internal/mux quick", "forks/go-plugin/internal/mux tlsBatch",
		"forks/go-plugin/internal/mux batchThreshold", "forks/go-plugin/internal/mux veryQuick", "forks/go-plugin/internal/mux maxFrame",
		"forks/go-plugin/internal/mux batchSize", "forks/go-plugin/internal/mux partSize", "forks/go-plugin/internal/mux pieceSize",
		"forks/go-plugin/internal/mux leastGrant", "forks/go-plugin/internal/mux minWindow", "forks/go-plugin/internal/mux slowRound", "forks/go-plugin/internal/mux quickRound", "forks/go-plugin/internal/mux batchRoom",
		"forks/go-plugin/internal/mux estimateDepth",
		"forks/go-plugin/internal/longproto Long", "forks/go-plugin/internal/longproto headSize",
		"forks/go-plugin/internal/longproto maxDepth", "forks/go-plugin/internal/longproto pieceSize",
		"forks/go-plugin/internal/mux quickWrite", "forks/go-plugin/internal/mux slowWrite", "forks/go-plugin/internal/mux maxPart", "forks/go-plugin/internal/mux lastPart", "forks/go-plugin/internal/mux maxGathered",
		"forks/go-plugin/internal/mux readSize", "forks/go-plugin/internal/mux shortRead", "forks/go-plugin/internal/mux directRead",
		"forks/go-plugin/internal/mux chunkSize", "forks/go-plugin/internal/mux smallChunk",
		"forks/go-plugin/internal/mux smallWrite", "forks/go-plugin/internal/mux growWithin", "forks/go-plugin/internal/mux keepDelay", "forks/go-plugin/internal/netrpc controlDelay",
		"forks/go-plugin/internal/grpcmux directWrite", "forks/go-plugin/internal/grpcmux shortPiece", "forks/go-plugin/internal/grpcmux pieceSize",
	},
	"a port, and the size of a number on the wire": {"forks/go-plugin defaultMaxPort", "forks/go-plugin/internal/mux lengthSize",
		"forks/go-plugin/internal/h2frames headerSize", "forks/go-plugin/internal/relay headerSize",
		"forks/go-plugin/internal/yamuxframe headerSize"},
	"when a wait is told, which goes on":      {"host/conn slow"},
	"where reads have no deadlines (Windows)": {"forks/go-plugin/internal/stdio blindWait"},
}
