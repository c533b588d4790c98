// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Bounds of the pause before a stream is opened again. The longest is well below
// brokerWait: what the plugin brokers meanwhile waits for the next link.
const (
	minReopenPause = 10 * time.Millisecond
	maxReopenPause = time.Second
)

// wasReplaced reports whether a session's own stream ended with its connection.
// gRPC makes another one by itself, for calls that come; but nobody opens a stream
// for it. Connections are replaced where the plugin's server bounds their age, or
// finds that its host pings too often.
func wasReplaced(err error) bool { return status.Code(err) == codes.Unavailable }

// keepOpen calls open, which opens a stream and returns why it has ended, again
// for as long as its connection was replaced. It returns the last of its errors,
// when that has another cause or ctx has ended.
func keepOpen(ctx context.Context, open func() error) error {
	for attempt := 0; ; attempt++ {
		began := time.Now()
		err := open()
		if !wasReplaced(err) {
			return err
		}
		if time.Since(began) >= maxReopenPause {
			attempt = 0 // It is no failure that a connection has its age.
		}
		if !pauseBefore(ctx, attempt) {
			return err
		}
	}
}

// pauseBefore waits before the next attempt to open a stream, longer the more
// there were. It reports whether there is to be one.
func pauseBefore(ctx context.Context, attempt int) bool {
	timer := time.NewTimer(min(minReopenPause<<min(attempt, 16), maxReopenPause))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
