// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// What a plugin sends, as HTTP/2 has it on the wire.
const (
	wireSettings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	wireLeave    = wireGoAway + "\x7f\xff\xff\xff" + "\x00\x00\x00\x00" // it ends what it was asked
	wireTakeNone = wireGoAway + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" // it has begun nothing
	wireReject   = wireGoAway + "\x00\x00\x00\x00" + "\x00\x00\x00\x0b"
	wireCalm     = "\x00\x00\x17\x07\x00\x00\x00\x00\x00" + "\x7f\xff\xff\xff" + "\x00\x00\x00\x0b" + "too\x1b[many pings"
	wireGoAway   = "\x00\x00\x08\x07\x00\x00\x00\x00\x00"
	wireBroken   = "\x00\x00\x01\x00\x00\x00\x00\x00\x00" + "x" // data of no stream
)

// scriptedSession is a gRPC session at rest with a plugin that sends what the
// test says. A probe looks after it unless keepalive is negative.
func scriptedSession(t *testing.T, keepalive time.Duration) (s *plugin.Session, peer *scriptedPeer) {
	t.Helper()
	here, there := net.Pipe()
	peer = newScriptedPeer(there)
	cfg := &plugin.ClientConfig{
		HandshakeConfig:   testHandshake,
		Plugins:           plugin.PluginSet{"relay": newRelay("")},
		AllowedProtocols:  []plugin.Protocol{plugin.ProtocolGRPC},
		Reattach:          &plugin.ReattachConfig{},
		Logger:            hclog.NewNullLogger(),
		KeepaliveInterval: keepalive,
	}
	s, err := plugin.NewSession(cfg, here, &plugin.PeerInfo{Version: int(testHandshake.ProtocolVersion), Protocol: string(plugin.ProtocolGRPC)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Close()
		peer.hangUp()
	})
	return s, peer
}

// scriptedPeer is the plugin's end of a connection. It reads what the host sends.
type scriptedPeer struct {
	net.Conn
	opened chan struct{} // closed when the host has opened a stream
	ended  chan struct{} // when it has hung up
}

func newScriptedPeer(conn net.Conn) *scriptedPeer {
	p := &scriptedPeer{conn, make(chan struct{}), make(chan struct{})}
	go func() {
		defer close(p.ended)
		_, err := io.CopyN(io.Discard, conn, int64(len(http2.ClientPreface)))
		framer := http2.NewFramer(nil, conn)
		for streams := 0; err == nil; {
			var frame http2.Frame
			frame, err = framer.ReadFrame()
			if _, ok := frame.(*http2.HeadersFrame); !ok {
				continue
			}
			if streams++; streams == 1 {
				close(p.opened)
			}
		}
		_, _ = io.Copy(io.Discard, conn)
	}()
	return p
}

// says sends bytes.
func (p *scriptedPeer) says(bytes string) { _, _ = io.WriteString(p.Conn, bytes) }

func (p *scriptedPeer) hangUp() {
	_ = p.Close()
	<-p.ended
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// await fails the test unless c is closed.
func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Fatal(what)
	}
}

// TestEndOfASessionAtRest ends the connection, or lets gRPC itself do so, while no call
// could fail because of that: when gRPC has just set it up, or is about to.
func TestEndOfASessionAtRest(t *testing.T) {
	cases := map[string]struct {
		reason string
		end    func(s *plugin.Session, plugin *scriptedPeer)
	}{
		"Leaves":       {"A GOAWAY without an error is a plugin that leaves.", says(wireSettings + wireTakeNone)},
		"LeavesFirst":  {"One that has not even begun is the end as well.", says(wireTakeNone)},
		"Rejects":      {"So is one with an error.", says(wireSettings + wireReject)},
		"RejectsFirst": {"So is one with an error instead of a beginning.", says(wireReject)},
		"Broken":       {"gRPC gives up a connection on which it is sent nonsense, and reads no more.", says(wireSettings + wireBroken)},
		"BrokenFirst":  {"The same at its beginning.", says(wireBroken)},
		"Gone": {"The plugin hangs up.", func(_ *plugin.Session, plugin *scriptedPeer) {
			plugin.says(wireSettings)
			_ = plugin.Close()
		}},
		"GoneFirst": {"The plugin hangs up before it has said anything.", func(_ *plugin.Session, plugin *scriptedPeer) { _ = plugin.Close() }},
		"GoneAmidst": {"The plugin hangs up in the middle of a word.", func(_ *plugin.Session, plugin *scriptedPeer) {
			plugin.says(wireSettings[:5])
			_ = plugin.Close()
		}},
		"Own": {"The application may close the connection instead of the session.", func(s *plugin.Session, plugin *scriptedPeer) {
			plugin.says(wireSettings)
			conn, _ := s.ClientConn()
			_ = conn.Close()
		}},
		"OwnFirst": {"It may do so at once.", func(s *plugin.Session, _ *scriptedPeer) {
			conn, _ := s.ClientConn()
			_ = conn.Close()
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, peer := scriptedSession(t, -1)
			tc.end(s, peer)
			await(t, tc.reason+"\nthe session does not end", s.Done())
			if err := s.Err(); !errors.Is(err, plugin.ErrConnectionLost) {
				t.Errorf("%s\nthe session ended with %v", tc.reason, err)
			}
		})
	}
}

// TestPluginLeaves has a plugin say that it leaves, and end what it was asked. The host is
// told, whether gRPC has opened a stream of the session by then or not: if it has, the
// connection stays for as long as the stream does.
func TestPluginLeaves(t *testing.T) {
	t.Run("AtOnce", func(t *testing.T) {
		s, peer := scriptedSession(t, -1)
		peer.says(wireSettings + wireLeave)
		await(t, "the host is not told", s.Draining())
	})
	t.Run("WithAStream", func(t *testing.T) {
		s, peer := scriptedSession(t, -1)
		peer.says(wireSettings)
		await(t, "the host opens no stream", peer.opened)
		if isClosed(s.Draining()) {
			t.Error("the host is told before the plugin leaves")
		}
		peer.says(wireLeave)
		await(t, "the host is not told", s.Draining())
		if err := s.Err(); err != nil {
			t.Errorf("the session has ended with its stream open: %v", err)
		}
		peer.hangUp()
		await(t, "the session does not end", s.Done())
	})
}

// TestPluginGivesUp has a plugin end the connection with an error of HTTP/2, after which it has
// to close it. It has not said that it leaves, and the session ends with what it said.
func TestPluginGivesUp(t *testing.T) {
	for name, tc := range map[string]struct {
		says       string
		withStream bool
		want       string
	}{
		"at rest":       {says: wireSettings + wireReject, want: "ENHANCE_YOUR_CALM"},
		"at once":       {says: wireReject, want: "ENHANCE_YOUR_CALM"},
		"with a stream": {says: wireReject, withStream: true, want: "ENHANCE_YOUR_CALM"},
		"with a reason": {says: wireCalm, withStream: true, want: `ENHANCE_YOUR_CALM: too\x1b[many pings`},
		"leaving":       {says: wireLeave + wireCalm, withStream: true, want: "ENHANCE_YOUR_CALM"},
	} {
		t.Run(name, func(t *testing.T) {
			s, peer := scriptedSession(t, -1)
			if tc.withStream {
				peer.says(wireSettings)
				await(t, "the host opens no stream", peer.opened)
			}
			peer.says(tc.says)
			await(t, "the session does not end", s.Done())
			if err := s.Err(); !errors.Is(err, plugin.ErrConnectionLost) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the session ended with %v", err)
			}
			if got, want := isClosed(s.Draining()), strings.HasPrefix(tc.says, wireLeave); got != want {
				t.Errorf("the plugin is taken to leave: %v, want %v", got, want)
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
	s, peer := scriptedSession(t, -1)
	peer.says(wireSettings)
	peer.hangUp()
	<-s.Done()
	_ = s.Close() // which waits for the session's goroutines
	if isClosed(s.Draining()) {
		t.Error("Draining is closed")
	}
}

func says(bytes string) func(*plugin.Session, *scriptedPeer) {
	return func(_ *plugin.Session, plugin *scriptedPeer) { plugin.says(bytes) }
}
