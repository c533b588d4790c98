// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"errors"
	"net"
	"net/rpc"
	"strings"
	"testing"
)

// panicky cannot be encoded, and says so in the worst way.
type panicky struct{ N int }

func (panicky) GobEncode() ([]byte, error) { panic("not today") }
func (*panicky) GobDecode([]byte) error    { return nil }

// A value that cannot be encoded ends the call, and leaves the channel as it
// was: also the types that were described with the value.
func TestEncodeErrors(t *testing.T) {
	type described struct{ Text string }
	onEach(t, func(t *testing.T, here, there net.Conn) {
		p := newPair(t, here, there, HostConfig{}, PluginConfig{})
		client := p.client(newThing())
		for range 3 {
			for name, args := range map[string]any{
				"function": OddReply{func() {}},
				"panic": struct {
					A described
					B panicky
				}{B: panicky{1}},
				"nil": (*described)(nil),
			} {
				err := client.Call("Plugin.Upper", args, new(string))
				if unfit := (*EncodeError)(nil); !errors.As(err, &unfit) || unfit.Unwrap() == nil {
					t.Errorf("arguments with a %s: %v", name, err)
				}
				mustUpper(t, client)
			}
			if err := client.Call("Plugin.Odd", struct{}{}, &OddReply{}); err == nil || !strings.Contains(err.Error(), "answer cannot be encoded") {
				t.Errorf("a reply that cannot be encoded: %v", err)
			}
			mustUpper(t, client)
		}
	})
}

// A name that no plugin would read is not sent.
func TestLongestMethod(t *testing.T) {
	here, there := net.Pipe()
	p := newPair(t, here, there, HostConfig{}, PluginConfig{})
	client := p.client(newThing())
	for _, test := range []struct {
		bytes int
		says  string
	}{
		{maxMethod, "can't find method"},
		{maxMethod + 1, "the method's name has 1025 bytes"},
	} {
		name := "Plugin." + strings.Repeat("x", test.bytes-len("Plugin."))
		if err := client.Call(name, "a", new(string)); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("a name of %d bytes: %v", test.bytes, err)
		}
	}
	mustUpper(t, client)
}

// What the two sides do not agree on ends a call, as with net/rpc.
func TestMismatches(t *testing.T) {
	for name, test := range map[string]struct {
		method string
		args   any
		says   string
	}{
		"method":  {"Plugin.None", "a", "can't find method Plugin.None"},
		"service": {"None.Upper", "a", "can't find service None.Upper"},
		"no dot":  {"Upper", "a", "ill-formed: Upper"},
		"empty":   {"", "a", "ill-formed"},
		"type":    {"Plugin.Upper", 7, "gob"},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, here, there net.Conn) {
				p := newPair(t, here, there, HostConfig{}, PluginConfig{})
				client := p.client(newThing())
				for range 3 {
					if err := client.Call(test.method, test.args, new(string)); err == nil || !strings.Contains(err.Error(), test.says) {
						t.Errorf("got %v, want an error that says %q", err, test.says)
					}
					mustUpper(t, client)
				}
			})
		})
	}
}

// A reply of another type ends its client, as with net/rpc, and no other.
func TestReplyOfAnotherType(t *testing.T) {
	onEach(t, func(t *testing.T, here, there net.Conn) {
		p := newPair(t, here, there, HostConfig{}, PluginConfig{})
		one, other := p.client(newThing()), p.client(newThing())
		held := newThing()
		third := p.client(held)
		holding := third.Go("Plugin.Hold", struct{}{}, nil, nil)
		<-held.held
		if err := one.Call("Plugin.Upper", "a", new(int)); err == nil || !strings.Contains(err.Error(), "gob") {
			t.Errorf("got %v", err)
		}
		if err := one.Call("Plugin.Upper", "a", new(string)); err == nil {
			t.Error("the client goes on")
		}
		mustUpper(t, other)
		close(held.gate)
		if <-holding.Done; holding.Error != nil {
			t.Errorf("a call that was under way on another channel: %v", holding.Error)
		}
		if err := p.host.Err(); err != nil {
			t.Errorf("the session ended: %v", err)
		}
	})
}

// A caller may want no reply, or an error that says nothing.
func TestNoReply(t *testing.T) {
	here, there := net.Pipe()
	p := newPair(t, here, there, HostConfig{}, PluginConfig{})
	client := p.client(newThing())
	if err := client.Call("Plugin.Upper", "a", nil); err != nil {
		t.Errorf("no reply wanted: %v", err)
	}
	mustUpper(t, client)
}

// Long messages pass, whatever the other side does with its buffers.
func TestLongMessages(t *testing.T) {
	const size = 8 << 20
	long := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	onEach(t, func(t *testing.T, here, there net.Conn) {
		p := newPair(t, here, there, HostConfig{}, PluginConfig{})
		client, other := p.client(newThing()), p.client(newThing())
		var calls [4]*rpc.Call
		for i := range calls {
			calls[i] = client.Go("Plugin.Echo", long, new([]byte), nil)
		}
		mustUpper(t, other)
		for _, call := range calls {
			if <-call.Done; call.Error != nil || !bytes.Equal(*call.Reply.(*[]byte), long) {
				t.Errorf("%d bytes came back, %v", len(*call.Reply.(*[]byte)), call.Error)
			}
		}
		mustUpper(t, client)
	})
}
