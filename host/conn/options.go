// SPDX-License-Identifier: MPL-2.0

package conn

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/go-hclog"
	"github.com/reattach/reattach/host/target"
)

// Options says how a Conn goes about it. Only Dialer must be set; zero values
// stand for the defaults that the fields name.
type Options struct {
	// Dialer makes the sessions.
	Dialer Dialer
	// Logger takes what happens to the endpoint. Nil discards it.
	Logger hclog.Logger
	// DialTimeout bounds one attempt: 10 s, and 60 s for a child, which may
	// have much to do before it answers.
	DialTimeout time.Duration
	// Backoff is the pause between attempts: 100 ms to 3 s for the network,
	// where an attempt is cheap and whoever was away should be back soon; 250
	// ms to 30 s for a child; 1 s to 1 min for a shared object.
	Backoff Backoff
	// StableAfter is how long a session must last before the next failure
	// counts as the first again: 10 s.
	StableAfter time.Duration
	// Recheck is the pause after a permanent error, spread by a fifth: 45 s. There
	// is none for a file, whose fingerprint tells when to try again.
	Recheck time.Duration
	// PingInterval is the pause between two pings of a session, spread by a
	// fifth: 2.5 s. PingTimeout bounds one ping: 2.5 s. After one that had no
	// answer the next follows at once.
	PingInterval, PingTimeout time.Duration
	// PingFailures is how many pings in a row must fail to end the session: 2.
	// After the first one the endpoint is held back already. So by default a
	// plugin that stops is lost after 5 to 8 s, soon enough for an idempotent call
	// of 10 s to be answered elsewhere, and one that is busy for less than 5 s is
	// not. The same holds while the endpoint leaves, if calls are in flight.
	PingFailures int
	// DrainTimeout is how long calls in flight may take to finish when the
	// endpoint leaves: 30 s.
	DrainTimeout time.Duration
	// EjectAfter is how many calls in a row must time out for the endpoint to
	// be held back: 5. Negative turns that off.
	EjectAfter int
	// Ejection is how long it is held back, longer each time: 5 s to 1 min.
	Ejection Backoff
	// Sessions is how many were made with the same instance before, by a Conn that
	// the endpoint's return to discovery replaced. It counts in Status.Sessions.
	Sessions int
	// Check looks at a new session before the first call, such as whether its
	// methods are those that the host expects. An error becomes the Warning of
	// the Status; one that matches [ErrPermanent] ends the session. Nil accepts
	// all. It is called from the Conn's goroutine.
	Check func(target.Endpoint, Info) error
	// Observe is told of every new Status, in order, from the Conn's goroutine.
	// It must not block. It may be nil.
	Observe func(c *Conn, before, after *Status)
}

// quickPing is the longest pause before a ping is repeated that was answered with an
// error.
const quickPing = time.Second

// The defaults of Options.DialTimeout.
const (
	dialTimeout      = 10 * time.Second
	childDialTimeout = time.Minute
)

var (
	errNoDialer = errors.New("Dialer is not set")
	errNegative = errors.New("must not be negative")
)

func (o Options) withDefaults(p target.Placement) Options {
	dial, pause := dialTimeout, Backoff{100 * time.Millisecond, 3 * time.Second}
	switch p {
	case target.Child:
		dial, pause = childDialTimeout, Backoff{250 * time.Millisecond, 30 * time.Second}
	case target.InProcess:
		pause = Backoff{time.Second, time.Minute}
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	o.DialTimeout = cmp.Or(o.DialTimeout, dial)
	o.Backoff = cmp.Or(o.Backoff, pause)
	o.StableAfter = cmp.Or(o.StableAfter, 10*time.Second)
	o.Recheck = cmp.Or(o.Recheck, 45*time.Second)
	o.PingInterval = cmp.Or(o.PingInterval, 2500*time.Millisecond)
	o.PingTimeout = cmp.Or(o.PingTimeout, 2500*time.Millisecond)
	o.PingFailures = cmp.Or(o.PingFailures, 2)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, 30*time.Second)
	o.EjectAfter = cmp.Or(o.EjectAfter, 5)
	o.Ejection = cmp.Or(o.Ejection, Backoff{5 * time.Second, time.Minute})
	return o
}

// Validate says which field is wrong.
func (o Options) Validate() error {
	if o.Dialer == nil {
		return errNoDialer
	}
	for name, d := range map[string]time.Duration{
		"DialTimeout": o.DialTimeout, "StableAfter": o.StableAfter, "Recheck": o.Recheck,
		"PingInterval": o.PingInterval, "PingTimeout": o.PingTimeout, "DrainTimeout": o.DrainTimeout,
		"PingFailures": time.Duration(o.PingFailures),
	} {
		if d < 0 {
			return fmt.Errorf("%s %w", name, errNegative)
		}
	}
	for name, b := range map[string]Backoff{"Backoff": o.Backoff, "Ejection": o.Ejection} {
		if b != (Backoff{}) && (b.Min <= 0 || b.Max < b.Min) {
			return fmt.Errorf("%s from %s to %s: Min must be above zero and Max not below it", name, b.Min, b.Max)
		}
	}
	return nil
}

// Backoff is a pause that doubles from Min to Max each time. Every pause is
// spread by a fifth either way, so that endpoints which failed together do not
// return together.
type Backoff struct {
	Min, Max time.Duration
}

// spread is how much longer or shorter a pause may be, as a part of it.
const spread = 0.2

func (b Backoff) pauses() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: b.Min, MaxInterval: b.Max, Multiplier: 2, RandomizationFactor: spread,
	}
}

// jitter gives d, a fifth more or less.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 - spread + 2*spread*rand.Float64()))
}
