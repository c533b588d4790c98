// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"errors"
	"net"
	"sync"
	"time"
)

// SetDeadline implements net.Conn.
func (s *Stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (s *Stream) SetReadDeadline(t time.Time) error {
	return s.setDeadline(&s.in.deadline, &s.readable, t)
}

// SetWriteDeadline implements net.Conn.
func (s *Stream) SetWriteDeadline(t time.Time) error {
	return s.setDeadline(&s.out.deadline, &s.writable, t)
}

func (s *Stream) setDeadline(d *deadline, waiters *sync.Cond, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return s.explain("set", net.ErrClosed)
	}
	d.set(t, waiters)
	return nil
}

// deadline is when reads or writes give up. Its owner's lock guards it.
type deadline struct {
	timer  *time.Timer // nil: there is none, or it has passed from the start
	passed bool
}

// set replaces the deadline. waiters have the owner's lock.
func (d *deadline) set(t time.Time, waiters *sync.Cond) {
	d.stop()
	d.passed = false
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.passed = true
		waiters.Broadcast()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		waiters.L.Lock()
		defer waiters.L.Unlock()
		if d.timer == timer { // It may have been replaced just now.
			d.passed = true
			waiters.Broadcast()
		}
	})
	d.timer = timer
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
