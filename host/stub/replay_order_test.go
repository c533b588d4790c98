// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
)

// aimed is a crew whose picks go to one pod, if one is named.
type aimed struct {
	*crew
	at    atomic.Pointer[pod]
	picks atomic.Int64
}

// Pick implements balancer.Router.
func (a *aimed) Pick(ctx context.Context, protocol string, tried []string) (balancer.Lease, error) {
	at := a.at.Load()
	if at == nil {
		return a.crew.Pick(ctx, protocol, tried)
	}
	for {
		lease, err := a.crew.Pick(ctx, protocol, nil)
		if err != nil || lease.Endpoint() == memberName(at) {
			a.picks.Add(1)
			return lease, err
		}
		lease.Done(balancer.NotSent)
	}
}

// holding makes the next Configure of a memory wait, once it has arrived, for release.
func (m *memory) holding() (arrived <-chan struct{}, release func()) {
	came, held := make(chan struct{}), make(chan struct{})
	m.mu.Lock()
	m.hold = func() { close(came); <-held }
	m.mu.Unlock()
	return came, sync.OnceFunc(func() { close(held) })
}

func (m *memories) begin(ctx context.Context, method, in string) <-chan result {
	done := make(chan result, 1)
	go func() {
		out, err := m.callWithin(ctx, method, in)
		done <- result{reply: out, err: err}
	}()
	return done
}

// passing lets much happen on an endpoint that would happen if nothing held it up.
func (m *memories) passing(t *testing.T) {
	t.Helper()
	for range 100 {
		if err := m.look(); err != nil {
			t.Fatal(err)
		}
	}
}

// behind begins a Configure at an endpoint that is held up, and lets much happen there.
func (m *memories) behind(t *testing.T, router *aimed, in string) <-chan result {
	t.Helper()
	picks := router.picks.Load()
	done := m.begin(t.Context(), "Configure", in)
	for router.picks.Load() == picks {
		runtime.Gosched()
	}
	m.passing(t)
	return done
}

// startAimed has an endpoint that has accepted a configuration, and another one which
// holds its replay until release is called.
func startAimed(t *testing.T, protocol plugin.Protocol) (m *memories, router *aimed, release func(), ask <-chan result, giveUp func()) {
	t.Helper()
	m = startMemories(t, protocol, false)
	router = &aimed{crew: m.crew}
	stateless := m.caller(t, protocol, Config{Router: router, Methods: m.methods})
	m.look = func() error { _, err := stateless(t.Context(), "Look", ""); return err }
	m.callWithin = m.caller(t, protocol, Config{Router: router, State: NewState(), Methods: m.methods})
	router.at.Store(m.pods[0])
	m.must(t, "Configure", "a", "configure a")
	router.at.Store(m.pods[1])
	arrived, release := m.memories[1].holding()
	t.Cleanup(release)
	ctx, giveUp := context.WithCancel(t.Context())
	ask = m.begin(ctx, "Ask", "x")
	<-arrived
	return m, router, release, ask, giveUp
}

// TestReplayBesideConfigure has an endpoint accept a newer request while it is being sent
// the older one: the older must not come last.
func TestReplayBesideConfigure(t *testing.T) {
	forBothProtocols(t, func(t *testing.T, protocol plugin.Protocol) {
		m, router, release, ask, _ := startAimed(t, protocol)
		newer := m.behind(t, router, "b")
		release()
		if got := <-newer; got.err != nil {
			t.Fatal(got.err)
		}
		if got := <-ask; got.err != nil {
			t.Error(got.err)
		}
		m.must(t, "Ask", "y", "b/y")
		if got := m.memories[1].seen(); got != "configure a, configure b" {
			t.Errorf("the endpoint was told %q", got)
		}
	})
}

// TestReplayOvertaken has another endpoint accept a newer request while an older one is
// being replayed: the call for which that is done finds the newer one.
func TestReplayOvertaken(t *testing.T) {
	forBothProtocols(t, func(t *testing.T, protocol plugin.Protocol) {
		m, router, release, ask, _ := startAimed(t, protocol)
		router.at.Store(m.pods[0])
		m.must(t, "Configure", "b", "configure b")
		release()
		if got := <-ask; got.err != nil || got.reply != "b/x" {
			t.Errorf("got %+v, want b/x", got)
		}
		if got := m.memories[1].seen(); got != "configure a, configure b" {
			t.Errorf("the endpoint was told %q", got)
		}
	})
}

// TestReplayOutlivesItsCall has the caller give up for whose call a request is replayed:
// the endpoint runs it all the same, once, and what is newer comes after it.
func TestReplayOutlivesItsCall(t *testing.T) {
	forBothProtocols(t, func(t *testing.T, protocol plugin.Protocol) {
		m, router, release, ask, giveUp := startAimed(t, protocol)
		giveUp()
		if got := <-ask; !errors.Is(got.err, context.Canceled) && !strings.Contains(fmt.Sprint(got.err), "caller ended") {
			t.Errorf("the caller that gave up was told %+v", got)
		}
		newer := m.behind(t, router, "b")
		release()
		if got := <-newer; got.err != nil {
			t.Fatal(got.err)
		}
		m.must(t, "Ask", "y", "b/y")
		if got := m.memories[1].seen(); got != "configure a, configure b" {
			t.Errorf("the endpoint was told %q", got)
		}
	})
}

// TestReplayAfterUnknown has a caller give up whose request the endpoint runs later. Nobody
// knows that, so the last one that was accepted comes again.
func TestReplayAfterUnknown(t *testing.T) {
	forBothProtocols(t, func(t *testing.T, protocol plugin.Protocol) {
		m := startMemories(t, protocol, false)
		router := &aimed{crew: m.crew}
		router.at.Store(m.pods[0])
		m.callWithin = m.caller(t, protocol, Config{Router: router, State: NewState(), Methods: m.methods})
		m.must(t, "Configure", "a", "configure a")
		arrived, release := m.memories[0].holding()
		t.Cleanup(release)
		ctx, giveUp := context.WithCancel(t.Context())
		unknown := m.begin(ctx, "Configure", "b")
		<-arrived
		giveUp()
		if got := <-unknown; got.err == nil {
			t.Fatal("answered a call that was given up")
		}
		release()
		for m.memories[0].seen() != "configure a, configure b" {
		}
		m.must(t, "Ask", "x", "a/x")
	})
}

// TestReplayStorm configures again and again while others ask: whoever asks after a request was accepted is answered by it, or by a newer one.
func TestReplayStorm(t *testing.T) {
	const configurations, askers = 150, 8
	forBothProtocols(t, func(t *testing.T, protocol plugin.Protocol) {
		m := startMemories(t, protocol, false)
		m.must(t, "Configure", "0", "configure 0")
		var accepted atomic.Int64
		done := make(chan struct{})
		var all sync.WaitGroup
		for range askers {
			all.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					least := accepted.Load()
					got, err := m.call("Ask", "x")
					if err != nil {
						if f, ok := Cause(err); !ok || f.Reason != ReasonLost {
							t.Error(err)
						}
						continue
					}
					number, _, _ := strings.Cut(got, "/")
					if n, err := strconv.ParseInt(number, 10, 64); err != nil || n < least {
						t.Errorf("answered %q after %d was accepted", got, least)
					}
				}
			})
		}
		for i := range configurations {
			if _, err := m.call("Configure", fmt.Sprint(i+1)); err == nil {
				accepted.Store(int64(i + 1))
			} else if f, ok := Cause(err); !ok || f.Reason != ReasonLost {
				t.Error(err)
			}
		}
		close(done)
		all.Wait()
	})
}

// closedGlue does not serve its kind, and says so.
type closedGlue struct{ memoryGlue }

func (closedGlue) Server(*plugin.MuxBroker) (any, error) {
	return nil, errors.New("closed for repairs")
}

// TestReplayNotServed has an endpoint refuse the kind whose request is replayed.
func TestReplayNotServed(t *testing.T) {
	const protocol = plugin.ProtocolNetRPC
	glue := memoryGlue{new(memory)}
	pods := []*pod{
		startPod(t, "open", plugin.PluginSet{"memory": glue}, false),
		startPod(t, "closed", plugin.PluginSet{"memory": closedGlue{glue}}, false),
	}
	crew := startCrew(t, pods, protocol)
	crew.awaitReady(t, len(pods))
	router := &aimed{crew: crew}
	methods := methodOptions{"Configure": {Replay: true}}
	call := (*memories)(nil).caller(t, protocol, Config{Router: router, State: NewState(), Methods: methods})
	router.at.Store(pods[0])
	if _, err := call(t.Context(), "Configure", "a"); err != nil {
		t.Fatal(err)
	}
	router.at.Store(pods[1])
	_, err := call(t.Context(), "Ask", "x")
	want := "reattach: no endpoint took Ask; it was not sent: the replay of Configure was refused by " + memberName(pods[1]) + ": closed for repairs"
	if fmt.Sprint(err) != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
