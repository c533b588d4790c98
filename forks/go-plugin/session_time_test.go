// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package plugin

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-plugin/internal/dial"
)

// mutePlugin is a protocol client whose plugin has vanished.
type mutePlugin struct{ sessionClient }

func (mutePlugin) PingContext(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// A peer that vanishes is noticed after KeepaliveInterval and PingTimeout, also
// when its last word came just after an interval had begun.
func TestKeepaliveBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		defer there.Close()
		s := &Session{keepalive: 2 * time.Second, pingTimeout: 500 * time.Millisecond, client: mutePlugin{}}
		s.ctx, s.end = context.WithCancelCause(t.Context())
		s.conn = dial.NewConn(here, s.lose)
		defer s.keepAlive()()

		<-time.After(100 * time.Millisecond) // of the bubble: an interval has begun
		go func() { _, _ = there.Write([]byte("x")) }()
		if _, err := s.conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		lastWord := time.Now()
		<-s.Done()
		if took, want := time.Since(lastWord), 2500*time.Millisecond; took != want {
			t.Errorf("noticed after %v, want %v", took, want)
		}
	})
}
