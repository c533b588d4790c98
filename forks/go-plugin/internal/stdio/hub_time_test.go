// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package stdio_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

func TestNextEnds(t *testing.T) {
	errCause := errors.New("cancelled")
	cases := map[string]struct {
		reason string
		end    func(*stdio.Hub, stdio.Stream, context.CancelCauseFunc)
		want   error
	}{
		"SubscriptionClosed": {"Closing wakes the reader.", func(_ *stdio.Hub, s stdio.Stream, _ context.CancelCauseFunc) { s.Close() }, io.EOF},
		"HubClosed":          {"So does the end of the hub.", func(h *stdio.Hub, _ stdio.Stream, _ context.CancelCauseFunc) { h.Close() }, io.EOF},
		"ContextEnded":       {"And the context, with its cause.", func(_ *stdio.Hub, _ stdio.Stream, c context.CancelCauseFunc) { c(errCause) }, errCause},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := stdio.NewHub(1 << 20)
				sub := hub.Subscribe()
				defer sub.Close()
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				got := make(chan error, 1)
				go func() { _, err := sub.Next(ctx); got <- err }()
				synctest.Wait()
				tc.end(hub, sub, cancel)
				if err := <-got; err != tc.want {
					t.Errorf("%s\nwant %v, got %v", tc.reason, tc.want, err)
				}
			})
		})
	}
}
