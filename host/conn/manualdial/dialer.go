// SPDX-License-Identifier: MPL-2.0

// Package manualdial is a conn.Dialer that is driven by hand, for tests of
// whatever keeps or uses sessions.
package manualdial

import (
	"context"
	"errors"
	"sync"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// Dialer makes sessions as its Script says. Its methods may be called from any
// goroutine.
type Dialer struct {
	mu       sync.Mutex
	changed  chan struct{} // closed when anything below changes
	script   Script
	scripts  map[string]Script // by endpoint ID
	dials    map[string]int
	sessions map[string][]*Session
}

// Script says how attempts end. The zero value makes a session of protocol
// "netrpc".
type Script struct {
	// Hold keeps attempts waiting until the script changes or the attempt's
	// context ends.
	Hold bool
	// Err makes attempts fail.
	Err error
	// Info describes the sessions. An empty Protocol stands for "netrpc"; "-"
	// stands for none.
	Info conn.Info
}

// New makes a Dialer whose attempts succeed.
func New() *Dialer {
	return &Dialer{
		changed: make(chan struct{}), scripts: make(map[string]Script),
		dials: make(map[string]int), sessions: make(map[string][]*Session),
	}
}

// Default sets the script of all endpoints that have none of their own.
func (d *Dialer) Default(s Script) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.script = s
	d.notify()
}

// Set sets the script of one endpoint, by its ID.
func (d *Dialer) Set(id string, s Script) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.scripts[id] = s
	d.notify()
}

// Dial implements conn.Dialer.
func (d *Dialer) Dial(ctx context.Context, e target.Endpoint) (conn.Session, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dials[e.ID]++
	d.notify()
	for {
		script, own := d.scripts[e.ID]
		if !own {
			script = d.script
		}
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case script.Err != nil:
			return nil, script.Err
		case !script.Hold:
			s := newSession(script.Info)
			d.sessions[e.ID] = append(d.sessions[e.ID], s)
			d.notify()
			return s, nil
		}
		d.wait(ctx)
	}
}

// Dials is how many attempts were made with an endpoint.
func (d *Dialer) Dials(id string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dials[id]
}

// Sessions are all that were made with an endpoint, in order.
func (d *Dialer) Sessions(id string) []*Session {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]*Session(nil), d.sessions[id]...)
}

// Session is the newest session of an endpoint, or nil.
func (d *Dialer) Session(id string) *Session {
	if all := d.Sessions(id); len(all) > 0 {
		return all[len(all)-1]
	}
	return nil
}

// WaitSession waits for the session number n of an endpoint, counted from one.
func (d *Dialer) WaitSession(ctx context.Context, id string, n int) (*Session, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.sessions[id]) < n {
		if ctx.Err() != nil {
			return nil, errors.Join(errors.New("wait for a session of "+id), context.Cause(ctx))
		}
		d.wait(ctx)
	}
	return d.sessions[id][n-1], nil
}

// Open counts the sessions that were made and not closed, of all endpoints.
func (d *Dialer) Open() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	open := 0
	for _, all := range d.sessions {
		for _, s := range all {
			if !s.Closed() {
				open++
			}
		}
	}
	return open
}

// notify and wait are called with mu held.
func (d *Dialer) notify() {
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *Dialer) wait(ctx context.Context) {
	changed := d.changed
	d.mu.Unlock()
	defer d.mu.Lock()
	select {
	case <-changed:
	case <-ctx.Done():
	}
}
