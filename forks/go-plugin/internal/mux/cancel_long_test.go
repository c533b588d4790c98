// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"net"
	"net/rpc"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin/internal/testkit"
)

// A long call is cancelled like any other, and leaves nothing behind.
func TestCancelLong(t *testing.T) {
	onEach(t, func(t *testing.T, here, there net.Conn) {
		p := newPair(t, here, there, HostConfig{}, PluginConfig{})
		w, c := p.waiting()
		for n := range uint64(3) {
			if _, err := c.Send(Request{Method: "Plugin.Wait", Number: n}, strings.Repeat("x", 1<<20)); err != nil {
				t.Fatal(err)
			}
			read := readOne(c)
			ctx := <-w.running
			if c.Cancel(n) {
				t.Error("it is said not to have been sent")
			}
			<-ctx.Done()
			if r := <-read; r.err != nil || r.Seq != n || r.Error != errCancelled.Error() {
				t.Errorf("its answer is %+v", r)
			}
		}
		p.checkNothingLeft()
	})
}

// stuckConn takes nothing until it is released.
type stuckConn struct {
	net.Conn
	release chan struct{}
}

func (c stuckConn) Write(p []byte) (int, error) {
	<-c.release
	return c.Conn.Write(p)
}

// A long request that has not left is withdrawn, and no part of it is sent. It is answered
// like others.
func TestWithdrawLong(t *testing.T) {
	here, there := net.Pipe()
	stuck := stuckConn{here, make(chan struct{})}
	p := newPair(t, stuck, there, HostConfig{}, PluginConfig{})
	w, c := p.waiting()
	close(w.gate)
	first := mustSend(t, c, Request{Method: "Plugin.Wait", Number: 0})
	testkit.Eventually(t, "the first request is given to the connection", func() bool { return c.Taken() == first })
	if _, err := c.Send(Request{Method: "Plugin.Wait", Number: 1}, strings.Repeat("x", 1<<20)); err != nil {
		t.Fatal(err)
	}
	last := mustSend(t, c, Request{Method: "Plugin.Wait", Number: 2})
	if !c.Cancel(1) {
		t.Error("it is said to have been sent")
	}
	close(stuck.release)
	answers := map[uint64]string{}
	for range 3 {
		r := <-readOne(c)
		if r.err != nil && !HasNoReply(r.err) {
			t.Fatal(r.err)
		}
		answers[r.Seq] = r.Error
	}
	if answers[0] != "" || answers[1] != errCancelled.Error() || answers[2] != "" {
		t.Errorf("the answers are %v", answers)
	}
	if taken := c.Taken(); taken < last || taken > last+100 { // The last one is guessed to be long as well.
		t.Errorf("%d bytes were sent, want little more than %d", taken, last)
	}
	p.checkNothingLeft()
	if n := c.pending.Load(); n != 0 {
		t.Errorf("%d calls seem to be under way", n)
	}
}

// oneAnswer is an answer without its reply.
type oneAnswer struct {
	rpc.Response
	err error // of the reply
}

// readOne reads one answer.
func readOne(c *Channel) <-chan oneAnswer {
	answer := make(chan oneAnswer, 1)
	go func() {
		var a oneAnswer
		if a.err = c.ReadHeader(&a.Response); a.err == nil {
			a.err = c.ReadReply(reflect.Value{})
		}
		answer <- a
	}()
	return answer
}

// A long request that is given up half way is refused, and what was kept of it is freed.
// Parts that come all the same are dropped.
func TestCancelHalfSent(t *testing.T) {
	here, there := tcpPair(t)
	var calls counter
	host, p := rawHost(t, here, there, PluginConfig{Calls: &calls}, newThing())
	b := newMessage(kindRequest, 1, 1)
	b.call("Plugin.Echo", 0)
	first, long, err := new(apart).add(b, make([]byte, 1<<20), 0)
	if err != nil {
		t.Fatal(err)
	}
	parts := [2]*buffer{newBuffer(), newBuffer()}
	long.of, long.key, long.allowed = &sendings{}, callKey{1, 1}, 1<<20
	long.part(parts[0], 5*partSize)
	long.part(parts[1], 5*partSize)
	host.write(first.data)
	host.write(parts[0].data)
	host.write(rawMessage(kindCancel, "", 1, 1))
	host.write(parts[1].data)
	m := host.next()
	for m.kind == kindGrant {
		m = host.next()
	}
	if m.kind != kindRefused || m.number != 1 || m.size != refusedCancelled {
		t.Errorf("got %+v", m)
	}
	host.write(host.request(1, 1, "Plugin.Echo", make([]byte, maxShort+100))) // the number can be used again
	for m = host.next(); m.kind == kindGrant; m = host.next() {
	}
	if m.kind != kindAnswer || m.number != 1 {
		t.Errorf("got %+v", m)
	}
	if begun, ended := calls.begun.Load(), calls.ended.Load(); begun != 2 || ended < 1 {
		t.Errorf("%d calls have begun, %d ended", begun, ended)
	}
	p.come.mu.Lock()
	defer p.come.mu.Unlock()
	if p.come.reserved != 0 {
		t.Errorf("%d bytes are reserved", p.come.reserved)
	}
}
