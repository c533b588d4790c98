// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// event is a line of go test -json, as `go doc test2json` describes it.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
	Elapsed    float64
}

// count is how tests ended. A test with subtests counts as those; what failed
// outside of any test, such as a build, counts as one.
type count struct{ passed, failed, skipped int }

func (c *count) add(o count) {
	c.passed += o.passed
	c.failed += o.failed
	c.skipped += o.skipped
}

// run is one package's tests as they go.
type run struct {
	ended  map[string]string // test -> pass, fail or skip
	parent map[string]bool   // tests that have subtests
	output []event           // in order, of tests and of the package itself
}

// tally reads go test -json from r, says on w how each package ended, and counts.
func tally(r io.Reader, w io.Writer) (count, error) {
	var total count
	runs := map[string]*run{}
	builds := map[string]*strings.Builder{}
	for dec := json.NewDecoder(r); ; {
		var e event
		err := dec.Decode(&e)
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, fmt.Errorf("read go test -json: %w", err)
		}
		switch {
		case e.ImportPath != "" && e.Action == "build-output":
			if builds[e.ImportPath] == nil {
				builds[e.ImportPath] = &strings.Builder{}
			}
			builds[e.ImportPath].WriteString(e.Output)
		case e.ImportPath != "" && e.Action == "build-fail":
			fmt.Fprintf(w, "FAIL  %s does not build\n%s", e.ImportPath, builds[e.ImportPath])
		case e.Package != "":
			if runs[e.Package] == nil {
				runs[e.Package] = &run{ended: map[string]string{}, parent: map[string]bool{}}
			}
			if c, done := runs[e.Package].take(e, w); done {
				total.add(c)
			}
		}
	}
}

// take notes one event. It reports whether the package has ended, and how.
func (r *run) take(e event, w io.Writer) (count, bool) {
	switch {
	case e.Action == "output":
		r.output = append(r.output, e)
	case e.Action == "run":
		if i := strings.LastIndex(e.Test, "/"); i > 0 {
			r.parent[e.Test[:i]] = true
		}
	case e.Action != "pass" && e.Action != "fail" && e.Action != "skip":
	case e.Test != "":
		r.ended[e.Test] = e.Action
	default:
		c := r.count(e.Action)
		r.print(e, c, w)
		return c, true
	}
	return count{}, false
}

func (r *run) count(pkg string) count {
	var c count
	for test, how := range r.ended {
		switch {
		case how == "fail" && !r.parent[test]:
			c.failed++
		case r.parent[test]:
		case how == "skip":
			c.skipped++
		default:
			c.passed++
		}
	}
	if pkg == "fail" && c.failed == 0 {
		c.failed = 1
	}
	return c
}

func (r *run) print(e event, c count, w io.Writer) {
	switch {
	case e.Action == "fail":
		fmt.Fprintf(w, "FAIL  %s  %d failed\n%s", e.Package, c.failed, r.why())
	case c == count{}:
		fmt.Fprintf(w, "-     %s  no tests\n", e.Package)
	default:
		fmt.Fprintf(w, "ok    %s  %d passed, %d skipped, %.1fs\n", e.Package, c.passed, c.skipped, e.Elapsed)
	}
}

// why is what the package printed, without what belongs to tests that passed. A test
// that never ended is part of it: it is where a panic or a timeout struck.
func (r *run) why() string {
	var text strings.Builder
	for _, e := range r.output {
		if how := r.ended[e.Test]; how != "pass" && how != "skip" {
			text.WriteString(e.Output)
		}
	}
	return text.String()
}
