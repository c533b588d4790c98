// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/hashicorp/go-plugin/internal/wait"
)

// beneathTLS is the connection of the operating system.
func beneathTLS(conn net.Conn) *net.TCPConn {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn().(*OverflowConn).Conn
	}
	return conn.(*net.TCPConn)
}

// TestBothSocketsFull has both sides write more than the sockets hold, in calls and in streams
// that either has opened, beside streams that nobody reads. Neither side waits for the other one
// to read before it does so itself.
func TestBothSocketsFull(t *testing.T) {
	for name, connect := range map[string]func(testing.TB) (here, there net.Conn){"tcp": tcpPair, "tls": tlsPair} {
		t.Run(name, func(t *testing.T) {
			here, there := connect(t)
			for _, conn := range []net.Conn{here, there} {
				_, _ = beneathTLS(conn).SetReadBuffer(32<<10), beneathTLS(conn).SetWriteBuffer(32<<10)
			}
			s := newStreamPair(t, here, there)
			var writers wait.Group
			for _, fromHost := range []bool{true, false} {
				unread, _ := s.open(fromHost)
				stuck := make(chan struct{})
				go func() {
					defer close(stuck)
					_, _ = unread.Write(make([]byte, 2*streamWindow))
				}()
				defer func() { _ = unread.Close(); <-stuck }()
				for range 4 {
					one, other := s.open(fromHost)
					writers.Go(func() { _, _ = io.Copy(other, other) })
					writers.Go(func() { _, _ = one.Write(make([]byte, 512<<10)) })
					writers.Go(func() {
						if n, err := io.CopyN(io.Discard, one, 512<<10); err != nil {
							t.Errorf("%d bytes came back: %v", n, err)
						}
						_ = one.Close()
					})
				}
			}
			for range 2 {
				client := s.client(newThing())
				for _, size := range []int{100, maxShort, 1 << 20} {
					for range 4 {
						writers.Go(func() { outcomeOf(t, client.Go("Plugin.Echo", bytes.Repeat([]byte{1}, size), new([]byte), nil), false) })
					}
				}
			}
			writers.Wait()
		})
	}
}
