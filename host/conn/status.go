// SPDX-License-Identifier: MPL-2.0

package conn

import "time"

// Status is what is known of an endpoint at one time. It is never changed
// once it has been published.
type Status struct {
	State State
	// Since is when State began.
	Since time.Time
	// UnreadySince is since when State has not been Ready, whatever it was; zero while it
	// is.
	UnreadySince time.Time
	// Err is what went wrong last, and ErrTime when. They are kept when all is well again.
	Err     error
	ErrTime time.Time
	// Permanent is set while Err is one that trying again cannot mend.
	Permanent bool
	// Departure says of a plugin that was to leave how far it has come; Err is no fault then.
	Departure Departure
	// Failures counts attempts in a row that led to no session, or to one that
	// did not last: a crash loop shows here. A session that lasts resets it.
	Failures int
	// NextAttempt is when the next attempt is due in TransientFailure; zero if
	// none is.
	NextAttempt time.Time
	// Sessions counts those made so far, and so one more than the restarts.
	Sessions int
	// Ejected is set while the endpoint is READY and should be held back,
	// because calls or a probe timed out.
	Ejected bool
	// EjectedUntil is when it is probed to come back; zero if the next probe
	// that succeeds brings it back.
	EjectedUntil time.Time
	// Ejections counts how often it was ejected.
	Ejections int
	// Warning is what Options.Check has against the session, or nil.
	Warning error
	// Info describes the present session, or the last one.
	Info Info
	// Link takes calls. It is nil unless State is Ready.
	Link *Link
}

// fail keeps err as what went wrong last.
func (s *Status) fail(err error) { s.Err, s.ErrTime = err, time.Now() }

// Restarts is how often a session had to be made anew.
func (s *Status) Restarts() int { return max(0, s.Sessions-1) }
