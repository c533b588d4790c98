// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"errors"
	"net/rpc"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-plugin/internal/testkit"
)

// Requests in one frame, for kinds that are slow to make, are together more than the plugin
// keeps. What is beyond waits with their host, whose session goes on.
func TestShortRequestsForSlowKinds(t *testing.T) {
	p, made := newSlowPair(t, newThing(), nil)
	fast := p.client(newThing())
	var clients [3]*rpc.Client
	for i := range clients {
		clients[i] = p.open("slow")
		defer clients[i].Close()
	}
	body := make([]byte, 64<<10)
	calls := make([]*rpc.Call, maxQueued/len(body)+50)
	for i := range calls {
		calls[i] = clients[i%len(clients)].Go("Plugin.Size", body, new(int), nil)
	}
	mustUpper(t, fast)
	made()
	for _, call := range calls {
		if <-call.Done; call.Error != nil || *call.Reply.(*int) != len(body) {
			t.Fatalf("got %d, %v", *call.Reply.(*int), call.Error)
		}
	}
	if n := p.host.ahead.Load(); n != 0 {
		t.Errorf("%d bytes are taken to wait for kinds that are made", n)
	}
	p.checkNothingLeft()
}

// A request that is refused for another reason does not show that its kind was made: others
// wait for that all the same.
func TestRefusedWhileMaking(t *testing.T) {
	p, made := newSlowPair(t, newThing(), func(config *PluginConfig) { config.MaxCalls = 1 })
	c, err := p.host.Open("slow")
	if err != nil {
		t.Fatal(err)
	}
	client := rpc.NewClientWithCodec(clientCodec{c})
	defer client.Close()
	waiting := client.Go("Plugin.Upper", "a", new(string), nil)
	if err := client.Call("Plugin.Size", make([]byte, whole), new(int)); err == nil || !strings.Contains(err.Error(), errTooManyCalls.Error()) {
		t.Fatalf("the second call: %v", err)
	}
	if !c.making.Load() || p.host.ahead.Load() == 0 {
		t.Error("the kind is taken for made")
	}
	made()
	if <-waiting.Done; waiting.Error != nil {
		t.Error(waiting.Error)
	}
	if c.making.Load() || p.host.ahead.Load() != 0 {
		t.Errorf("once it is made, %d bytes are taken to wait for it", p.host.ahead.Load())
	}
	broken := p.open("broken")
	defer broken.Close()
	if err := broken.Call("Plugin.Upper", "a", new(string)); err == nil || p.host.ahead.Load() != 0 {
		t.Errorf("a kind that cannot be made: %v, and %d bytes are taken to wait for it", err, p.host.ahead.Load())
	}
}

// Reluctant is an argument that the plugin decodes when the test lets it.
type Reluctant struct{ data []byte }

var mayDecode chan struct{} // of the second and later ones of TestKeptRequestsAreDecodedSlowly

var decodes int // by one goroutine at a time

// GobEncode implements gob.GobEncoder.
func (r Reluctant) GobEncode() ([]byte, error) { return r.data, nil }

// GobDecode implements gob.GobDecoder.
func (r *Reluctant) GobDecode(data []byte) error {
	if decodes++; decodes > 1 {
		<-mayDecode
	}
	r.data = data
	return nil
}

// taker takes reluctant arguments.
type taker struct{}

func (taker) Take(in Reluctant, size *int) error { *size = len(in.data); return nil }

// A kind is made, and the requests that have come meanwhile are decoded more slowly than
// others come behind them. Those wait, and the session goes on.
func TestKeptRequestsAreDecodedSlowly(t *testing.T) {
	decodes, mayDecode = 0, make(chan struct{})
	may := sync.OnceFunc(func() { close(mayDecode) })
	p, made := newSlowPair(t, taker{}, nil)
	t.Cleanup(may)
	client := p.open("slow")
	defer client.Close()
	body := Reluctant{make([]byte, 64<<10)}
	send := func(n int) (calls []*rpc.Call) {
		for range n {
			calls = append(calls, client.Go("Plugin.Take", body, new(int), nil))
		}
		return calls
	}
	calls := send(maxAhead/len(body.data) - 20)
	made()
	if <-calls[0].Done; calls[0].Error != nil {
		t.Fatal(calls[0].Error)
	}
	more := make(chan []*rpc.Call)
	go func() { more <- send((maxQueued-maxAhead)/len(body.data) + 100) }()
	testkit.Eventually(t, "the plugin keeps as much as it may", func() bool {
		p.plugin.mu.Lock()
		defer p.plugin.mu.Unlock()
		return p.plugin.queued > maxQueued || p.plugin.err != nil
	})
	may()
	for _, call := range append(calls[1:], <-more...) {
		if <-call.Done; call.Error != nil || *call.Reply.(*int) != len(body.data) {
			t.Fatalf("got %d, %v", *call.Reply.(*int), call.Error)
		}
	}
	p.checkNothingLeft()
}

// Channels are closed while the plugin still makes their kinds. What was sent on them counts
// no more, on neither side: others may send as much at once, and the session goes on.
func TestClosedWhileMaking(t *testing.T) {
	var calls counter
	p, made := newSlowPair(t, newThing(), func(config *PluginConfig) { config.Calls = &calls })
	fast := p.client(newThing())
	const n = maxAhead / (64 << 10)
	for range 2 {
		client := p.open("slow")
		for range n {
			client.Go("Plugin.Size", make([]byte, 64<<10), new(int), nil)
		}
		client.Go("Plugin.Size", make([]byte, whole), new(int), nil)
		if p.host.ahead.Load() < maxAhead-1<<20 {
			t.Errorf("%d bytes are taken to wait", p.host.ahead.Load())
		}
		_ = client.Close()
		if left := p.host.ahead.Load(); left != 0 {
			t.Errorf("once their channel is closed, %d bytes are taken to wait", left)
		}
	}
	mustUpper(t, fast) // The plugin has read all that by now.
	p.plugin.mu.Lock()
	if p.plugin.queued != 0 {
		t.Errorf("the plugin keeps %d bytes of what nobody waits for", p.plugin.queued)
	}
	p.plugin.mu.Unlock()
	testkit.Eventually(t, "the calls have ended", func() bool { return calls.begun.Load() == 2*(n+1)+1 && calls.ended.Load() == calls.begun.Load() })
	made()
	p.checkNothingLeft()
}

// Whatever the first request in one frame comes to shows that the kind is made: the plugin
// decodes it no sooner.
func TestFirstIsRefusedOnceMade(t *testing.T) {
	for name, refuse := range map[string]func(*pair, *Channel){
		"given up": func(p *pair, c *Channel) {
			mustSend(t, c, Request{Method: "Plugin.Upper"})
			c.Cancel(0)
			mustUpper(t, p.client(newThing())) // The plugin has read that by now.
		},
		"one too many": func(p *pair, c *Channel) {
			p.plugin.config.MaxCalls = 1
			slow := newThing()
			held := p.client(slow).Go("Plugin.Hold", struct{}{}, &struct{}{}, nil)
			<-slow.held
			mustSend(t, c, Request{Method: "Plugin.Upper"})
			t.Cleanup(func() { close(slow.gate); <-held.Done })
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, made := newSlowPair(t, newThing(), nil)
			c, err := p.host.Open("slow")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			refuse(p, c)
			made()
			var refused *RefusedError
			if r := <-readOne(c); !errors.As(r.err, &refused) {
				t.Fatalf("the answer is %+v", r)
			}
			if n := p.host.ahead.Load(); c.making.Load() || n != 0 {
				t.Errorf("once it is made, %d bytes are taken to wait for it", n)
			}
		})
	}
}
