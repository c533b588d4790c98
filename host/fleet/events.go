// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/reattach/reattach/host/conn"
)

// EventType says what an Event is about.
type EventType string

// The events. Those of a plugin have no Endpoint.
const (
	// PluginReady and PluginUnready: a plugin has a first ready endpoint, or
	// none any more.
	PluginReady   EventType = "plugin-ready"
	PluginUnready EventType = "plugin-unready"
	// Found and Withdrawn: discovery has an endpoint, or has it no more.
	Found     EventType = "found"
	Withdrawn EventType = "withdrawn"
	// StateChanged: From and To are set.
	StateChanged EventType = "state"
	// Ejected and Returned: a ready endpoint is held back, or no longer.
	Ejected  EventType = "ejected"
	Returned EventType = "returned"
	// Replaced: a new instance serves in the place of the old one, which drains.
	Replaced EventType = "replaced"
	// ReplacementFailed: the new instance is not ready; the old one goes on.
	ReplacementFailed EventType = "replacement-failed"
)

// Event is one thing that happened.
type Event struct {
	Time     time.Time  `json:"time"`
	Type     EventType  `json:"type"`
	Plugin   string     `json:"plugin"`
	Endpoint string     `json:"endpoint,omitempty"`
	From     conn.State `json:"from"`
	To       conn.State `json:"to"`
	// Cause is why, if something went wrong.
	Cause string `json:"cause,omitempty"`
	// Departure is set where Cause is no fault: the plugin has said that it leaves.
	Departure conn.Departure `json:"departure,omitempty"`
	// Err is the error whose text Cause is.
	Err error `json:"-"`
	// Generation is that of the first [View] that shows what has happened: whoever has that
	// one, or a later one, would take what was for what is.
	Generation uint64 `json:"-"`
}

// BeginsAttempt reports whether an attempt begins with the event, to reach an endpoint that
// is not ready. How it ends is an event too, and says more.
func (e Event) BeginsAttempt() bool {
	return e.Type == StateChanged && (e.To == conn.Connecting || e.To == conn.Idle && e.From != conn.Ready)
}

// because gives the event its cause.
func (e Event) because(err error) Event {
	e.Cause, e.Err = text(err), err
	return e
}

// statusEvents gives what a change of status means to people.
func statusEvents(n notice) []Event {
	var events []Event
	if n.before.State != n.after.State {
		e := Event{Type: StateChanged, From: n.before.State, To: n.after.State}
		if n.after.State == conn.TransientFailure {
			e = e.because(n.after.Err)
			e.Departure = n.after.Departure
		}
		events = append(events, e)
	}
	switch {
	case n.after.State != conn.Ready:
	case n.after.Ejected && !n.before.Ejected:
		events = append(events, Event{Type: Ejected, From: conn.Ready, To: conn.Ready}.because(n.after.Err))
	case n.before.Ejected && !n.after.Ejected:
		events = append(events, Event{Type: Returned, From: conn.Ready, To: conn.Ready})
	}
	return events
}

// Subscription receives events. What it cannot hold is dropped and counted.
type Subscription struct {
	c       chan Event
	dropped atomic.Uint64
	told    uint64 // what CatchUp has told of dropped
	hub     *hub
}

// C gives the events, in order. It is closed by Close, and when Run returns.
func (s *Subscription) C() <-chan Event { return s.c }

// Dropped counts the events that did not fit.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

// CatchUp reports whether events did not fit since it was called last. Those that wait are
// forgotten then: the reader looks at the whole state next, which has all of them, and would
// take what was for what is if it was told of them afterwards. It is for the goroutine that
// reads C.
func (s *Subscription) CatchUp() (missed bool) {
	if s.dropped.Load() == s.told {
		return false
	}
	for waiting := true; waiting; {
		select {
		case _, waiting = <-s.c:
		default:
			waiting = false
		}
	}
	s.told = s.dropped.Load()
	return true
}

// Close ends the subscription. It may be called more than once.
func (s *Subscription) Close() { s.hub.remove(s) }

// hub hands events to subscriptions.
type hub struct {
	mu     sync.Mutex
	subs   map[*Subscription]struct{} // nil once closed
	recent recent
}

func (h *hub) past() []Past {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.recent.list()
}

func (h *hub) add(buffer int) *Subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &Subscription{c: make(chan Event, max(buffer, 1)), hub: h}
	if h.subs == nil {
		close(s.c)
		return s
	}
	h.subs[s] = struct{}{}
	return s
}

func (h *hub) remove(s *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.subs[s]; ok {
		delete(h.subs, s)
		close(s.c)
	}
}

// send hands on the events that led to a generation. It never waits for a subscriber.
func (h *hub) send(events []Event, generation uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range events {
		events[i].Generation = generation
		h.recent.keep(events[i])
	}
	for s := range h.subs {
		for _, e := range events {
			select {
			case s.c <- e:
			default:
				s.dropped.Add(1)
			}
		}
	}
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		close(s.c)
	}
	h.subs = nil
}
