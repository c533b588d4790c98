// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
)

// TestKeptAnswersAreBounded keeps answers without a text for a channel whose reader is busy.
func TestKeptAnswersAreBounded(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	h := NewHost(here, HostConfig{})
	defer h.Close()
	c := h.Channel(1)
	c.away = true
	kept := 0
	for given := false; !given; kept++ {
		if given, _ = h.handTo(1); !given && kept <= maxKept {
			h.keep(1, readyAnswer{})
		}
	}
	if kept > maxKept/frameCost+1 {
		t.Errorf("%d answers are kept", kept)
	}
}

// TestTinyLongMessages begins messages in parts of one byte each.
func TestTinyLongMessages(t *testing.T) {
	out := &outbox{conn: &fixedConn{}, broken: func(error) {}}
	s := newArrivals(out, 0)
	s.budget = longBudget
	admitted := 0
	for n := range uint64(2 * longBudget / leastRoom) {
		a, err := s.begin(&message{channel: 1, number: n, size: 1})
		if err != nil {
			t.Fatal(err)
		}
		if a.admitted {
			admitted++
		}
	}
	if admitted > longBudget/leastRoom {
		t.Errorf("there is room for %d messages at once", admitted)
	}
	for _, a := range s.all() {
		s.drop(a.key)
	}
	if s.reserved != 0 || s.granted != 0 || len(s.queue) > 0 {
		t.Errorf("%d bytes are reserved for nothing, %d granted, %d messages wait", s.reserved, s.granted, len(s.queue))
	}
}

// TestNamesAreBounded asks for methods of any names on many channels.
func TestNamesAreBounded(t *testing.T) {
	p := NewPlugin(&fixedConn{}, PluginConfig{})
	defer p.Close()
	for id := uint64(2); id < 20; id += 2 {
		s := newService(p, id, unserved{errNoControl})
		p.services[id] = s
		for n := range 2 * maxMethods {
			name := fmt.Appendf(nil, "Plugin.%d.%s", n, strings.Repeat("x", maxMethod/4))
			if m := s.method(name); m.name != string(name) {
				t.Fatalf("the method is %q", m.name)
			}
		}
	}
	if p.names > maxNames {
		t.Errorf("names are remembered with %d bytes", p.names)
	}
	for id := uint64(2); id < 20; id += 2 {
		p.release(id)
	}
	if p.names != 0 {
		t.Errorf("%d bytes are remembered of channels that are released", p.names)
	}
}

// TestStreamHeadersAreBounded opens streams with long headers, until one is over.
func TestStreamHeadersAreBounded(t *testing.T) {
	table := &streamTable{}
	table.init(&outbox{conn: &fixedConn{}, broken: func(error) {}}, &fixedConn{}, true, Acceptors{Brokered: func(*Stream) error { return nil }})
	next := uint64(1)
	add := func() (*Stream, error) {
		s := newStream(table, next, Brokered, make([]byte, maxStreamHeader))
		next += 2
		refusal, err := table.add(s)
		if err != nil {
			t.Fatal(err)
		}
		if refusal == nil {
			s.Take()
		}
		return s, refusal
	}
	var last *Stream
	for range (maxStreamHeaders + moreHeaders) / maxStreamHeader {
		s, refusal := add()
		if last = s; refusal != nil {
			t.Fatal(refusal)
		}
	}
	if _, refusal := add(); refusal == nil {
		t.Error("the headers have no bound")
	}
	table.remove(last)
	if _, refusal := add(); refusal != nil {
		t.Errorf("there is no room when one is over: %v", refusal)
	}
}

// TestCallerLeavesNoBuffer: a caller that has read its answer by itself leaves the session
// without a buffer, as nobody may read it for long.
func TestCallerLeavesNoBuffer(t *testing.T) {
	here, there := tcpPair(t)
	h := NewHost(here, HostConfig{})
	defer h.Close()
	s, err := h.OpenCall(t.Context(), UnaryCall, []byte("\x02/m"), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := there.Write([]byte(rawMessage(kindEnd, "", s.id))); err != nil {
		t.Fatal(err)
	}
	if err := h.Await(t.Context(), s); err != nil {
		t.Error(err)
	}
	if h.in.r.buffer != nil {
		t.Error("the session has a buffer")
	}
}

// TestAnswerBesideOthers waits for the answer to a call, behind which frames come without
// end that are not the call's.
func TestAnswerBesideOthers(t *testing.T) {
	here, there := tcpPair(t)
	h := NewHost(here, HostConfig{})
	defer h.Close()
	s, err := h.OpenCall(t.Context(), UnaryCall, []byte("\x02/m"), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var answered atomic.Bool
	flooded := make(chan int)
	go func() {
		other := rawMessage(61, strings.Repeat("x", 100))
		batch := []byte(strings.Repeat(string(other), 600))
		_, err := there.Write(append(rawMessage(kindEnd, "", s.id), batch...))
		n := 0
		for ; err == nil && n < 1000 && !answered.Load(); n++ {
			_, err = there.Write(batch)
		}
		flooded <- n
	}()
	if err := h.Await(t.Context(), s); err != nil {
		t.Error(err)
	}
	answered.Store(true)
	_ = h.Close()
	if n := <-flooded; n == 1000 {
		t.Error("the caller has read all that came behind its answer")
	}
}
