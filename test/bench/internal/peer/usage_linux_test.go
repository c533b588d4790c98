// SPDX-License-Identifier: MPL-2.0

package peer

import (
	"os"
	"testing"
	"time"
)

// TestCPUOf holds that the time of another process is counted as one's own is.
func TestCPUOf(t *testing.T) {
	before := cpu()
	got, err := cpuOf(os.Getpid())
	if after := cpu(); err != nil || got < before-time.Millisecond || got > after+time.Millisecond {
		t.Errorf("%v, %v, want between %v and %v", got, err, before, after)
	}
	if _, err := cpuOf(1<<22 - 1); err == nil {
		t.Error("a process that is not there has used time")
	}
}
