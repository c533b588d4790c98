// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/grpcserve"
	"github.com/hashicorp/go-plugin/internal/multiplex"
	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/internal/stdio/grpcstdio"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// grpcPair is a plugin and its host over a real socket.
type grpcPair struct {
	impl    *relay
	service *grpcserve.Service
	client  *plugin.GRPCClient
	stub    *relay
	dial    func(context.Context) (net.Conn, error)
	told    <-chan struct{} // with mux, closed when the host is told that the plugin leaves
	end     func()
}

// grpcServing is how the plugin of a pair is served.
type grpcServing struct {
	grpcserve.Config
	grpcserve.Host
}

// pairOptions change what newGRPCPair makes.
type pairOptions struct {
	mux, multiplexed bool // what is spoken; neither: HTTP/2, with listeners
	mutual           bool // TLS as AutoMTLS makes it
	// wait is what the brokers wait instead of rendezvous.Wait; zero: longer than any
	// machine is busy.
	wait    time.Duration
	service func(*grpcServing)
	client  func(*plugin.GRPCClientConfig)
}

func newGRPCPair(t testing.TB, o pairOptions) *grpcPair {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if o.wait == 0 {
		o.wait = 2 * time.Minute
	}
	p := &grpcPair{impl: newRelay("plugin")}
	brokered := broker.Config{Wait: o.wait}
	serving := grpcServing{
		grpcserve.Config{Plugins: plugin.GRPCPlugins(plugin.PluginSet{"relay": p.impl}), Logger: hclog.NewNullLogger()},
		grpcserve.Host{Logger: hclog.NewNullLogger(), Broker: brokered, Output: grpcstdio.NewSender(stdio.NewSource(nil, nil, nil).Subscribe)},
	}
	calling := plugin.GRPCClientConfig{
		Plugins: plugin.PluginSet{"relay": &relay{}},
		Broker:  brokered,
		Detach:  noAsking,
		Conn: grpcconn.Config{Dial: func(ctx context.Context) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "tcp", lis.Addr().String())
		}},
	}
	if o.mutual {
		serving.Broker.TLS, calling.Broker.TLS = mutualTLS(t)
		serving.Options = []grpc.ServerOption{grpc.Creds(credentials.NewTLS(serving.Broker.TLS))}
		calling.Conn.Creds = credentials.NewTLS(calling.Broker.TLS)
	}
	served := lis
	if o.mux {
		serving.Output, serving.Options = nil, []grpc.ServerOption{grpc.Creds(grpcconn.EstablishedTLS{})}
		serving.Mux = &grpcserve.Mux{
			Subscribe: func() mux.Output { return stdio.NewSource(nil, nil, nil).Subscribe() },
			Output:    new(stdio.Barrier), Watchdog: new(mux.Watchdog), Silence: time.Minute,
		}
	}
	if o.multiplexed {
		multiplexer := multiplex.NewPlugin(hclog.NewNullLogger(), lis)
		t.Cleanup(func() { _ = multiplexer.Shutdown() })
		serving.Broker.Transport, served = broker.Multiplexed(multiplexer.Session), multiplexer
		calling.Multiplexed = true
	}
	if o.service != nil {
		o.service(&serving)
	}
	if o.client != nil {
		o.client(&calling)
	}
	p.dial = calling.Conn.Dial
	p.start(t, serving, calling, served)
	return p
}

func (p *grpcPair) start(t testing.TB, serving grpcServing, calling plugin.GRPCClientConfig, lis net.Listener) {
	t.Helper()
	var err error
	if p.service, err = grpcserve.New(serving.Config, &serving.Host); err != nil {
		t.Fatal(err)
	}
	var running wait.Group
	if serving.Mux == nil {
		running.Go(func() {
			if err := p.service.Serve(serving.Output.Listener(lis)); err != nil {
				t.Errorf("serve: %v", err)
			}
		})
	} else {
		told, draining := context.WithCancel(context.Background())
		calling.Draining, p.told = draining, told.Done()
		here, there := connectedBy(t, p.dial, lis, serving.Broker.TLS, calling.Broker.TLS)
		calling.Mux = here
		session := p.service.Join(serving.Host, there)
		running.Go(func() { session.Serve(func(error) { _ = there.Close() }) })
	}
	if p.client, err = plugin.NewGRPCClient(t, calling); err != nil {
		t.Fatal(err)
	}
	p.end = sync.OnceFunc(func() {
		_ = p.client.Close()
		p.service.Stop()
		running.Wait()
	})
	t.Cleanup(p.end)
	raw, err := p.client.Dispense("relay")
	if err != nil {
		t.Fatal(err)
	}
	p.stub = raw.(*relay)
}

// connectedBy returns the two ends of a connection, within TLS where that is asked for.
func connectedBy(t testing.TB, dial func(context.Context) (net.Conn, error), lis net.Listener, server, client *tls.Config) (here, there net.Conn) {
	t.Helper()
	here, err := dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if there, err = lis.Accept(); err != nil {
		t.Fatal(err)
	}
	_ = lis.Close()
	if server == nil {
		return here, there
	}
	secureHere, secureThere := tls.Client(here, client), tls.Server(there, server)
	shaken := make(chan error, 1)
	go func() { shaken <- secureThere.HandshakeContext(t.Context()) }()
	if err := errors.Join(secureHere.HandshakeContext(t.Context()), <-shaken); err != nil {
		t.Fatal(err)
	}
	return secureHere, secureThere
}

// watchDrain blocks until the host is told that the plugin is about to leave.
func (p *grpcPair) watchDrain(ctx context.Context) error {
	if p.told == nil {
		return p.client.WatchDrain(ctx)
	}
	select {
	case <-p.told:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
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
