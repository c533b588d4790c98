// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"errors"
	"net/rpc"
	"reflect"
	"testing"

	"github.com/hashicorp/go-plugin/internal/testkit"
)

// whole is a long message that needs no grant: two of them are fewer bytes than maxUnasked, three are more.
const whole = 100 << 10

// A hostile plugin leaves no room, and then sends long answers that come as a whole all the
// same, to a channel whose reader is busy. The session ends before they are more than allowed.
func TestWholeAnswersAreBounded(t *testing.T) {
	here, there := tcpPair(t)
	h := NewHost(here, HostConfig{MaxReceive: longBudget})
	defer h.Close()
	h.Channel(1) // whose reader is busy
	reads := h.Channel(3)
	failed := readOne(reads)
	plugin := newRawPeer(t, there)
	plugin.write(rawMessage(kindAnswer|flagMore, "", 3, 1, longBudget))
	for n := range uint64(3) {
		select {
		case r := <-failed:
			t.Fatalf("the session has ended after %d answers: %v", n, r.err)
		default:
		}
		plugin.write(plugin.answer(1, n, whole))
	}
	if r := <-failed; !errors.Is(r.err, errMalformed) {
		t.Errorf("the host's error is %v", r.err)
	}
}

// answer makes a long answer of n bytes in one part.
func (r *rawPeer) answer(channel, number uint64, n int) []byte {
	first := rawMessage(kindAnswer|flagMore, "", channel, number, uint64(n))
	part := rawMessage(kindPart, string(make([]byte, n)), channel, number)
	return append(first, part...)
}

// A hostile host does the same with requests for a kind that is slow to make.
func TestWholeRequestsAreBounded(t *testing.T) {
	here, there := tcpPair(t)
	config, made := slowKind(newThing())
	config.MaxReceive = longBudget
	host, p := rawHost(t, here, there, config, newThing())
	defer made()
	first := newMessage(kindRequest|flagMore, 1, 1)
	first.call("Plugin.Echo", 0)
	first.number(longBudget)
	first.finish(0)
	host.write(first.data)
	host.write(rawMessage(kindOpen, "slow", 2))
	for n := range uint64(3) {
		if p.Err() != nil {
			t.Fatalf("the session has ended after %d requests: %v", n, p.Err())
		}
		host.write(host.request(2, n, "Plugin.Echo", make([]byte, whole)))
	}
	<-p.Done()
	if !errors.Is(p.Err(), errMalformed) {
		t.Errorf("the plugin's error is %v", p.Err())
	}
}

// A host gives up calls whose requests have come as a whole, without room, and wait for their
// kind. They count until the plugin has taken them, so that the host sends no more than that.
func TestGivenUpWholeRequestsCount(t *testing.T) {
	for name, giveUp := range map[string]func(*Channel){
		"call":    func(c *Channel) { c.Cancel(0) },
		"channel": func(c *Channel) { _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			p, made := newSlowPair(t, newThing(), nil)
			fast := p.client(newThing())
			fill(t, p.plugin, callKey{99, 1})
			var clients []*rpc.Client
			for range 5 {
				c, err := p.host.Open("slow")
				if err != nil {
					t.Fatal(err)
				}
				client := rpc.NewClientWithCodec(clientCodec{c})
				clients = append(clients, client)
				client.Go("Plugin.Echo", make([]byte, whole), new([]byte), nil)
				mustUpper(t, fast)
				giveUp(c)
			}
			mustUpper(t, fast)
			made()
			p.plugin.come.drop(callKey{99, 1})
			for _, client := range clients {
				_ = client.Close()
			}
			p.checkNothingLeft()
		})
	}
}

// pairWithoutRoom has a host that has no room for long answers before makeRoom is called.
func pairWithoutRoom(t *testing.T) (p *pair, makeRoom func()) {
	t.Helper()
	here, there := tcpPair(t)
	p = newPair(t, here, there, HostConfig{}, PluginConfig{})
	filled := callKey{99, 1}
	if _, err := p.host.come.begin(&message{channel: filled.channel, number: filled.number, size: uint64(p.host.come.budget)}); err != nil {
		t.Fatal(err)
	}
	return p, func() { p.host.come.drop(filled) }
}

// A host gives up calls whose answers have come as a whole, without room, and are not decoded
// yet. The plugin sends no more than it may all the same.
func TestGivenUpWholeAnswersCount(t *testing.T) {
	p, makeRoom := pairWithoutRoom(t)
	fast := p.client(newThing())
	c := p.serve(newThing())
	for n := range uint64(5) {
		if _, err := c.Send(Request{Method: "Plugin.Blank", Number: n}, whole); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, "the answer is on its way", func() bool { is, _ := p.plugin.sent.sends(callKey{c.id, n}); return is })
		if n == 0 { // The reader is busy with this one from now on.
			if err := c.ReadHeader(&rpc.Response{}); err != nil {
				t.Fatal(err)
			}
		}
		mustUpper(t, fast)
		c.Cancel(n)
		mustUpper(t, fast)
	}
	if err := c.ReadReply(reflect.Value{}); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if r := <-readOne(c); r.err != nil {
			t.Fatal(r.err)
		}
	}
	_ = c.Close()
	makeRoom()
	p.checkNothingLeft()
}

// A channel is closed while an answer of it, which came as a whole without room, is decoded.
// What the plugin may send without a grant is what it was before.
func TestClosedWhileDecoding(t *testing.T) {
	p, makeRoom := pairWithoutRoom(t)
	fast := p.client(newThing())
	var decodes []func(reflect.Value) error
	for range 5 {
		c := p.serve(newThing())
		if _, err := c.Send(Request{Method: "Plugin.Blank", Number: 1}, whole); err != nil {
			t.Fatal(err)
		}
		if err := c.ReadHeader(&rpc.Response{}); err != nil {
			t.Fatal(err)
		}
		decodes = append(decodes, c.DetachReply())
		_ = c.Close()
		_ = c.ReadHeader(&rpc.Response{}) // lets go of the read lock
		mustUpper(t, fast)
	}
	for _, decode := range decodes {
		var got []byte
		if err := decode(reflect.ValueOf(&got)); err != nil || !bytes.Equal(got, make([]byte, whole)) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
	makeRoom()
	p.checkNothingLeft()
}

// Long requests for a kind that is slow to make are more than there is room for. They wait with
// their host, whose session goes on.
func TestLongRequestsForSlowKind(t *testing.T) {
	p, made := newSlowPair(t, newThing(), nil)
	const size = 1 << 20
	p.plugin.come.budget = size
	client, fast := p.open("slow"), p.client(newThing())
	defer client.Close()
	var calls []*rpc.Call
	for range 4 {
		calls = append(calls, client.Go("Plugin.Echo", make([]byte, size), new([]byte), nil))
	}
	testkit.Eventually(t, "there is no room left", func() bool {
		p.plugin.come.mu.Lock()
		defer p.plugin.come.mu.Unlock()
		return p.plugin.come.reserved >= size && len(p.plugin.come.queue) == len(calls)-1
	})
	mustUpper(t, fast)
	made()
	for _, call := range calls {
		if <-call.Done; call.Error != nil || len(*call.Reply.(*[]byte)) != size {
			t.Errorf("%d bytes came back, %v", len(*call.Reply.(*[]byte)), call.Error)
		}
	}
	p.checkNothingLeft()
}
