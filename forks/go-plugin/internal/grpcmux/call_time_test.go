// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package grpcmux_test

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
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
