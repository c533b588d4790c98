// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Bounds of the pause before a stream is opened again.
const (
	minReopenPause = 10 * time.Millisecond
	maxReopenPause = 5 * time.Second
)

// wasReplaced reports whether a session's own stream ended with its connection.
// gRPC makes another one by itself, for calls that come; but nobody opens a stream
// for it. Connections are replaced where the plugin's server bounds their age, or
// finds that its host pings too often.
func wasReplaced(err error) bool { return status.Code(err) == codes.Unavailable }

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
