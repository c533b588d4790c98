// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin/internal/testkit"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// Channels of one session are used by many at once, and each caller gets its
// own answer.
func TestManyCallers(t *testing.T) {
	onEach(t, func(t *testing.T, here, there net.Conn) {
		p := newPair(t, here, there, HostConfig{}, PluginConfig{})
		clients := make([]*rpc.Client, 5)
		for i := range clients {
			clients[i] = p.client(newThing())
		}
		var callers wait.Group
		for caller := range 64 {
			callers.Go(func() {
				for n := range 40 {
					client, text := clients[(caller+n)%len(clients)], fmt.Sprintf("caller %d, call %d", caller, n)
					var got string
					var err error
					switch n % 4 {
					case 3:
						err = client.Call("Plugin.Fail", text, &struct{}{})
						if err != nil && err.Error() == text {
							continue
						}
					case 2:
						long := bytes.Repeat([]byte{byte(n)}, n*500)
						var back []byte
						if err = client.Call("Plugin.Echo", long, &back); err == nil && bytes.Equal(back, long) {
							continue
						}
					default:
						if err = client.Call("Plugin.Upper", text, &got); err == nil && got == strings.ToUpper(text) {
							continue
						}
					}
					t.Errorf("%s got %q, %v", text, got, err)
					return
				}
			})
		}
		callers.Wait()
		if n := p.host.callsUnderWay(); n != 0 {
			t.Errorf("%d calls seem to be under way", n)
		}
	})
}

// Channels come and go while others are used: whichever held the read lock, was
// given it or waited for it.
func TestChannelsComeAndGo(t *testing.T) {
	onEach(t, func(t *testing.T, here, there net.Conn) {
		p := newPair(t, here, there, HostConfig{}, PluginConfig{})
		lasting := p.client(newThing())
		held := newThing()
		waiting := p.client(held)
		holding := waiting.Go("Plugin.Hold", struct{}{}, nil, nil)
		<-held.held
		var callers wait.Group
		for range 8 {
			callers.Go(func() {
				for range 40 {
					passing := p.client(newThing())
					var out string
					first := passing.Go("Plugin.Upper", "a", &out, nil)
					for range 5 {
						passing.Go("Plugin.Upper", "b", new(string), nil)
					}
					<-first.Done
					if first.Error != nil || out != "A" {
						t.Errorf("got %q, %v", out, first.Error)
					}
					_ = passing.Close() // with calls under way
				}
			})
			callers.Go(func() {
				for range 200 {
					mustUpper(t, lasting)
				}
			})
		}
		callers.Wait()
		close(held.gate)
		if <-holding.Done; holding.Error != nil {
			t.Errorf("the call that was under way all the time: %v", holding.Error)
		}
		mustUpper(t, lasting)
		testkit.Eventually(t, "every call was answered", func() bool { return p.host.callsUnderWay() == 0 })
	})
}

// The end of a channel does not depend on its reader's read lock.
func TestCloseInEveryState(t *testing.T) {
	for name, begin := range map[string]func(p *pair, c, other *Channel) (ended <-chan error){
		"reads": func(p *pair, c, _ *Channel) <-chan error {
			defer p.awaitParked(c)
			return readOn(c)
		},
		"waits for the read lock": func(p *pair, c, other *Channel) <-chan error {
			_ = readOn(other)
			p.awaitParked(other)
			return readOn(c)
		},
		"has not begun": func(p *pair, c, other *Channel) <-chan error {
			_ = readOn(other)
			p.awaitParked(other)
			_ = c.Close()
			return readOn(c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, here, there net.Conn) {
				p := newPair(t, here, there, HostConfig{}, PluginConfig{})
				c, other := p.serve(newThing()), p.serve(newThing())
				ended := begin(p, c, other)
				_, _ = c.Close(), c.Close()
				if err := <-ended; !errors.Is(err, errChannelClosed) {
					t.Errorf("the reader of a closed channel ended with %v", err)
				}
				_ = other.Close()
				mustUpper(t, p.client(newThing()))
			})
		})
	}
}

// readOn reads from a channel until it ends.
func readOn(c *Channel) (ended <-chan error) {
	why := make(chan error, 1)
	go func() {
		for {
			if err := c.ReadHeader(&rpc.Response{}); err != nil {
				why <- err
				return
			}
			_ = c.ReadReply(reflect.Value{})
		}
	}()
	return why
}

// callsUnderWay counts the calls of all channels that are without an answer.
func (h *Host) callsUnderWay() (n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.channels {
		n += c.pending.Load()
	}
	return n
}
