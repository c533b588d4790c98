// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"errors"
	"slices"
)

// maxPings is how many pings of a session may be without an answer.
const maxPings = 64

var errPings = errors.New("the plugin has not answered the pings before")

// pings are the probes that this side has sent, in the order of their answers. The
// session's mu guards them.
type pings struct{ sent []chan struct{} }

// answered gives an answer to the first of them. One that nobody has asked for is a sign of
// life like any other.
func (p *pings) answered() {
	if len(p.sent) > 0 {
		close(p.sent[0])
		p.sent = slices.Delete(p.sent, 0, 1)
	}
}

// Ping asks the plugin for a sign of life, and waits for it until ctx ends, whose cause it
// returns. Somebody reads the session: KeepReading was called, or it has a control channel.
func (h *Host) Ping(ctx context.Context) error {
	answer := make(chan struct{})
	h.mu.Lock()
	if len(h.pings.sent) >= maxPings {
		h.mu.Unlock()
		return errPings
	}
	h.pings.sent = append(h.pings.sent, answer)
	h.mu.Unlock()
	if err := h.send(newMessage(kindProbe)); err != nil {
		return err
	}
	if h.keeper != nil {
		h.readNow()
	}
	select {
	case <-answer:
		return nil
	case <-h.done:
		return h.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// alive answers a probe. The reader may wait for the host to make room for that.
func (p *Plugin) alive() error {
	if err := p.out.awaitRoom(context.Background(), nil); err != nil {
		return err
	}
	return p.send(newMessage(kindAlive))
}
