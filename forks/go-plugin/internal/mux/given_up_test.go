// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"net/rpc"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin/internal/testkit"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// sends says whether a long message of a call is being sent, and how many bytes of all of
// them count as not granted.
func (s *sendings) sends(key callKey) (is bool, unasked int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.messages[key] != nil, s.unasked
}

// A call is given up while its answer, a long one, is on its way: the host has not read the
// beginning of it. The call is answered all the same, and nothing is kept for the rest.
func TestCancelMeetsAnswer(t *testing.T) {
	for name, size := range map[string]int{"of which more would be granted": 4 << 20, "of which all was sent": maxUnasked / 2} {
		t.Run(name, func(t *testing.T) {
			here, there := tcpPair(t)
			p := newPair(t, here, there, HostConfig{}, PluginConfig{})
			c := p.serve(newThing())
			if _, err := c.Send(Request{Method: "Plugin.Blank", Number: 1}, size); err != nil {
				t.Fatal(err)
			}
			key := callKey{c.id, 1}
			testkit.Eventually(t, "an answer is on its way", func() bool { is, _ := p.plugin.sent.sends(key); return is })
			c.Cancel(1)
			if size > maxUnasked { // All of the other one counts until the host has decoded it.
				testkit.Eventually(t, "the plugin sends no more of it", func() bool { is, _ := p.plugin.sent.sends(key); return !is })
			}
			mustUpperOn(t, c, 2, 1)
			p.checkNothingLeft()
		})
	}
}

// mustUpperOn makes a call on a channel that nobody reads, whose answer comes behind n others.
func mustUpperOn(t *testing.T, c *Channel, number uint64, n int) {
	t.Helper()
	if _, err := c.Send(Request{Method: "Plugin.Upper", Number: number}, "a"); err != nil {
		t.Fatal(err)
	}
	for range n {
		if r := <-readOne(c); r.Seq == number {
			t.Fatalf("call %d is answered before others", number)
		}
	}
	if r := <-readOne(c); r.err != nil || r.Seq != number || r.Error != "" {
		t.Fatalf("the answer is %+v", r)
	}
}

// The host gives up a long request that the plugin has no room for. What was sent of it
// counts until the plugin is told: a request that is sent meanwhile gets no more than is left.
func TestGivenUpCountsUntilTold(t *testing.T) {
	for name, giveUp := range map[string]func(*Channel){
		"call":    func(c *Channel) { c.Cancel(1) },
		"channel": func(c *Channel) { _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			here, there := tcpPair(t)
			p := newPair(t, here, there, HostConfig{}, PluginConfig{})
			fill(t, p.plugin, callKey{99, 1})
			c, other := p.serve(newThing()), p.client(newThing())
			var reads wait.Group
			reads.Go(func() { // A refusal that nobody took would keep the read lock.
				for c.ReadHeader(&rpc.Response{}) == nil {
					_ = c.ReadReply(reflect.Value{})
				}
			})
			if _, err := c.Send(Request{Method: "Plugin.Echo", Number: 1}, make([]byte, 4*maxUnasked)); err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, "all comes that needs no grant", func() bool {
				p.plugin.come.mu.Lock()
				defer p.plugin.come.mu.Unlock()
				return p.plugin.come.unasked == maxUnasked
			})
			c.sending.Lock() // Somebody makes another request.
			var gone wait.Group
			gone.Go(func() { giveUp(c) })
			if name == "call" {
				testkit.Eventually(t, "no more is sent of it", func() bool { is, _ := p.host.sent.sends(callKey{c.id, 1}); return !is })
			}
			call := other.Go("Plugin.Echo", make([]byte, 2*maxUnasked), new([]byte), nil)
			testkit.Eventually(t, "another request is on its way", func() bool {
				p.plugin.come.mu.Lock()
				defer p.plugin.come.mu.Unlock()
				return len(p.plugin.come.messages) == 3
			})
			c.sending.Unlock()
			gone.Wait()
			_ = c.Close()
			reads.Wait()
			p.plugin.come.drop(callKey{99, 1})
			outcomeOf(t, call, false)
			p.checkNothingLeft()
		})
	}
}

// A channel counts until the plugin has been told of its end, and one that is about to be
// opened counts as well.
func TestChannelsCountUntilTold(t *testing.T) {
	here, there := tcpPair(t)
	p := newPair(t, here, there, HostConfig{}, openThings(map[string]func() (any, error){
		"thing": func() (any, error) { return newThing(), nil },
	}))
	var channels []*Channel
	for {
		c, err := p.host.Open("thing")
		if err != nil {
			break
		}
		if channels = append(channels, c); len(channels) > maxChannels {
			t.Fatalf("more than %d channels are open", maxChannels)
		}
	}
	last := channels[len(channels)-1]
	last.sending.Lock() // Somebody makes a request.
	var gone wait.Group
	gone.Go(func() { _ = last.Close() })
	<-last.closed
	testkit.Eventually(t, "the channel takes no answers", func() bool { return !p.host.isOpen(last.id) })
	if _, err := p.host.Open("thing"); err == nil {
		t.Error("another one can be opened before the plugin was told")
	}
	last.sending.Unlock()
	gone.Wait()
	c, err := p.host.Open("thing")
	if err != nil {
		t.Fatal(err)
	}
	client := rpc.NewClientWithCodec(clientCodec{c})
	defer client.Close()
	mustUpper(t, client)
}

// A plugin that ends a long answer half way by a failure, as it does when the call was given
// up, has the call answered by that, and nothing is kept of the answer.
func TestFailureEndsAnswer(t *testing.T) {
	for name, config := range map[string]HostConfig{"that is taken": {}, "that is too large": {MaxReceive: maxUnasked}} {
		t.Run(name, func(t *testing.T) {
			here, there := tcpPair(t)
			h := NewHost(here, config)
			defer h.Close()
			c := h.Channel(1)
			if _, err := c.Send(Request{Method: "Plugin.Blank", Number: 1}, 1<<20); err != nil {
				t.Fatal(err)
			}
			plugin := newRawPeer(t, there)
			first := rawMessage(kindAnswer|flagMore, "", 1, 1, 1<<20)
			plugin.write(append(first, rawMessage(kindPart|flagMore, strings.Repeat("x", partSize), 1, 1)...))
			plugin.write(append(rawMessage(kindFailure, "given up", 1, 1), rawMessage(kindFailure, "the last", 1, 2)...))
			if r := <-readOne(c); r.Seq != 1 || r.Error == "" {
				t.Errorf("the answer is %+v", r)
			}
			if r := <-readOne(c); r.Seq != 2 || r.Error != "the last" {
				t.Errorf("the next answer is %+v", r)
			}
			if n := h.come.holds(); n != 0 {
				t.Errorf("%d is kept of what was given up", n)
			}
		})
	}
}

// A call counts once while its long answer is made ready to be sent: another one that is
// within the bound is not refused.
func TestLongAnswerCountsOnce(t *testing.T) {
	here, there := tcpPair(t)
	p := newPair(t, here, there, HostConfig{}, PluginConfig{MaxCalls: 2})
	client := p.client(newThing())
	slow := p.client(newThing())
	p.plugin.sent.mu.Lock()
	long := slow.Go("Plugin.Blank", 1<<20, new([]byte), nil)
	testkit.Eventually(t, "a long answer is about to be sent", func() bool { return p.plugin.out.longAnswers() == 1 })
	mustUpper(t, client)
	p.plugin.sent.mu.Unlock()
	if <-long.Done; long.Error != nil {
		t.Error(long.Error)
	}
	p.checkNothingLeft()
}
