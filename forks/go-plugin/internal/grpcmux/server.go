// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/rendezvous"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// ServerMuxer is the plugin's side. It is a net.Listener too: of the main
// connection, and of whatever else the host opens without a knock.
type ServerMuxer struct {
	logger hclog.Logger
	lis    net.Listener
	main   *rendezvous.Listener

	ready   chan struct{} // closed when mux or failure is set
	mux     *Mux
	failure error
	working wait.Group
}

// NewServerMuxer waits for one connection on lis, in the background, and
// multiplexes it. lis belongs to the muxer from now on.
func NewServerMuxer(logger hclog.Logger, lis net.Listener) *ServerMuxer {
	m := &ServerMuxer{
		logger: logger,
		lis:    lis,
		main:   rendezvous.NewListeners().Listen(0, lis.Addr()),
		ready:  make(chan struct{}),
	}
	m.working.Go(m.run)
	return m
}

func (m *ServerMuxer) run() {
	m.mux, m.failure = m.connect()
	close(m.ready)
	if m.failure != nil {
		_ = m.main.Close()
		return
	}
	m.mux.route()
}

func (m *ServerMuxer) connect() (*Mux, error) {
	conn, err := m.lis.Accept()
	if err != nil {
		return nil, fmt.Errorf("accept the host's connection: %w", err)
	}
	session, err := yamux.Server(conn, yamuxConfig(m.logger))
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("start yamux session: %w", err)
	}
	return newMux(session, m.main), nil
}

// Session waits for the host's connection.
func (m *ServerMuxer) Session(ctx context.Context) (*Mux, error) {
	select {
	case <-m.ready:
		return m.mux, m.failure
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the host's connection: %w", context.Cause(ctx))
	}
}

// Accept returns the next connection that the host opened without a knock. It
// fails with net.ErrClosed when the session has ended, because the host
// connects once.
func (m *ServerMuxer) Accept() (net.Conn, error) { return m.main.Accept() }

// Addr is the address on which the host's connection is awaited.
func (m *ServerMuxer) Addr() net.Addr { return m.lis.Addr() }

// Close ends Accept. Connections live on until Shutdown, so that a server can
// close its listener first and finish its calls then.
func (m *ServerMuxer) Close() error {
	err := m.lis.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, m.main.Close())
}

// Shutdown ends the session and every connection in it.
func (m *ServerMuxer) Shutdown() error {
	err := m.Close()
	<-m.ready
	if m.failure == nil {
		err = errors.Join(err, m.mux.shut())
	}
	m.working.Wait()
	return err
}
