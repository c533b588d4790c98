// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"net"
	"sync/atomic"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/peererr"
)

// grpcMux carries a gRPC session with the feature mux. The session, which owns it, is made
// with it, and may have lost it by then.
type grpcMux struct {
	*mux.Host
	session atomic.Pointer[grpcconn.Session]
	broker  *broker.Broker // once something is read
}

// newGRPCMux makes what carries a session on a connection past its handshake. draining is
// called when the plugin says that it is about to leave, and lost with what has ended the
// connection; neither blocks. Nothing is read before start.
func newGRPCMux(conn net.Conn, draining func(), lost func(error)) *grpcMux {
	m := new(grpcMux)
	m.Host = mux.NewHost(conn, mux.HostConfig{
		Accept:   mux.Acceptors{mux.Brokered: func(stream *mux.Stream) error { return m.broker.Admit(stream) }},
		Draining: draining,
		Ended: func(err error) error {
			lost(err)
			if session := m.session.Load(); session != nil {
				session.Lose(peererr.Lost(err))
			}
			return err
		},
	})
	return m
}

// start begins to read for a session and its broker.
func (m *grpcMux) start(session *grpcconn.Session, b *broker.Broker) {
	m.broker = b
	m.session.Store(session)
	if err := m.Err(); err != nil {
		session.Lose(peererr.Lost(err)) // Ended has seen no session.
	}
	m.KeepReading()
}
