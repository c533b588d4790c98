// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package stdio_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// The first answer of a gRPC child after output waits a little for a host that takes
// it, and no other one does.
func TestFirstAnswerWaitsForTaker(t *testing.T) {
	const takerWait = 50 * time.Millisecond
	stdout, err := stdio.NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	_, _ = io.WriteString(stdout.W, "words")
	synctest.Test(t, func(t *testing.T) {
		output := stdio.NewSource(stdout, nil, stdio.Pipes{stdout})
		defer output.Close()
		var before stdio.Barrier
		before.Follow(output)
		short, cancel := context.WithTimeout(t.Context(), takerWait/2)
		before.Wait(short) // A call that its caller gives up does not count as the wait.
		cancel()
		for _, want := range []time.Duration{takerWait, 0} {
			began := time.Now()
			before.Wait(t.Context())
			if got := time.Since(began); got != want {
				t.Errorf("an answer waits %v, want %v", got, want)
			}
		}
	})
}
