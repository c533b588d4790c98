// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/rpc"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin/internal/testkit"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// choppyConn passes bytes on in pieces of random sizes, and hangs up after so many.
type choppyConn struct {
	net.Conn
	rng  *rand.Rand
	left int // bytes that may still be read; negative: any number
}

func (c *choppyConn) Read(p []byte) (int, error) {
	if c.left == 0 {
		_ = c.Conn.Close()
		return 0, net.ErrClosed
	}
	n := min(len(p), 1+c.rng.IntN(1+c.rng.IntN(100_000)))
	if c.left > 0 {
		n = min(n, c.left)
	}
	n, err := c.Conn.Read(p[:n])
	if c.left > 0 {
		c.left -= n
	}
	return n, err
}

// newChoppyPair is a session whose connection is cut at random places, and ends after
// ends bytes in either direction unless that is negative.
func newChoppyPair(t *testing.T, rng *rand.Rand, ends int) *pair {
	here, there := tcpPair(t)
	source := func() *rand.Rand { return rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64())) }
	return newPair(t, &choppyConn{here, source(), ends}, &choppyConn{there, source(), ends}, HostConfig{}, PluginConfig{})
}

// outcomeOf checks that a call that succeeded has its own answer.
func outcomeOf(t *testing.T, call *rpc.Call, mayFail bool) {
	t.Helper()
	<-call.Done
	if call.Error != nil && !mayFail {
		t.Errorf("%s: %v", call.ServiceMethod, call.Error)
	}
	if call.Error == nil && !bytes.Equal(*call.Reply.(*[]byte), call.Args.([]byte)) {
		t.Errorf("%d bytes came back for %d", len(*call.Reply.(*[]byte)), len(call.Args.([]byte)))
	}
}

// randomSize is one of a value: some are short, some long, some at the bounds.
func randomSize(rng *rand.Rand) int {
	bounds := []int{0, maxShort, partSize, maxUnasked}
	switch rng.IntN(4) {
	case 0:
		return max(0, bounds[rng.IntN(len(bounds))]+rng.IntN(64)-32)
	case 1:
		return rng.IntN(1 << 20)
	}
	return rng.IntN(1000)
}

// TestInterleavings has callers of several channels send values of random sizes, over
// connections that are cut at random bytes. Every call gets its own answer, and nothing is
// left. Channels that are closed meanwhile, and calls that are cancelled, change nothing
// for others.
func TestInterleavings(t *testing.T) {
	for round := range 6 {
		rng := rand.New(rand.NewPCG(uint64(round), 1))
		p := newChoppyPair(t, rng, -1)
		var callers wait.Group
		for range 3 {
			client, seed := p.client(newThing()), rng.Uint64()
			for caller := range uint64(3) {
				callers.Go(func() {
					rng := rand.New(rand.NewPCG(seed, caller))
					for range 12 {
						outcomeOf(t, client.Go("Plugin.Echo", bytes.Repeat([]byte{byte(rng.Uint32())}, randomSize(rng)), new([]byte), nil), false)
					}
				})
			}
		}
		channel := p.serve(newThing())
		cancelled := readOn(channel)
		for number := range uint64(30) {
			_, err := channel.Send(Request{Method: "Plugin.Echo", Number: number, Timeout: time.Hour}, make([]byte, randomSize(rng)))
			if err != nil && err != ErrFull {
				t.Error(err)
			}
			if err == nil && number%2 == 0 {
				channel.Cancel(number)
			}
		}
		_ = channel.Close()
		<-cancelled
		callers.Wait()
		p.checkNothingLeft()
	}
}

// TestEndsAnywhere ends the connection after a random number of bytes: every call ends,
// with its own answer or an error, and so do both sides.
func TestEndsAnywhere(t *testing.T) {
	for round := range 60 {
		rng := rand.New(rand.NewPCG(uint64(round), 2))
		p := newChoppyPair(t, rng, 1+rng.IntN(1+rng.IntN(2<<20)))
		var calls []*rpc.Call
		for range 2 {
			client := p.client(newThing())
			for range 6 {
				calls = append(calls, client.Go("Plugin.Echo", make([]byte, randomSize(rng)), new([]byte), nil))
			}
		}
		for _, call := range calls {
			outcomeOf(t, call, true)
		}
		p.end()
	}
}

// TestCutAtEveryByte ends a short conversation after each of its bytes.
func TestCutAtEveryByte(t *testing.T) {
	raw := newRawPeer(t, nil)
	whole := append(raw.request(1, 1, "Plugin.Upper", "a"), rawMessage(kindCancel, "", 1, 1)...)
	whole = append(whole, raw.request(1, 2, "Plugin.Echo", make([]byte, 20))...)
	b := newMessage(kindRequest, 1, 3)
	b.call("Plugin.Echo", time.Second, "key", "value")
	first, long, err := new(apart).add(b, make([]byte, 30), 0)
	if err != nil {
		t.Fatal(err)
	}
	whole = append(append(whole, first.data...), raw.parts(long, callKey{1, 3})...)
	control := newMessage(kindRequest|flagMore, 0, 4) // whose end Serve waits for
	control.call("Control.Upper", 0)
	control.number(100)
	control.finish(0)
	whole = append(whole, control.data...)
	for n := range len(whole) + 1 {
		here, there := tcpPair(t)
		var calls counter
		host, p := rawHost(t, here, there, PluginConfig{Calls: &calls}, newThing())
		host.write(whole[:n])
		_ = here.(*net.TCPConn).CloseWrite()
		for host.in.next(&message{}) == nil { // until the plugin hangs up
		}
		<-p.Done()
		testkit.Eventually(t, "all calls have ended", func() bool { return calls.begun.Load() == calls.ended.Load() })
	}
}
