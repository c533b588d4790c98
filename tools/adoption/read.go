// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// event is a line of go test -json, as `go doc test2json` describes it.
type event struct {
	Action, Package, Test, Output, Key, Value string
}

// read shows what tests print, and counts for the rows. It reports whether anything failed,
// a package included.
func read(r io.Reader, w io.Writer, rows []*row) (failed bool, err error) {
	parents := map[string]bool{} // tests that have subtests
	for dec := json.NewDecoder(r); ; {
		var e event
		if err := dec.Decode(&e); errors.Is(err, io.EOF) {
			return failed, nil
		} else if err != nil {
			return failed, fmt.Errorf("read go test -json: %w", err)
		}
		name := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			if !noise(e.Output) {
				_, _ = io.WriteString(w, e.Output)
			}
		case "run":
			if i := strings.LastIndexByte(name, '/'); i > 0 && e.Test != "" {
				parents[name[:i]] = true
			}
		case "attr":
			add(rows, e)
		case "pass", "fail", "skip":
			failed = failed || e.Action == "fail"
			if e.Test == "" || parents[name] {
				continue
			}
			for _, row := range rows {
				if row.tests.MatchString(e.Test) {
					row.take(e.Action)
				}
			}
		}
	}
}

// add adds what a test has counted to the sums of its rows. Attributes that are no numbers
// are for others.
func add(rows []*row, e event) {
	n, err := strconv.ParseInt(e.Value, 10, 64)
	if err != nil {
		return
	}
	for _, row := range rows {
		if row.tests.MatchString(e.Test) {
			row.counts[strings.ReplaceAll(e.Key, "_", " ")] += n
		}
	}
}

// noise are the lines of go test that say that a test goes on.
func noise(line string) bool {
	for _, begin := range []string{"=== RUN", "=== PAUSE", "=== CONT", "=== NAME", "=== ATTR"} {
		if strings.HasPrefix(line, begin) {
			return true
		}
	}
	return false
}
