// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// grpcShop is what a host dispenses once.
func grpcShop(t testing.TB, c *crew, change func(*Config)) *shopCaller {
	t.Helper()
	config := Config{Router: c, Methods: testMethods, Broker: c.broker}
	if change != nil {
		change(&config)
	}
	stub, err := NewGRPC(config)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := (&shopGRPC{}).GRPCClient(t.Context(), stub.Broker, stub.Conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if state := stub.Conn.GetState(); state != connectivity.Idle {
			t.Errorf("the routed connection is %v, want IDLE: it must never connect", state)
		}
		if err := stub.Close(); err != nil {
			t.Error(err)
		}
	})
	return raw.(*shopCaller)
}

func grpcPods(t testing.TB, l *ledger) ([]*pod, *crew) {
	return threePods(t, plugin.PluginSet{"shop": &shopGRPC{ledger: l}}, plugin.ProtocolGRPC)
}

func TestGRPCStorm(t *testing.T) {
	l := newLedger()
	pods, c := grpcPods(t, l)
	shop := grpcShop(t, c, func(c *Config) { c.Methods = stormMethods })
	get := func(id string) (string, error) { return shop.call("Get", id) }
	add := func(id string) (string, error) { return shop.call("Add", id) }
	storm(t, pods, c, l, get, add, killed, cutOff, drained)
	if lost := storm(t, pods, c, l, get, add, drained); lost > 0 {
		t.Errorf("%d calls were lost though pods only drained", lost)
	}
}

func TestGRPCPluginErrorIsUnchanged(t *testing.T) {
	_, c := grpcPods(t, newLedger())
	shop := grpcShop(t, c, nil)
	for range 6 {
		_, err := shop.call("Fail", "")
		if _, ok := Cause(err); ok || status.Code(err) != codes.Unavailable || status.Convert(err).Message() != "sold out" {
			t.Fatalf("got %v, want the plugin's own error", err)
		}
	}
	if least, most := c.spread(); least != 2 || most != 2 {
		t.Errorf("pods had from %d to %d calls, want 2: the plugin's error is no reason to call again", least, most)
	}
}

// TestGRPCOptions holds that what travels beside a call arrives.
func TestGRPCOptions(t *testing.T) {
	_, c := grpcPods(t, newLedger())
	shop := grpcShop(t, c, nil)
	var header, trailer metadata.MD
	var from peer.Peer
	ctx := metadata.AppendToOutgoingContext(t.Context(), "mark", "x")
	_, err := callText(ctx, shop.conn, "/test.Shop/Get", "id",
		grpc.Header(&header), grpc.Trailer(&trailer), grpc.Peer(&from), grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	got := []string{strings.Join(header.Get("seen"), ""), strings.Join(trailer.Get("end"), "")}
	if diff := cmp.Diff([]string{"x", "id"}, got); diff != "" {
		t.Errorf("header and trailer (-want +got)\n%s", diff)
	}
	if from.Addr == nil {
		t.Error("no peer")
	}
}

func TestGRPCDeadlines(t *testing.T) {
	const timeout, soon, late = 2 * time.Second, 500 * time.Millisecond, 3 * time.Second
	short := methodOptions{"Hang": {Timeout: timeout}, "Chat": {Timeout: 50 * time.Millisecond}}
	cases := map[string]struct {
		reason string
		empty  bool // no endpoint is ready
		ctx    func(hung <-chan struct{}) (context.Context, context.CancelFunc)
		want   codes.Code
		text   string
		caller bool
		counts int64 // against the endpoint
	}{
		"the method's": {
			counts: 1,
			reason: "a call without a deadline has the one of its method",
			ctx:    endless,
			want:   codes.DeadlineExceeded,
			text:   "reattach: no answer in time from stub-test@",
		},
		"the caller's": {
			reason: "the caller's deadline wins, and is the caller's",
			ctx: func(<-chan struct{}) (context.Context, context.CancelFunc) {
				return context.WithTimeout(context.Background(), soon)
			},
			want:   codes.DeadlineExceeded,
			text:   "reattach: the caller ended Hang on stub-test@",
			caller: true,
		},
		"the caller's, patient": {
			counts: 1,
			reason: "the endpoint had more than the time that its method may take",
			ctx: func(<-chan struct{}) (context.Context, context.CancelFunc) {
				return context.WithTimeout(context.Background(), late)
			},
			want:   codes.DeadlineExceeded,
			text:   "reattach: the caller ended Hang on stub-test@",
			caller: true,
		},
		"cancelled": {
			reason: "what the caller ends is its own doing, and may have run",
			ctx: func(hung <-chan struct{}) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(context.Background())
				go func() {
					<-hung
					cancel()
				}()
				return ctx, cancel
			},
			want:   codes.Canceled,
			text:   "reattach: the caller ended Hang on stub-test@",
			caller: true,
		},
		"nobody ready": {
			reason: "the deadline also holds for waiting",
			empty:  true,
			ctx:    endless,
			want:   codes.Unavailable,
			text:   "reattach: no endpoint took Hang; it was not sent: no pod is ready",
		},
		"nobody ready, cancelled": {
			reason: "what the caller ends while it waits surely has not run",
			empty:  true,
			ctx: func(<-chan struct{}) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(context.Background())
				time.AfterFunc(10*time.Millisecond, cancel)
				return ctx, cancel
			},
			want:   codes.Canceled,
			text:   "reattach: the caller ended Hang; it was not sent: context canceled",
			caller: true,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, c := newLedger(), emptyCrew()
			if !tc.empty {
				_, c = grpcPods(t, l)
			}
			shop := grpcShop(t, c, func(c *Config) { c.Methods = short })
			ctx, cancel := tc.ctx(l.hung)
			defer cancel()
			_, err := callText(ctx, shop.conn, "/test.Shop/Hang", "")
			if status.Code(err) != tc.want || !strings.HasPrefix(err.Error(), tc.text) {
				t.Errorf("%s: got %v", tc.reason, err)
			}
			f, ok := Cause(err)
			if !ok || (f.Source() == SourceCaller) != tc.caller || f.MayHaveRun == tc.empty {
				t.Errorf("%s: got fault %+v", tc.reason, f)
			}
			if got := c.late.Load(); got != tc.counts {
				t.Errorf("%s: it counts %d times against the endpoint, want %d", tc.reason, got, tc.counts)
			}
		})
	}
	t.Run("stream without an endpoint", func(t *testing.T) {
		shop := grpcShop(t, emptyCrew(), func(c *Config) { c.Methods = short })
		_, err := shop.chat(t.Context())
		if f, ok := Cause(err); !ok || f.Reason != ReasonUnavailable {
			t.Errorf("got %v, want unavailable", err)
		}
	})
}

func endless(<-chan struct{}) (context.Context, context.CancelFunc) {
	return context.WithCancel(context.Background())
}

func emptyCrew() *crew { return &crew{changed: make(chan struct{})} }

func (c *shopCaller) chat(ctx context.Context) (grpc.ClientStream, error) {
	return c.conn.NewStream(ctx, &shopService.Streams[0], "/test.Shop/Chat")
}

func say(s grpc.ClientStream, text string) (string, error) {
	var out wrapperspb.StringValue
	if err := s.SendMsg(wrapperspb.String(text)); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	err := s.RecvMsg(&out)
	return out.GetValue(), err
}

func TestGRPCStreams(t *testing.T) {
	pods, c := grpcPods(t, newLedger())
	seen := recorder{make(chan seenCall, 10)}
	shop := grpcShop(t, c, func(c *Config) { c.Observer = seen })

	type want struct {
		Source Source
		Leases int64
	}
	cases := map[string]struct {
		reason string
		play   func(t *testing.T, s grpc.ClientStream, cancel func())
		want   want
	}{
		"ended by both": {
			reason: "a stream that has ended gives its lease back",
			play: func(t *testing.T, s grpc.ClientStream, _ func()) {
				if err := s.CloseSend(); err != nil {
					t.Error(err)
				}
				if err := s.RecvMsg(new(wrapperspb.StringValue)); !errors.Is(err, io.EOF) {
					t.Errorf("got %v, want the end", err)
				}
			},
		},
		"ended by the plugin's error": {
			reason: "the plugin's error comes unchanged",
			play: func(t *testing.T, s grpc.ClientStream, _ func()) {
				_, err := say(s, "fail")
				if _, ok := Cause(err); ok || status.Convert(err).Message() != "sold out" {
					t.Errorf("got %v, want the plugin's own error", err)
				}
			},
			want: want{Source: SourcePlugin},
		},
		"left by the caller": {
			reason: "a stream whose context has ended gives its lease back",
			play:   func(_ *testing.T, _ grpc.ClientStream, cancel func()) { cancel() },
			want:   want{Source: SourceCaller},
		},
		"lost": {
			reason: "a stream does not move to another endpoint",
			play: func(t *testing.T, s grpc.ClientStream, _ func()) {
				c.reattach(t, func() {
					for _, p := range pods {
						p.cut()
					}
				}, pods...)
				var err error
				for err == nil {
					_, err = say(s, "x")
				}
				if f, ok := Cause(err); !ok || f.Reason != ReasonLost || !errors.Is(err, plugin.ErrConnectionLost) {
					t.Errorf("got %v, want lost", err)
				}
			},
			want: want{Source: SourceNetwork},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s, err := shop.chat(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := say(s, "hello"); err != nil || got != "hello" {
				t.Fatalf("got %q, %v", got, err)
			}
			if n := c.leases.Load(); n != 1 {
				t.Errorf("%d leases while the stream is open, want 1", n)
			}
			tc.play(t, s, cancel)
			call := <-seen.calls
			if diff := cmp.Diff(tc.want, want{call.Source, c.leases.Load()}); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}

func TestGRPCClose(t *testing.T) {
	stub, err := NewGRPC(Config{Router: emptyCrew()})
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := callText(context.Background(), stub.Conn, "/test.Shop/Get", "")
		waiting <- err
	}()
	if err := stub.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; status.Code(err) != codes.Canceled {
		t.Errorf("a call that waited: got %v", err)
	}
	if _, err := callText(context.Background(), stub.Conn, "/test.Shop/Get", ""); status.Code(err) != codes.Canceled {
		t.Errorf("a later call: got %v", err)
	}
}

// TestGRPCCallbacks calls back to many callers at once, through any pod.
func TestGRPCCallbacks(t *testing.T) {
	_, c := grpcPods(t, newLedger())
	shop := grpcShop(t, c, nil)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 5 {
				prefix, text := fmt.Sprintf("%d says ", i), fmt.Sprint(n)
				if got, err := shop.Via(prefix, text); err != nil || got != prefix+text {
					t.Errorf("callback: got %q, %v, want %q", got, err, prefix+text)
				}
			}
		})
	}
	wg.Wait()
	if least, most := c.spread(); least == 0 {
		t.Errorf("not all pods called back: from %d to %d calls", least, most)
	}
	for n := range 9 {
		if got, err := shop.Open("plugin says ", fmt.Sprint(n)); err != nil || got != fmt.Sprintf("plugin says %d", n) {
			t.Errorf("dial: got %q, %v", got, err)
		}
	}
}
