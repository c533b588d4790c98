// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/stdio/grpcstdio"
)

// TestServedConnectionEndsOnce stops the service at every moment at which it may
// take a connection, which must be closed all the same, and say so once.
func TestServedConnectionEndsOnce(t *testing.T) {
	cases := map[string]func(s *grpcService, serve func()){
		"StoppedBefore":  func(s *grpcService, serve func()) { s.stop(); serve() },
		"DrainedBefore":  func(s *grpcService, serve func()) { s.gracefulStop(t.Context()); serve() },
		"StoppedAtOnce":  func(s *grpcService, serve func()) { go s.stop(); serve() },
		"StoppedAfter":   func(s *grpcService, serve func()) { serve(); s.stop() },
		"StoppedTwice":   func(s *grpcService, serve func()) { serve(); go s.stop(); s.stop() },
		"DrainedAtOnce":  func(s *grpcService, serve func()) { go s.gracefulStop(t.Context()); serve() },
		"PeerIsNoClient": func(_ *grpcService, serve func()) { serve() },
	}
	for name, end := range cases {
		t.Run(name, func(t *testing.T) {
			service, err := newGRPCService(grpcServiceConfig{
				plugins: PluginSet{"relay": newRelay("")}, transport: broker.Tunnel(), logger: hclog.NewNullLogger(),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer service.stop()
			here, there := net.Pipe()
			defer there.Close()
			go func() {
				_, _ = there.Write([]byte("GET / HTTP/1.1\r\n\r\nno client preface"))
			}()
			closed := make(chan error, 1)
			go func() {
				_, err := io.Copy(io.Discard, there)
				closed <- err
			}()
			var times atomic.Int64
			ended := make(chan struct{}, 2)
			end(service, func() {
				service.serveSession(&servedConn{Conn: new(grpcstdio.Sender).Conn(here)}, func() {
					times.Add(1)
					service.stop()
					ended <- struct{}{}
				})
			})
			for what, c := range map[string]func() bool{
				"ended":  func() bool { return within(ended) },
				"closed": func() bool { return within(closed) },
			} {
				if !c() {
					t.Errorf("the connection is not %s", what)
				}
			}
			if n := times.Load(); n != 1 {
				t.Errorf("ended %d times", n)
			}
		})
	}
}

func within[T any](c <-chan T) bool {
	select {
	case <-c:
		return true
	case <-time.After(10 * time.Second):
		return false
	}
}
