// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// row is one promise, and the tests that hold it.
type row struct {
	text  string
	tests *regexp.Regexp // of their full names, subtests included

	passed, failed, skipped int
	counts                  map[string]int64 // by what was counted
}

// promised are the rows, in the order of the table. A test may count in several.
func promised() []*row {
	of := func(text, tests string) *row {
		return &row{text: text, tests: regexp.MustCompile("^" + tests), counts: map[string]int64{}}
	}
	return []*row{
		of("upstream's plugin > expose > our host", `TestExpose/[^/]+/fork/`),
		of("upstream's plugin > expose > upstream's host, by reattach JSON", `TestExpose/[^/]+/v[^/]+/`),
		of("our plugin > attach > upstream's host", `TestAttach/v`),
		of("our plugin > attach > our host", `TestAttach/fork/`),
		of("upstream's plugin > expose > attach > upstream's host", `TestChain/v`),
		of("upstream's plugin > expose > attach > our host", `TestChain/host`),
		of("gRPC servers without the handshake > attach > upstream's host", `TestAttachPlain$`),
		of("our plugin on a unix socket > attach > upstream's host", `TestAttachSocket/`),
		of("plugin in Python > attach > upstream's host", `TestPython`),
		of("conform: upstream's plugins, exposed and plain", `TestConform/`),
		of("Terraform CLI, one replica", `TestTerraform/(reattach|overrides|mirror)`),
		of("Terraform CLI, three replicas, one killed", `TestTerraform/.*killed`),
		of("other projects' SDKs > expose > attach > their hosts", `TestShims/`),
		of("20 unchanged hosts share one exposed plugin", `TestExposeCrowd/`),
		of("a process for each host: configurations stay apart", `TestExposeKeepsHostsApart`),
		of("two hosts want callbacks of one process", `TestExposeOneBroker$`),
		of("whom a process serves: all, host, session", `TestExposeShares/`),
		of("the process is replaced, after calls, a time, at a size", `TestExposeRecycles/`),
		of("the process is killed under load", `TestExposeChildIsKilled$`),
		of("replicas killed, behind attach with replay", `TestAttachReplay$`),
		of("affinity: the host hears of the loss", `TestAttachAffinity$`),
		of("rollout behind attach", `TestAttachRollout$`),
		of("pins against a plugin with TLS", `TestPins/`),
		of("bad input of expose", `TestExposeBadInput/`),
		of("bad input of attach", `TestAttachBadInput/`),
		of("the five doors: commands of the pages", `TestCommands/docs/adoption/`),
	}
}

// take counts the end of a test without subtests.
func (r *row) take(how string) {
	switch how {
	case "pass":
		r.passed++
	case "fail":
		r.failed++
	case "skip":
		r.skipped++
	}
}

// counted lists the sums by name.
func (r *row) counted() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(r.counts)) {
		all = append(all, fmt.Sprintf("%d %s", r.counts[name], name))
	}
	return strings.Join(all, ", ")
}

// table writes the rows, and reports whether each was held, or skipped.
func table(w io.Writer, rows []*row) bool {
	held := true
	fmt.Fprintf(w, "\n%-64s %6s %6s %7s  %s\n", "what was promised", "passed", "failed", "skipped", "counted")
	for _, r := range rows {
		note := r.counted()
		switch {
		case r.failed > 0:
			held = false
		case r.passed+r.skipped == 0:
			held, note = false, "NO CASE RAN"
		}
		fmt.Fprintf(w, "%-64s %6d %6d %7d  %s\n", r.text, r.passed, r.failed, r.skipped, note)
	}
	return held
}
