// SPDX-License-Identifier: MPL-2.0

package grpcserve_test

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin/internal/grpcserve"
)

// TestServedConnectionEndsOnce stops the service at each point at which it may
// take a connection, which must be closed all the same, and say so once.
func TestServedConnectionEndsOnce(t *testing.T) {
	cases := map[string]func(s *grpcserve.Service, serve func()){
		"StoppedBefore":  func(s *grpcserve.Service, serve func()) { s.Stop(); serve() },
		"DrainedBefore":  func(s *grpcserve.Service, serve func()) { s.GracefulStop(t.Context()); serve() },
		"StoppedAtOnce":  func(s *grpcserve.Service, serve func()) { go s.Stop(); serve() },
		"StoppedAfter":   func(s *grpcserve.Service, serve func()) { serve(); s.Stop() },
		"StoppedTwice":   func(s *grpcserve.Service, serve func()) { serve(); go s.Stop(); s.Stop() },
		"DrainedAtOnce":  func(s *grpcserve.Service, serve func()) { go s.GracefulStop(t.Context()); serve() },
		"PeerIsNoClient": func(_ *grpcserve.Service, serve func()) { serve() },
	}
	for name, end := range cases {
		t.Run(name, func(t *testing.T) {
			h := host()
			service, err := grpcserve.New(config(counter()), &h)
			if err != nil {
				t.Fatal(err)
			}
			defer service.Stop()
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
				service.Join(h, here).Serve(func(error) {
					times.Add(1)
					service.Stop()
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
