// SPDX-License-Identifier: MPL-2.0

package child

import (
	"os"
	"time"

	"github.com/hashicorp/go-plugin/internal/env"
)

// TakeEndWithHost reports whether this process is to end with its host, and keeps
// that from what it starts itself: that has another parent.
func TakeEndWithHost() bool {
	ends := os.Getenv(env.EndWithHost) != ""
	_ = os.Unsetenv(env.EndWithHost) // It fails only for what is no name.
	return ends
}

// parentPollInterval is how often such a child looks whether its parent is there.
const parentPollInterval = time.Second

// AwaitParentEnd calls ended when this process has got another parent than the
// given one, because that has ended: the host, or a script between the two.
// Windows never says so. It returns when done is closed.
//
// On Linux the kernel has killed this process by then, unless there was such a
// script.
func AwaitParentEnd(parent int, done <-chan struct{}, ended func()) {
	tick := time.NewTicker(parentPollInterval)
	defer tick.Stop()
	for os.Getppid() == parent {
		select {
		case <-tick.C:
		case <-done:
			return
		}
	}
	ended()
}
