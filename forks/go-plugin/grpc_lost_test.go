// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/testkit"
)

// lostPair is a pair whose network can fail.
func lostPair(t *testing.T) (*grpcPair, *cutProxy) {
	t.Helper()
	var proxy *cutProxy
	p := newGRPCPair(t, pairOptions{
		wait: time.Second,
		client: func(cfg *plugin.GRPCClientConfig) {
			direct := cfg.Conn.Dial
			// Find the address that a dial would reach.
			conn, err := direct(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			addr := conn.RemoteAddr().(*net.TCPAddr)
			_ = conn.Close()
			proxy = newCutProxy(t, addr)
			cfg.Conn.Dial = func(ctx context.Context) (net.Conn, error) {
				var dialer net.Dialer
				return dialer.DialContext(ctx, "tcp", proxy.lis.Addr().String())
			}
			cfg.Config.GRPCDialOptions = []grpc.DialOption{grpc.WithKeepaliveParams(keepalive.ClientParameters{
				Time: 10 * time.Second, Timeout: 500 * time.Millisecond,
			})}
		},
	})
	return p, proxy
}

func wantLost(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, plugin.ErrConnectionLost) {
		t.Errorf("%s = %v, want ErrConnectionLost", what, err)
	}
	if code := status.Code(err); code != codes.Unavailable && code != codes.Canceled {
		t.Errorf("%s has code %v, want the one that gRPC gave", what, code)
	}
}

func TestGRPCLostConnection(t *testing.T) {
	ends := map[string]struct {
		reason string
		end    func(*grpcPair, *cutProxy)
	}{
		"cut":        {"the network fails", func(_ *grpcPair, proxy *cutProxy) { _ = proxy.lis.Close(); proxy.cut() }},
		"plugin":     {"the plugin dies", func(p *grpcPair, _ *cutProxy) { p.service.Stop() }},
		"host":       {"this side detaches", func(p *grpcPair, _ *cutProxy) { _ = p.client.Close() }},
		"connection": {"this side closes the connection itself", func(p *grpcPair, _ *cutProxy) { _ = p.client.Conn.Close() }},
	}
	for name, tc := range ends {
		t.Run(name, func(t *testing.T) {
			p, proxy := lostPair(t)
			call := make(chan error, 1)
			go func() {
				_, err := p.stub.call(t.Context(), "Hold", "")
				call <- err
			}()
			stream, err := p.stub.count(t.Context(), "hold")
			if err != nil {
				t.Fatal(err)
			}
			<-p.impl.held
			<-p.impl.held
			tc.end(p, proxy)
			wantLost(t, tc.reason+": a call in flight", <-call)
			wantLost(t, tc.reason+": a stream in flight", stream.RecvMsg(new(wrapperspb.StringValue)))
			_, err = p.stub.call(t.Context(), "Name", "")
			wantLost(t, tc.reason+": a call afterwards", err)
			_, err = p.stub.count(t.Context(), "hold")
			wantLost(t, tc.reason+": a stream afterwards", err)
			_, err = p.client.Broker().Dial(1)
			if err == nil {
				t.Errorf("%s: a broker's Dial = nil error", tc.reason)
			}
		})
	}
}

// An Unavailable status of the plugin's own is an answer.
func TestPluginUnavailable(t *testing.T) {
	cases := map[string]struct {
		reason string
		call   func(*testing.T, *grpcPair) error
	}{
		"call": {
			reason: "its trailers hold the content type",
			call: func(t *testing.T, p *grpcPair) error {
				_, err := p.stub.call(t.Context(), "Busy", "")
				return err
			},
		},
		"call after header": {
			reason: "its trailers hold nothing",
			call: func(t *testing.T, p *grpcPair) error {
				_, err := p.stub.call(t.Context(), "Busy", "header")
				return err
			},
		},
		"stream": {
			reason: "its trailers hold nothing",
			call: func(t *testing.T, p *grpcPair) error {
				stream, err := p.stub.count(t.Context(), "busy")
				if err != nil {
					return err
				}
				return stream.RecvMsg(new(wrapperspb.StringValue))
			},
		},
		"stream read late": {
			reason: "the plugin answered before the connection was lost",
			call: func(t *testing.T, p *grpcPair) error {
				stream, err := p.stub.count(t.Context(), "busy")
				if err != nil {
					return err
				}
				testkit.Eventually(t, "the plugin has answered", func() bool { return p.service.InFlight() == 0 })
				p.service.GracefulStop(t.Context())
				return stream.RecvMsg(new(wrapperspb.StringValue))
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := newGRPCPair(t, pairOptions{})
			err := tc.call(t, p)
			if errors.Is(err, plugin.ErrConnectionLost) || status.Code(err) != codes.Unavailable || status.Convert(err).Message() != "the plugin is busy" {
				t.Errorf("%v (%s), want the plugin's own Unavailable", err, tc.reason)
			}
		})
	}
}

func BenchmarkCallWatched(b *testing.B) {
	p := newGRPCPair(b, pairOptions{})
	plain, err := grpc.NewClient("passthrough:///unused",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return p.dial(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	defer plain.Close()
	for name, conn := range map[string]*grpc.ClientConn{"watched": p.client.Conn, "plain": plain} {
		b.Run(name, func(b *testing.B) {
			stub := &relay{conn: conn}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := stub.call(b.Context(), "Name", ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestConnectionLostBeforeItsClient holds that a client of mux whose connection fails while
// the client is made knows that it is lost.
func TestConnectionLostBeforeItsClient(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	conn, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close() // What asks for the output fails.
	client, err := plugin.NewGRPCClient(t, plugin.GRPCClientConfig{
		Config: plugin.ClientConfig{SyncStdout: new(strings.Builder)}, Mux: conn,
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-client.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the client does not know that its connection is lost")
	}
	if err := client.Err(); !errors.Is(err, plugin.ErrConnectionLost) {
		t.Errorf("the client was lost by %v, want ErrConnectionLost", err)
	}
	_ = client.Close()
}
