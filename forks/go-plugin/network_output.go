// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// subscribeStreams gives a net/rpc session the plugin's output as two streams.
func (h *hostSession) subscribeStreams() (stdout, stderr io.Reader, stop func()) {
	out, errs := h.server.output.Split()
	h.before.Follow(out, errs)
	return out, errs, func() {
		_ = out.Close()
		_ = errs.Close()
	}
}

// hubOutput gives a gRPC session the plugin's output as one sequence.
type hubOutput struct {
	hub    *stdio.Hub
	latest atomic.Pointer[stdio.Subscription] // nil: there was none
}

func (h *hubOutput) subscribe() stdioSubscription { return hubSubscription{h.open()} }

func (h *hubOutput) open() *stdio.Subscription {
	sub := h.hub.Subscribe()
	h.latest.Store(sub)
	return sub
}

// Settled implements stdio.Syncer.
func (h *hubOutput) Settled() bool {
	sub := h.latest.Load()
	return sub == nil || sub.Settled()
}

// Sync implements stdio.Syncer.
func (h *hubOutput) Sync(ctx context.Context) error {
	if sub := h.latest.Load(); sub != nil {
		return sub.Sync(ctx)
	}
	return nil
}

// sessionOutput is hubOutput for a host that has shaken hands. It asks for the
// output while it may already be calling, so what its calls print until then is
// kept for it.
type sessionOutput struct {
	hubOutput
	early atomic.Pointer[stdio.Subscription]
}

func newSessionOutput(hub *stdio.Hub) *sessionOutput {
	o := &sessionOutput{hubOutput: hubOutput{hub: hub}}
	o.early.Store(o.open())
	return o
}

func (o *sessionOutput) subscribe() stdioSubscription {
	if sub := o.early.Swap(nil); sub != nil {
		return hubSubscription{sub}
	}
	return o.hubOutput.subscribe()
}

// close drops what nobody has asked for.
func (o *sessionOutput) close() {
	if sub := o.early.Swap(nil); sub != nil {
		sub.Close()
	}
}

type hubSubscription struct{ sub *stdio.Subscription }

func (s hubSubscription) next(ctx context.Context) (isStderr bool, data []byte, err error) {
	chunk, err := s.sub.Next(ctx)
	return chunk.Channel == stdio.Stderr, chunk.Data, err
}

// unsent does nothing: a session ends with its connection.
func (hubSubscription) unsent(bool, []byte) {}

func (s hubSubscription) finish(ctx context.Context) { s.sub.Finish(ctx) }

func (s hubSubscription) close() { s.sub.Close() }
