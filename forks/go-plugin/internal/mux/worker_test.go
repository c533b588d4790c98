// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"net"
	"net/rpc"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-plugin/internal/testkit"
)

// warm makes a plugin believe that a method is quick.
func warm(t testing.TB, client *rpc.Client) {
	t.Helper()
	for range 200 {
		mustUpper(t, client)
	}
}

// trap is quick until it is not: its methods wait once the trap is set.
type trap struct {
	set     atomic.Bool
	caught  chan struct{}
	release chan struct{}
}

func newTrap() *trap { return &trap{caught: make(chan struct{}, 1000), release: make(chan struct{})} }

func (t *trap) Upper(in string, out *string) error {
	if t.set.Load() {
		t.caught <- struct{}{}
		<-t.release
	}
	*out = "A"
	return nil
}

// Release lets the others go.
func (t *trap) Release(struct{}, *struct{}) error {
	t.set.Store(false)
	close(t.release)
	return nil
}

// A method that was quick, and then takes its time, holds up nobody: not even
// the call that it waits for.
func TestMistakenForQuick(t *testing.T) {
	onEach(t, func(t *testing.T, here, there net.Conn) {
		p := newPair(t, here, there, HostConfig{}, PluginConfig{})
		tr := newTrap()
		client, other := p.client(tr), p.client(newThing())
		warm(t, client)
		warm(t, other)
		tr.set.Store(true)
		var calls [5]*rpc.Call // at once: some requests are read while others run
		for i := range calls {
			calls[i] = client.Go("Plugin.Upper", "a", new(string), nil)
			mustUpper(t, other)
		}
		for range calls {
			<-tr.caught
		}
		mustUpper(t, other)
		if err := client.Call("Plugin.Release", struct{}{}, &struct{}{}); err != nil {
			t.Fatal(err)
		}
		for _, call := range calls {
			if <-call.Done; call.Error != nil {
				t.Errorf("a call that was caught: %v", call.Error)
			}
		}
		warm(t, client)
	})
}

// Each call that is read is counted, and its end, whatever comes of it. Those
// of the control channel are not.
func TestCalls(t *testing.T) {
	here, there := net.Pipe()
	var calls counter
	control := rpc.NewServer()
	if err := control.RegisterName("Control", newThing()); err != nil {
		t.Fatal(err)
	}
	var answered sync.Map
	p := newPair(t, here, there, HostConfig{}, PluginConfig{Control: control, Calls: &calls, Answered: func(method string) { answered.Store(method, true) }})
	ofControl := rpc.NewClientWithCodec(clientCodec{p.host.Channel(0)})
	held := newThing()
	client := p.client(held)
	holding := client.Go("Plugin.Hold", struct{}{}, nil, nil)
	<-held.held
	mustUpper(t, client)
	if err := ofControl.Call("Control.Upper", "a", new(string)); err != nil {
		t.Fatal(err)
	}
	for method, args := range map[string]any{"Plugin.None": "a", "Plugin.Upper": 7, "Plugin.Odd": struct{}{}, "Plugin.Fail": "no"} {
		if err := client.Call(method, args, nil); err == nil {
			t.Errorf("%s succeeds", method)
		}
	}
	testkit.Eventually(t, "five of six calls have ended", func() bool { return calls.begun.Load() == 6 && calls.ended.Load() == 5 })
	close(held.gate)
	<-holding.Done
	testkit.Eventually(t, "all calls have ended", func() bool { return calls.ended.Load() == 6 })
	if _, ok := answered.Load("Control.Upper"); !ok {
		t.Error("the session was not told that Control.Upper was answered")
	}
}

// Calls that outlive their session end all the same, and are counted.
func TestCallsOutliveSession(t *testing.T) {
	here, there := net.Pipe()
	var calls counter
	p := newPair(t, here, there, HostConfig{}, PluginConfig{Calls: &calls})
	tr := newTrap()
	client := p.client(tr)
	warm(t, client)
	began := calls.begun.Load()
	tr.set.Store(true)
	for range 3 {
		client.Go("Plugin.Upper", "a", new(string), nil)
	}
	for range 3 {
		<-tr.caught
	}
	p.end()
	close(tr.release)
	testkit.Eventually(t, "the calls have ended", func() bool { return calls.ended.Load() == began+3 })
}
