// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/wait"
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
	s, err := plugin.NewSession(cfg, here, &plugin.PeerInfo{Version: int(testHandshake.ProtocolVersion), Protocol: string(plugin.ProtocolGRPC)})
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
		reason string
		end    func(s *plugin.Session, plugin net.Conn)
	}{
		"Leaves":  {"A GOAWAY without an error is a plugin that leaves.", sends(wireSettings + wireLeave)},
		"Rejects": {"One with an error is the end as well.", sends(wireSettings + wireReject)},
		"Broken":  {"gRPC gives up a connection on which it is sent nonsense, and reads no more.", sends(wireSettings + wireBroken)},
		"Own": {"The application may close the connection instead of the session.", func(s *plugin.Session, plugin net.Conn) {
			_, _ = plugin.Write([]byte(wireSettings))
			conn, _ := s.ClientConn()
			_ = conn.Close()
		}},
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
		})
	}
}

// TestPlainServerLeaves attaches to a gRPC server that was not made for go-plugin, and ends
// it while a call is in flight: the host is told by the GOAWAY.
func TestPlainServerLeaves(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	impl, server := newRelay("plain"), grpc.NewServer()
	server.RegisterService(relayDesc(), impl)
	var serving wait.Group
	serving.Go(func() { _ = server.Serve(lis) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	session, err := plugin.Attach(t.Context(), &plugin.ClientConfig{
		HandshakeConfig:  testHandshake,
		Plugins:          plugin.PluginSet{"relay": &relay{}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Reattach:         &plugin.ReattachConfig{Addr: lis.Addr(), Protocol: plugin.ProtocolGRPC, ProtocolVersion: int(testHandshake.ProtocolVersion)},
		Logger:           hclog.NewNullLogger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	stream, err := dispenseRelay(t, session.Dispense).count(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	<-impl.held
	if isClosed(session.Draining()) {
		t.Error("the host is told before the server leaves")
	}
	serving.Go(server.GracefulStop)
	<-session.Draining()
	if err := session.Err(); err != nil {
		t.Errorf("the session has ended with its call in flight: %v", err)
	}
	close(impl.gate)
	if err := stream.RecvMsg(new(wrapperspb.StringValue)); !errors.Is(err, io.EOF) {
		t.Errorf("the call in flight ends with %v", err)
	}
}

// TestLostConnectionIsNoLeave cuts a connection: the plugin has not said that it leaves.
func TestLostConnectionIsNoLeave(t *testing.T) {
	s, peer := scriptedSession(t)
	_, _ = peer.Write([]byte(wireSettings))
	_ = peer.Close()
	<-s.Done()
	_ = s.Close() // which waits for the session's goroutines
	if isClosed(s.Draining()) {
		t.Error("Draining is closed")
	}
}

func sends(bytes string) func(*plugin.Session, net.Conn) {
	return func(_ *plugin.Session, plugin net.Conn) { _, _ = plugin.Write([]byte(bytes)) }
}
