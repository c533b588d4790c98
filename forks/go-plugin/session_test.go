// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-plugin/internal/dial"
	"github.com/hashicorp/go-plugin/internal/peererr"
)

// The protocol client of a remote session is closed by this side, whatever its
// protocol: nothing was lost.
func TestClosedProtocolClientIsDetached(t *testing.T) {
	for _, protocol := range []Protocol{ProtocolNetRPC, ProtocolGRPC} {
		t.Run(string(protocol), func(t *testing.T) {
			p := serveEcho(t, func(o *ServeConfig) {
				if protocol == ProtocolGRPC {
					o.Plugins, o.GRPCServer = PluginSet{"relay": newRelay("")}, DefaultGRPCServer
				}
			})
			cfg := p.clientConfig()
			cfg.AllowedProtocols = []Protocol{protocol}
			client := NewClient(cfg)
			defer client.Kill()
			speaks, err := client.Client()
			if err != nil {
				t.Fatal(err)
			}
			session, err := client.Session()
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(speaks.Close(), speaks.Close()); err != nil {
				t.Errorf("Close twice = %v", err)
			}
			<-session.Done()
			if err := session.Err(); !errors.Is(err, ErrDetached) || errors.Is(err, ErrConnectionLost) {
				t.Errorf("session ended with %v, want ErrDetached", err)
			}
		})
	}
}

// A caller that reads until io.EOF must not take a lost connection for the end.
func TestLossIsNoEndOfFile(t *testing.T) {
	here, there := net.Pipe()
	client := NewChannelClient(NewRPCChannel(here))
	defer client.Close()
	go func() {
		_, _ = there.Read(make([]byte, 1))
		_ = there.Close()
	}()
	err := client.Call("Plugin.Any", struct{}{}, &struct{}{})
	if errors.Is(err, io.EOF) || !errors.Is(err, ErrConnectionLost) {
		t.Errorf("call cut off ended with %v, want ErrConnectionLost and no io.EOF", err)
	}
	if err := peererr.Lost(io.EOF); !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		t.Errorf("peererr.Lost(io.EOF) = %v, want an unexpected end", err)
	}
}

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
		go s.keepAlive()

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
