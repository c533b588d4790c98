// SPDX-License-Identifier: MPL-2.0

package main

import (
	"strings"
	"testing"
)

func TestTally(t *testing.T) {
	cases := map[string]struct {
		reason string
		events []string
		want   count
		shows  string
	}{
		"passes": {
			reason: "a test without subtests is one",
			events: []string{
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"pass","Package":"p"}`,
			},
			want: count{passed: 1}, shows: "ok    p  1 passed",
		},
		"subtests": {
			reason: "subtests count and their parent does not",
			events: []string{
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"run","Package":"p","Test":"TestA/x"}`,
				`{"Action":"run","Package":"p","Test":"TestA/y"}`,
				`{"Action":"output","Package":"p","Test":"TestA/x","Output":"chatter\n"}`,
				`{"Action":"skip","Package":"p","Test":"TestA/x"}`,
				`{"Action":"output","Package":"p","Test":"TestA/y","Output":"it broke\n"}`,
				`{"Action":"fail","Package":"p","Test":"TestA/y"}`,
				`{"Action":"fail","Package":"p","Test":"TestA"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			want: count{failed: 1, skipped: 1}, shows: "it broke",
		},
		"a parent that fails by itself": {
			reason: "a failure is never lost, though no subtest failed",
			events: []string{
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"run","Package":"p","Test":"TestA/x"}`,
				`{"Action":"pass","Package":"p","Test":"TestA/x"}`,
				`{"Action":"fail","Package":"p","Test":"TestA"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			want: count{passed: 1, failed: 1}, shows: "FAIL  p",
		},
		"a package that does not build": {
			reason: "no test ran, which is a failure and not nothing",
			events: []string{
				`{"ImportPath":"p","Action":"build-output","Output":"undefined: x\n"}`,
				`{"ImportPath":"p","Action":"build-fail"}`,
				`{"Action":"fail","Package":"p","FailedBuild":"p"}`,
			},
			want: count{failed: 1}, shows: "undefined: x",
		},
		"no tests": {
			reason: "a package without tests is skipped by go test, and is no test",
			events: []string{`{"Action":"skip","Package":"p"}`},
			want:   count{}, shows: "no tests",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var shown strings.Builder
			got, err := tally(strings.NewReader(strings.Join(tc.events, "\n")), &shown)
			if err != nil {
				t.Fatal(err)
			}
			if got != tc.want {
				t.Errorf("%s: got %+v, want %+v", tc.reason, got, tc.want)
			}
			if strings.Contains(shown.String(), "chatter") {
				t.Errorf("%s: %q shows what did not fail", tc.reason, shown.String())
			}
			if !strings.Contains(shown.String(), tc.shows) {
				t.Errorf("%s: %q does not show %q", tc.reason, shown.String(), tc.shows)
			}
		})
	}
	if _, err := tally(strings.NewReader("not json"), &strings.Builder{}); err == nil {
		t.Error("what is not go test -json was accepted")
	}
}
