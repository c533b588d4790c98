// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"io"
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
		var before outputBefore
		waits := func(ctx context.Context) time.Duration {
			began := time.Now()
			before.settle(ctx)
			return time.Since(began)
		}
		if got := waits(t.Context()); got != 0 {
			t.Errorf("an answer waits %v, and there is no output", got)
		}
		before.follow(sub)
		for range 2 {
			hub.Write(stdio.Stdout, []byte("words"))
			short, cancel := context.WithTimeout(t.Context(), time.Second)
			if got := waits(short); got != time.Second {
				t.Errorf("a call with a second left waits %v", got)
			}
			cancel()
			if got := waits(t.Context()); got != outputWait {
				t.Errorf("the first answer waits %v, want %v", got, outputWait)
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

// The first answer of a gRPC child after output waits a little for a host that takes
// it, and no other one does.
func TestFirstAnswerWaitsForTaker(t *testing.T) {
	stdout, err := stdio.NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	_, _ = io.WriteString(stdout.W, "words")
	synctest.Test(t, func(t *testing.T) {
		output := newReaderOutput(stdout, nil)
		output.pipes = stdio.Pipes{stdout}
		defer output.close()
		var before outputBefore
		before.follow(output)
		short, cancel := context.WithTimeout(t.Context(), takerWait/2)
		before.settle(short) // A call that its caller gives up does not count as the wait.
		cancel()
		for _, want := range []time.Duration{takerWait, 0} {
			began := time.Now()
			before.settle(t.Context())
			if got := time.Since(began); got != want {
				t.Errorf("an answer waits %v, want %v", got, want)
			}
		}
	})
}
