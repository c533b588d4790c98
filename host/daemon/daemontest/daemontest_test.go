// SPDX-License-Identifier: MPL-2.0

package daemontest_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/daemon/daemontest"
	"github.com/reattach/reattach/host/stub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// greeter holds those who greet "slow" until it is released.
type greeter struct{ entered, release chan struct{} }

func newGreeter() greeter { return greeter{make(chan struct{}, 10), make(chan struct{})} }

func (g greeter) Greet(name string) (string, error) {
	switch name {
	case "":
		return "", errors.New("nobody is there")
	case "slow":
		g.entered <- struct{}{}
		<-g.release
	}
	return "Hello " + name, nil
}
func (greeter) Hi(times int) (string, error) { return fmt.Sprint(times), nil }

func kind() daemon.Kind {
	again := stub.CallOptions{Idempotent: true}
	return daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{}, daemon.WithMethod("Hi", again))
}

// overBoth runs a test in either protocol.
func overBoth(t *testing.T, run func(*testing.T, ...daemontest.Option)) {
	t.Run("gRPC", func(t *testing.T) { run(t) })
	t.Run("net/rpc", func(t *testing.T) { run(t, daemontest.NetRPC()) })
}

func TestServe(t *testing.T) {
	overBoth(t, func(t *testing.T, o ...daemontest.Option) {
		p := daemontest.Serve(t, kind(), newGreeter(), o...)
		g := daemontest.Stub[commons.Greeter](p)
		if got, err := g.Greet("Ada"); err != nil || got != "Hello Ada" {
			t.Errorf("got %q, %v", got, err)
		}
		if _, err := g.Greet(""); err == nil || err.Error() != "nobody is there" {
			t.Errorf("got %v, want the implementation's own error", err)
		}
		want := map[int]string{0: "grpc", 1: "netrpc"}[len(o)]
		if now, _ := p.Daemon.Plugin(daemontest.Name); now.Endpoints[0].Protocol != want {
			t.Errorf("it speaks %q, want %q", now.Endpoints[0].Protocol, want)
		}
	})
}

func TestGlueIsServedAsItIs(t *testing.T) {
	p := daemontest.Serve(t, kind(), &commons.GreeterPlugin{Impl: newGreeter()})
	if got, err := daemontest.Stub[commons.Greeter](p).Hi(3); err != nil || got != "3" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestKill holds that a call on the killed endpoint is lost and told so, that others take
// the next ones, and that another instance takes its place.
func TestKill(t *testing.T) {
	overBoth(t, func(t *testing.T, o ...daemontest.Option) {
		impl := newGreeter()
		p := daemontest.Serve(t, kind(), impl, append(o, daemontest.Replicas(2))...)
		g := daemontest.Stub[commons.Greeter](p)
		failed := make(chan error, 1)
		go func() {
			_, err := g.Greet("slow")
			failed <- err
		}()
		<-impl.entered
		p.Endpoint(0).Kill()
		p.Endpoint(1).Kill()
		if fault, ok := stub.Cause(<-failed); !ok || !fault.MayHaveRun || fault.Reason != stub.ReasonLost {
			t.Errorf("the call on a killed endpoint: %v", fault)
		}
		close(impl.release)
		p.Await(0)
		p.Endpoint(1).Start()
		p.Await(1)
		if got, err := g.Hi(1); err != nil || got != "1" {
			t.Errorf("after one has come back: %q, %v", got, err)
		}
	})
}

// TestDrain holds that no call is lost when an endpoint is told to end.
func TestDrain(t *testing.T) {
	overBoth(t, func(t *testing.T, o ...daemontest.Option) {
		impl := newGreeter()
		p := daemontest.Serve(t, kind(), impl, append(o, daemontest.Replicas(2))...)
		g := daemontest.Stub[commons.Greeter](p)
		var calls sync.WaitGroup
		for range 4 {
			calls.Go(func() {
				if _, err := g.Greet("slow"); err != nil {
					t.Errorf("a call in flight: %v", err)
				}
			})
			<-impl.entered
		}
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			p.Endpoint(0).Drain()
		}()
		p.Await(1)
		for range 10 {
			if _, err := g.Greet("Ada"); err != nil {
				t.Errorf("a call beside it: %v", err)
			}
		}
		close(impl.release)
		calls.Wait()
		<-drained
	})
}

// TestSlow holds that an endpoint which is slow makes calls wait, and can be made quick
// again.
func TestSlow(t *testing.T) {
	overBoth(t, func(t *testing.T, o ...daemontest.Option) {
		p := daemontest.Serve(t, kind(), newGreeter(), append(o, daemontest.Configure(func(o *daemon.Options) { o.CallTimeout = 2 * time.Second }))...)
		g := daemontest.Stub[commons.Greeter](p)
		p.Endpoint(0).Slow(time.Hour)
		_, err := g.Greet("Ada")
		if fault, ok := stub.Cause(err); !ok || fault.Reason != stub.ReasonTimeout {
			t.Errorf("a call of a slow endpoint: %v", err)
		}
		p.Endpoint(0).Kill()
		p.Await(0)
		p.Endpoint(0).Start()
		p.Await(1)
		if _, err := g.Greet("Ada"); err != nil {
			t.Errorf("a call of another instance: %v", err)
		}
	})
}

// recorder notes how a test was ended.
type recorder struct {
	testing.TB
	said string
}

type ended struct{}

func (r *recorder) Helper() {}
func (r *recorder) Fatal(args ...any) {
	r.said = fmt.Sprint(args...)
	panic(ended{})
}

func TestWhatDoesNotFit(t *testing.T) {
	cases := map[string]struct {
		kind daemon.Kind
		impl any
		want string
	}{
		"another type": {kind(), 7, "int does not implement commons.Greeter"},
		"nothing":      {kind(), nil, "<nil> does not implement commons.Greeter"},
		"no Impl":      {daemon.NewKind[commons.Greeter]("x", &plugin.NetRPCUnsupportedPlugin{}), newGreeter(), "no field Impl to set"},
		"bad kind":     {daemon.NewKind[commons.Greeter]("", &commons.GreeterPlugin{}), newGreeter(), "name is empty"},
	}
	for name, tc := range cases {
		r := &recorder{TB: t}
		func() {
			defer func() {
				if p := recover(); p != nil && p != any(ended{}) {
					panic(p)
				}
			}()
			daemontest.Serve(r, tc.kind, tc.impl)
		}()
		if !strings.Contains(r.said, tc.want) {
			t.Errorf("%s: %q, want %q", name, r.said, tc.want)
		}
	}
}
