// SPDX-License-Identifier: MPL-2.0

// Package reopen keeps the streams of a gRPC session open while their connection is
// replaced. gRPC makes another connection by itself, for calls that come; but nobody
// opens a stream for it. Connections are replaced where the plugin's server bounds
// their age, or finds that its host pings too often.
package reopen

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Bounds of the pause before a stream is opened again. The longest is well below the
// wait of the brokers: what the plugin brokers meanwhile waits for the next stream.
const (
	minPause = 10 * time.Millisecond
	maxPause = time.Second
)

// Replaced reports whether a stream ended with err because its connection did.
func Replaced(err error) bool { return status.Code(err) == codes.Unavailable }

// Stream calls open, which opens a stream and returns why it has ended, again for as
// long as its connection was replaced. It returns the last of its errors, when that
// has another cause or ctx has ended.
func Stream(ctx context.Context, open func() error) error {
	for attempt := 0; ; attempt++ {
		began := time.Now()
		err := open()
		if !Replaced(err) {
			return err
		}
		if time.Since(began) >= maxPause {
			attempt = 0 // It is no failure that a connection has its age.
		}
		timer := time.NewTimer(min(minPause<<min(attempt, 16), maxPause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}
