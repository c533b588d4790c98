// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/hashicorp/go-plugin/internal/netrpc"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// RPCServer serves plugins over net/rpc to any number of connections.
type RPCServer struct {
	// Plugins are served by their dispense names.
	Plugins map[string]Plugin

	// Stdout and Stderr are copied to the host. Two hosts that are connected at
	// once share what is read from them.
	Stdout io.Reader
	Stderr io.Reader

	// DoneCh, if not nil, is closed when a host asks the plugin to end.
	DoneCh chan<- struct{}

	around Around
	before *stdio.Barrier // nil: it is not known what was written
	done   sync.Once
}

// Init does nothing; net/rpc has nothing to prepare.
func (s *RPCServer) Init() error { return nil }

// Config returns "": net/rpc has no configuration.
func (s *RPCServer) Config() string { return "" }

// Serve accepts connections until the listener is closed, and serves each in a
// goroutine of its own.
func (s *RPCServer) Serve(lis net.Listener) {
	for conn, err := lis.Accept(); err == nil; conn, err = lis.Accept() {
		go s.ServeConn(conn)
	}
	s.quit()
}

// ServeConn serves one connection until the host hangs up, and closes it.
func (s *RPCServer) ServeConn(conn io.ReadWriteCloser) {
	_ = netrpc.NewYamuxPlugin(conn, &netrpc.PluginConfig{
		Serving: netrpc.Serving{Output: s.before, Around: s.around},
		Kinds:   PluginSet(s.Plugins).netRPC,
		Quit:    s.quit,
		Stdout:  s.Stdout, Stderr: s.Stderr,
	}).Serve()
}

func (s *RPCServer) quit() {
	s.done.Do(func() {
		if s.DoneCh != nil {
			close(s.DoneCh)
		}
	})
}

// netRPC returns what makes the value that serves a kind of the set in a session.
func (s PluginSet) netRPC(broker *netrpc.Broker) func(kind string) (any, error) {
	m := &MuxBroker{broker: broker}
	return func(kind string) (any, error) {
		p, ok := s[kind]
		if relay, any := s[AnyKind].(RPCRelay); any && !ok {
			return dispense(relay, kind, m)
		}
		if !ok {
			return nil, fmt.Errorf("unknown plugin type: %s", kind)
		}
		return p.Server(m)
	}
}
