// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/rpc"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
)

// threePods starts pods of one plugin, and a crew that routes over them.
func threePods(t testing.TB, set plugin.PluginSet, protocol plugin.Protocol) ([]*pod, *crew) {
	t.Helper()
	var pods []*pod
	for i := range 3 {
		pods = append(pods, startPod(t, fmt.Sprintf("pod %d", i), set, protocol == plugin.ProtocolGRPC))
	}
	c := startCrew(t, pods, protocol)
	c.awaitReady(t, len(pods))
	return pods, c
}

// stormMethods are those of calls that may well be lost twice.
var stormMethods = methodOptions{"Get": {Idempotent: true, Repeats: 5}}

// shopStub is what a host dispenses once.
func shopStub(t testing.TB, c *crew) *shopClient {
	t.Helper()
	stub := mustRPC(t, "shop", Config{Router: c, Methods: stormMethods, Broker: c.broker})
	raw, err := (&shopRPC{}).Client(stub.Broker, stub.Client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stub.Client.Close() })
	return raw.(*shopClient)
}

// A misfortune is what can happen to a pod. It ends with the pod alive.
type misfortune func(testing.TB, *pod)

func killed(t testing.TB, p *pod) {
	p.kill()
	p.start(t)
}

func cutOff(_ testing.TB, p *pod) { p.cut() }

func drained(t testing.TB, p *pod) {
	p.drain(t)
	p.start(t)
}

// storm calls get and add from 64 goroutines while things happen to pods, and
// checks what the package promises. It returns how many adds were lost.
func storm(t *testing.T, pods []*pod, c *crew, l *ledger, get, add func(id string) (string, error), happening ...misfortune) int64 {
	t.Helper()
	const callers = 64
	events := 8 * len(happening)
	run := rand.Uint32()
	var (
		wg        sync.WaitGroup
		gets      atomic.Int64
		adds      atomic.Int64
		lostAdds  atomic.Int64
		ctx, stop = context.WithCancel(t.Context())
	)
	check := func(what, id string, reply string, err error) {
		if err == nil && reply != id {
			t.Errorf("%s %s was answered with %q", what, id, reply)
		}
	}
	for i := range callers {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				id := fmt.Sprintf("%x-%d-%d", run, i, n)
				if i%2 == 0 {
					reply, err := get(id)
					if gets.Add(1); err != nil {
						t.Errorf("idempotent call failed: %v", err)
					}
					check("get", id, reply, err)
					continue
				}
				reply, err := add(id)
				adds.Add(1)
				if f, ok := Cause(err); err != nil {
					if !ok || f.Reason != ReasonLost || !f.MayHaveRun {
						t.Errorf("a call that may not be repeated: got %v, want lost and may have run", err)
					}
					lostAdds.Add(1)
				}
				check("add", id, reply, err)
			}
		})
	}
	for n := range events {
		p := pods[rand.IntN(len(pods))]
		c.reattach(t, func() { happening[n%len(happening)](t, p) }, p)
	}
	// In quiet times the calls are spread.
	c.spread()
	mark := gets.Load() + adds.Load()
	deadline := time.Now().Add(time.Minute)
	for gets.Load()+adds.Load() < mark+3000 && time.Now().Before(deadline) {
		<-time.After(time.Millisecond)
	}
	if least, most := c.spread(); float64(least) < 0.8*float64(most) {
		t.Errorf("between events pods had from %d to %d calls", least, most)
	}
	stop()
	wg.Wait()
	if twice := l.twice(); twice != nil {
		t.Errorf("run more than once: %v", twice)
	}
	if n := c.leases.Load(); n != 0 {
		t.Errorf("%d leases were not given back", n)
	}
	t.Logf("%d events; idempotent calls: %d; others: %d, of which %d were lost", events, gets.Load(), adds.Load(), lostAdds.Load())
	return lostAdds.Load()
}

func TestRPCStorm(t *testing.T) {
	l := newLedger()
	pods, c := threePods(t, plugin.PluginSet{"shop": &shopRPC{l}}, plugin.ProtocolNetRPC)
	shop := shopStub(t, c)
	get := func(id string) (string, error) { return shop.call("Get", id) }
	add := func(id string) (string, error) { return shop.call("Add", id) }
	storm(t, pods, c, l, get, add, killed, cutOff, drained)
	if lost := storm(t, pods, c, l, get, add, drained); lost > 0 {
		t.Errorf("%d calls were lost though pods only drained", lost)
	}
}

func TestRPCPluginErrorIsUnchanged(t *testing.T) {
	_, c := threePods(t, plugin.PluginSet{"shop": &shopRPC{newLedger()}}, plugin.ProtocolNetRPC)
	_, err := shopStub(t, c).call("Fail", "")
	var text rpc.ServerError
	if !errors.As(err, &text) || string(text) != errSoldOut.Error() {
		t.Errorf("got %v, want the plugin's own words", err)
	}
	if got := SourceOf(err); got != SourcePlugin {
		t.Errorf("source %q, want plugin", got)
	}
}

// TestRPCCallbacks calls back to many callers at once, through any pod.
func TestRPCCallbacks(t *testing.T) {
	_, c := threePods(t, plugin.PluginSet{"shop": &shopRPC{newLedger()}}, plugin.ProtocolNetRPC)
	shop := shopStub(t, c)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for n := range 10 {
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
	// The other direction follows the last answer.
	for n := range 9 {
		if got, err := shop.Open("plugin says ", fmt.Sprint(n)); err != nil || got != fmt.Sprintf("plugin says %d", n) {
			t.Errorf("dial: got %q, %v", got, err)
		}
	}
}
