// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"testing"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/reattach/reattach/host/balancer"
)

// unarySession is a session that makes unary calls itself, and all that its Router picks.
type unarySession struct {
	endings
	invoke func(opts []grpc.CallOption) (sent bool, err error)
}

// Pick implements balancer.Router.
func (s *unarySession) Pick(context.Context, string, []string) (balancer.Lease, error) { return s, nil }

// Session implements balancer.Lease.
func (s *unarySession) Session() any { return s }

// Done implements balancer.Lease.
func (s *unarySession) Done(how balancer.Outcome) {
	if s.ends != nil {
		s.ends <- how
	}
}

// InvokeUnary implements GRPCUnarySession.
func (s *unarySession) InvokeUnary(_ context.Context, _ *grpc.ClientConn, _ string, _, _ any, opts []grpc.CallOption) (sent bool, err error) {
	return s.invoke(opts)
}

// TestUnarySession has a session end a call that it makes itself in each way.
func TestUnarySession(t *testing.T) {
	refused := status.Error(codes.Internal, "cannot be encoded")
	busy := status.Error(codes.Unavailable, "no token")
	for name, c := range map[string]struct {
		sent    bool
		err     error
		outcome balancer.Outcome
		want    error // what the call ends with
		fault   *Fault
	}{
		"answered":         {true, nil, balancer.Answered, nil, nil},
		"failed":           {true, refused, balancer.Answered, refused, nil},
		"lost":             {true, errCut, balancer.Lost, plugin.ErrConnectionLost, &Fault{Reason: ReasonLost, MayHaveRun: true}},
		"cannot be sent":   {false, refused, balancer.NotSent, refused, &Fault{Reason: ReasonArguments}},
		"was not sent yet": {false, errCut, balancer.NotSent, nil, nil}, // it is made once more
		"was not taken":    {false, busy, balancer.NotSent, busy, &Fault{Reason: ReasonArguments}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &unarySession{endings: *startEndings(t)}
			var header metadata.MD
			calls := 0
			s.invoke = func(opts []grpc.CallOption) (sent bool, err error) {
				if len(opts) != 1 {
					t.Errorf("%d options, want the caller's alone", len(opts))
				}
				if calls++; calls > 1 {
					return true, nil
				}
				return c.sent, c.err
			}
			routed, err := NewGRPC(Config{Router: s})
			if err != nil {
				t.Fatal(err)
			}
			defer routed.Close()
			_, err = callText(t.Context(), routed.Conn, "/test.Memory/Look", "", grpc.Header(&header))
			if !errors.Is(err, c.want) {
				t.Errorf("ended with %v, want %v", err, c.want)
			}
			if f, _ := Cause(err); (f == nil) != (c.fault == nil) || f != nil && (f.Reason != c.fault.Reason || f.MayHaveRun != c.fault.MayHaveRun) {
				t.Errorf("ended with %+v", f)
			}
			if got := <-s.ends; got != c.outcome {
				t.Errorf("the lease ends as %v, want %v", got, c.outcome)
			}
		})
	}
}

// TestUnarySessionLeavesCalls has it leave a call to its connection.
func TestUnarySessionLeavesCalls(t *testing.T) {
	s := &unarySession{endings: *startEndings(t)}
	s.invoke = func([]grpc.CallOption) (sent bool, err error) { return false, plugin.ErrNotInvoked }
	routed, err := NewGRPC(Config{Router: s})
	if err != nil {
		t.Fatal(err)
	}
	defer routed.Close()
	if _, err := callText(t.Context(), routed.Conn, "/test.Memory/Look", ""); err != nil {
		t.Error(err)
	}
	if got := <-s.ends; got != balancer.Answered {
		t.Errorf("the lease ends as %v", got)
	}
}

// replaced is a session of go-plugin's with a connection of its own.
type replaced struct {
	*plugin.Session
	own *grpc.ClientConn
}

// ClientConn implements GRPCSession.
func (s replaced) ClientConn() (*grpc.ClientConn, bool) { return s.own, true }

// replacedLease is a lease on it.
type replacedLease struct {
	*endings
	session replaced
}

// Session implements balancer.Lease.
func (l replacedLease) Session() any { return l.session }

// Pick implements balancer.Router.
func (l replacedLease) Pick(context.Context, string, []string) (balancer.Lease, error) { return l, nil }

// TestUnarySessionWithConnectionOfItsOwn has the promoted InvokeUnary of a session not pass by
// the connection that replaces the session's.
func TestUnarySessionWithConnectionOfItsOwn(t *testing.T) {
	_, c := grpcPods(t, newLedger())
	c.awaitReady(t, 3)
	calls := 0
	o := startEndings(t, grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		calls++
		return invoke(ctx, method, req, reply, cc, opts...)
	}))
	routed, err := NewGRPC(Config{Router: replacedLease{o, replaced{c.ready[0].Session, o.conn}}})
	if err != nil {
		t.Fatal(err)
	}
	defer routed.Close()
	if _, err := callText(t.Context(), routed.Conn, "/test.Memory/Look", ""); err != nil || calls != 1 {
		t.Errorf("the session's own connection has made %d calls: %v", calls, err)
	}
	if got := <-o.ends; got != balancer.Answered {
		t.Errorf("the lease ends as %v", got)
	}
}
