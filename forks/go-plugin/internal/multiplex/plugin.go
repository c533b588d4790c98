// SPDX-License-Identifier: MPL-2.0

package multiplex

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/rendezvous"
)

// Plugin is the plugin's side. It is a net.Listener too: of the main
// connection, and of whatever else the host opens without a knock.
type Plugin struct {
	logger hclog.Logger
	lis    net.Listener
	main   *rendezvous.Listener

	ready   chan struct{} // closed when session or failure is set
	session *Session
	failure error
	ended   chan struct{} // closed when the session has
}

// NewPlugin waits for one connection on lis, in the background, and
// multiplexes it. lis belongs to the result from now on.
func NewPlugin(logger hclog.Logger, lis net.Listener) *Plugin {
	p := &Plugin{
		logger: logger,
		lis:    lis,
		main:   rendezvous.NewListeners().Listen(0),
		ready:  make(chan struct{}),
		ended:  make(chan struct{}),
	}
	go p.run()
	return p
}

func (p *Plugin) run() {
	defer close(p.ended)
	p.session, p.failure = p.connect()
	close(p.ready)
	if p.failure != nil {
		_ = p.main.Close()
		return
	}
	p.session.route()
}

func (p *Plugin) connect() (*Session, error) {
	conn, err := p.lis.Accept()
	if err != nil {
		return nil, fmt.Errorf("accept the host's connection: %w", err)
	}
	session, err := yamux.Server(conn, yamuxConfig(p.logger))
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("start yamux session: %w", err)
	}
	return newSession(session, p.main), nil
}

// Session waits for the host's connection.
func (p *Plugin) Session(ctx context.Context) (*Session, error) {
	select {
	case <-p.ready:
		return p.session, p.failure
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the host's connection: %w", context.Cause(ctx))
	}
}

// Accept returns the next connection that the host opened without a knock. It
// fails with net.ErrClosed when the session has ended, because the host
// connects once.
func (p *Plugin) Accept() (net.Conn, error) { return p.main.Accept() }

// Addr is the address on which the host's connection is awaited.
func (p *Plugin) Addr() net.Addr { return p.lis.Addr() }

// Close ends Accept. Connections live on until Shutdown, so that a server can
// close its listener first and finish its calls then.
func (p *Plugin) Close() error {
	err := p.lis.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, p.main.Close())
}

// Shutdown ends the session and every connection in it.
func (p *Plugin) Shutdown() error {
	err := p.Close()
	<-p.ready
	if p.failure == nil {
		err = errors.Join(err, p.session.yamux.Close())
	}
	<-p.ended
	return err
}
