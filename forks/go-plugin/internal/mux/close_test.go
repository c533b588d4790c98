// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"net"
	"net/rpc"
	"testing"
	"time"
)

// mustUpper fails the test if a call does not succeed.
func mustUpper(t testing.TB, c *rpc.Client) {
	t.Helper()
	var out string
	if err := c.Call("Plugin.Upper", "a", &out); err != nil || out != "A" {
		t.Errorf("got %q, %v", out, err)
	}
}

// A caller that is about to send when the channel is closed must not end the
// session of others.
func TestSendAfterClose(t *testing.T) {
	onEach(t, func(t *testing.T, here, there net.Conn) {
		p := newPair(t, here, there, HostConfig{}, PluginConfig{})
		other := p.client(newThing())
		c := p.serve(newThing())
		_ = c.Close()
		if _, err := c.Send(Request{Method: "Plugin.Upper", Number: 1}, "a"); err == nil {
			t.Error("a closed channel takes a request")
		}
		if err := c.Await(context.Background()); err == nil {
			t.Error("there is room in a closed channel")
		}
		mustUpper(t, other)
	})
}

// A reader whose channel is closed lets go of the read lock that it was given together with
// a message: nobody else could read any more.
func TestCloseWithMessageGiven(t *testing.T) {
	for range 50 { // The reader sees one or the other first.
		here, there := net.Pipe()
		h := NewHost(here, HostConfig{})
		c := h.Channel(1)
		<-h.readLock
		h.message = message{kind: kindFailure, channel: c.id}
		if given, _ := h.handTo(c.id); !given {
			t.Fatal("nobody took the message")
		}
		go func() { _, _ = there.Read(make([]byte, 100)) }()
		_ = c.Close()
		for c.ReadHeader(&rpc.Response{}) == nil {
		}
		if len(h.readLock) != 1 {
			t.Fatal("nobody can read")
		}
		_, _ = h.Close(), there.Close()
	}
}

// patientConn is a TCP connection whose writes have no deadline.
type patientConn struct{ *net.TCPConn }

// WritesTo implements transparent.
func (c patientConn) WritesTo() net.Conn { return c.TCPConn }

// SetDeadline implements net.Conn.
func (c patientConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c patientConn) SetWriteDeadline(time.Time) error { return nil }

// A session with a plugin that takes nothing ends at once, and its streams with it. TLS would
// wait until the plugin takes the word that the connection ends, or for a deadline.
func TestCloseWaitsForNobody(t *testing.T) {
	here, there := tcpPair(t)
	client, _ := tlsOn(t, patientConn{here.(*net.TCPConn)}, there)
	h := NewHost(client, HostConfig{})
	s, err := h.OpenStream(t.Context(), Brokered, nil)
	if err != nil {
		t.Fatal(err)
	}
	waits := func() bool {
		h.out.mu.Lock()
		defer h.out.mu.Unlock()
		return h.out.waiting.size > 0
	}
	for !waits() {
		b := newMessage(kindAccepts, 1)
		b.finish(0)
		b.data = append(b.data, make([]byte, 3000)...) // what they are is nothing to a peer that does not read
		if _, err := h.out.put(b, now); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = h.Close()
		<-s.Done()
	}()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		_ = there.Close()
		t.Fatal("the session does not end")
	}
}
