// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
)

// A child's broker survives its host: the next one finds it working.
func TestBrokerNextHost(t *testing.T) {
	p := newGRPCPair(t, pairOptions{brokers: brokerListeners})
	if _, err := p.stub.callback(t.Context(), "Via", "first"); err != nil {
		t.Fatal(err)
	}
	if err := p.client.Close(); err != nil {
		t.Fatal(err)
	}
	next, err := newGRPCClient(grpcClientConfig{
		conn:    grpcconn.Config{Dial: p.dial},
		plugins: PluginSet{"relay": &relay{}},
		logger:  hclog.NewNullLogger(),
		doneCtx: t.Context(),
		detach:  noAsking,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	raw, err := next.Dispense("relay")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := raw.(*relay).callback(t.Context(), "Via", "second"); got != "second" || err != nil {
		t.Errorf("callback of the next host reached %q, %v", got, err)
	}
	if got, err := raw.(*relay).opened(t.Context(), "!"); got != "plugin!" || err != nil {
		t.Errorf("call of the next host reached %q, %v", got, err)
	}
}

// Plugins in other languages need not have a broker, nor stdio.
func TestPluginWithoutOwnServices(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	server.RegisterService(relayDesc(), newRelay("bare"))
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(lis) })
	defer serving.Wait()
	defer server.Stop()
	client, err := newGRPCClient(grpcClientConfig{
		conn: grpcconn.Config{Dial: func(ctx context.Context) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "tcp", lis.Addr().String())
		}},
		logger:  hclog.NewNullLogger(),
		doneCtx: t.Context(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if got, err := (&relay{conn: client.Conn}).call(t.Context(), "Name", ""); got != "bare" || err != nil {
		t.Errorf("call = %q, %v", got, err)
	}
	client.broker.Run() // returns when the broker has learnt that it is alone
	start := time.Now()
	_, err = client.broker.Dial(3)
	if status.Code(errors.Unwrap(err)) != codes.Unimplemented || !strings.Contains(err.Error(), "the plugin's broker has gone") {
		t.Errorf("Dial = %v, want that there is no broker", err)
	}
	if waited := time.Since(start); waited > time.Second {
		t.Errorf("Dial waited %v for a broker that does not exist", waited)
	}
	if err := client.watchDrain(t.Context()); status.Code(err) != codes.Unimplemented {
		t.Errorf("watchDrain = %v, want Unimplemented", err)
	}
}

// An announcement must wait for the host, and go to the one that is there.
func TestLinkWaitsForAHost(t *testing.T) {
	var link brokerLink
	msg := &pluginpb.ConnInfo{ServiceId: 1}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errEcho)
	if err := link.send(ctx, msg); !errors.Is(err, errEcho) {
		t.Errorf("send without a host = %v, want the cause of its context", err)
	}
	sent := make(chan error, 1)
	go func() { sent <- link.send(t.Context(), msg) }()
	first, second := &recordedLink{}, &recordedLink{}
	detachFirst := link.attach(first)
	if err := <-sent; err != nil || len(first.msgs) != 1 {
		t.Errorf("send = %v, the host got %d messages, want 1", err, len(first.msgs))
	}
	detachSecond := link.attach(second)
	detachFirst() // must not detach the second
	if err := link.send(t.Context(), msg); err != nil || len(second.msgs) != 1 {
		t.Errorf("send = %v, the newer host got %d messages, want 1", err, len(second.msgs))
	}
	detachSecond()
	if err := link.send(ctx, msg); err == nil {
		t.Error("send after the last host has left = nil error")
	}
}

// Messages that do not belong to the way of brokering must not disturb it.
func TestBrokerIgnoresForeignMessages(t *testing.T) {
	announcement := &pluginpb.ConnInfo{ServiceId: 1000, Network: "tcp", Address: "127.0.0.1:1"}
	knock := knockMessage(1000, &pluginpb.ConnInfo_Knock{})
	ack := knockMessage(1000, &pluginpb.ConnInfo_Knock{Ack: true, Error: "nobody asked"})
	for name, options := range brokerCases {
		t.Run(name, func(t *testing.T) {
			p := newGRPCPair(t, options)
			for _, msg := range []*pluginpb.ConnInfo{announcement, knock, ack, {}} {
				for _, b := range []*GRPCBroker{p.client.broker, p.service.broker} {
					if err := b.core.link.send(t.Context(), msg); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got, err := p.stub.callback(t.Context(), "Via", "the host"); got != "the host" || err != nil {
				t.Errorf("callback reached %q, %v", got, err)
			}
		})
	}
}
