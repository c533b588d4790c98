// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/testkit"
)

// relayed is a child behind a relay.
type relayed struct {
	child *plugin.Relayed
	addr  *net.TCPAddr
	set   plugin.PluginSet

	mu     sync.Mutex
	chosen []*plugin.RelayHost
}

func serveRelayed(t *testing.T, role string, set plugin.PluginSet) *relayed {
	t.Helper()
	cfg := childConfig(role)
	cfg.Plugins = plugin.PluginSet{}
	child, err := plugin.StartRelayed(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(child.Kill)
	r := &relayed{child: child, set: set}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = lis.Addr().(*net.TCPAddr)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- plugin.ServeRelay(ctx, lis, &plugin.RelayConfig{
			Logger: hclog.NewNullLogger(), Network: &plugin.NetworkConfig{DrainTimeout: 5 * time.Second}, Choose: r.choose,
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("ServeRelay = %v", err)
		}
	})
	return r
}

func (r *relayed) choose(_ context.Context, host *plugin.RelayHost) (*plugin.Relayed, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.chosen = append(r.chosen, host)
	return r.child, host.CheckCookie(testHandshake)
}

func (r *relayed) hosts() []*plugin.RelayHost {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.chosen
}

func (r *relayed) attach(t *testing.T, change ...func(*plugin.ClientConfig)) (*plugin.Session, error) {
	t.Helper()
	cfg := &plugin.ClientConfig{
		HandshakeConfig: testHandshake, Plugins: r.set, Reattach: &plugin.ReattachConfig{Addr: r.addr},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolNetRPC, plugin.ProtocolGRPC}, Logger: hclog.NewNullLogger(),
	}
	for _, c := range change {
		c(cfg)
	}
	session, err := plugin.Attach(t.Context(), cfg)
	if err == nil {
		t.Cleanup(func() { _ = session.Close() })
	}
	return session, err
}

func (r *relayed) mustAttach(t *testing.T, change ...func(*plugin.ClientConfig)) *plugin.Session {
	t.Helper()
	session, err := r.attach(t, change...)
	if err != nil {
		t.Fatal(err)
	}
	return session
}

func TestRelayNetRPC(t *testing.T) {
	r := serveRelayed(t, "echo", plugin.PluginSet{"echo": &echoPlugin{}})
	for range 2 { // hosts at once, with the same broker ids
		echo := dispenseEcho(t, r.mustAttach(t))
		if reply, err := echo.Echo("hello"); reply != "hello" || err != nil {
			t.Errorf("Echo = %q, %v", reply, err)
		}
		if reply, err := echo.Via("a callback"); reply != "a callback" || err != nil {
			t.Errorf("Via = %q, %v", reply, err)
		}
		if err := echo.Fail(); err == nil || err.Error() != errEcho.Error() || errors.Is(err, plugin.ErrConnectionLost) {
			t.Errorf("Fail = %v", err)
		}
	}
	if inFlight, begun := r.child.Calls(); inFlight != 0 || begun != 6 {
		t.Errorf("%d calls in flight, %d begun, want 0 and 6", inFlight, begun)
	}
	session := r.mustAttach(t)
	if _, err := session.Dispense("other"); err == nil {
		t.Error("another kind was dispensed")
	}
	if err := session.Ping(); err != nil {
		t.Error(err)
	}
}

func TestRelayGRPC(t *testing.T) {
	r := serveRelayed(t, "relay", plugin.PluginSet{"relay": newRelay("")})
	session := r.mustAttach(t)
	if !slices.Contains(session.Info().Features, hello.FeatureMux) {
		t.Errorf("the session has the features %v, and not mux", session.Info().Features)
	}
	raw, err := session.Dispense("relay")
	if err != nil {
		t.Fatal(err)
	}
	stub := raw.(*relay)
	if reply, err := stub.call(t.Context(), "Name", "!"); reply != "child!" || err != nil {
		t.Errorf("Name = %q, %v", reply, err)
	}
	for _, how := range []string{"", "header"} {
		if _, err := stub.call(t.Context(), "Busy", how); err == nil || err.Error() != errBusy.Error() || errors.Is(err, plugin.ErrConnectionLost) {
			t.Errorf("Busy(%s) = %v", how, err)
		}
	}
	if reply, err := stub.callback(t.Context(), "Via", "host"); reply != "host" || err != nil {
		t.Errorf("a callback = %q, %v", reply, err)
	}
	if reply, err := stub.opened(t.Context(), "+"); reply != "child+" || err != nil {
		t.Errorf("what the child serves = %q, %v", reply, err)
	}
	if err := session.Ping(); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := stub.count(ctx, ""); err != nil {
		t.Errorf("Count: %v", err)
	}
}

// The broker of a child is one host's at a time, and the next one's after that.
func TestRelayOfOneBroker(t *testing.T) {
	r := serveRelayed(t, "relay", plugin.PluginSet{"relay": newRelay("")})
	session := r.mustAttach(t)
	stubOf := func(s *plugin.Session) *relay {
		raw, err := s.Dispense("relay")
		if err != nil {
			t.Fatal(err)
		}
		return raw.(*relay)
	}
	if reply, err := stubOf(session).callback(t.Context(), "Via", "first"); reply != "first" || err != nil {
		t.Fatalf("callback = %q, %v", reply, err)
	}
	conn := dialPlain(t, r.addr.String()) // a host of another name
	other, err := grpcBrokerOf(t, conn)
	if err != nil {
		t.Fatal(err)
	}
	other.announce(7)
	testkit.Eventually(t, "the second host is told to have a child of its own", func() bool {
		_, err := (&relay{conn: conn}).call(t.Context(), "Name", "")
		return status.Code(err) == codes.FailedPrecondition && strings.Contains(err.Error(), "--share=host")
	})
	if reply, err := stubOf(session).callback(t.Context(), "Via", "again"); reply != "again" || err != nil {
		t.Errorf("callback of the first host = %q, %v", reply, err)
	}
	_ = session.Close()
	testkit.Eventually(t, "the next host has callbacks", func() bool {
		next := r.mustAttach(t)
		defer next.Close()
		reply, err := stubOf(next).callback(t.Context(), "Via", "next")
		return reply == "next" && err == nil
	})
}

// linkedHost is a host's link to a plugin's broker, without a broker behind it.
type linkedHost struct {
	stream pluginpb.GRPCBroker_StartStreamClient
}

func grpcBrokerOf(t *testing.T, conn *grpc.ClientConn) (linkedHost, error) {
	stream, err := pluginpb.NewGRPCBrokerClient(conn).StartStream(t.Context())
	return linkedHost{stream}, err
}

func (h linkedHost) announce(id uint32) {
	_ = h.stream.Send(&pluginpb.ConnInfo{ServiceId: id, Network: "unix", Address: "/nowhere"})
}

// A child that is killed takes its sessions with it: no host takes that for an answer.
func TestRelayedChildIsKilled(t *testing.T) {
	cases := map[string]struct {
		set  plugin.PluginSet
		hold func(*plugin.Session) error
	}{
		"echo": {plugin.PluginSet{"echo": &echoPlugin{}}, func(s *plugin.Session) error {
			raw, err := s.Dispense("echo")
			if err == nil {
				_, err = raw.(echoer).Hold()
			}
			return err
		}},
		"relay": {plugin.PluginSet{"relay": newRelay("")}, func(s *plugin.Session) error {
			raw, err := s.Dispense("relay")
			if err == nil {
				_, err = raw.(*relay).call(context.Background(), "Hold", "")
			}
			return err
		}},
	}
	for role, tc := range cases {
		t.Run(role, func(t *testing.T) {
			r := serveRelayed(t, role, tc.set)
			session := r.mustAttach(t)
			held := make(chan error, 1)
			go func() { held <- tc.hold(session) }()
			for inFlight := 0; inFlight == 0; inFlight, _ = r.child.Calls() {
				if err := session.Ping(); err != nil {
					t.Fatal(err)
				}
			}
			r.child.Kill()
			if err := <-held; !errors.Is(err, plugin.ErrConnectionLost) {
				t.Errorf("call in flight: %v", err)
			}
			<-session.Done()
		})
	}
}

// What is asked of a gRPC host without the handshake is only whether it is well, until it
// calls: probes come every few seconds.
func TestRelayOfProbe(t *testing.T) {
	r := serveRelayed(t, "relay", nil)
	conn := dialPlain(t, r.addr.String())
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
	if err != nil || answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("probe = %v, %v", answer, err)
	}
	if n := len(r.hosts()); n != 0 {
		t.Errorf("a child was chosen %d times for a probe", n)
	}
	if reply, err := (&relay{conn: conn}).call(t.Context(), "Name", ""); reply != "child" || err != nil {
		t.Errorf("Name = %q, %v", reply, err)
	}
	if n := len(r.hosts()); n != 1 {
		t.Errorf("a child was chosen %d times", n)
	}
}

func TestRelayRefuses(t *testing.T) {
	r := serveRelayed(t, "echo", plugin.PluginSet{"echo": &echoPlugin{}})
	cases := map[string]struct {
		change func(*plugin.ClientConfig)
		code   string
	}{
		"another cookie":  {func(c *plugin.ClientConfig) { c.MagicCookieValue = "other" }, plugin.RefusedCookie},
		"another version": {func(c *plugin.ClientConfig) { c.ProtocolVersion = 7 }, plugin.RefusedVersion},
		"gRPC only":       {func(c *plugin.ClientConfig) { c.AllowedProtocols = []plugin.Protocol{plugin.ProtocolGRPC} }, plugin.RefusedProtocol},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := r.attach(t, tc.change)
			var refused *plugin.RefusedError
			if !errors.As(err, &refused) || refused.Code != tc.code {
				t.Errorf("error %v, want a refusal of code %s", err, tc.code)
			}
		})
	}
	for _, host := range r.hosts() {
		<-host.Done
	}
}

// Leave is a drain of one child's sessions.
func TestRelayedLeaves(t *testing.T) {
	r := serveRelayed(t, "echo", plugin.PluginSet{"echo": &echoPlugin{}})
	session := r.mustAttach(t)
	if _, err := dispenseEcho(t, session).Echo("x"); err != nil {
		t.Fatal(err)
	}
	left := make(chan int, 1)
	go func() { left <- r.child.Leave(t.Context()) }()
	<-session.Draining()
	if n := <-left; n != 0 {
		t.Errorf("%d calls were cut off", n)
	}
	<-session.Done()
	if r.child.Client().Exited() {
		t.Error("the child has ended with its sessions")
	}
	// A host for which the child was chosen before that, and which is late.
	var refused *plugin.RefusedError
	if _, err := r.attach(t, func(*plugin.ClientConfig) {}); !errors.As(err, &refused) || !strings.Contains(err.Error(), "is being replaced: try again") {
		t.Errorf("a host that comes while the child leaves: %v, want a refusal", err)
	}
}
