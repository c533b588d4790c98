// SPDX-License-Identifier: MPL-2.0

package multiplex

import (
	"errors"
	"fmt"
	"net"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/rendezvous"
	"github.com/hashicorp/go-plugin/internal/yamuxframe"
)

// Plugin is the plugin's side. It is a net.Listener too: of the main
// connection, and of whatever else the host opens without a knock.
type Plugin struct {
	*Session
	lis net.Listener
}

// NewPlugin waits for one connection on lis, in the background, and
// multiplexes it. lis belongs to the result from now on.
func NewPlugin(logger hclog.Logger, lis net.Listener) *Plugin {
	return &Plugin{lis: lis, Session: newSession(rendezvous.NewListeners().Listen(0), func() (*yamux.Session, error) {
		conn, err := lis.Accept()
		if err != nil {
			return nil, fmt.Errorf("accept the host's connection: %w", err)
		}
		session, err := yamux.Server(yamuxframe.Join(conn), yamuxConfig(logger))
		if err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("start yamux session: %w", err)
		}
		return session, nil
	})}
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
func (p *Plugin) Shutdown() error { return errors.Join(p.Close(), p.close()) }
