// SPDX-License-Identifier: MPL-2.0

package expose

import (
	"cmp"
	"context"
	"time"
)

// drainTimeout bounds how long calls may take on a child that is replaced, if
// PLUGIN_DRAIN_TIMEOUT does not.
const drainTimeout = 25 * time.Second

// recycleEvery is how often it is looked whether a child is to be replaced.
const recycleEvery = time.Second

// follow sees a slot's child through to its end, and starts another one for hosts that
// share it. It is replaced before that when it is due.
func (p *pool) follow(s *slot) {
	var look <-chan time.Time
	if !p.opts.Recycle.isZero() {
		ticker := time.NewTicker(recycleEvery)
		defer ticker.Stop()
		look = ticker.C
	}
	for {
		select {
		case <-s.child.Client().Done():
			p.ended(s)
			return
		case <-p.life.Done():
			return
		case <-look:
			p.recycle(s)
		}
	}
}

// ended acts on the end of a child.
func (p *pool) ended(s *slot) {
	err, age := s.child.Client().Err(), time.Since(s.child.since)
	p.mu.Lock()
	given := s.given
	p.forgetLocked(s)
	p.mu.Unlock()
	s.child.Kill() // clears up
	if given || p.life.Err() != nil {
		return
	}
	p.opts.Logger.Error("child has ended", "pid", s.pid, "after", age.Round(time.Millisecond).String(), "error", err)
	if age < stableAfter {
		p.starter.note(s.child.asked, err)
	} else {
		p.starter.served()
	}
	if p.opts.Share == All {
		p.restart(s)
	}
}

// restart starts a child in the place of one that has ended, however often that takes.
// Hosts that come meanwhile may be quicker.
func (p *pool) restart(s *slot) {
	for {
		timer := time.NewTimer(p.starter.pause(s.child.asked))
		select {
		case <-timer.C:
		case <-p.life.Done():
			timer.Stop()
			return
		}
		p.mu.Lock()
		next := p.slots[s.key]
		if next == nil && p.life.Err() == nil {
			next = p.fillLocked(s.key, s.child.asked)
		}
		p.mu.Unlock()
		if next == nil {
			return
		}
		if <-next.settled; next.err == nil {
			return
		}
	}
}

// recycle replaces a child if it is due and runs no call. Hosts that are attached are
// told to leave, and find the next one when they come again.
func (p *pool) recycle(s *slot) {
	inFlight, begun := s.child.Calls()
	reason := p.opts.Recycle.due(begun, time.Since(s.child.since), s.pid)
	if inFlight > 0 || reason == "" {
		return
	}
	if p.opts.Share == All && !p.replace(s) {
		return
	}
	p.mu.Lock()
	s.given = true
	p.forgetLocked(s)
	p.mu.Unlock()
	p.opts.Logger.Info("child is replaced", "pid", s.pid, "because", reason)
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(p.opts.Network.DrainTimeout, drainTimeout))
	defer cancel()
	if cut := s.child.Leave(ctx); cut > 0 {
		p.opts.Logger.Warn("calls were cut off", "calls", cut, "pid", s.pid)
	}
	s.child.Kill()
}

// replace sees to it that another child is in the slot's place, and reports whether there is
// one.
func (p *pool) replace(s *slot) bool {
	c, err := p.starter.start(p.life, s.child.asked)
	if err != nil {
		p.opts.Logger.Warn("child is not replaced yet", "error", err)
		return false
	}
	if !p.put(s, c) {
		c.Kill()
	}
	return p.life.Err() == nil
}

// put puts a child into the slot's place, and reports whether it is there. Meanwhile the
// slot's own child may have ended, in whose place a host has had another one started; or
// the pool may have been closed. Then nobody would ever end this one. Where that other one
// did not start either, the place is empty, and one child of all is wanted there.
func (p *pool) put(s *slot, c *child) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if there := p.slots[s.key]; there != nil && there != s || p.life.Err() != nil {
		return false
	}
	next := &slot{key: s.key, asked: c.asked, settled: make(chan struct{})}
	p.slots[s.key] = next
	p.settleLocked(next, c, nil)
	return true
}
