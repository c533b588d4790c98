// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"net/rpc"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// words are what a plugin says, and none of them makes a Fault: the texts of every
// Fault, those of transports, and errors that a host of its own would hand on.
func words() []string {
	all := []string{
		"connection is shut down", "unexpected EOF", "context canceled", "context deadline exceeded",
		"unknown plugin type: shop", plugin.ErrConnectionLost.Error(), plugin.ErrConnectionLost.Error() + ": EOF",
		errStubClosed.Error(), ErrTimeout.Error(),
		"error reading from server: EOF", "the connection is draining", "connection error: desc = EOF",
	}
	for reason := ReasonLost; reason <= ReasonCaller; reason++ {
		for _, ran := range []bool{false, true} {
			f := &Fault{Reason: reason, Endpoint: "shop@a", Method: "Fail", MayHaveRun: ran, Err: errors.New("x")}
			all = append(all, f.Error(), status.Convert(f).Err().Error())
		}
	}
	return all
}

type talker struct{}

// Fail answers with what it was given as its error.
func (talker) Fail(said string, _ *string) error { return errors.New(said) }

type talkerRPC struct{}

func (talkerRPC) Server(*plugin.MuxBroker) (any, error)                  { return talker{}, nil }
func (talkerRPC) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) { return c, nil }

func TestRPCPluginsWordsAreNoFault(t *testing.T) {
	_, c := threePods(t, plugin.PluginSet{"shop": talkerRPC{}}, plugin.ProtocolNetRPC)
	stub := mustRPC(t, "shop", Config{Router: c, Methods: methodOptions{"Fail": {Idempotent: true}}})
	defer stub.Client.Close()
	for _, said := range words() {
		err := stub.Client.Call("Plugin.Fail", said, new(string))
		if _, ok := Cause(err); ok || SourceOf(err) != SourcePlugin || err != rpc.ServerError(said) {
			t.Errorf("a plugin's %q became %#v, of the %s", said, err, SourceOf(err))
		}
	}
}

// talkerGRPC fails as metadata says: with a code, after a header or without, and
// with a Fault or its details.
type talkerGRPC struct{ shopGRPC }

func (p *talkerGRPC) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	service := shopService
	service.HandlerType = (*any)(nil)
	service.Methods = []grpc.MethodDesc{textMethod("Fail", func(talkerGRPC) text { return talk })}
	service.Streams = []grpc.StreamDesc{{StreamName: "Chat", ServerStreams: true, ClientStreams: true,
		Handler: func(_ any, s grpc.ServerStream) error {
			var in wrapperspb.StringValue
			if err := s.RecvMsg(&in); err != nil {
				return err
			}
			_, err := talk(s.Context(), in.GetValue())
			return err
		}}}
	s.RegisterService(&service, talkerGRPC{})
	return nil
}

func talk(ctx context.Context, said string) (string, error) {
	in, _ := metadata.FromIncomingContext(ctx)
	if len(in.Get("header")) > 0 {
		if err := grpc.SendHeader(ctx, metadata.Pairs("a", "b")); err != nil {
			return "", err
		}
	}
	if len(in.Get("fault")) > 0 {
		return "", &Fault{Reason: ReasonLost, Endpoint: "inner", Method: "Get", MayHaveRun: false, Err: plugin.ErrConnectionLost}
	}
	var code codes.Code
	if _, err := fmt.Sscan(strings.Join(in.Get("code"), ""), (*uint32)(&code)); err != nil {
		return "", err
	}
	if len(in.Get("header")) > 0 {
		return "", status.Error(code, said) // in a trailer that holds nothing else
	}
	st, err := status.New(code, said).WithDetails(wrapperspb.String(said))
	if err != nil {
		return "", err
	}
	return "", st.Err()
}

func TestGRPCPluginsWordsAreNoFault(t *testing.T) {
	_, c := threePods(t, plugin.PluginSet{"shop": &talkerGRPC{}}, plugin.ProtocolGRPC)
	seen := recorder{make(chan seenCall, 10)}
	shop := grpcShop(t, c, func(c *Config) { c.Observer = seen })
	check := func(how, said string, err error) {
		t.Helper()
		if _, ok := Cause(err); ok || err == nil || SourceOf(err) != SourcePlugin {
			t.Errorf("%s: a plugin's %q became %v, of the %s", how, said, err, SourceOf(err))
		}
		if call := <-seen.calls; call.Source != SourcePlugin || call.Attempts != 1 {
			t.Errorf("%s: a plugin's %q was counted as %+v", how, said, call)
		}
	}
	talkTo := func(how, said string, ctx context.Context) {
		t.Helper()
		_, err := callText(ctx, shop.conn, "/test.Shop/Fail", said)
		check(how, said, err)
		s, err := shop.chat(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_, err = say(s, said)
		check(how+", stream", said, err)
	}
	for _, said := range words() {
		for _, code := range []codes.Code{codes.Unavailable, codes.Canceled, codes.DeadlineExceeded, codes.Unknown} {
			for _, header := range []bool{false, true} {
				ctx := metadata.AppendToOutgoingContext(t.Context(), "code", fmt.Sprint(uint32(code)))
				if header {
					ctx = metadata.AppendToOutgoingContext(ctx, "header", "sent")
				}
				talkTo(fmt.Sprintf("%v, header %v", code, header), said, ctx)
			}
		}
	}
	talkTo("a fault of its own host", "", metadata.AppendToOutgoingContext(t.Context(), "fault", "x"))
}

// TestGRPCOutcomeOfRepeats plays what may follow an attempt that was sent and lost.
func TestGRPCOutcomeOfRepeats(t *testing.T) {
	const within = 3 * time.Second // what happens must have happened
	cases := map[string]struct {
		reason string
		// left is how many pods live on.
		left int
		// end says how the call's context ends. What it returns is called when the
		// first attempt is lost.
		end  func(context.Context) (context.Context, context.CancelFunc)
		want Fault
		code codes.Code
	}{
		"timeout": {
			reason: "that it may have run is not forgotten while a repetition waits",
			want:   Fault{Reason: ReasonLost, MayHaveRun: true}, code: codes.Unavailable,
		},
		"cancelled": {
			reason: "nor when its caller then leaves",
			end:    context.WithCancel,
			want:   Fault{Reason: ReasonCaller, MayHaveRun: true}, code: codes.Canceled,
		},
		"caller's deadline": {
			reason: "nor when its deadline passes without an endpoint",
			end: func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithTimeout(ctx, within)
				t.Cleanup(cancel)
				return ctx, func() {}
			},
			want: Fault{Reason: ReasonLost, MayHaveRun: true}, code: codes.Unavailable,
		},
		"repeated and not answered": {
			reason: "the last attempt says why",
			left:   1,
			want:   Fault{Reason: ReasonTimeout, MayHaveRun: true}, code: codes.DeadlineExceeded,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger()
			pods, c := grpcPods(t, l)
			seen := recorder{make(chan seenCall, 10)}
			shop := grpcShop(t, c, func(c *Config) {
				c.Methods, c.Observer = methodOptions{"Hang": {Idempotent: true, Timeout: within}}, seen
			})
			// The others go first, so that the call has but one place to be sent to.
			for _, p := range pods[:2-tc.left] {
				p.kill()
			}
			c.awaitReady(t, 1+tc.left)
			ctx, lost := t.Context(), context.CancelFunc(func() {})
			if tc.end != nil {
				ctx, lost = tc.end(ctx)
			}
			defer lost()
			ended := make(chan error, 1)
			go func() {
				_, err := callText(ctx, shop.conn, "/test.Shop/Hang", "")
				ended <- err
			}()
			<-l.hung
			busy := c.hadCall()
			for _, p := range pods {
				if busy.isOf(p) {
					p.kill()
				}
			}
			<-busy.Done()
			lost()
			err := <-ended
			f, ok := Cause(err)
			if !ok || f.Reason != tc.want.Reason || f.MayHaveRun != tc.want.MayHaveRun || f.Endpoint == "" || status.Code(err) != tc.code {
				t.Errorf("%s: got %v (%+v)", tc.reason, err, f)
			}
			if call := <-seen.calls; call.Repeats != tc.left || f != nil && call.Endpoint != f.Endpoint {
				t.Errorf("counted as %+v", call)
			}
			for _, p := range pods {
				if p.stop == nil {
					p.start(t)
				}
			}
		})
	}
}

// hadCall is the ready member that has had a call.
func (c *crew) hadCall() *crewMember {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ready[slices.IndexFunc(c.ready, func(m *crewMember) bool { return m.calls.Load() > 0 })]
}

// TestGRPCStreamAnsweredBeforeTheEnd: the error of a plugin that has left since is the
// plugin's for all who are told, however late the caller reads it.
func TestGRPCStreamAnsweredBeforeTheEnd(t *testing.T) {
	pods, c := grpcPods(t, newLedger())
	seen := recorder{make(chan seenCall, 10)}
	s, err := grpcShop(t, c, func(c *Config) { c.Observer = seen }).chat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := say(s, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := s.SendMsg(wrapperspb.String("fail")); err != nil {
		t.Fatal(err)
	}
	for _, p := range pods {
		c.reattach(t, func() { drained(t, p) }, p)
	}
	err = s.RecvMsg(new(wrapperspb.StringValue))
	if status.Convert(err).Message() != "sold out" || SourceOf(err) != SourcePlugin {
		t.Errorf("the caller got %v", err)
	}
	if call := <-seen.calls; call.Source != SourcePlugin {
		t.Errorf("counted as %+v", call)
	}
	if n := c.leases.Load(); n != 0 {
		t.Errorf("%d leases were not given back", n)
	}
}

// TestGRPCStreamEndedByItsCaller holds that a stream which its caller ended, by
// leaving or by a deadline, is the caller's side for all who are told.
func TestGRPCStreamEndedByItsCaller(t *testing.T) {
	_, c := grpcPods(t, newLedger())
	seen := recorder{make(chan seenCall, 10)}
	shop := grpcShop(t, c, func(c *Config) { c.Observer = seen })
	for name, want := range map[string]error{"cancelled": context.Canceled, "deadline": context.DeadlineExceeded} {
		t.Run(name, func(t *testing.T) {
			// A busy machine has to open the stream before the deadline.
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			s, err := shop.chat(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if want == context.Canceled {
				cancel()
			}
			err = s.RecvMsg(new(wrapperspb.StringValue))
			f, ok := Cause(err)
			if !ok || f.Reason != ReasonCaller || !f.MayHaveRun || !errors.Is(err, want) || status.Code(err) != status.FromContextError(want).Code() {
				t.Errorf("the caller got %v", err)
			}
			if call := <-seen.calls; call.Source != SourceCaller {
				t.Errorf("counted as %+v", call)
			}
		})
	}
}
