// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/reattach/reattach/host/balancer"
)

// endings is a lease, and the Router of it, that notes how it ends.
type endings struct {
	foreignLease
	ends chan balancer.Outcome
}

// Pick implements balancer.Router.
func (o *endings) Pick(context.Context, string, []string) (balancer.Lease, error) { return o, nil }

// Done implements balancer.Lease.
func (o *endings) Done(how balancer.Outcome) { o.ends <- how }

// startEndings has an endpoint as startForeign's.
func startEndings(t *testing.T, opts ...grpc.DialOption) *endings {
	t.Helper()
	_, lease := startForeign(t, opts...)
	return &endings{lease, make(chan balancer.Outcome, 10)}
}

var errCut = fmt.Errorf("reset: %w", plugin.ErrConnectionLost)

// cutStream is lost when one of its methods is called. Its peer is what a session says of a stream that
// was sent, and takes back if the plugin has refused it.
type cutStream struct {
	grpc.ClientStream
	refused bool
	opts    []grpc.CallOption
}

func (s *cutStream) names(addr net.Addr) {
	for _, o := range s.opts {
		if o, ok := o.(grpc.PeerCallOption); ok {
			*o.PeerAddr = peer.Peer{Addr: addr}
		}
	}
}

// RecvMsg implements grpc.ClientStream.
func (s *cutStream) RecvMsg(any) error {
	if s.refused {
		s.names(nil)
	}
	for _, o := range s.opts {
		if o, ok := o.(grpc.OnFinishCallOption); ok {
			o.OnFinish(errCut)
		}
	}
	return errCut
}

// Header implements grpc.ClientStream.
func (s *cutStream) Header() (metadata.MD, error) { return nil, s.RecvMsg(nil) }

// SendMsg implements grpc.ClientStream.
func (s *cutStream) SendMsg(any) error { return s.RecvMsg(nil) }

// CloseSend implements grpc.ClientStream.
func (s *cutStream) CloseSend() error { return s.RecvMsg(nil) }

// TestStreamThatWasRefused has a stream end that its plugin has not run, and one that it may
// have.
func TestStreamThatWasRefused(t *testing.T) {
	tells := map[string]func(grpc.ClientStream) error{
		"sent":    func(s grpc.ClientStream) error { return s.SendMsg(new(wrapperspb.StringValue)) },
		"end":     grpc.ClientStream.CloseSend,
		"message": func(s grpc.ClientStream) error { return s.RecvMsg(new(wrapperspb.StringValue)) },
		"header":  func(s grpc.ClientStream) error { _, err := s.Header(); return err },
	}
	for name, tell := range tells {
		for refused, want := range map[bool]balancer.Outcome{true: balancer.NotSent, false: balancer.Lost} {
			t.Run(fmt.Sprintf("%s, refused %v", name, refused), func(t *testing.T) {
				o := startEndings(t, grpc.WithStreamInterceptor(func(_ context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
					s := &cutStream{refused: refused, opts: opts}
					s.names(new(net.TCPAddr))
					return s, nil
				}))
				routed, err := NewGRPC(Config{Router: o})
				if err != nil {
					t.Fatal(err)
				}
				defer routed.Close()
				s, err := routed.Conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, "/test.Memory/Watch")
				if err != nil {
					t.Fatal(err)
				}
				f, ok := Cause(tell(s))
				if !ok || f.Reason != ReasonLost || f.MayHaveRun == refused {
					t.Errorf("its caller is told %+v", f)
				}
				if got := <-o.ends; got != want || len(o.ends) > 0 {
					t.Errorf("the lease ends as %v, want %v, once", got, want)
				}
			})
		}
	}
}

// silentStream says of its end as little as gRPC: neither its header nor what is sent has an
// error of the plugin's.
type silentStream struct{ *cutStream }

// Header implements grpc.ClientStream.
func (s silentStream) Header() (metadata.MD, error) { _ = s.RecvMsg(nil); return nil, nil }

// SendMsg implements grpc.ClientStream.
func (s silentStream) SendMsg(any) error { _ = s.RecvMsg(nil); return io.EOF }

// observedErrors is an Observer.
type observedErrors chan error

func (o observedErrors) Called(c Call) { o <- c.Err }

// TestStreamWhoseHeaderEnds has a stream end without a word to who is there. The observer is
// told the same as the lease.
func TestStreamWhoseHeaderEnds(t *testing.T) {
	tells := map[string]func(grpc.ClientStream) error{
		"header": func(s grpc.ClientStream) error { _, err := s.Header(); return err },
		"sent":   func(s grpc.ClientStream) error { _ = s.SendMsg(nil); return nil },
	}
	for name, want := range map[string]balancer.Outcome{"header": balancer.NotSent, "sent": balancer.Lost} {
		t.Run(name, func(t *testing.T) {
			o := startEndings(t, grpc.WithStreamInterceptor(func(_ context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				s := &cutStream{refused: true, opts: opts}
				s.names(new(net.TCPAddr))
				return silentStream{s}, nil
			}))
			observed := make(observedErrors, 1)
			routed, err := NewGRPC(Config{Router: o, Observer: observed})
			if err != nil {
				t.Fatal(err)
			}
			defer routed.Close()
			ctx, cancel := context.WithCancel(t.Context())
			s, err := routed.Conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/test.Memory/Watch")
			if err != nil {
				t.Fatal(err)
			}
			if err := tells[name](s); err != nil {
				t.Error(err)
			}
			if got := <-o.ends; got != want {
				t.Errorf("the lease ends as %v, want %v", got, want)
			}
			cancel()
			if f, ok := Cause(<-observed); !ok || f.MayHaveRun != (want == balancer.Lost) {
				t.Errorf("the observer is told %+v", f)
			}
		})
	}
}

// TestReplayThatWasRefused has an endpoint refuse what is replayed to it, and run it next.
func TestReplayThatWasRefused(t *testing.T) {
	for refused, want := range map[bool]balancer.Outcome{true: balancer.NotSent, false: balancer.Lost} {
		t.Run(fmt.Sprint(refused), func(t *testing.T) {
			state := NewState()
			defer state.Close()
			config := Config{State: state, Methods: methodOptions{"Init": {Replay: true}, "Look": {Idempotent: true}}}
			config.Router = startEndings(t)
			if _, err := (*memories)(nil).caller(t, plugin.ProtocolGRPC, config)(t.Context(), "Init", "a"); err != nil {
				t.Fatal(err)
			}
			cut := false
			o := startEndings(t, grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
				if method == "/test.Memory/Init" && !cut {
					cut = true
					s := &cutStream{opts: opts, refused: refused}
					s.names(new(net.TCPAddr))
					return s.RecvMsg(nil)
				}
				return invoke(ctx, method, req, reply, cc, opts...)
			}))
			config.Router = o
			if _, err := (*memories)(nil).caller(t, plugin.ProtocolGRPC, config)(t.Context(), "Look", ""); err != nil {
				t.Fatal(err)
			}
			if got := <-o.ends; got != want {
				t.Errorf("the replay ends the lease as %v, want %v", got, want)
			}
		})
	}
}

// TestArgumentsThatCannotBeSent has a request that its codec cannot encode: nothing was sent,
// and those that asked are told of the end.
func TestArgumentsThatCannotBeSent(t *testing.T) {
	o := startEndings(t)
	routed, err := NewGRPC(Config{Router: o, State: NewState(), Methods: methodOptions{"Init": {Replay: true}}})
	if err != nil {
		t.Fatal(err)
	}
	defer routed.Close()
	var told []error
	err = routed.Conn.Invoke(t.Context(), "/test.Memory/Init", "no message", new(wrapperspb.StringValue),
		grpc.CallContentSubtype(proto.Name), grpc.OnFinish(func(err error) { told = append(told, err) }))
	if f, ok := Cause(err); !ok || !slices.Equal(told, []error{f.Err}) {
		t.Errorf("ended with %v, and told %v", err, told)
	}
	if got := <-o.ends; got != balancer.NotSent {
		t.Errorf("the lease ends as %v", got)
	}
}

// TestStreamWhoseMessageCannotBeSent has a stream end because its codec cannot encode a
// message, which says nothing of the endpoint.
func TestStreamWhoseMessageCannotBeSent(t *testing.T) {
	o := startEndings(t)
	routed, err := NewGRPC(Config{Router: o})
	if err != nil {
		t.Fatal(err)
	}
	defer routed.Close()
	s, err := routed.Conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, "/test.Memory/Watch")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SendMsg("no message"); status.Code(err) != codes.Internal {
		t.Errorf("the message is sent with %v", err)
	}
	if got := <-o.ends; got != balancer.Abandoned || len(o.ends) > 0 {
		t.Errorf("the lease ends as %v", got)
	}
}
