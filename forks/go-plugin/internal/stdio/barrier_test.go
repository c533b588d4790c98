// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package stdio_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// An answer waits for a host that does not take its output once, and again when that
// has caught up meanwhile.
func TestAnswersDoNotWaitForSlowHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := stdio.NewHub(1 << 20)
		sub := hub.Subscribe()
		defer sub.Close()
		var before stdio.Barrier
		waits := func(ctx context.Context) time.Duration {
			began := time.Now()
			before.Wait(ctx)
			return time.Since(began)
		}
		if got := waits(t.Context()); got != 0 {
			t.Errorf("an answer waits %v, and there is no output", got)
		}
		before.Follow(sub)
		for range 2 {
			hub.Write(stdio.Stdout, []byte("words"))
			short, cancel := context.WithTimeout(t.Context(), time.Second)
			if got := waits(short); got != time.Second {
				t.Errorf("a call with a second left waits %v", got)
			}
			cancel()
			if got := waits(t.Context()); got != stdio.FlushTimeout {
				t.Errorf("the first answer waits %v, want %v", got, stdio.FlushTimeout)
			}
			if got := waits(t.Context()); got != 0 {
				t.Errorf("another answer waits %v", got)
			}
			if _, err := sub.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			_, _ = sub.Next(ended) // comes for more
			if got := waits(t.Context()); got != 0 {
				t.Errorf("an answer waits %v after the host has caught up", got)
			}
		}
	})
}
