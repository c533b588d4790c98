// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"os"
	"time"
)

// envEndWithHost is set for a child that is to end when its host has ended.
const envEndWithHost = "PLUGIN_END_WITH_HOST"

// takeEndWithHost reports whether this process is to end with its host, and keeps
// that from what it starts itself: that has another parent.
func takeEndWithHost() bool {
	ends := os.Getenv(envEndWithHost) != ""
	_ = os.Unsetenv(envEndWithHost) // It fails only for what is no name.
	return ends
}

// parentPollInterval is how often such a child looks whether its parent is there.
const parentPollInterval = time.Second

// awaitParentEnd calls gone when this process has got another parent than it had
// at its start, because that one has ended: the host, or a script between the two.
// Windows never says so. It returns when done is closed.
//
// On Linux the kernel has killed this process by then, unless there was such a
// script.
func awaitParentEnd(parent int, done <-chan struct{}, gone func()) {
	tick := time.NewTicker(parentPollInterval)
	defer tick.Stop()
	for os.Getppid() == parent {
		select {
		case <-tick.C:
		case <-done:
			return
		}
	}
	gone()
}
