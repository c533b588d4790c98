// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/hello"
)

// What a plugin sends, as HTTP/2 has it on the wire.
const (
	wireSettings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	wireLeave    = "\x00\x00\x08\x07\x00\x00\x00\x00\x00" + "\x7f\xff\xff\xff" + "\x00\x00\x00\x00"
	wireReject   = "\x00\x00\x08\x07\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x0b"
	wireBroken   = "\x00\x00\x01\x00\x00\x00\x00\x00\x00" + "x" // data of no stream
)

// scriptedSession is a gRPC session at rest with a plugin that sends what the
// test says. No probe looks after it.
func scriptedSession(t *testing.T) (s *plugin.Session, peer net.Conn) {
	t.Helper()
	here, peer := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, peer) }()
	cfg := &plugin.ClientConfig{
		HandshakeConfig:   testHandshake,
		Plugins:           plugin.PluginSet{"relay": newRelay("")},
		AllowedProtocols:  []plugin.Protocol{plugin.ProtocolGRPC},
		Reattach:          &plugin.ReattachConfig{},
		Logger:            hclog.NewNullLogger(),
		KeepaliveInterval: -1,
	}
	features := []string{hello.FeatureGoAway, hello.FeatureGRPCTunnel, hello.FeatureGRPCOnDemand, hello.FeatureNoOutput}
	s, err := plugin.NewSession(cfg, here, &plugin.PeerInfo{Version: int(testHandshake.ProtocolVersion), Protocol: string(plugin.ProtocolGRPC), Features: features})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Close()
		_ = peer.Close()
	})
	return s, peer
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestEndOfASessionAtRest lets gRPC itself close the connection, while no call
// could fail because of that.
func TestEndOfASessionAtRest(t *testing.T) {
	cases := map[string]struct {
		reason  string
		end     func(s *plugin.Session, plugin net.Conn)
		drained bool
	}{
		"Leaves": {"A GOAWAY without an error is a plugin that leaves.", sends(wireSettings + wireLeave), true},
		"LeavesBytewise": {"It may come in pieces.", func(_ *plugin.Session, plugin net.Conn) {
			for _, b := range []byte(wireSettings + wireLeave) {
				_, _ = plugin.Write([]byte{b})
			}
		}, true},
		"Rejects": {"A GOAWAY with one is not.", sends(wireSettings + wireReject), false},
		"Broken":  {"gRPC gives up a connection on which it is sent nonsense, and reads no more.", sends(wireSettings + wireBroken), false},
		"Own": {"The application may close the connection instead of the session.", func(s *plugin.Session, plugin net.Conn) {
			_, _ = plugin.Write([]byte(wireSettings))
			conn, _ := s.ClientConn()
			_ = conn.Close()
		}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, peer := scriptedSession(t)
			tc.end(s, peer)
			select {
			case <-s.Done():
			case <-time.After(10 * time.Second):
				t.Fatalf("%s\nthe session does not end", tc.reason)
			}
			if err := s.Err(); !errors.Is(err, plugin.ErrConnectionLost) {
				t.Errorf("%s\nthe session ended with %v", tc.reason, err)
			}
			if isClosed(s.Draining()) != tc.drained {
				t.Errorf("%s\nDraining is closed: %v", tc.reason, !tc.drained)
			}
		})
	}
}

func sends(bytes string) func(*plugin.Session, net.Conn) {
	return func(_ *plugin.Session, plugin net.Conn) { _, _ = plugin.Write([]byte(bytes)) }
}
