// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"errors"
	"net/rpc"
	"strings"
	"sync"
	"testing"
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
