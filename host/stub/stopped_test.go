// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/reattach/reattach/host/balancer"
)

var errStopped = errors.New("the host has stopped")

// stopping is a stub of a memory whose owner ends it.
type stopping struct {
	call caller
	stop func()
}

func newStopping(t *testing.T, protocol plugin.Protocol, config Config) stopping {
	t.Helper()
	if protocol == plugin.ProtocolGRPC {
		s, err := NewGRPC(config)
		if err != nil {
			t.Fatal(err)
		}
		return stopping{func(ctx context.Context, method, in string) (string, error) {
			return callText(ctx, s.Conn, "/test.Memory/"+method, in)
		}, func() { _ = s.CloseWithError(errStopped) }}
	}
	s := mustRPC(t, "memory", config)
	return stopping{func(ctx context.Context, method, in string) (out string, err error) {
		return out, plugin.CallContext(ctx, s.Client, "Plugin."+method, in, &out)
	}, func() { _ = s.CloseWithError(errStopped) }}
}

// renewed is a lease on a session that may have further calls, as replays are.
type renewed struct{ attached }

// Pick implements balancer.Router.
func (r renewed) Pick(context.Context, string, []string) (balancer.Lease, error) { return r, nil }

// Begin implements balancer.Renewable.
func (renewed) Begin() bool { return true }

// TestStoppedSaysNothingOfEndpoints has the owner of a stub end it, and then its sessions, while
// an endpoint has a request: what that comes to counts neither for nor against the endpoint.
func TestStoppedSaysNothingOfEndpoints(t *testing.T) {
	for way, c := range map[string]struct {
		protocol plugin.Protocol
		change   func(*plugin.ClientConfig)
	}{
		"netrpc": {plugin.ProtocolNetRPC, func(*plugin.ClientConfig) {}},
		"mux":    {plugin.ProtocolGRPC, func(*plugin.ClientConfig) {}},
		"HTTP/2": {plugin.ProtocolGRPC, byHTTP2},
	} {
		for what, method := range map[string]string{"call": "Configure", "replay": "Look"} {
			t.Run(way+", "+what, func(t *testing.T) {
				m := new(memory)
				p := startPod(t, "0", plugin.PluginSet{"memory": memoryGlue{m}}, c.protocol == plugin.ProtocolGRPC)
				config := Config{State: NewState(), Methods: methodOptions{"Configure": {Replay: what == "replay"}}}
				defer config.State.Close()
				config.Router = attach(t, p, c.protocol, c.change)
				if _, err := (*memories)(nil).caller(t, c.protocol, config)(t.Context(), "Configure", "a"); err != nil {
					t.Fatal(err)
				}
				lease := attach(t, p, c.protocol, c.change)
				config.Router = renewed{lease}
				arrived, release := m.holding()
				t.Cleanup(release)
				s := newStopping(t, c.protocol, config)
				ended := make(chan error, 1)
				go func() {
					_, err := s.call(t.Context(), method, "b")
					ended <- err
				}()
				<-arrived
				s.stop()
				_ = lease.session.Close()
				if f, ok := Cause(<-ended); !ok || f.Reason != ReasonLost && f.Reason != ReasonUnavailable {
					t.Errorf("the caller is told %+v", f)
				}
				got := []balancer.Outcome{<-lease.ends}
				if what == "replay" { // is a call of its own, and the one behind it was not sent
					got = append(got, <-lease.ends)
				}
				slices.Sort(got)
				if want := []balancer.Outcome{balancer.NotSent, balancer.Abandoned}[2-len(got):]; !slices.Equal(got, want) {
					t.Errorf("the leases end as %v, want %v", got, want)
				}
			})
		}
	}
}

// TestReplayThatIsLost has a session end while its endpoint has a replay: that counts against it.
func TestReplayThatIsLost(t *testing.T) {
	forBothProtocols(t, func(t *testing.T, protocol plugin.Protocol) {
		m := new(memory)
		p := startPod(t, "0", plugin.PluginSet{"memory": memoryGlue{m}}, protocol == plugin.ProtocolGRPC)
		config := Config{State: NewState(), Methods: methodOptions{"Configure": {Replay: true}}}
		defer config.State.Close()
		config.Router = attach(t, p, protocol, func(*plugin.ClientConfig) {})
		if _, err := (*memories)(nil).caller(t, protocol, config)(t.Context(), "Configure", "a"); err != nil {
			t.Fatal(err)
		}
		lease := attach(t, p, protocol, func(*plugin.ClientConfig) {})
		once := &onceRouter{Lease: lease}
		config.Router = once
		arrived, release := m.holding()
		t.Cleanup(release)
		call := (*memories)(nil).caller(t, protocol, config)
		ended := make(chan error, 1)
		go func() {
			_, err := call(t.Context(), "Look", "b")
			ended <- err
		}()
		<-arrived
		_ = lease.session.Close()
		if err := <-ended; !errors.Is(err, errNobody) {
			t.Errorf("the call ended with %v", err)
		}
		if got := <-lease.ends; got != balancer.Lost {
			t.Errorf("the lease ends as %v", got)
		}
	})
}

// onceRouter is a Router that has one lease, once.
type onceRouter struct {
	balancer.Lease
	picked atomic.Bool
}

// Pick implements balancer.Router.
func (r *onceRouter) Pick(context.Context, string, []string) (balancer.Lease, error) {
	if r.picked.Swap(true) {
		return nil, errNobody
	}
	return r.Lease, nil
}

// TestStoppedStreamSaysNothingOfEndpoints does so with a stream.
func TestStoppedStreamSaysNothingOfEndpoints(t *testing.T) {
	for way, lease := range attachBothWays(t) {
		t.Run(way, func(t *testing.T) {
			routed, err := NewGRPC(Config{Router: lease})
			if err != nil {
				t.Fatal(err)
			}
			s, err := routed.Conn.NewStream(t.Context(), chatting, "/test.Shop/Chat")
			if err != nil {
				t.Fatal(err)
			}
			_ = routed.CloseWithError(errStopped)
			_ = lease.session.Close()
			if f, ok := Cause(s.RecvMsg(new(wrapperspb.StringValue))); !ok || f.Reason != ReasonLost {
				t.Errorf("the reader is told %+v", f)
			}
			if got := <-lease.ends; got != balancer.Abandoned {
				t.Errorf("the lease ends as %v", got)
			}
		})
	}
}
