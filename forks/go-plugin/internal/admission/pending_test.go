// SPDX-License-Identifier: MPL-2.0

package admission_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/hashicorp/go-plugin/internal/admission"
	"github.com/hashicorp/go-plugin/internal/hello"
)

// maxPending connections may be on their way through the handshake.
const maxPending = 1024

// flood opens connections to a handshaker that say nothing.
type flood struct {
	*testing.T
	handshaker *admission.Handshaker
	ends       []chan error // of each, in the order in which they came
}

func newFlood(t *testing.T, h *admission.Handshaker) *flood { return &flood{T: t, handshaker: h} }

// opens has n connections come, one after the other.
func (f *flood) opens(n int) {
	for range n {
		here, there := net.Pipe()
		f.Cleanup(func() { _ = there.Close() })
		end, begun := make(chan error, 1), make(chan struct{})
		f.ends = append(f.ends, end)
		go func() {
			_, err := f.handshaker.Handshake(f.Context(), readConn{here, begun})
			_ = here.Close()
			end <- err
		}()
		<-begun
	}
}

// pushesOut holds that a connection was closed for another.
func (f *flood) pushesOut(i int) {
	f.Helper()
	if err := <-f.ends[i]; !errors.Is(err, io.ErrClosedPipe) {
		f.Errorf("number %d of the flood ended with %v", i, err)
	}
}

// readConn tells when it is read for the first time: its plugin waits for the peer.
type readConn struct {
	net.Conn
	begun chan struct{}
}

func (c readConn) Read(p []byte) (int, error) {
	close(c.begun)
	return c.Conn.Read(p)
}

// A flood of connections that say nothing pushes out the oldest of itself, and no peer
// that was counted as a host.
func TestFloodPushesOutTheOldest(t *testing.T) {
	h := admission.NewHandshaker(plugin())
	candidate, err := meets(t, h, func(conn net.Conn) { _ = hello.WriteRequest(conn, host()) })
	if err != nil {
		t.Fatal(err)
	}
	candidate.Keep()
	f := newFlood(t, h)
	f.opens(maxPending + 1)
	f.pushesOut(0)
	if err := candidate.Answer(func() []hello.Kind { return nil }); err != nil {
		t.Errorf("the host was pushed out: %v", err)
	}
}

// unreadConn is a socket whose reader does not get the processor until there is some.
type unreadConn struct {
	*net.TCPConn
	begun     chan<- struct{}
	processor <-chan struct{}
}

func (c unreadConn) Read(p []byte) (int, error) {
	c.begun <- struct{}{}
	<-c.processor
	return c.TCPConn.Read(p)
}

// A host that waits for the plugin, which is slow under a flood, is not pushed out, although
// it is the oldest.
func TestFloodSparesWhoWaitsForThePlugin(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		unread bool
	}{
		"Works":  {"What it has sent is worked on.", false},
		"Unread": {"What it has sent was not even read.", true},
	} {
		t.Run(name, func(t *testing.T) {
			begun, processor := make(chan struct{}, 4), make(chan struct{})
			cfg := plugin()
			served := cfg.Served
			cfg.Choose = func(context.Context, admission.Asked) (admission.Served, error) {
				if !c.unread {
					begun <- struct{}{}
					<-processor
				}
				return served, nil
			}
			h := admission.NewHandshaker(cfg)
			here, there := tcpPair(t)
			if err := hello.WriteRequest(there, host()); err != nil {
				t.Fatal(err)
			}
			conn := here
			if c.unread {
				conn = unreadConn{here.(*net.TCPConn), begun, processor}
			}
			ended := make(chan error, 1)
			go func() {
				candidate, err := h.Handshake(t.Context(), conn)
				if err == nil {
					err = candidate.Answer(func() []hello.Kind { return nil })
				}
				ended <- err
			}()
			<-begun
			f := newFlood(t, h)
			f.opens(maxPending)
			f.pushesOut(0)
			close(processor)
			if err := <-ended; err != nil {
				t.Errorf("%s\nthe host was pushed out: %v", c.reason, err)
			}
		})
	}
}

// If the plugin is behind with all of the older connections, the oldest goes all the same.
func TestFloodWhileAllWaitForThePlugin(t *testing.T) {
	const old = maxPending / 8
	begun, processor := make(chan struct{}), make(chan struct{})
	cfg := plugin()
	served := cfg.Served
	cfg.Choose = func(context.Context, admission.Asked) (admission.Served, error) {
		begun <- struct{}{}
		<-processor
		return served, nil
	}
	h := admission.NewHandshaker(cfg)
	ends := make([]chan error, old)
	for i := range ends {
		ends[i] = make(chan error, 1)
		here, there := tcpPair(t)
		if err := hello.WriteRequest(there, host()); err != nil {
			t.Fatal(err)
		}
		go func() {
			candidate, err := h.Handshake(t.Context(), here)
			if err == nil {
				err = candidate.Answer(func() []hello.Kind { return nil })
			}
			ends[i] <- err
		}()
		<-begun
	}
	newFlood(t, h).opens(maxPending - old + 1)
	close(processor)
	for i, end := range ends {
		if err := <-end; (err != nil) != (i == 0) {
			t.Errorf("number %d ended with %v", i, err)
		}
	}
}
