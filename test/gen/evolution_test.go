// SPDX-License-Identifier: MPL-2.0

package gen

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/reattach/reattach/gen/evolve"
	"github.com/reattach/reattach/gen/read"
	"github.com/reattach/reattach/gen/write"
)

// change is a change to the contract of testdata/evolution: what takes the place of what.
type change struct {
	name     string
	from, to string
}

var changes = []change{
	{"a new parameter", "tags []string)", "tags []string, times int)"},
	{"a new parameter that is a list", "name string, tags", "name string, more []int, tags"},
	{"a new parameter that is a pointer", "tags []string)", "tags []string, mood *Mood)"},
	{"a new parameter that is optional", "\tGreet(ctx context.Context, name string, tags []string)", "\t//reattach:optional=times\n\tGreet(ctx context.Context, name string, tags []string, times int)"},
	{"a parameter is gone", "name string, tags []string)", "tags []string)"},
	{"a list is gone", "name string, tags []string)", "name string)"},
	{"a parameter has another type", "name string, tags", "name int, tags"},
	{"a list has other elements", "tags []string", "tags []int"},
	{"a parameter has another name", "name string, tags", "who string, tags"},
	{"a type that travels alike", "name string, tags", "name Name, tags"},
	{"parameters in another order", "name string, tags []string", "tags []string, name string"},
	{"a new result", "(greeting string, err error)", "(greeting string, times int, err error)"},
	{"a new result that is a list", "(greeting string, err error)", "(greeting string, all []string, err error)"},
	{"a new result that is optional", "\tGreet(ctx context.Context, name string, tags []string) (greeting string, err error)", "\t//reattach:optional=times\n\tGreet(ctx context.Context, name string, tags []string) (greeting string, times int, err error)"},
	{"a result is gone", "(greeting string, err error)", "(err error)"},
	{"a result has another type", "(greeting string, err error)", "(greeting float64, err error)"},
	{"a new method", "\tPing(", "\tPong(ctx context.Context) (answer string, err error)\n\tPing("},
	{"a method is gone", "\tPing(ctx context.Context) (answer string, err error)\n", ""},
	{"a method is idempotent", "\tPing(", "\t//reattach:idempotent\n\tPing("},
	{"a method is not idempotent any more", "\t//reattach:idempotent\n\tFeel(", "\tFeel("},
	{"a new field", "\tLevel int\n", "\tLevel int\n\tSince string\n"},
	{"a field is gone", "\tLevel int\n", ""},
	{"a field has another type", "\tLevel int\n", "\tLevel string\n"},
	{"a stream of other items", "iter.Seq2[string, error]", "iter.Seq2[int, error]"},
	{"a stream becomes a list", "iter.Seq2[string, error]", "[]string"},
	{"a new parameter of a stream", "\tWatch(ctx context.Context, name string)", "\tWatch(ctx context.Context, name string, from int)"},
}

// peer is a program that speaks a contract.
type peer struct {
	path   string
	record *evolve.Record
}

// makePeer generates the glue of a contract, whose numbers go on from old, and returns the
// program, which is to be built.
func makePeer(t *testing.T, module, name, source string, old *evolve.Record) peer {
	t.Helper()
	dir := filepath.Join(module, name, "greet")
	writeFile(t, filepath.Join(dir, "greet.go"), source)
	c, err := read.Package(t.Context(), dir)
	if err != nil {
		t.Fatalf("%s:\n%v", name, err)
	}
	record, err := evolve.Number(c, old)
	if err != nil {
		t.Fatalf("%s:\n%v", name, err)
	}
	files, err := write.Files(t.Context(), c)
	if err != nil {
		t.Fatalf("%s:\n%v", name, err)
	}
	for path, content := range files {
		if !strings.HasSuffix(path, "_test.go") && !strings.HasPrefix(path, "greethost") {
			writeFile(t, filepath.Join(dir, path), string(content))
		}
	}
	writeFile(t, filepath.Join(module, name, "main.go"),
		strings.ReplaceAll(readFile(t, "testdata/evolution/peer.go.txt"), "PACKAGE", "corpus.test/"+name+"/greet"))
	return peer{filepath.Join(module, "bin", name), record}
}

// outcomes runs a host with a plugin, and gives what became of each method.
func outcomes(t *testing.T, host, plugin peer, protocol string) map[string]evolve.Verdict {
	t.Helper()
	all := make(map[string]evolve.Verdict)
	for line := range strings.Lines(run(t, filepath.Dir(host.path), host.path, plugin.path, protocol)) {
		method, said, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			t.Fatalf("the host said %q", line)
		}
		all[method] = evolve.Verdict(said)
	}
	return all
}

// TestEvolution holds that what the check says of a change is what happens between peers of
// which one knows it, over both protocols, and that docs/generator.md has the table.
func TestEvolution(t *testing.T) {
	dir := module(t)
	base := readFile(t, "testdata/evolution/base.go.txt")
	old := makePeer(t, dir, "base", base, nil)
	peers := make([]peer, len(changes))
	var made sync.WaitGroup
	for i, c := range changes {
		made.Go(func() {
			source := strings.Replace(base, c.from, c.to, 1)
			if source == base {
				t.Errorf("%s: the contract has no %q", c.name, c.from)
			}
			peers[i] = makePeer(t, dir, fmt.Sprintf("change%d", i), source, old.record)
		})
	}
	made.Wait()
	if t.Failed() {
		t.FailNow()
	}
	run(t, dir, "go", "build", "-ldflags=-s -w", "-o", "bin/", "./...")
	table := []string{
		"| change | the check | old host, new plugin | new host, old plugin |",
		"|---|---|---|---|",
	}
	for i, c := range changes {
		said := evolve.Compare(old.record, peers[i].record)
		row := row{name: c.name, oldHost: evolve.Works, newHost: evolve.Works}
		for _, one := range said {
			row.breaking = row.breaking || one.Breaking
			row.oldHost, row.newHost = evolve.Worse(row.oldHost, one.OldHost), evolve.Worse(row.newHost, one.NewHost)
		}
		for _, protocol := range []string{"netrpc", "grpc"} {
			compareOutcomes(t, c.name+", old host, "+protocol, said, outcomes(t, old, peers[i], protocol), func(c evolve.Change) evolve.Verdict { return c.OldHost })
			compareOutcomes(t, c.name+", old plugin, "+protocol, said, outcomes(t, peers[i], old, protocol), func(c evolve.Change) evolve.Verdict { return c.NewHost })
		}
		table = append(table, row.String())
	}
	want := strings.Join(table, "\n")
	if !strings.Contains(readFile(t, "../../docs/generator.md"), want) {
		t.Errorf("docs/generator.md does not have this table:\n%s", want)
	}
}

type row struct {
	name             string
	breaking         bool
	oldHost, newHost evolve.Verdict
}

func (r row) String() string {
	said := "passes"
	if r.breaking {
		said = "breaking"
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", r.name, said, r.oldHost, r.newHost)
}

var typeChange = regexp.MustCompile(`^Mood(\.| )`)

// compareOutcomes holds that each method fares as the changes say.
func compareOutcomes(t *testing.T, cell string, said []evolve.Change, got map[string]evolve.Verdict, of func(evolve.Change) evolve.Verdict) {
	t.Helper()
	want := make(map[string]evolve.Verdict)
	for _, c := range said {
		method := c.Method
		if typeChange.MatchString(c.What) {
			method = "Feel"
		}
		want[method] = evolve.Worse(cmp.Or(want[method], evolve.Works), of(c))
	}
	if len(got) == 0 {
		t.Errorf("%s: nothing was called", cell)
	}
	for _, method := range slices.Sorted(maps.Keys(got)) {
		if expected := cmp.Or(want[method], evolve.Works); got[method] != expected {
			t.Errorf("%s: %s: the check says %q, and it is %q", cell, method, expected, got[method])
		}
	}
}
