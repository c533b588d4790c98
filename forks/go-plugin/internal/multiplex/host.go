// SPDX-License-Identifier: MPL-2.0

package multiplex

import (
	"context"
	"fmt"
	"net"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/yamux"
)

// Host is the host's side. A stream that nobody knocked for is refused.
type Host struct {
	session *Session
	routed  chan struct{} // closed when the session has ended
}

// NewHost starts the session on conn, which belongs to it from now on and is closed
// also when that fails.
func NewHost(logger hclog.Logger, conn net.Conn) (*Host, error) {
	session, err := yamux.Client(conn, yamuxConfig(logger))
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("start yamux session: %w", err)
	}
	h := &Host{newSession(session, nil), make(chan struct{})}
	go func() {
		defer close(h.routed)
		h.session.route()
	}()
	return h, nil
}

// Session returns the session.
func (h *Host) Session(context.Context) (*Session, error) { return h.session, nil }

// Dial opens the main connection. The caller closes it.
func (h *Host) Dial(ctx context.Context) (net.Conn, error) { return h.session.Dial(ctx, nil) }

// Close ends the session and every connection in it.
func (h *Host) Close() error {
	err := h.session.yamux.Close()
	<-h.routed
	return err
}
