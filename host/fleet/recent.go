// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"slices"
	"time"

	"github.com/reattach/reattach/host/conn"
)

// maxPast is how many events are kept for whoever comes later. Each costs some 200 bytes and
// its cause, which is at most printable.MaxText and an address.
const maxPast = 500

// Past is an event that is kept for whoever comes later. Attempts that fail one after the
// other for the same cause are one.
type Past struct {
	Event
	// Times is how often it happened, if that is more than once; Until is when it did last.
	Times int       `json:"times,omitempty"`
	Until time.Time `json:"until,omitzero"`
}

// recent keeps the newest events, the oldest first.
type recent struct{ events []Past }

// keep adds an event. An attempt that begins is none: how it ends is.
func (r *recent) keep(e Event) {
	if e.BeginsAttempt() {
		return
	}
	e.Err = nil // it may hold more than its text
	if last := r.last(e); last != nil && last.repeats(e) {
		last.Times = max(last.Times, 1) + 1
		last.Until = e.Time
		return
	}
	if len(r.events) == maxPast {
		r.forget()
	}
	r.events = append(r.events, Past{Event: e})
}

// forget drops the event that is longest ago: of one that has happened again, the last time
// counts.
func (r *recent) forget() {
	stalest := 0
	for i, p := range r.events {
		if p.newest().Before(r.events[stalest].newest()) {
			stalest = i
		}
	}
	r.events = slices.Delete(r.events, stalest, stalest+1)
}

// newest is when it happened last.
func (p Past) newest() time.Time {
	if p.Until.After(p.Time) {
		return p.Until
	}
	return p.Time
}

// last gives the newest event of the same endpoint, or nil.
func (r *recent) last(of Event) *Past {
	for i := len(r.events) - 1; i >= 0; i-- { // without copies of them
		if p := &r.events[i]; p.Endpoint == of.Endpoint && p.Plugin == of.Plugin {
			return p
		}
	}
	return nil
}

// repeats reports whether e is one more attempt that fails for the same cause.
func (p Past) repeats(e Event) bool {
	return e.Type == StateChanged && e.To == conn.TransientFailure &&
		p.Type == e.Type && p.To == e.To && conn.SteadyCause(p.Cause) == conn.SteadyCause(e.Cause)
}

func (r *recent) list() []Past { return slices.Clone(r.events) }
