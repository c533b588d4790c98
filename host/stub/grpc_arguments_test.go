// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/reattach/reattach/host/balancer"
)

// attached is a lease on a session with a pod, and the Router of it, that notes how it ends.
type attached struct {
	session *plugin.Session
	ends    chan balancer.Outcome
}

// Pick implements balancer.Router.
func (a attached) Pick(context.Context, string, []string) (balancer.Lease, error) { return a, nil }

// Endpoint implements balancer.Lease.
func (attached) Endpoint() string { return "pod" }

// Session implements balancer.Lease.
func (a attached) Session() any { return a.session }

// Ended implements balancer.Lease.
func (a attached) Ended() <-chan struct{} { return a.session.Done() }

// Done implements balancer.Lease.
func (a attached) Done(how balancer.Outcome) { a.ends <- how }

// attach attaches to a pod until the test ends.
func attach(t *testing.T, p *pod, protocol plugin.Protocol, change func(*plugin.ClientConfig)) attached {
	t.Helper()
	config := &plugin.ClientConfig{
		HandshakeConfig: testHandshake, Plugins: p.set, Reattach: &plugin.ReattachConfig{Addr: p.addr},
		AllowedProtocols: []plugin.Protocol{protocol}, Logger: hclog.NewNullLogger(),
	}
	change(config)
	session, err := plugin.Attach(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return attached{session, make(chan balancer.Outcome, 10)}
}

// byHTTP2 has the calls of a session go by HTTP/2.
func byHTTP2(c *plugin.ClientConfig) {
	c.GRPCDialOptions = []grpc.DialOption{grpc.WithUserAgent("own")}
}

// attachBothWays attaches to a pod, once by mux and once by HTTP/2.
func attachBothWays(t *testing.T) map[string]attached {
	t.Helper()
	p := startPod(t, "0", plugin.PluginSet{"shop": &shopGRPC{ledger: newLedger()}}, true)
	return map[string]attached{
		"mux":    attach(t, p, plugin.ProtocolGRPC, func(*plugin.ClientConfig) {}),
		"HTTP/2": attach(t, p, plugin.ProtocolGRPC, byHTTP2),
	}
}

// TestArgumentsAreTheCallers has gRPC itself not take what a caller gives it, of a call and of a
// stream: that is the caller's fault for the lease, for the observer and for whoever looks at
// the error, which keeps the code that gRPC gives it.
func TestArgumentsAreTheCallers(t *testing.T) {
	requests := map[string]struct {
		req  any
		opts []grpc.CallOption
		code codes.Code
	}{
		"not encoded": {"no message", nil, codes.Internal},
		"too long":    {wrapperspb.String("long"), []grpc.CallOption{grpc.MaxCallSendMsgSize(1)}, codes.ResourceExhausted},
	}
	for way, lease := range attachBothWays(t) {
		seen := recorder{make(chan seenCall, 10)}
		routed, err := NewGRPC(Config{
			Router: lease, Observer: seen, State: NewState(), Methods: methodOptions{"Set": {Replay: true}},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = routed.Close() })
		check := func(t *testing.T, err error, code codes.Code, opened bool, attempts int, outcome balancer.Outcome) {
			t.Helper()
			f, ok := Cause(err)
			if !ok || f.Reason != ReasonArguments || f.MayHaveRun != opened || SourceOf(err) != SourceHost || status.Code(err) != code {
				t.Errorf("the caller is told %v (%+v), of code %v", err, f, status.Code(err))
			}
			if got := <-seen.calls; got.Source != SourceHost || got.Attempts != attempts || (got.Endpoint != "") != opened {
				t.Errorf("counted as %+v", got)
			}
			if got := <-lease.ends; got != outcome || len(lease.ends) > 0 {
				t.Errorf("the lease ends as %v, and %d times more", got, len(lease.ends))
			}
		}
		for name, r := range requests {
			for _, method := range []string{"Get", "Set"} {
				t.Run(way+", "+name+", "+method, func(t *testing.T) {
					err := routed.Conn.Invoke(t.Context(), "/test.Shop/"+method, r.req, new(wrapperspb.StringValue), r.opts...)
					check(t, err, r.code, false, 0, balancer.NotSent)
				})
			}
			t.Run(way+", "+name+", stream", func(t *testing.T) {
				s, err := routed.Conn.NewStream(t.Context(), chatting, "/test.Shop/Chat", r.opts...)
				if err != nil {
					t.Fatal(err)
				}
				sent := s.SendMsg(r.req)
				check(t, sent, r.code, true, 1, balancer.Abandoned)
				if received := s.RecvMsg(new(wrapperspb.StringValue)); received != sent {
					t.Errorf("the reader is told %v", received)
				}
			})
		}
		t.Run(way+", no codec", func(t *testing.T) {
			_, err := routed.Conn.NewStream(t.Context(), chatting, "/test.Shop/Chat", grpc.CallContentSubtype("none"))
			check(t, err, codes.Internal, false, 0, balancer.NotSent)
		})
		t.Run(way+", the plugin's own words", func(t *testing.T) {
			s, err := routed.Conn.NewStream(t.Context(), chatting, "/test.Shop/Chat", grpc.CallContentSubtype(proto.Name))
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.SendMsg(wrapperspb.String("fail")), s.CloseSend()); err != nil && !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			err = s.RecvMsg(new(wrapperspb.StringValue))
			if got := <-seen.calls; got.Source != SourcePlugin || SourceOf(err) != SourcePlugin {
				t.Errorf("ended with %v, counted as %+v", err, got)
			}
			if got := <-lease.ends; got != balancer.Answered {
				t.Errorf("the lease ends as %v", got)
			}
		})
	}
}
