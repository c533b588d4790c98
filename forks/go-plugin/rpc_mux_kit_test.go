// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"net"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/hello"
)

// muxPeer is what a plugin with the feature mux has said of itself.
var muxPeer = &plugin.PeerInfo{Version: 1, Protocol: string(plugin.ProtocolNetRPC), Features: []string{hello.FeatureGoAway, hello.FeatureMux}}

// muxHost makes a session with the feature mux on a connection.
func muxHost(t *testing.T, conn net.Conn, change func(*plugin.ClientConfig)) *plugin.Session {
	t.Helper()
	cfg := &plugin.ClientConfig{
		HandshakeConfig: testHandshake,
		Plugins:         plugin.PluginSet{"echo": &echoPlugin{}},
		Reattach:        &plugin.ReattachConfig{Addr: conn.RemoteAddr()},
		Logger:          hclog.NewNullLogger(),
		// The tests see what the connection says.
		KeepaliveInterval: -1,
	}
	if change != nil {
		change(cfg)
	}
	session, err := plugin.NewSession(cfg, conn, muxPeer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// muxPlugin serves impl on a connection to a host with the feature mux.
func muxPlugin(t *testing.T, conn net.Conn, impl plugin.Plugin) *plugin.HostSession {
	t.Helper()
	host, err := plugin.NewHostSession(&plugin.ServeConfig{HandshakeConfig: testHandshake, Plugins: plugin.PluginSet{"echo": impl}}, conn,
		hello.Agreement{Version: 1, Protocol: string(plugin.ProtocolNetRPC), Features: muxPeer.Features})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		host.Serve()
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
func lostSession(t *testing.T, s *plugin.Session) error {
	t.Helper()
	select {
	case <-s.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the session does not end")
	}
	return s.Err()
}
