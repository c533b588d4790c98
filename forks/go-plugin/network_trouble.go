// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"time"

	"github.com/hashicorp/go-hclog"
)

// troubleEvery is how often the log repeats that connections cannot be accepted.
const troubleEvery = time.Minute

// acceptTrouble logs the errors of a listener: the first, a count of the others every
// troubleEvery, and the end once there has been none for as long. An error comes many
// times a second while the process is out of descriptors.
type acceptTrouble struct {
	logger hclog.Logger
	logged time.Time // zero while there is no trouble
	last   time.Time // of the last error
	count  int       // since logged
}

// report tells of an error that will be tried again.
func (t *acceptTrouble) report(err error, now time.Time) {
	t.last = now
	t.count++
	if !t.logged.IsZero() && now.Sub(t.logged) < troubleEvery {
		return
	}
	t.logger.Error("connections cannot be accepted: trying again", "error", err, "errors", t.count)
	t.logged, t.count = now, 0
}

// over tells of a connection that was accepted.
func (t *acceptTrouble) over(now time.Time) {
	if t.logged.IsZero() || now.Sub(t.last) < troubleEvery {
		return
	}
	t.logger.Info("connections are accepted again", "errors", t.count)
	t.logged, t.count = time.Time{}, 0
}
