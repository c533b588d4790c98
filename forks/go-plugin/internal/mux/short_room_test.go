// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/rpc"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-plugin/internal/testkit"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// scarce is how many bytes of long messages there is room for in TestShortRoom, and a little
// less than what one may have.
const scarce = 400 << 10

// TestShortRoom has many callers make calls of all sizes where there is hardly room for one
// long message, give up some of them at any time, and close channels and streams meanwhile.
// No such session ends, each call is answered once, and nothing counts in the end.
func TestShortRoom(t *testing.T) {
	rounds := 24
	if testing.Short() {
		rounds = 8
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for round := range rounds {
		runtime.GOMAXPROCS(1 + round%3)
		rng := rand.New(rand.NewPCG(uint64(round), 3))
		plugin := openThings(map[string]func() (any, error){"thing": func() (any, error) {
			runtime.Gosched()
			return newThing(), nil
		}})
		var streams wait.Group
		plugin.Accept[Brokered] = func(s *Stream) error { s.Take(); streams.Go(func() { echo(s) }); return nil }
		var counted counter
		plugin.Calls = &counted
		plugin.MaxCalls, plugin.MaxReceive = 20*(round%4), scarce
		p := newCutPair(t, rng, round%2 == 0, HostConfig{MaxReceive: scarce}, plugin)
		p.host.come.budget, p.plugin.come.budget = scarce, scarce
		var crowd wait.Group
		var open []*crowded
		for n := range 6 {
			c := p.crowd(&crowd, rand.New(rand.NewPCG(rng.Uint64(), 0)), n > 3)
			if n <= 3 {
				open = append(open, c)
			}
		}
		for range 4 {
			rng := rand.New(rand.NewPCG(rng.Uint64(), 0))
			crowd.Go(func() { converse(p.host, rng) })
		}
		crowd.Wait()
		for _, c := range open {
			testkit.Eventually(t, "all calls are answered", func() bool { return c.left() == 0 || p.host.Err() != nil })
			if n := c.pending.Load(); n != 0 {
				t.Errorf("%d calls are taken for unanswered", n)
			}
			_ = c.Close()
			c.reads.Wait()
		}
		if err := p.host.Err(); err != nil {
			t.Fatalf("round %d: the session has ended: %v", round, err)
		}
		client := p.open("thing")
		mustUpper(t, client)
		_ = client.Close()
		p.checkNothingLeft()
		p.checkAtRest()
		testkit.Eventually(t, "all calls have ended", func() bool { return counted.begun.Load() == counted.ended.Load() })
		streams.Wait()
		p.end()
	}
}

// newCutPair is a session whose connection is cut at random places if cut is set.
func newCutPair(t *testing.T, rng *rand.Rand, cut bool, host HostConfig, plugin PluginConfig) *pair {
	here, there := tcpPair(t)
	if cut {
		source := func() *rand.Rand { return rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64())) }
		here, there = &choppyConn{here, source(), -1}, &choppyConn{there, source(), -1}
	}
	return newPair(t, here, there, host, plugin)
}

// pause lets others run, for some time.
func pause(rng *rand.Rand) {
	for range rng.IntN(1 + rng.IntN(300)) {
		runtime.Gosched()
	}
}

// crowded is a channel that many callers use.
type crowded struct {
	*Channel
	t     *testing.T
	reads wait.Group // its reader, and what decodes

	mu      sync.Mutex
	last    uint64
	waiting map[uint64][]byte // what a call should bring, if it does not fail
}

func (c *crowded) left() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiting)
}

// crowd opens a channel, and has callers make calls on it. It is closed meanwhile if ends
// is set.
func (p *pair) crowd(callers *wait.Group, rng *rand.Rand, ends bool) *crowded {
	channel, err := p.host.Open("thing")
	if err != nil {
		p.t.Fatal(err)
	}
	c := &crowded{Channel: channel, t: p.t.(*testing.T), waiting: make(map[uint64][]byte)}
	c.reads.Go(c.read)
	for range 4 {
		rng := rand.New(rand.NewPCG(rng.Uint64(), 0))
		callers.Go(func() {
			for range 8 {
				if !c.call(rng) {
					return
				}
				pause(rng)
			}
		})
	}
	if ends {
		callers.Go(func() {
			for range 20 {
				pause(rng)
			}
			_ = c.Close()
			c.reads.Wait()
		})
	}
	return c
}

// call makes a call, and perhaps gives it up. It reports false if the channel is closed.
func (c *crowded) call(rng *rand.Rand) bool {
	size := randomSize(rng)
	if rng.IntN(2) == 0 {
		size = maxShort + rng.IntN(scarce-maxShort+scarce/8)
	}
	method, args := "Plugin.Echo", any(bytes.Repeat([]byte{byte(size)}, size))
	want, _ := args.([]byte)
	switch rng.IntN(4) {
	case 0:
		method, args, want = "Plugin.Blank", size, make([]byte, size)
	case 1:
		method, args, want = "Plugin.Fail", strings.Repeat("e", 1+size), nil
	}
	c.mu.Lock()
	c.last++
	number := c.last
	c.waiting[number] = want
	c.mu.Unlock()
	_, err := c.Send(Request{Method: method, Number: number}, args)
	for ; err == ErrFull; _, err = c.Send(Request{Method: method, Number: number}, args) {
		_ = c.Await(context.Background())
	}
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waiting, number)
		return !c.isClosed()
	}
	if rng.IntN(2) == 0 {
		pause(rng)
		c.Cancel(number)
	}
	return true
}

// read reads what is answered until the channel is closed.
func (c *crowded) read() {
	var r rpc.Response
	for n := 0; c.ReadHeader(&r) == nil; n++ {
		number, failure, into := r.Seq, r.Error, new([]byte)
		take := func(decode func(reflect.Value) error) {
			if failure != "" {
				into = nil
				_ = decode(reflect.Value{}) // It may be what was refused.
			} else if err := decode(reflect.ValueOf(into)); err != nil {
				into = nil
				if !HasNoReply(err) {
					c.t.Errorf("call %d: %v", number, err)
				}
			}
			c.took(number, into)
		}
		switch decode := c.DetachReply(); {
		case decode == nil:
			take(c.ReadReply)
		case n%3 == 0:
			take(decode)
		default:
			c.reads.Go(func() { take(decode) })
		}
		r = rpc.Response{}
	}
}

// took notes the answer to a call; nil is a failure.
func (c *crowded) took(number uint64, got *[]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	want, waits := c.waiting[number]
	switch {
	case !waits:
		c.t.Errorf("call %d is answered more than once", number)
	case got != nil && !bytes.Equal(*got, want):
		c.t.Errorf("call %d brings %d bytes, want %d", number, len(*got), len(want))
	}
	delete(c.waiting, number)
}

// echo sends back what a stream brings.
func echo(s *Stream) {
	_, _ = io.Copy(struct{ io.Writer }{s}, struct{ io.Reader }{s})
	_ = s.Close()
}

// converse opens streams, and ends them in any way.
func converse(h *Host, rng *rand.Rand) {
	for range 6 {
		s, err := h.OpenStream(context.Background(), Brokered, make([]byte, rng.IntN(100)))
		if err != nil {
			return
		}
		var writes wait.Group
		written := rng.IntN(4 * streamWindow)
		writes.Go(func() { _, _ = s.Write(make([]byte, written)) })
		if rng.IntN(2) == 0 {
			_, _ = io.CopyN(io.Discard, s, int64(rng.IntN(1+written)))
		}
		pause(rng)
		switch rng.IntN(3) {
		case 0:
			_ = s.Reset("no more")
		case 1:
			_ = s.Close()
		default:
			_, _ = io.CopyN(io.Discard, s, 1)
			_ = s.Close()
		}
		writes.Wait()
	}
}

// checkAtRest checks that nothing is counted in a session that has been used, beside what
// checkNothingLeft looks at.
func (p *pair) checkAtRest() {
	p.t.Helper()
	for name, counts := range map[string]func() []int{
		"host": func() []int {
			p.host.mu.Lock()
			defer p.host.mu.Unlock()
			return []int{p.host.served, len(p.host.channels)}
		},
		"plugin": func() []int {
			p.plugin.mu.Lock()
			defer p.plugin.mu.Unlock()
			return []int{p.plugin.queued, p.plugin.opened, p.plugin.open, len(p.plugin.services) - 1, p.plugin.names}
		},
		"host's streams":   p.host.streams.counts,
		"plugin's streams": p.plugin.streams.counts,
	} {
		var last []int
		defer func() {
			if p.t.Failed() {
				p.t.Logf("%s: %v", name, last)
			}
		}()
		testkit.Eventually(p.t, "the "+name+" count nothing", func() bool {
			last = counts()
			return !slices.ContainsFunc(last, func(n int) bool { return n != 0 })
		})
	}
}

// counts are those of streams, and what of the budget is taken.
func (t *streamTable) counts() []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := streamBudget - t.budget.Load()
	return []int{len(t.byID), t.ours.streams, t.ours.headers, t.theirs.streams, t.theirs.headers, t.waiting, int(t.open.Load()), int(t.urgent.Load()), int(taken)}
}
