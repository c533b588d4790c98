// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package stdio_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// A subscription is settled when its reader has come for more and there is none.
func TestSubscriptionSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := stdio.NewHub(1 << 20)
		sub := hub.Subscribe()
		hub.Write(stdio.Stdout, []byte("one"))
		if sub.Settled() {
			t.Error("settled before anything was taken")
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.ErrUnsupported)
		if err := sub.Sync(ctx); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Sync = %v before anything was taken", err)
		}
		synced := make(chan error)
		go func() { synced <- sub.Sync(t.Context()) }()
		if _, err := sub.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if sub.Settled() {
			t.Error("settled before it was passed on")
		}
		go func() { _, _ = sub.Next(t.Context()) }()
		if err := <-synced; err != nil || !sub.Settled() {
			t.Errorf("Sync = %v, settled %v", err, sub.Settled())
		}
		hub.Write(stdio.Stdout, []byte("two"))
		synctest.Wait()
		sub.Close()
		if !sub.Settled() || sub.Sync(t.Context()) != nil {
			t.Error("a closed subscription is not settled")
		}
	})
}

// A reader that was too slow is told so before an answer leaves: Sync waits for the
// notice, too, and for nothing that is written later.
func TestSyncWaitsForNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := stdio.NewHub(4 << 10)
		sub := hub.Subscribe()
		defer sub.Close()
		hub.Write(stdio.Stdout, make([]byte, 3<<10))
		hub.Write(stdio.Stdout, make([]byte, 3<<10))
		synced := make(chan error, 1)
		go func() { synced <- sub.Sync(t.Context()) }()
		synctest.Wait()
		// The two pieces and the notice, each of which the next Next passes on.
		for i := range 3 {
			if _, err := sub.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if len(synced) != 0 {
				t.Fatalf("Sync has returned when %d chunks of 3 were passed on", i)
			}
		}
		hub.Write(stdio.Stdout, []byte("later"))
		if _, err := sub.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(synced) == 0 {
			t.Error("Sync waits for what was written later")
		}
	})
}
