// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestIdentities compares what hosts hold on to of either library, line by line:
// errors that they compare, and what each method gives in each state.
func TestIdentities(t *testing.T) {
	var truth []string
	for _, s := range sides() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, filepath.Join(peers(t).dir, string(s), "identity"))
		cmd.Env = peers(t).env()
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", s, err, out, &stderr)
		}
		seen := strings.Split(string(out), "\n")
		if truth == nil {
			truth = seen
		}
		if diff := cmp.Diff(truth, seen); diff != "" {
			t.Errorf("a host sees something else in %s (-upstream +this):\n%s", s, diff)
		}
		report(t, "identities, "+string(s)+": compared")
	}
}
