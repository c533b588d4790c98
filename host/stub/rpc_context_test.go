// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"net/rpc"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/hashicorp/go-plugin"
)

// handChannel is a channel of which a test says what becomes of its requests.
type handChannel struct {
	unsent  bool // what Cancel says
	during  func()
	headers chan rpc.Response
	refuse  bool // what comes is no answer
	lasting bool // so it will be later
	closed  chan struct{}
	close   sync.Once

	mu        sync.Mutex
	requests  []plugin.RPCRequest
	cancelled []int
}

func newHandChannel() *handChannel {
	return &handChannel{headers: make(chan rpc.Response, 10), closed: make(chan struct{})}
}

func (c *handChannel) session(name string) *handSession {
	return &handSession{name: name, ended: make(chan struct{}), channel: c}
}

func (c *handChannel) Send(r plugin.RPCRequest, _ any) (uint64, error) {
	if c.during != nil {
		c.during()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, r)
	if c.refuse {
		c.headers <- rpc.Response{Seq: r.Number, Error: "too many calls"}
	}
	return uint64(len(c.requests)) * 100, nil
}

func (c *handChannel) Cancel(number uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, r := range c.requests {
		if r.Number == number {
			c.cancelled = append(c.cancelled, i+1)
		}
	}
	return c.unsent
}

func (c *handChannel) ReadHeader(r *rpc.Response) error {
	select {
	case *r = <-c.headers:
		return nil
	case <-c.closed:
		return plugin.ErrConnectionLost
	}
}

func (c *handChannel) ReadReply(to reflect.Value) error {
	if c.refuse {
		return &plugin.RPCRefusedError{Reason: "too many calls", Busy: !c.lasting}
	}
	if to.IsValid() {
		to.Elem().SetString("answer")
	}
	return nil
}

func (c *handChannel) Taken() uint64               { return 1 << 20 }
func (c *handChannel) Await(context.Context) error { return nil }

func (c *handChannel) DetachReply() func(reflect.Value) error { return nil }

func (c *handChannel) Close() error {
	c.close.Do(func() { close(c.closed) })
	return nil
}

// seen gives what was sent and what was cancelled: the first request is 1.
func (c *handChannel) seen() (requests []plugin.RPCRequest, cancelled []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.requests), slices.Clone(c.cancelled)
}

// goContextCall is goCall with a context.
func goContextCall(ctx context.Context, c *rpc.Client, method string) <-chan result {
	done := make(chan result, 1)
	go func() {
		var r result
		r.err = plugin.CallContext(ctx, c, "Plugin."+method, "x", &r.reply)
		done <- r
	}()
	return done
}

// TestContextEndings plays the ways in which a call ends whose caller gives up.
func TestContextEndings(t *testing.T) {
	type want struct {
		reason     Reason
		mayHaveRun bool
		err        error
		outcomes   []string
		sent       int
		cancelled  []int
	}
	type played struct {
		router  *handRouter
		channel *handChannel
	}
	cancelAfter := func(d time.Duration) func(context.Context, *played) (context.Context, context.CancelFunc) {
		return func(ctx context.Context, _ *played) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(d, cancel)
			return ctx, cancel
		}
	}
	plain := func(ctx context.Context, _ *played) (context.Context, context.CancelFunc) {
		return context.WithCancel(ctx)
	}
	cases := map[string]struct {
		method  string
		prepare func(*played)
		ctx     func(context.Context, *played) (context.Context, context.CancelFunc)
		want    want
	}{
		"cancelled while an endpoint has it": {"Add", nil, cancelAfter(time.Second),
			want{ReasonCaller, true, context.Canceled, []string{"a: abandoned"}, 1, []int{1}}},
		"cancelled before it has left": {"Add", func(p *played) { p.channel.unsent = true }, cancelAfter(time.Second),
			want{ReasonCaller, false, context.Canceled, []string{"a: not-sent"}, 1, []int{1}}},
		"cancelled while it is sent": {"Add", func(p *played) { p.channel.during = func() { time.Sleep(2 * time.Second) } }, cancelAfter(time.Second),
			want{ReasonCaller, true, context.Canceled, []string{"a: abandoned"}, 1, []int{1}}},
		"cancelled before": {"Add", nil, cancelAfter(0),
			want{ReasonCaller, false, context.Canceled, []string{"a: not-sent"}, 0, nil}},
		"cancelled while none is ready": {"Add", func(p *played) { p.router.set() }, cancelAfter(time.Second),
			want{ReasonCaller, false, context.Canceled, nil, 0, nil}},
		"the caller's deadline": {"Add", nil, func(ctx context.Context, _ *played) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, want{ReasonCaller, true, context.DeadlineExceeded, []string{"a: abandoned"}, 1, []int{1}}},
		"the caller's deadline, none ready": {"Add", func(p *played) { p.router.set() }, func(ctx context.Context, _ *played) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, want{ReasonUnavailable, false, errNobody, nil, 0, nil}},
		"the method's timeout, as the daemon sets it": {"Quick", nil, func(ctx context.Context, _ *played) (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(ctx, 2*time.Second, ErrTimeout)
		}, want{ReasonTimeout, true, nil, []string{"a: timed-out"}, 1, []int{1}}},
		"the method's timeout": {"Quick", nil, plain,
			want{ReasonTimeout, true, nil, []string{"a: timed-out"}, 1, []int{1}}},
		"the method's timeout before it has left": {"Quick", func(p *played) { p.channel.unsent = true }, plain,
			want{ReasonTimeout, false, nil, []string{"a: timed-out"}, 1, []int{1}}},
		"a timeout while it is sent": {"Quick", func(p *played) { p.channel.during = func() { time.Sleep(3 * time.Second) } }, plain,
			want{ReasonTimeout, true, nil, []string{"a: timed-out"}, 1, []int{1}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &played{newHandRouter(), newHandChannel()}
				p.router.set(p.channel.session("a"))
				client := handStub(t, p.router, nil)
				defer client.Close()
				if tc.prepare != nil {
					tc.prepare(p)
				}
				ctx, cancel := tc.ctx(t.Context(), p)
				defer cancel()
				synctest.Wait()
				r := <-goContextCall(ctx, client, tc.method)
				synctest.Wait() // what was being sent is
				f, ok := Cause(r.err)
				if !ok || f.Reason != tc.want.reason || f.MayHaveRun != tc.want.mayHaveRun || !errors.Is(r.err, tc.want.err) && tc.want.err != nil {
					t.Errorf("it ended with %v, want %+v", r.err, tc.want)
				}
				time.Sleep(5 * time.Second) // what is being sent is sent
				requests, cancelled := p.channel.seen()
				if len(requests) != tc.want.sent || !slices.Equal(cancelled, tc.want.cancelled) {
					t.Errorf("%d were sent and %v cancelled, want %d and %v", len(requests), cancelled, tc.want.sent, tc.want.cancelled)
				}
				if _, outcomes, open := p.router.seen(); !slices.Equal(outcomes, tc.want.outcomes) || open != 0 {
					t.Errorf("the outcomes are %v, and %d leases open", outcomes, open)
				}
			})
		})
	}
}

// An answer that crosses the end of the context is nobody's.
func TestContextAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		channel := newHandChannel()
		client := handStub(t, newHandRouter(channel.session("a")), nil)
		defer client.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		call := goContextCall(ctx, client, "Add")
		synctest.Wait()
		requests, _ := channel.seen()
		channel.headers <- rpc.Response{Seq: requests[0].Number}
		if r := <-call; r.err != nil || r.reply != "answer" {
			t.Errorf("got %v", r)
		}
		call = goContextCall(ctx, client, "Add")
		synctest.Wait()
		cancel()
		synctest.Wait()
		requests, _ = channel.seen()
		channel.headers <- rpc.Response{Seq: requests[1].Number}
		if r := <-call; r.err == nil || r.reply != "" {
			t.Errorf("got %v", r)
		}
	})
}

// TestRequestSays holds what a request says of its call.
func TestRequestSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		channel := newHandChannel()
		router := newHandRouter()
		client := handStub(t, router, nil)
		defer client.Close()
		hour, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "k", "v"), time.Hour)
		defer cancel()
		goCall(client, "Quick", "x")
		goContextCall(t.Context(), client, "Quick")
		goContextCall(hour, client, "Quick")
		time.Sleep(time.Second)
		router.set(channel.session("a"))
		goCall(client, "Quick", "x")
		synctest.Wait()
		requests, _ := channel.seen()
		var left []time.Duration
		for _, r := range requests {
			left = append(left, r.Timeout)
			if said := len(r.Metadata["k"]); said != 0 && r.Timeout < 2*time.Second {
				t.Errorf("%+v says another's metadata", r)
			}
		}
		slices.Sort(left)
		want := []time.Duration{time.Second, time.Second, 2 * time.Second, time.Hour - time.Second}
		if !slices.Equal(left, want) {
			t.Errorf("they have %v left, want %v", left, want)
		}
	})
}

// A call that a plugin has refused goes elsewhere: it was not run.
func TestRefusedGoesElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := newHandChannel()
		full.refuse = true
		router := newHandRouter(full.session("full"), echoing("b"))
		client := handStub(t, router, nil)
		defer client.Close()
		if r := <-goCall(client, "Add", "x"); r.err != nil || r.reply != "x" {
			t.Errorf("got %v", r)
		}
		if _, outcomes, _ := router.seen(); !slices.Equal(outcomes, []string{"full: not-sent", "b: answered"}) {
			t.Errorf("the outcomes are %v", outcomes)
		}
	})
}

// A call that nobody else can take says why it was refused.
func TestRefusedByAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := newHandChannel()
		full.refuse = true
		client := handStub(t, newHandRouter(full.session("full")), nil)
		defer client.Close()
		err := (<-goCall(client, "Quick", "x")).err
		f, ok := Cause(err)
		var refused *plugin.RPCRefusedError
		if !ok || f.Reason != ReasonUnavailable || f.MayHaveRun || !errors.As(err, &refused) {
			t.Errorf("it ended with %v", err)
		}
	})
}

// A plugin that knows the deadline may say first that it has passed. That is no error of
// the plugin's.
func TestPluginNoticesDeadlineFirst(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"method's": 0, "caller's": time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				channel := newHandChannel()
				router := newHandRouter(channel.session("a"))
				client := handStub(t, router, nil)
				defer client.Close()
				ctx, cancel := context.WithCancel(t.Context())
				if timeout > 0 {
					ctx, cancel = context.WithTimeoutCause(ctx, timeout, ErrTimeout)
				}
				defer cancel()
				call := goContextCall(ctx, client, "Quick")
				synctest.Wait()
				requests, _ := channel.seen()
				time.Sleep(requests[0].Timeout)
				channel.headers <- rpc.Response{Seq: requests[0].Number, Error: "context deadline exceeded"}
				r := <-call
				if f, ok := Cause(r.err); !ok || f.Reason != ReasonTimeout || !f.MayHaveRun {
					t.Errorf("it ended with %v", r.err)
				}
				if _, outcomes, open := router.seen(); len(outcomes) != 1 || open != 0 {
					t.Errorf("the outcomes are %v, and %d leases open", outcomes, open)
				}
			})
		})
	}
}
