// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package plugin_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin"
)

// oneWay is how long everything takes from one end of a farPair to the other.
const oneWay = 100 * time.Millisecond

// farPair is a connection over which nothing takes less than oneWay, and
// everything that is on its way at once takes no longer.
func farPair() (here, there net.Conn) {
	here, left := net.Pipe()
	right, there := net.Pipe()
	go carry(right, left)
	go carry(left, right)
	return here, there
}

// carry takes what arrives to another place, late, until either end is closed.
func carry(to, from net.Conn) {
	type parcel struct {
		content []byte
		due     time.Time
	}
	parcels := make(chan parcel, 1000)
	go func() {
		defer close(parcels)
		for {
			buffer := make([]byte, 64<<10)
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			parcels <- parcel{buffer[:n], time.Now().Add(oneWay)}
		}
	}()
	for p := range parcels {
		<-time.After(time.Until(p.due)) // of the bubble
		if _, err := to.Write(p.content); err != nil {
			break
		}
	}
	_ = to.Close()
	_ = from.Close()
	for range parcels { // lets who reads end
	}
}

// singleListener accepts one connection.
type singleListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *singleListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *singleListener) Close() error   { close(l.closed); return nil }
func (l *singleListener) Addr() net.Addr { return &net.TCPAddr{} }

// TestAttachRoundTrips holds how often a host waits for the network before the
// first call is answered, which is what an attachment costs between machines: for
// the handshake, and for the call. With net/rpc Dispense does not wait, as the
// plugin has said which kinds it has; gRPC's settings follow the handshake.
func TestAttachRoundTrips(t *testing.T) {
	for name, tc := range map[string]struct {
		protocol plugin.Protocol
		plugin   plugin.Plugin
		server   func([]grpc.ServerOption) *grpc.Server
		call     func(t *testing.T, stub any) (string, error)
	}{
		"NetRPC": {
			plugin.ProtocolNetRPC, &echoPlugin{impl: newEchoImpl()}, nil,
			func(_ *testing.T, stub any) (string, error) { return stub.(echoer).Echo("x") },
		},
		"GRPC": {
			plugin.ProtocolGRPC, newRelay("x"), plugin.DefaultGRPCServer,
			func(t *testing.T, stub any) (string, error) { return stub.(*relay).call(t.Context(), "Name", "") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := farPair()
				lis := &singleListener{make(chan net.Conn, 1), make(chan struct{})}
				lis.conns <- there
				set := plugin.PluginSet{"kind": tc.plugin}
				opts := &plugin.ServeConfig{HandshakeConfig: testHandshake, Plugins: set, GRPCServer: tc.server, Logger: hclog.NewNullLogger()}
				cfg := &plugin.ClientConfig{HandshakeConfig: testHandshake, Plugins: set, AllowedProtocols: []plugin.Protocol{tc.protocol}, Logger: hclog.NewNullLogger()}
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- plugin.ServeListener(ctx, lis, opts) }()

				began := time.Now()
				session, err := plugin.AttachConn(t.Context(), here, cfg)
				if err != nil {
					t.Fatal(err)
				}
				stub, err := session.Dispense("kind")
				if err != nil {
					t.Fatal(err)
				}
				call := func(what string, trips time.Duration) {
					t.Helper()
					if got, err := tc.call(t, stub); err != nil || got != "x" {
						t.Errorf("%q, %v", got, err)
					}
					if took := time.Since(began); took != trips*2*oneWay {
						t.Errorf("%s: answered after %v, want %d round trips of %v", what, took, trips, 2*oneWay)
					}
				}
				call("the first call", 2)
				began = time.Now()
				call("another", 1)

				_ = session.Close()
				stop()
				if err := <-done; err != nil {
					t.Errorf("ServeListener: %v", err)
				}
			})
		})
	}
}
