// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/rpc"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/testkit/wirepeer"
)

// pluginByDocument serves one session as a plugin made from PROTOCOL.md alone, and attaches
// a host of this library to it.
func pluginByDocument(t *testing.T, protocol plugin.Protocol, kind string, impl plugin.Plugin) (*wirepeer.Peer, *plugin.Session, *printedOutput) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer lis.Close()
	var p *wirepeer.Peer
	shaken := make(chan error, 1)
	go func() {
		conn, err := lis.Accept()
		if err == nil {
			p, _, err = wirepeer.Plugin(conn, 1, string(protocol), kind)
		}
		shaken <- err
	}()
	out := new(printedOutput)
	session, err := plugin.Attach(t.Context(), &plugin.ClientConfig{
		HandshakeConfig: testHandshake, Plugins: plugin.PluginSet{kind: impl}, AllowedProtocols: []plugin.Protocol{protocol},
		Reattach: &plugin.ReattachConfig{Addr: lis.Addr()}, Logger: hclog.NewNullLogger(),
		SyncStdout: &out.stdout, SyncStderr: &out.stderr,
	})
	must(t, err, <-shaken)
	t.Cleanup(func() { p.Close(); _ = session.Close() })
	return p, session, out
}

// TestDocumentSufficesForPlugin holds net/rpc calls, callbacks, output and draining of a
// host against a plugin that is made from PROTOCOL.md alone.
func TestDocumentSufficesForPlugin(t *testing.T) {
	p, session, out := pluginByDocument(t, plugin.ProtocolNetRPC, "echo", &echoPlugin{})
	output, err := p.AcceptStream(wirepeer.Output)
	must(t, err)
	via := make(chan error, 1)
	go func() {
		for {
			c, err := p.Request()
			if err != nil {
				return
			}
			switch c.Method {
			case "Plugin.Echo":
				var text string
				err = errors.Join(c.Decode(&text), c.Reply(text))
			case "Plugin.Fail":
				err = c.Fail("the plugin says no")
			case "Plugin.Hold":
				err = c.Refuse(1, "too many calls")
			case "Plugin.Via":
				var id uint32
				must(t, c.Decode(&id))
				s, dialled := p.Dial(uint64(id))
				if dialled != nil {
					via <- dialled
					continue
				}
				b, read := io.ReadAll(s)
				via <- errors.Join(read, s.Close(), c.Reply(string(b)))
			case "Control.Ping":
				err = c.Reply(struct{}{})
			case "Control.Quit":
				err = errors.Join(output.SendPiece(2, "the last"), output.CloseWrite(), c.Reply(struct{}{}))
			default:
				err = c.Refuse(2, "nothing is called "+c.Method)
			}
			if err != nil {
				t.Errorf("%s: %v", c.Method, err)
			}
		}
	}()
	echo := dispenseEcho(t, session)
	for _, want := range []string{"short", long, "short again"} {
		if got, err := echo.Echo(want); err != nil || got != want {
			t.Errorf("%d bytes came back for %d, %v", len(got), len(want), err)
		}
	}
	if err := echo.Fail(); err == nil || err.Error() != "the plugin says no" || errors.Is(err, plugin.ErrConnectionLost) {
		t.Errorf("Fail: %v", err)
	}
	if _, err := echo.Hold(); err == nil || !strings.Contains(err.Error(), "too many calls") {
		t.Errorf("a refused call: %v", err)
	}
	if got, err := echo.Via(long); err != nil || got != long {
		t.Errorf("the callback has carried %d bytes, %v", len(got), err)
	}
	must(t, <-via)
	// A brokered stream that the host opens, with net/rpc of the standard library.
	dialled := make(chan error, 1)
	go func() {
		s, err := p.AcceptStream(wirepeer.Brokered)
		if err == nil && s.BrokerID() != 135 {
			err = errors.New("another id was dialled")
		}
		dialled <- err
		server := rpc.NewServer()
		if err == nil && server.RegisterName("Plugin", &echoServer{impl: newEchoImpl()}) == nil {
			server.ServeConn(s)
		}
	}()
	conn, err := echo.(*echoClient).broker.Dial(135)
	must(t, err, <-dialled)
	brokered := &echoClient{client: rpc.NewClient(conn)}
	if got, err := brokered.Echo("brokered"); err != nil || got != "brokered" {
		t.Errorf("a brokered call = %q, %v", got, err)
	}
	must(t, brokered.client.Close(), session.Ping(), p.Drain())
	<-session.Draining()
	must(t, output.SendPiece(1, "of stdout"), output.SendPiece(2, "of stderr, "), session.Close())
	if stdout, stderr := out.stdout.String(), out.stderr.String(); stdout != "of stdout" || stderr != "of stderr, the last" {
		t.Errorf("the output is %q and %q", stdout, stderr)
	}
}

// TestDocumentSufficesForPluginOfGRPC does the same for gRPC.
func TestDocumentSufficesForPluginOfGRPC(t *testing.T) {
	p, session, out := pluginByDocument(t, plugin.ProtocolGRPC, "relay", &relay{})
	output, err := p.AcceptStream(wirepeer.Output)
	must(t, err)
	serve := func(purpose byte, answer func(s *wirepeer.Stream, method, text string) error) {
		for {
			s, err := p.AcceptStream(purpose)
			if err != nil {
				return
			}
			method, _, pairs, err := wirepeer.CallOf(s)
			octet, b, errItem := s.Item()
			if errors.Join(err, errItem) != nil || octet != wirepeer.Message {
				t.Errorf("%s with %v: item %#x, %v, %v", method, pairs, octet, err, errItem)
			}
			if err := answer(s, method, wirepeer.ReadText(b)); err != nil {
				t.Errorf("%s: %v", method, err)
			}
		}
	}
	gone := make(chan string, 1)
	go serve(wirepeer.Unary, func(s *wirepeer.Stream, method, text string) error {
		switch method {
		case "/test.Relay/Name":
			return errors.Join(s.SendItem(wirepeer.Message, wirepeer.Text("document"+text)), s.SendStatus(wirepeer.Status{}))
		case "/test.Relay/Busy":
			return s.SendStatus(wirepeer.Status{Code: 14, Text: "the plugin is busy"})
		case "/test.Relay/Late":
			return s.Reset("no trailer")
		case "/test.Relay/Via":
			back, err := p.Dial(uint64(parseID(text)))
			if err != nil {
				return err
			}
			name, err := callHTTP2(t, back, "/test.Relay/Name", "")
			return errors.Join(err, s.SendItem(wirepeer.Message, wirepeer.Text(name)), s.SendStatus(wirepeer.Status{}))
		case "/plugin.GRPCController/Shutdown":
			return errors.Join(output.SendPiece(2, "the last"), output.CloseWrite(), s.SendItem(wirepeer.Message, nil), s.SendStatus(wirepeer.Status{}))
		}
		return s.SendStatus(wirepeer.Status{Code: 12, Text: "unknown method " + method})
	})
	go serve(wirepeer.Streamed, func(s *wirepeer.Stream, method, text string) error {
		for _, one := range []string{"0", "1"} {
			if err := s.SendItem(wirepeer.Message, wirepeer.Text(one)); err != nil {
				return err
			}
		}
		if text == "busy" {
			return s.SendStatus(wirepeer.Status{Code: 14, Text: "the plugin is busy", Pairs: []string{"key", "value"}})
		}
		why, err := s.AwaitReset() // The host gives the call up.
		gone <- why
		return err
	})
	raw, err := session.Dispense("relay")
	must(t, err)
	stub := raw.(*relay)
	if got, err := stub.call(t.Context(), "Name", long); err != nil || got != "document"+long {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := stub.call(t.Context(), "Busy", ""); status.Code(err) != codes.Unavailable || errors.Is(err, plugin.ErrConnectionLost) {
		t.Errorf("Busy: %v", err)
	}
	if _, err := stub.call(t.Context(), "Late", ""); err == nil {
		t.Error("a call without a trailer has an answer")
	}
	stream, err := stub.count(t.Context(), "busy")
	must(t, err)
	if err := stream.RecvMsg(new(wrapperspb.StringValue)); status.Code(err) != codes.Unavailable || len(stream.Trailer()["key"]) != 1 {
		t.Errorf("the stream ends with %v, trailer %v", err, stream.Trailer())
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = stub.count(ctx, "wait")
	must(t, err)
	cancel()
	if why := <-gone; why == "" {
		t.Error("a call is given up without a reason")
	}
	if got, err := stub.callback(t.Context(), "Via", "the host"); err != nil || got != "the host" {
		t.Errorf("the callback = %q, %v", got, err)
	}
	// A brokered connection that the host dials, over the standard library's HTTP/2.
	served := make(chan func(), 1)
	go func() {
		s, err := p.AcceptStream(wirepeer.Brokered)
		if err != nil {
			t.Error(err)
		}
		served <- serveHTTP2(s, "brokered")
	}()
	if got, err := askBroker(t.Context(), stub.broker, 135); err != nil || got != "brokered" {
		t.Errorf("a brokered call = %q, %v", got, err)
	}
	(<-served)()
	must(t, p.Told("accepts 1"), session.Ping(), p.Drain())
	<-session.Draining()
	must(t, output.SendPiece(1, "of stdout"), output.SendPiece(2, "of stderr, "), session.Close())
	if stdout, stderr := out.stdout.String(), out.stderr.String(); stdout != "of stdout" || stderr != "of stderr, the last" {
		t.Errorf("the output is %q and %q", stdout, stderr)
	}
}
