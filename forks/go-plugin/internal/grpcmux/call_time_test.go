// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package grpcmux_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A method that does not receive what is sent is not sent more than fits: the sender has
// come to a stop when nothing in the bubble can go on.
func TestStreamIsHeldBack(t *testing.T) {
	bothWays(t, func(t *testing.T, w way) {
		synctest.Test(t, func(t *testing.T) { testStreamIsHeldBack(t, w) })
	})
}

func testStreamIsHeldBack(t *testing.T, w way) {
	gate := make(chan struct{})
	here, there := net.Pipe()
	s := newSessionOn(t, w, &service{stream: func(stream grpc.ServerStream) error {
		<-gate
		n := 0
		for stream.RecvMsg(new(Text)) == nil {
			n++
		}
		return stream.SendMsg(text(fmt.Sprint(n)))
	}}, here, there)
	stream, err := s.NewStream(t.Context(), bidirectional, streamMethod)
	if err != nil {
		t.Fatal(err)
	}
	const n = 500 // of 16 KiB each: 8 MiB
	var sent atomic.Int64
	go func() {
		for range n {
			if stream.SendMsg(text(strings.Repeat("x", 16<<10))) != nil {
				return
			}
			sent.Add(1)
		}
		_ = stream.CloseSend()
	}()
	time.Sleep(time.Minute) // a method that takes long is not waited for by the reader
	synctest.Wait()
	if taken := sent.Load(); taken > n/2 {
		t.Errorf("%d of %d messages were taken that nobody receives", taken, n)
	}
	close(gate)
	out := new(Text)
	if err := stream.RecvMsg(out); err != nil || out.Value != fmt.Sprint(n) {
		t.Errorf("%q, %v", out.Value, err)
	}
	s.checkWay(t, w)
}

// toldDeadline is a context whose deadline the plugin is told, and which does not end then.
type toldDeadline struct {
	context.Context
	at time.Time
}

// Deadline implements context.Context.
func (d toldDeadline) Deadline() (time.Time, bool) { return d.at, true }

// A handler goes on when the deadline of its call has passed, whose caller waits. The
// grpc.Server, which makes the first call of each method, ends the call all the same. One that
// is made without it ends with its handler.
func TestWhoEndsACallAtItsDeadline(t *testing.T) {
	bothWays(t, func(t *testing.T, w way) {
		synctest.Test(t, func(t *testing.T) { testWhoEndsACallAtItsDeadline(t, w) })
	})
}

func testWhoEndsACallAtItsDeadline(t *testing.T, w way) {
	here, there := net.Pipe()
	gate := make(chan struct{})
	s := newSessionOn(t, w, &service{unary: func(_ context.Context, in *Text) (*Text, error) { <-gate; return in, nil }}, here, there)
	ended := make(chan error, 1)
	go func() {
		ended <- s.Invoke(toldDeadline{t.Context(), time.Now().Add(time.Second)}, unaryMethod, text("x"), new(Text))
	}()
	time.Sleep(time.Minute)
	synctest.Wait()
	if over := len(ended) > 0; over != (w == byServer) {
		t.Errorf("it has ended before its handler: %v", over)
	}
	close(gate)
	if err := <-ended; (status.Code(err) == codes.DeadlineExceeded) != (w == byServer) {
		t.Errorf("it ends with %v", err)
	}
	s.checkWay(t, w)
}
