// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package reopen

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestStreamsAreReopened counts how long a session is without a stream whose
// connections have a life of the given length.
func TestStreamsAreReopened(t *testing.T) {
	const streams = 40
	for name, c := range map[string]struct{ life, most time.Duration }{
		"connections of some age": {life: time.Minute, most: minPause},
		"connections that fail":   {life: 0, most: maxPause},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ended time.Time
				opened := 0
				err := Stream(t.Context(), func() error {
					if gap := time.Since(ended); opened > 0 && gap > c.most {
						t.Errorf("stream %d was opened %v after the last, want at most %v", opened, gap, c.most)
					}
					time.Sleep(c.life)
					if ended, opened = time.Now(), opened+1; opened == streams {
						return io.EOF
					}
					return status.Error(codes.Unavailable, "the connection was replaced")
				})
				if err != io.EOF || opened != streams {
					t.Errorf("%d streams were opened, and the last ended with %v", opened, err)
				}
			})
		})
	}
}

// TestReopeningEnds ends the context while a stream is to be opened again.
func TestReopeningEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		replaced := status.Error(codes.Unavailable, "the connection was replaced")
		err := Stream(ctx, func() error { cancel(); return replaced })
		if err != replaced {
			t.Errorf("it ended with %v, want why the stream did", err)
		}
	})
}
