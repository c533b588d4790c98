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
	here, there := tcpPair(t)
	slow := make(chan struct{})
	made := sync.OnceFunc(func() { close(slow) })
	p := newPair(t, here, there, HostConfig{}, openThings(map[string]func() (any, error){
		"slow": func() (any, error) { <-slow; return newThing(), nil },
	}))
	t.Cleanup(made)
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
	here, there := tcpPair(t)
	slow := make(chan struct{})
	made := sync.OnceFunc(func() { close(slow) })
	config := openThings(map[string]func() (any, error){
		"slow":   func() (any, error) { <-slow; return newThing(), nil },
		"broken": func() (any, error) { return nil, errors.New("no implementation today") },
	})
	config.MaxCalls = 1
	p := newPair(t, here, there, HostConfig{}, config)
	t.Cleanup(made)
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
	here, there := tcpPair(t)
	decodes, mayDecode = 0, make(chan struct{})
	slow, may := make(chan struct{}), sync.OnceFunc(func() { close(mayDecode) })
	p := newPair(t, here, there, HostConfig{}, openThings(map[string]func() (any, error){
		"slow": func() (any, error) { <-slow; return taker{}, nil },
	}))
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
	close(slow)
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
