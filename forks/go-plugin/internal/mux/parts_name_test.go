// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"io"
	"testing"
)

// TestNameOfLongRequest reads a request that comes in two pieces, whatever they are: what
// is read behind the name of its method does not take the name's place.
func TestNameOfLongRequest(t *testing.T) {
	b := newMessage(kindRequest|flagMore, 1, 3)
	b.call("Plugin.Echo", 0, "key", "value")
	b.number(100 << 10)
	b.data = append(b.data, bytes.Repeat([]byte("`"), 1000)...)
	b.finish(0)
	for cut := range len(b.data) {
		in := newInbox(io.MultiReader(bytes.NewReader(b.data[:cut]), bytes.NewReader(b.data[cut:])), nil)
		var m message
		if err := in.next(&m); err != nil || string(m.method) != "Plugin.Echo" || m.size != 100<<10 {
			t.Errorf("cut after %d bytes: method %q of %d bytes, %v", cut, m.method, m.size, err)
		}
		in.r.free()
	}
}

// TestLongRequestOfNoMethod has a host call what the plugin does not have, with long
// arguments, until those would have used up all that a session may hold.
func TestLongRequestOfNoMethod(t *testing.T) {
	here, there := tcpPair(t)
	p := newPair(t, here, there, HostConfig{}, PluginConfig{})
	client := p.client(newThing())
	args := make([]byte, longBudget/4)
	for _, method := range []string{"Plugin.Missing", "illformed"} {
		for range 6 {
			if err := client.Call(method, args, new([]byte)); err == nil {
				t.Errorf("%s was answered", method)
			}
		}
	}
	p.checkNothingLeft()
	var echo []byte
	if err := client.Call("Plugin.Echo", args, &echo); err != nil || len(echo) != len(args) {
		t.Errorf("%d bytes came back, %v", len(echo), err)
	}
}
