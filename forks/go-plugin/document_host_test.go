// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/testkit/wirepeer"
)

// cookie is that of testHandshake, as a peer that knows only PROTOCOL.md says it.
var cookie = wirepeer.Cookie{Key: testHandshake.MagicCookieKey, Value: testHandshake.MagicCookieValue}

// must ends a test that cannot go on.
func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// hostByDocument attaches a host made from PROTOCOL.md alone.
func hostByDocument(t *testing.T, addr net.Addr, protocol plugin.Protocol) *wirepeer.Peer {
	t.Helper()
	conn, err := net.Dial(addr.Network(), addr.String())
	must(t, err)
	h, answer, err := wirepeer.Host(conn, cookie, 1, string(protocol))
	if err != nil {
		_ = conn.Close()
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	if len(answer.Kinds) == 0 || answer.Instance == "" {
		t.Errorf("the answer is %+v", answer)
	}
	return h
}

// long is a text that is sent in parts, and needs grants.
var long = strings.Repeat("0123456789", 60_000)

// TestDocumentSufficesForHost holds net/rpc calls, callbacks and draining of a plugin
// against a host that is made from PROTOCOL.md alone.
func TestDocumentSufficesForHost(t *testing.T) {
	opening := serveEcho(t, func(o *plugin.ServeConfig) {
		o.Plugins = plugin.PluginSet{"echo": &openerPlugin{echoPlugin: echoPlugin{newEchoImpl()}}}
	})
	h := hostByDocument(t, opening.addr, plugin.ProtocolNetRPC)
	must(t, h.Open(2, "echo"), h.Open(4, "nothing"))
	opener := func() (id uint32) {
		must(t, h.Call(2, 1, "Plugin.Open", struct{}{}, &id))
		return id
	}
	// What is served at an id of the plugin's, with net/rpc of the standard library.
	s, err := h.Dial(uint64(opener()))
	must(t, err)
	brokered := rpc.NewClient(s)
	var text string
	if err := brokered.Call("Plugin.Echo", "brokered", &text); err != nil || text != "brokered" {
		t.Errorf("a brokered call = %q, %v", text, err)
	}
	must(t, brokered.Close())
	if err := h.Call(4, 1, "Plugin.Echo", "x", &text); err == nil || !strings.HasPrefix(err.Error(), "refused (2): ") {
		t.Errorf("a kind that is not served: %v", err)
	}
	if _, err := h.Dial(1 << 30); err == nil {
		t.Error("an id was accepted that the plugin does not know")
	}
	must(t, h.Release(4), h.Probe(), h.Told("alive"))
	if err := h.Call(0, 4, "Control.Quit", true, &struct{}{}); err != nil {
		t.Errorf("Quit: %v", err)
	}
	if err := h.Err(); !errors.Is(err, io.EOF) {
		t.Errorf("after Quit the session ends with %v", err)
	}

	p := serveEcho(t, nil)
	echoes := hostByDocument(t, p.addr, plugin.ProtocolNetRPC)
	var channel uint32
	if err := echoes.Call(0, 1, "Dispenser.Dispense", "nothing", &channel); err == nil || err.Error() != "unknown plugin type: nothing" {
		t.Errorf("Dispense of a kind that is not served: %v", err)
	}
	must(t, echoes.Call(0, 2, "Dispenser.Dispense", "echo", &channel), echoes.Call(0, 3, "Control.Ping", true, &struct{}{}))
	number := uint64(0)
	for _, want := range []string{"short", long, "short again"} {
		number++
		if err := echoes.Call(uint64(channel), number, "Plugin.Echo", want, &text); err != nil || text != want {
			t.Errorf("%d bytes came back for %d, %v", len(text), len(want), err)
		}
	}
	if err := echoes.Call(uint64(channel), 20, "Plugin.Fail", struct{}{}, &struct{}{}); err == nil || err.Error() != errEcho.Error() {
		t.Errorf("the failure is %v", err)
	}
	via, err := echoes.Go(uint64(channel), 21, "Plugin.Via", uint32(135)) // The plugin dials this host's id.
	must(t, err)
	s, err = echoes.AcceptStream(wirepeer.Brokered)
	must(t, err)
	if s.BrokerID() != 135 {
		t.Errorf("the plugin dialled %d", s.BrokerID())
	}
	_, err = io.WriteString(s, long)
	must(t, err, s.CloseWrite())
	if err := via.Decode(&text); err != nil || text != long {
		t.Errorf("the plugin has read %d bytes of the callback, %v", len(text), err)
	}
	held, err := echoes.Go(uint64(channel), 30, "Plugin.Hold", struct{}{})
	must(t, err)
	<-p.impl.held
	p.stop()
	must(t, echoes.Told("draining"))
	close(p.impl.gate)
	if err := held.Decode(&text); err != nil || text != "held" {
		t.Errorf("the call in flight = %q, %v", text, err)
	}
	if err := echoes.Err(); !errors.Is(err, io.EOF) {
		t.Errorf("the session ends with %v", err)
	}
}

// TestDocumentSufficesForHostOfGRPC does the same for gRPC.
func TestDocumentSufficesForHostOfGRPC(t *testing.T) {
	impl := newRelay("plugin")
	p := serveEcho(t, func(o *plugin.ServeConfig) {
		o.Plugins, o.GRPCServer = plugin.PluginSet{"relay": impl}, plugin.DefaultGRPCServer
	})
	h := hostByDocument(t, p.addr, plugin.ProtocolGRPC)
	if got, err := unaryCall(h, "/test.Relay/Name", long); err != nil || got != "plugin"+long {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := unaryCall(h, "/test.Relay/Busy", "header"); err == nil || err.Error() != "code 14: the plugin is busy, header early=yes" {
		t.Errorf("Busy: %v", err)
	}
	// A stream: two messages, and then the trailer once the gate is open.
	s, err := h.OpenStream(wirepeer.Streamed, wirepeer.CallHeader("/test.Relay/Count", 60_000_000, "key", "value"))
	must(t, err, s.SendItem(wirepeer.Message, wirepeer.Text("wait")), s.CloseWrite())
	for i := range 2 {
		octet, b, err := s.Item()
		if err == nil && octet == wirepeer.Header { // there may be one
			octet, b, err = s.Item()
		}
		if got := wirepeer.ReadText(b); err != nil || octet != wirepeer.Message || got != strconv.Itoa(i) {
			t.Fatalf("item %#x %q, %v", octet, b, err)
		}
	}
	<-impl.held
	// One that is given up: its method is told.
	given, err := h.OpenStream(wirepeer.Unary, wirepeer.CallHeader("/test.Relay/Hold", 0))
	must(t, err, given.SendItem(wirepeer.Message, nil), given.CloseWrite())
	<-impl.held
	must(t, given.Reset("given up"))

	// A callback: the plugin dials an id of this host, and speaks gRPC there over HTTP/2.
	must(t, h.Accepts(135))
	called := make(chan error, 1)
	go func() {
		got, err := unaryCall(h, "/test.Relay/Via", "135")
		if err == nil && got != "called back" {
			err = fmt.Errorf("the callback's answer is %q", got)
		}
		called <- err
	}()
	back, err := h.AcceptStream(wirepeer.Brokered)
	must(t, err)
	if back.BrokerID() != 135 {
		t.Errorf("the plugin dialled %d", back.BrokerID())
	}
	defer serveHTTP2(back, "called back")()
	must(t, <-called)

	// An id of the plugin's, and a stream that is the session's own HTTP/2.
	id, err := unaryCall(h, "/test.Relay/Open", " itself")
	must(t, err)
	dialled, err := h.Dial(uint64(parseID(id)))
	must(t, err)
	if got, err := callHTTP2(t, dialled, "/test.Relay/Name", ""); err != nil || got != "plugin itself" {
		t.Errorf("a brokered call = %q, %v", got, err)
	}
	session, err := h.OpenStream(wirepeer.HTTP2, nil)
	must(t, err)
	if got, err := callHTTP2(t, session, "/test.Relay/Name", " by HTTP/2"); err != nil || got != "plugin by HTTP/2" {
		t.Errorf("a call by HTTP/2 = %q, %v", got, err)
	}
	must(t, session.Close(), dialled.Close(), h.Probe(), h.Told("alive"))

	p.stop()
	must(t, h.Told("draining"))
	close(impl.gate)
	if octet, b, err := s.Item(); err != nil || octet != wirepeer.Trailer || wirepeer.ReadStatus(b).Code != 0 {
		t.Errorf("the call in flight ends with %#x %q, %v", octet, b, err)
	}
	if err := h.Err(); !errors.Is(err, io.EOF) {
		t.Errorf("the session ends with %v", err)
	}
}

// unaryCall makes a unary gRPC call with a text, of which the answer has one.
func unaryCall(h *wirepeer.Peer, method, text string) (reply string, err error) {
	s, err := h.OpenStream(wirepeer.Unary, wirepeer.CallHeader(method, 0))
	if err != nil {
		return "", err
	}
	if err := errors.Join(s.SendItem(wirepeer.Message, wirepeer.Text(text)), s.CloseWrite()); err != nil {
		return "", err
	}
	header := ""
	for {
		octet, b, err := s.Item()
		switch {
		case err != nil:
			return "", err
		case octet == wirepeer.Message:
			reply = wirepeer.ReadText(b)
		case octet == wirepeer.Header:
			header = ", header " + strings.Join(wirepeer.ReadPairs(b), "=")
		case octet == wirepeer.Trailer:
			if st := wirepeer.ReadStatus(b); st.Code != 0 {
				return "", fmt.Errorf("code %d: %s%s", st.Code, st.Text, header)
			}
			if _, _, err := s.Item(); err != io.EOF {
				return "", fmt.Errorf("after the trailer comes %v", err)
			}
			return reply, nil
		}
	}
}

// TestDocumentSufficesForOutput takes a plugin's output by PROTOCOL.md alone: it has come
// before the answer of the call that wrote it, and is whole when the session has ended.
func TestDocumentSufficesForOutput(t *testing.T) {
	for _, protocol := range []plugin.Protocol{plugin.ProtocolNetRPC, plugin.ProtocolGRPC} {
		t.Run(string(protocol), func(t *testing.T) {
			pod := startPrintPod(t, protocol)
			h := hostByDocument(t, pod.addr, protocol)
			s, err := h.OpenStream(wirepeer.Output, nil)
			must(t, err)
			var got [3]strings.Builder
			read := make(chan error, 1)
			go func() {
				for {
					of, text, err := s.Piece()
					if err != nil {
						read <- err
						return
					}
					got[of].WriteString(text)
				}
			}()
			if protocol == plugin.ProtocolNetRPC {
				must(t, h.Open(2, "print"), h.Call(2, 1, "Plugin.Print", printedLines, &struct{}{}))
			} else {
				call, err := h.OpenStream(wirepeer.Unary, wirepeer.CallHeader("/test.Printer/Print", 0))
				must(t, err, call.SendItem(wirepeer.Message, append([]byte{1 << 3}, 0xf4, 0x03)), call.CloseWrite()) // 500
				for octet := byte(0); octet != wirepeer.Trailer; {
					octet, _, err = call.Item()
					must(t, err)
				}
			}
			must(t, pod.cmd.Process.Signal(syscall.SIGTERM), h.Told("draining"))
			if err := <-read; !errors.Is(err, io.EOF) {
				t.Errorf("the output ends with %v", err)
			}
			for of, name := range map[byte]string{1: "stdout", 2: "stderr"} {
				if want := wantLines(name, printedLines); got[of].String() != want {
					t.Errorf("%d bytes of %s have come, want %d", got[of].Len(), name, len(want))
				}
			}
		})
	}
}
