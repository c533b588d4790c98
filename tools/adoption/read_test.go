// SPDX-License-Identifier: MPL-2.0

package main

import (
	"regexp"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	begin := []string{
		`{"Action":"run","Package":"p","Test":"TestA"}`,
		`{"Action":"run","Package":"p","Test":"TestA/one"}`,
		`{"Action":"output","Package":"p","Test":"TestA/one","Output":"=== RUN   TestA/one\n"}`,
		`{"Action":"attr","Package":"p","Test":"TestA/one","Key":"calls_made","Value":"20"}`,
		`{"Action":"run","Package":"p","Test":"TestA/two"}`,
		`{"Action":"attr","Package":"p","Test":"TestA/two","Key":"calls_made","Value":"22"}`,
		`{"Action":"attr","Package":"p","Test":"TestA/two","Key":"machine","Value":"large"}`,
	}
	cases := map[string]struct {
		reason string
		end    []string
		held   bool
		failed bool
		shows  string
	}{
		"passed": {
			reason: "subtests are cases, their parent is not, and what they counted adds up",
			end: []string{
				`{"Action":"pass","Package":"p","Test":"TestA/one"}`, `{"Action":"skip","Package":"p","Test":"TestA/two"}`,
				`{"Action":"pass","Package":"p","Test":"TestA"}`, `{"Action":"pass","Package":"p"}`,
			},
			held: true, shows: "1      0       1  42 calls made",
		},
		"failed": {
			reason: "a row with a case that failed was not held",
			end: []string{
				`{"Action":"pass","Package":"p","Test":"TestA/one"}`, `{"Action":"fail","Package":"p","Test":"TestA/two"}`,
				`{"Action":"fail","Package":"p","Test":"TestA"}`, `{"Action":"fail","Package":"p"}`,
			},
			failed: true, shows: "1      1       0",
		},
		"not run": {
			reason: "nobody is told that something holds which was not run",
			end:    []string{`{"Action":"fail","Package":"p"}`},
			failed: true, shows: "NO CASE RAN",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			rows := []*row{{text: "it works", tests: regexp.MustCompile("^TestA/"), counts: map[string]int64{}}}
			var out strings.Builder
			failed, err := read(strings.NewReader(strings.Join(append(begin, tc.end...), "\n")), &out, rows)
			if err != nil {
				t.Fatal(err)
			}
			held := table(&out, rows)
			if held != tc.held || failed != tc.failed || !strings.Contains(out.String(), tc.shows) || strings.Contains(out.String(), "RUN   ") {
				t.Errorf("%s: held %v, failed %v:\n%s", tc.reason, held, failed, out.String())
			}
		})
	}
}
