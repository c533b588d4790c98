// SPDX-License-Identifier: MPL-2.0

package rendezvous

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
)

// deadConn is a connection that knows whether it was closed.
type deadConn struct {
	net.Conn
	closed bool
}

func (c *deadConn) Close() error { c.closed = true; return nil }

func TestAcceptKeepsTheOrder(t *testing.T) {
	lis := NewListeners().Listen(1)
	conns := []*deadConn{{}, {}, {}}
	for _, conn := range conns {
		if !lis.Deliver(conn) {
			t.Fatal("Deliver to an open listener = false")
		}
	}
	for i, want := range conns {
		got, err := lis.Accept()
		if err != nil || got != want {
			t.Errorf("Accept %d = %p, %v, want %p", i, got, err, want)
		}
	}
}

func TestLaterListenerTakesTheID(t *testing.T) {
	l := NewListeners()
	first, second := l.Listen(1), l.Listen(1)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Find(t.Context(), 1); err != nil || got != second {
		t.Errorf("Find(1) = %p, %v, want the later listener %p", got, err, second)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	cases := map[string]struct {
		reason string
		close  func(*Listeners, *Listener)
	}{
		"listener": {
			reason: "a closed listener must not be found again",
			close:  func(_ *Listeners, lis *Listener) { _ = lis.Close() },
		},
		"all": {
			reason: "to close all must close each",
			close:  func(l *Listeners, _ *Listener) { l.Close() },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			l := NewListeners()
			lis := l.Listen(1)
			waiting, late := &deadConn{}, &deadConn{}
			lis.Deliver(waiting)
			tc.close(l, lis)
			if lis.Deliver(late) {
				t.Errorf("%s: Deliver = true after close", tc.reason)
			}
			if !waiting.closed || !late.closed {
				t.Errorf("%s: connections left open: waiting %v, late %v", tc.reason, !waiting.closed, !late.closed)
			}
			if _, err := lis.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: Accept = %v, want net.ErrClosed", tc.reason, err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := l.Find(ctx, 1); err == nil {
				t.Errorf("%s: Find = nil error", tc.reason)
			}
		})
	}
	l := NewListeners()
	l.Close()
	if _, err := l.Listen(2).Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after all were closed = %v, want net.ErrClosed", err)
	}
}

func TestQueueIsBounded(t *testing.T) {
	l := NewListeners()
	lis := l.Listen(1)
	defer lis.Close()
	for i := range maxQueue {
		if !lis.Deliver(&deadConn{}) {
			t.Fatalf("connection %d was not taken", i)
		}
	}
	late := &deadConn{}
	if lis.Deliver(late) || !late.closed {
		t.Errorf("connection %d was taken, or not closed", maxQueue)
	}
	if _, err := l.Find(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "1024") {
		t.Errorf("Find = %v, want an error that tells how many wait", err)
	}
	if _, err := lis.Accept(); err != nil {
		t.Fatal(err)
	}
	if !lis.Deliver(&deadConn{}) {
		t.Error("nothing is taken though one was accepted")
	}
}

// TestForward has somebody accept what is looked for, and hears of nothing else.
func TestForward(t *testing.T) {
	all := NewListeners()
	var wanted []uint32
	all.Forward(func(id uint32) {
		wanted = append(wanted, id)
		all.Listen(id)
	})
	all.Listen(1)
	for _, id := range []uint32{1, 2, 2} {
		if _, err := all.Find(t.Context(), id); err != nil {
			t.Errorf("id %d: %v", id, err)
		}
	}
	if len(wanted) != 1 || wanted[0] != 2 {
		t.Errorf("told of %v, want of 2 alone", wanted)
	}
}
