// SPDX-License-Identifier: MPL-2.0

package admission

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Accept hands every connection of lis to handle, which does not block, until ctx ends
// or lis fails for good. It does not close lis.
func Accept(ctx context.Context, lis net.Listener, logger hclog.Logger, handle func(net.Conn)) error {
	var delay time.Duration
	trouble := acceptTrouble{logger: logger}
	for {
		conn, err := lis.Accept()
		if err == nil {
			delay = 0
			trouble.over(time.Now())
			handle(conn)
			continue
		}
		// Listeners of other packages have errors of their own for being closed.
		var passing interface{ Temporary() bool }
		if ctx.Err() != nil || !errors.As(err, &passing) || !passing.Temporary() {
			return err
		}
		// Most likely the process is out of file descriptors. That passes, and
		// a plugin that gave up would take its attached hosts with it.
		delay = min(max(2*delay, 5*time.Millisecond), time.Second)
		trouble.report(err, time.Now())
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
}

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
