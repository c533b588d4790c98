// SPDX-License-Identifier: MPL-2.0

package multiplex

import (
	"context"
	"fmt"
	"net"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/yamuxframe"
)

// Host is the host's side. A stream that nobody knocked for is refused.
type Host struct{ *Session }

// NewHost starts the session on conn, which belongs to it from now on and is closed
// also when that fails.
func NewHost(logger hclog.Logger, conn net.Conn) (*Host, error) {
	session, err := yamux.Client(yamuxframe.Join(conn), yamuxConfig(logger))
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("start yamux session: %w", err)
	}
	return &Host{newSession(nil, func() (*yamux.Session, error) { return session, nil })}, nil
}

// Dial opens the main connection. The caller closes it.
func (h *Host) Dial(ctx context.Context) (net.Conn, error) { return h.open(ctx) }

// Close ends the session and every connection in it.
func (h *Host) Close() error { return h.close() }
