// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/testkit"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// factoryPlugin is a gRPC plugin whose factory and registration can be strange.
type factoryPlugin struct {
	*relay
	made, registered atomic.Int32

	factory  func(n int32, opts []grpc.ServerOption) *grpc.Server // n counts from 1; nil: DefaultGRPCServer
	register func(n int32) error                                  // before the relay registers; nil: nothing

	// handshake is NetworkConfig.HandshakeTimeout: brief where a test waits until the
	// plugin has had its time, and otherwise more than a busy machine takes.
	handshake time.Duration
}

const brief = 4 * time.Second

func (p *factoryPlugin) newServer(opts []grpc.ServerOption) *grpc.Server {
	n := p.made.Add(1)
	if p.factory == nil {
		return plugin.DefaultGRPCServer(opts)
	}
	return p.factory(n, opts)
}

func (p *factoryPlugin) GRPCServer(b *plugin.GRPCBroker, s *grpc.Server) error {
	n := p.registered.Add(1)
	if p.register != nil {
		if err := p.register(n); err != nil {
			return err
		}
	}
	return p.relay.GRPCServer(b, s)
}

func (p *factoryPlugin) serve(t *testing.T) *servedPlugin {
	p.relay = newRelay("plugin")
	return serveEcho(t, func(o *plugin.ServeConfig) {
		o.Plugins, o.GRPCServer = plugin.PluginSet{"relay": p}, p.newServer
		o.Network.HandshakeTimeout = cmp.Or(p.handshake, time.Minute)
	})
}

// attachRelay attaches a host of a relay.
func attachRelay(t *testing.T, p *servedPlugin) (*plugin.Session, *relay) {
	t.Helper()
	cfg := p.clientConfig()
	cfg.Plugins, cfg.AllowedProtocols = plugin.PluginSet{"relay": &relay{}}, []plugin.Protocol{plugin.ProtocolGRPC}
	cfg.DialTimeout = time.Minute
	session, err := plugin.Attach(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	raw, err := session.Dispense("relay")
	if err != nil {
		t.Fatal(err)
	}
	return session, raw.(*relay)
}

// probeHealth is what Kubernetes does.
func probeHealth(t *testing.T, p *servedPlugin) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	answer, err := grpc_health_v1.NewHealthClient(dialPlain(t, p.addr.String())).
		Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
	if err != nil || answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("probe: %v, %v", answer.GetStatus(), err)
	}
}

func dialerOf(addr string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "tcp", addr)
	}
}

// once gives its first caller a nil error.
func once(n int32) error {
	if n > 1 {
		return errors.New("no more")
	}
	return nil
}

// strangePlugins can be served only once. Each of them is fit to be a child.
func strangePlugins(t *testing.T) map[string]*factoryPlugin {
	var one *grpc.Server
	forever := make(chan struct{})
	t.Cleanup(func() { close(forever) })
	return map[string]*factoryPlugin{
		"factory panics": {factory: func(n int32, opts []grpc.ServerOption) *grpc.Server {
			if n > 1 {
				panic("duplicate metrics collector registration attempted")
			}
			return grpc.NewServer(opts...)
		}},
		"factory has one server": {factory: func(n int32, opts []grpc.ServerOption) *grpc.Server {
			if n == 1 {
				one = grpc.NewServer(opts...)
			}
			return one
		}},
		"factory returns nil": {factory: func(n int32, opts []grpc.ServerOption) *grpc.Server {
			if n > 1 {
				return nil
			}
			return grpc.NewServer(opts...)
		}},
		"factory blocks": {handshake: brief, factory: func(n int32, opts []grpc.ServerOption) *grpc.Server {
			if n > 1 {
				<-forever
			}
			return grpc.NewServer(opts...)
		}},
		"registration fails": {register: once},
		"registration panics": {register: func(n int32) error {
			if n > 1 {
				panic("only once")
			}
			return nil
		}},
		"registration blocks": {handshake: brief, register: func(n int32) error {
			if n > 1 {
				<-forever
			}
			return nil
		}},
	}
}

// A plugin that can be served only once serves any number of hosts and probes.
func TestPluginThatIsServedOnce(t *testing.T) {
	for name, plugin := range strangePlugins(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := plugin.serve(t)
			if plugin.made.Load()+plugin.registered.Load() != 0 {
				t.Error("the plugin's code ran before a host came")
			}
			for i := range 3 {
				session, stub := attachRelay(t, p)
				if got, err := stub.callback(t.Context(), "Via", fmt.Sprint("host ", i)); got != fmt.Sprint("host ", i) || err != nil {
					t.Errorf("callback = %q, %v", got, err)
				}
				if got, err := stub.opened(t.Context(), "!"); got != "plugin!" || err != nil {
					t.Errorf("what the plugin accepts: %q, %v", got, err)
				}
				if len(session.Info().Kinds) != 1 || len(session.Info().Kinds[0].Methods) != 8 {
					t.Errorf("described as %v", session.Info().Kinds)
				}
				_ = session.Close()
				probeHealth(t, p)
			}
			var all wait.Group
			for range 20 {
				_, stub := attachRelay(t, p)
				all.Go(func() {
					if got, err := stub.call(t.Context(), "Name", "?"); got != "plugin?" || err != nil {
						t.Errorf("call = %q, %v", got, err)
					}
				})
			}
			all.Wait()
		})
	}
}

// First sessions that come at once must not find a plugin half registered.
func TestFirstSessionsAtOnce(t *testing.T) {
	peer := strangePlugins(t)["factory panics"]
	p := peer.serve(t)
	var all wait.Group
	for range 20 {
		all.Go(func() {
			cfg := p.clientConfig()
			cfg.Plugins, cfg.AllowedProtocols = plugin.PluginSet{"relay": &relay{}}, []plugin.Protocol{plugin.ProtocolGRPC}
			cfg.DialTimeout = time.Minute
			session, err := plugin.Attach(t.Context(), cfg)
			if err != nil {
				t.Errorf("attach: %v", err)
				return
			}
			defer session.Close()
			if err := session.Ping(); err != nil {
				t.Errorf("ping: %v", err)
			}
		})
	}
	all.Wait()
}

// Where hosts share a server, a callback reaches the host whose call makes it, or
// nobody.
func TestSharedServerCallbacks(t *testing.T) {
	plugin := &factoryPlugin{register: once}
	p := plugin.serve(t)
	sessionA, a := attachRelay(t, p)
	_, b := attachRelay(t, p)
	for i := range 3 {
		for name, stub := range map[string]*relay{"a": a, "b": b} {
			if got, err := stub.callback(t.Context(), "Via", name); got != name || err != nil {
				t.Errorf("round %d: callback of %s reached %q, %v", i, name, got, err)
			}
		}
	}
	held := make(chan error, 1)
	go func() {
		_, err := a.call(t.Context(), "Hold", "")
		held <- err
	}()
	<-plugin.held
	if got, err := b.callback(t.Context(), "Via", "b"); err == nil || !strings.Contains(err.Error(), "2 hosts share") {
		t.Errorf("callback that could be either's reached %q, %v", got, err)
	}
	close(plugin.gate)
	if err := <-held; err != nil {
		t.Error(err)
	}
	// An end is that of one session.
	_ = sessionA.Close()
	if got, err := b.callback(t.Context(), "Via", "b"); got != "b" || err != nil {
		t.Errorf("callback of the host that is left reached %q, %v", got, err)
	}
}

// Shutdown ends the session of the host that sends it.
func TestSharedServerShutdown(t *testing.T) {
	peer := &factoryPlugin{register: once}
	p := peer.serve(t)
	_, stub := attachRelay(t, p)
	old, err := plugin.NewGRPCClient(t, plugin.GRPCClientConfig{
		Conn: grpcconn.Config{Dial: dialerOf(p.addr.String())},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Ping(); err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil { // of a child's client: it sends Shutdown
		t.Errorf("Close = %v", err)
	}
	if got, err := stub.callback(t.Context(), "Via", "me"); got != "me" || err != nil {
		t.Errorf("another host's callback: %q, %v", got, err)
	}
}

// A drain waits for the calls of all that share a server, with their callbacks.
func TestSharedServerDrain(t *testing.T) {
	plugin := &factoryPlugin{register: once}
	p := plugin.serve(t)
	_, idle := attachRelay(t, p)
	session, busy := attachRelay(t, p)
	if _, err := idle.call(t.Context(), "Name", ""); err != nil {
		t.Fatal(err)
	}
	answer := make(chan string, 1)
	go func() {
		text, err := busy.callback(t.Context(), "Late", "called back")
		answer <- fmt.Sprint(text, err)
	}()
	<-plugin.held
	p.stop()
	<-session.Draining()
	close(plugin.gate)
	if got := <-answer; got != "called back<nil>" {
		t.Errorf("the call in flight: %s", got)
	}
	if err := p.ended(t); err != nil {
		t.Errorf("ServeListener = %v", err)
	}
}

// A plugin that cannot be served at all refuses each host with its reason, and
// serves as soon as it can.
func TestPluginThatCannotBeServedYet(t *testing.T) {
	peer := &factoryPlugin{register: func(n int32) error {
		if n <= 2 {
			return errors.New("the licence server is away")
		}
		return nil
	}}
	p := peer.serve(t)
	cfg := p.clientConfig()
	cfg.Plugins, cfg.AllowedProtocols = plugin.PluginSet{"relay": &relay{}}, []plugin.Protocol{plugin.ProtocolGRPC}
	cfg.DialTimeout = time.Minute
	for range 2 {
		_, err := plugin.Attach(t.Context(), cfg)
		refused := new(plugin.RefusedError)
		if !errors.As(err, &refused) || !refused.Temporary() || !strings.Contains(err.Error(), "the licence server is away") {
			t.Errorf("error %v", err)
		}
	}
	_, stub := attachRelay(t, p)
	if got, err := stub.call(t.Context(), "Name", ""); got != "plugin" || err != nil {
		t.Errorf("call = %q, %v", got, err)
	}
}

// With OneServer the plugin is asked once, from the beginning.
func TestOneServer(t *testing.T) {
	peer := &factoryPlugin{relay: newRelay("plugin")}
	p := serveEcho(t, func(o *plugin.ServeConfig) {
		o.Plugins, o.GRPCServer, o.Network.OneServer = plugin.PluginSet{"relay": peer}, peer.newServer, true
	})
	for range 3 {
		_, stub := attachRelay(t, p)
		if got, err := stub.call(t.Context(), "Name", ""); got != "plugin" || err != nil {
			t.Errorf("call = %q, %v", got, err)
		}
		probeHealth(t, p)
	}
	if made, registered := peer.made.Load(), peer.registered.Load(); made != 1 || registered != 1 {
		t.Errorf("asked %d and %d times", made, registered)
	}
}

// Each session that has a server to itself costs one registration, and no more.
func TestRegistrationsPerSession(t *testing.T) {
	plugin := &factoryPlugin{}
	p := plugin.serve(t)
	for n := range int32(3) {
		attachRelay(t, p)
		if made, registered := plugin.made.Load(), plugin.registered.Load(); made != n+1 || registered != n+1 {
			t.Errorf("%d sessions: asked %d and %d times", n+1, made, registered)
		}
	}
}

// A factory that was slow once is asked again when it has returned, and not before.
func TestFactoryThatIsSlowOnce(t *testing.T) {
	goOn := make(chan struct{})
	plugin := &factoryPlugin{handshake: brief, factory: func(n int32, opts []grpc.ServerOption) *grpc.Server {
		if n == 2 {
			<-goOn
		}
		return grpc.NewServer(opts...)
	}}
	p := plugin.serve(t)
	for range 4 { // The second one waits, the others share at once.
		attachRelay(t, p)
	}
	if made := plugin.made.Load(); made != 2 {
		t.Errorf("asked %d times while it does not return", made)
	}
	close(goOn)
	testkit.Eventually(t, "a session has a server of its own again", func() bool {
		attachRelay(t, p)
		return plugin.made.Load() > 2
	})
}
