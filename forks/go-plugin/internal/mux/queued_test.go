// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"errors"
	"net"
	"net/rpc"
	"testing"

	"github.com/hashicorp/go-plugin/internal/testkit"
)

// Calls that come before there is what serves them wait for it, and hold up
// nobody: it may need the session itself.
func TestCallsBeforeOpened(t *testing.T) {
	type made struct{ Text string } // described by one request, used by all
	onEach(t, func(t *testing.T, here, there net.Conn) {
		asked, release := make(chan struct{}), make(chan struct{})
		var calls counter
		config := openThings(map[string]func() (any, error){
			"slow": func() (any, error) { close(asked); <-release; return newEchoer(), nil },
			"fast": func() (any, error) { return newThing(), nil },
		})
		config.Calls = &calls
		p := newPair(t, here, there, HostConfig{}, config)
		slow := p.open("slow")
		defer slow.Close()
		fast := p.open("fast")
		defer fast.Close()
		queued := make([]*rpc.Call, 10)
		for i := range queued {
			if i%2 == 0 {
				queued[i] = slow.Go("Plugin.Text", made{"text"}, new(string), nil)
			} else {
				queued[i] = slow.Go("Plugin.None", made{"text"}, new(string), nil)
			}
		}
		<-asked
		mustUpper(t, fast)
		testkit.Eventually(t, "the waiting calls are counted", func() bool { return calls.begun.Load() == 11 && calls.ended.Load() == 1 })
		close(release)
		for i, call := range queued {
			<-call.Done
			if got := *call.Reply.(*string); i%2 == 0 && (call.Error != nil || got != "text") || i%2 == 1 && call.Error == nil {
				t.Errorf("call %d: got %q, %v", i, got, call.Error)
			}
		}
		for range 3 {
			var got string
			if err := slow.Call("Plugin.Text", made{"later"}, &got); err != nil || got != "later" {
				t.Errorf("got %q, %v", got, err)
			}
		}
	})
}

// echoer takes a value of a type that gob has to describe.
type echoer struct{}

func newEchoer() echoer { return echoer{} }

func (echoer) Text(in struct{ Text string }, out *string) error { *out = in.Text; return nil }

// Calls that wait for what never comes end with the session, and are counted.
func TestSessionEndsBeforeOpened(t *testing.T) {
	here, there := net.Pipe()
	asked, release := make(chan struct{}), make(chan struct{})
	var calls counter
	config := openThings(map[string]func() (any, error){
		"slow": func() (any, error) { close(asked); <-release; return nil, errors.New("too late") },
	})
	config.Calls = &calls
	p := newPair(t, here, there, HostConfig{}, config)
	slow := p.open("slow")
	for range 3 {
		slow.Go("Plugin.Upper", "a", new(string), nil)
	}
	<-asked
	testkit.Eventually(t, "the calls are counted", func() bool { return calls.begun.Load() == 3 })
	_ = p.host.Close()
	<-p.plugin.Done()
	close(release)
	testkit.Eventually(t, "the calls have ended", func() bool { return calls.ended.Load() == 3 })
}

// Even what cannot be read is answered on a channel that nothing serves.
func TestNonsenseForUnserved(t *testing.T) {
	here, there := net.Pipe()
	var calls counter
	host, _ := rawHost(t, here, there, PluginConfig{Calls: &calls}, newThing())
	host.write(rawMessage(kindOpen, "unknown", 2))
	for n := range uint64(3) {
		host.write(rawMessage(kindRequest|flagFresh, name("Plugin.Upper")+"nonsense", 2, n, 0, 0))
		if m := host.next(); m.kind != kindRefused || m.number != n {
			t.Errorf("got %+v", m)
		}
	}
	testkit.Eventually(t, "the calls have ended", func() bool { return calls.ended.Load() == 3 })
}
