// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"fmt"
	"net"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/wait"
)

// ClientMuxer is the host's side. A stream that nobody knocked for is refused.
type ClientMuxer struct {
	*Mux
	routing wait.Group
}

// NewClientMuxer starts the session on conn, which belongs to it from now on
// and is closed also when that fails.
func NewClientMuxer(logger hclog.Logger, conn net.Conn) (*ClientMuxer, error) {
	session, err := yamux.Client(conn, yamuxConfig(logger))
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("start yamux session: %w", err)
	}
	m := &ClientMuxer{Mux: newMux(session, nil)}
	m.routing.Go(m.route)
	return m, nil
}

// Close ends the session and every connection in it.
func (m *ClientMuxer) Close() error {
	err := m.shut()
	m.routing.Wait()
	return err
}
