// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDeclaredProblems(t *testing.T) {
	methods := map[string]bool{"Configure": false, "ConfigureProvider": false, "Read": false, "Watch": true}
	cases := map[string]struct {
		declared Declared
		want     []string
	}{
		"nothing":    {Declared{Option: OptionReplay}, nil},
		"as it is":   {Declared{OptionReplay, []string{"Configure", "Read"}}, nil},
		"a letter":   {Declared{"idempotent", []string{"Reed"}}, []string{"idempotent: there is no method Reed: did you mean Read?"}},
		"the case":   {Declared{OptionReplay, []string{"configureProvider"}}, []string{"replay: there is no method configureProvider: did you mean ConfigureProvider?"}},
		"far away":   {Declared{OptionReplay, []string{"Initialise"}}, []string{"replay: there is no method Initialise"}},
		"a stream":   {Declared{OptionReplay, []string{"Watch"}}, []string{"replay: Watch is a stream, which cannot be replayed"}},
		"may stream": {Declared{"idempotent", []string{"Watch"}}, nil},
		"very long":  {Declared{OptionReplay, []string{strings.Repeat("Read", 1000)}}, []string{"replay: there is no method " + strings.Repeat("Read", 1000)}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.declared.Problems(methods)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
