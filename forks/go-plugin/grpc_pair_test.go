// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/multiplex"
	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/internal/stdio/grpcstdio"
)

// grpcPair is a plugin and its host over a real socket.
type grpcPair struct {
	impl    *relay
	service *grpcService
	client  *GRPCClient
	stub    *relay
	dial    func(context.Context) (net.Conn, error)
	end     func()
}

// pairOptions change what newGRPCPair makes.
type pairOptions struct {
	tunnel, multiplexed bool // brokered connections; neither: listeners
	mutual              bool // TLS as AutoMTLS makes it
	// wait is what the brokers wait instead of broker.Wait; zero: longer than any
	// machine is busy.
	wait    time.Duration
	service func(*grpcServiceConfig)
	client  func(*grpcClientConfig)
}

func newGRPCPair(t testing.TB, o pairOptions) *grpcPair {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	setDefault(&o.wait, 2*time.Minute)
	p := &grpcPair{impl: newRelay("plugin")}
	serving := grpcServiceConfig{
		plugins:    PluginSet{"relay": p.impl},
		brokerWait: o.wait,
		output:     grpcstdio.NewSender(stdio.NewSource(nil, nil, nil).Subscribe),
		logger:     hclog.NewNullLogger(),
	}
	calling := grpcClientConfig{
		plugins:    PluginSet{"relay": &relay{}},
		brokerWait: o.wait,
		logger:     hclog.NewNullLogger(),
		doneCtx:    t.Context(),
		detach:     noAsking,
		conn: grpcconn.Config{Dial: func(ctx context.Context) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "tcp", lis.Addr().String())
		}},
	}
	if o.mutual {
		serving.tls, calling.tls = mutualTLS(t)
		serving.options = append(serving.options, grpc.Creds(credentials.NewTLS(serving.tls)))
		calling.conn.Creds = credentials.NewTLS(calling.tls)
	}
	served := lis
	if o.tunnel {
		serving.transport, serving.tls = broker.Tunnel(), nil
		calling.transport, calling.tls = broker.Tunnel(), nil
	}
	if o.multiplexed {
		serving.multiplexer = multiplex.NewPlugin(hclog.NewNullLogger(), lis)
		served = serving.multiplexer
		multiplexTest(t, &calling)
	}
	if o.service != nil {
		o.service(&serving)
	}
	if o.client != nil {
		o.client(&calling)
	}
	p.dial = calling.conn.Dial
	p.start(t, serving, calling, served)
	return p
}

func (p *grpcPair) start(t testing.TB, serving grpcServiceConfig, calling grpcClientConfig, lis net.Listener) {
	t.Helper()
	var err error
	if p.service, err = newGRPCService(serving); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := p.service.serve(serving.output.Listener(lis)); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	if p.client, err = newGRPCClient(calling); err != nil {
		t.Fatal(err)
	}
	p.end = sync.OnceFunc(func() {
		_ = p.client.Close()
		p.service.stop()
		running.Wait()
	})
	t.Cleanup(p.end)
	raw, err := p.client.Dispense("relay")
	if err != nil {
		t.Fatal(err)
	}
	p.stub = raw.(*relay)
}

// mutualTLS is what AutoMTLS agrees on.
func mutualTLS(t testing.TB) (plugin, host *tls.Config) {
	t.Helper()
	pluginCert, err := child.NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	hostCert, err := child.NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	if plugin, err = pluginCert.ServerConfig(string(hostCert.PEM)); err != nil {
		t.Fatal(err)
	}
	if host, err = hostCert.ClientConfig(pluginCert.Line()); err != nil {
		t.Fatal(err)
	}
	return plugin, host
}

// noAsking detaches from a plugin, and asks nothing of it.
func noAsking() bool { return false }
