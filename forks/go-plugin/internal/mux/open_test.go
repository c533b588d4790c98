// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"errors"
	"net"
	"net/rpc"
	"testing"
)

func openThings(kinds map[string]func() (any, error)) PluginConfig {
	return PluginConfig{Open: func(kind string) (Handler, error) {
		v, err := kinds[kind]()
		if err != nil {
			return nil, err
		}
		server := rpc.NewServer()
		return server, server.RegisterName("Plugin", v)
	}}
}

// Calls may follow at once on a channel that the host opens. One that the
// plugin cannot serve fails its calls, and no others.
func TestOpen(t *testing.T) {
	onEach(t, func(t *testing.T, here, there net.Conn) {
		p := newPair(t, here, there, HostConfig{}, openThings(map[string]func() (any, error){
			"thing":  func() (any, error) { return newThing(), nil },
			"broken": func() (any, error) { return nil, errors.New("no implementation today") },
		}))
		clients := map[string]*rpc.Client{}
		for _, kind := range []string{"broken", "thing"} {
			clients[kind] = p.open(kind)
			defer clients[kind].Close()
		}
		for range 3 {
			var got string
			if err := clients["thing"].Call("Plugin.Upper", "a", &got); err != nil || got != "A" {
				t.Errorf("Upper = %q, %v", got, err)
			}
			if err := clients["broken"].Call("Plugin.Upper", "a", &got); err == nil || err.Error() != "no implementation today" {
				t.Errorf("a call on a channel that could not be opened: %v", err)
			}
		}
	})
}

// A kind whose author takes time to make it holds up only its own callers.
func TestOpenSlowly(t *testing.T) {
	onEach(t, func(t *testing.T, here, there net.Conn) {
		asked, made := make(chan struct{}), make(chan struct{})
		p := newPair(t, here, there, HostConfig{}, openThings(map[string]func() (any, error){
			"slow": func() (any, error) { close(asked); <-made; return newThing(), nil },
			"fast": func() (any, error) { return newThing(), nil },
		}))
		fast := p.open("fast")
		defer fast.Close()
		slow := p.open("slow")
		defer slow.Close()
		<-asked
		var got string
		if err := fast.Call("Plugin.Upper", "b", &got); err != nil || got != "B" {
			t.Errorf("Upper = %q, %v", got, err)
		}
		waiting := slow.Go("Plugin.Upper", "c", &got, nil)
		close(made)
		if call := <-waiting.Done; call.Error != nil || got != "C" {
			t.Errorf("Upper = %q, %v", got, call.Error)
		}
	})
}
