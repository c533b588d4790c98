// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// muxPeer is what a plugin with the feature rpc-mux has said of itself.
var muxPeer = &PeerInfo{Version: 1, Protocol: string(ProtocolNetRPC), Features: []string{hello.FeatureGoAway, hello.FeatureRPCMux}}

// muxHost makes a session with the feature rpc-mux on a connection.
func muxHost(t *testing.T, conn net.Conn, change func(*ClientConfig)) *Session {
	t.Helper()
	cfg := (&ClientConfig{
		HandshakeConfig: testHandshake,
		Plugins:         PluginSet{"echo": &echoPlugin{}},
		Reattach:        &ReattachConfig{Addr: conn.RemoteAddr()},
		Logger:          hclog.NewNullLogger(),
		// The tests see what the connection says.
		KeepaliveInterval: -1,
	}).withDefaults()
	if change != nil {
		change(&cfg)
	}
	session, err := newSession(cfg, conn, muxPeer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// muxPlugin serves impl on a connection to a host with the feature rpc-mux.
func muxPlugin(t *testing.T, conn net.Conn, impl Plugin) *hostSession {
	t.Helper()
	server, err := newNetworkServer(&ServeConfig{HandshakeConfig: testHandshake, Plugins: PluginSet{"echo": impl}},
		nil, hclog.NewNullLogger(), stdio.NewHub(outputBuffer))
	if err != nil {
		t.Fatal(err)
	}
	host := server.newHostSession(conn, hello.Agreement{Version: 1, Protocol: string(ProtocolNetRPC), Features: muxPeer.Features}, "")
	host.ended = func() {}
	served := make(chan struct{})
	go func() {
		defer close(served)
		host.serve()
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-served
	})
	return host
}

// slowConn takes and gives a piece each second.
type slowConn struct{ net.Conn }

const slowPiece = 16 << 10

func (c slowConn) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	return c.Conn.Read(p[:min(len(p), slowPiece)])
}

// lostSession waits for the end of a session and returns why.
func lostSession(t *testing.T, s *Session) error {
	t.Helper()
	select {
	case <-s.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the session does not end")
	}
	return context.Cause(s.ctx)
}
