// SPDX-License-Identifier: MPL-2.0

package main

import (
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDemo runs what "make so-demo" runs.
func TestDemo(t *testing.T) {
	cases := map[string]struct{ reason, number, want string }{
		"first by default": {
			reason: "without PLUGIN_NUMBER it is plugin1",
			want:   "plugin1: running\nhost:    I is 1\nhost:    I is doubled\nplugin1: I is 2\n",
		},
		"second": {
			reason: "the choice is made while the program runs; what Run did to I the host sees, and the other way round",
			number: "2",
			want:   "plugin2: running, and counting on from I\nhost:    I is 222\nhost:    I is doubled\nplugin2: I is 444, or 0x1bc\n",
		},
	}
	out := t.TempDir()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "../../scripts/so-demo.sh", out)
			cmd.Env = append(os.Environ(), "PLUGIN_NUMBER="+tc.number)
			cmd.Stderr = os.Stderr
			got, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}
