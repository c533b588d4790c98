// SPDX-License-Identifier: MPL-2.0

package conn

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/go-hclog"
	"github.com/reattach/reattach/host/target"
)

// Conn keeps one endpoint attached. Run's goroutine alone writes its state;
// all other methods may be called from any goroutine, and none of them blocks.
type Conn struct {
	endpoint target.Endpoint
	opts     Options
	log      hclog.Logger
	started  atomic.Bool
	status   atomic.Pointer[Status]

	// Run's goroutine alone uses these.
	dials, ejections *backoff.ExponentialBackOff
	stable           bool      // the last session had lasted
	returned         time.Time // when the last ejection ended
	logged           []string  // causes that were logged since a session had lasted

	noRedial     context.Context // ended by NoRedial
	cancelRedial context.CancelFunc
	hurry        context.Context // ended by Hurry
	cancelDrains context.CancelFunc
	stale        atomic.Pointer[func(Info) bool] // of the newest Renew, until it is called
	renew        chan struct{}                   // tells that stale is set

	wg    sync.WaitGroup // pings and drains
	mu    sync.Mutex
	links []*Link // those whose sessions are not closed yet
}

// New makes the Conn of an endpoint. It starts nothing.
func New(e target.Endpoint, opts Options) (*Conn, error) {
	if err := errors.Join(e.Validate(), opts.Validate()); err != nil {
		return nil, fmt.Errorf("make conn: %w", err)
	}
	opts = opts.withDefaults(e.Placement)
	c := &Conn{endpoint: e, opts: opts, log: opts.Logger.With("plugin", e.Plugin, "endpoint", e.ID)}
	c.noRedial, c.cancelRedial = context.WithCancel(context.Background())
	c.hurry, c.cancelDrains = context.WithCancel(context.Background())
	c.renew = make(chan struct{}, 1)
	c.dials, c.ejections = opts.Backoff.pauses(), opts.Ejection.pauses()
	now := time.Now()
	c.status.Store(&Status{Since: now, UnreadySince: now, Sessions: opts.Sessions})
	return c, nil
}

// Endpoint is what New was given.
func (c *Conn) Endpoint() target.Endpoint { return c.endpoint }

// Status is the newest one. Nobody may change it.
func (c *Conn) Status() *Status { return c.status.Load() }

// InFlight counts the calls on all sessions of the endpoint, those that drain
// included.
func (c *Conn) InFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, l := range c.links {
		n += l.InFlight()
	}
	return n
}

// NoRedial makes the present session the last one: Run returns when it has
// ended, or at once if there is none.
func (c *Conn) NoRedial() { c.cancelRedial() }

// Hurry ends a drain: sessions that drain close with calls in flight.
func (c *Conn) Hurry() { c.cancelDrains() }

// Renew makes the session anew if stale reports true of it, now or, while one is
// being made, as soon as it is there. Calls in flight may finish. stale is called at
// most once, from the Conn's goroutine.
func (c *Conn) Renew(stale func(Info) bool) {
	c.stale.Store(&stale)
	select {
	case c.renew <- struct{}{}:
	default:
	}
}

// Run keeps the endpoint attached until ctx ends. Then the calls in flight may
// finish, bounded by Options.DrainTimeout and [Conn.Hurry]; Run returns when
// every session is closed. It can be called once.
func (c *Conn) Run(ctx context.Context) {
	if c.started.Swap(true) {
		panic("conn: Run was called twice")
	}
	for c.once(ctx) {
		continue
	}
	c.update(func(s *Status) { s.State = Shutdown })
	c.wg.Wait()
	c.cancelRedial()
	c.cancelDrains()
}

// once makes one attempt and serves what comes of it. It reports whether there
// shall be another.
func (c *Conn) once(ctx context.Context) bool {
	link, err := c.dial(ctx)
	if err == nil {
		err = c.serve(ctx, link)
	}
	if ctx.Err() != nil || c.noRedial.Err() != nil {
		return false
	}
	return c.pause(ctx, err)
}

// dial makes a session and checks what it serves.
func (c *Conn) dial(ctx context.Context) (*Link, error) {
	c.update(func(s *Status) { s.State = Connecting })
	within, cancel := context.WithTimeout(ctx, c.opts.DialTimeout)
	defer cancel()
	defer context.AfterFunc(c.noRedial, cancel)()

	session, err := c.opts.Dialer.Dial(within, c.endpoint)
	if err != nil {
		if errors.Is(within.Err(), context.DeadlineExceeded) {
			err = late(err, c.opts.DialTimeout)
		}
		return nil, err
	}
	link := newLink(c.endpoint.ID, session, c.opts.EjectAfter)
	var warning error
	if c.opts.Check != nil {
		warning = c.opts.Check(c.endpoint, link.info)
	}
	c.mu.Lock()
	c.links = append(c.links, link)
	c.mu.Unlock()
	if errors.Is(warning, ErrPermanent) || within.Err() != nil {
		link.retire()
		c.close(link)
		return nil, errors.Join(warning, context.Cause(within))
	}
	c.update(func(s *Status) {
		s.State, s.Link, s.Info, s.Warning, s.Permanent = Ready, link, link.info, warning, false
		s.Sessions++
	})
	return link, nil
}

// pause keeps err as the state's cause and waits until the next attempt is
// due. It reports whether it is.
func (c *Conn) pause(ctx context.Context, err error) bool {
	stable, permanent := c.stable, errors.Is(err, ErrPermanent)
	c.stable = false
	d := c.nextPause(stable, permanent)
	c.update(func(s *Status) {
		s.fail(err)
		s.State, s.Permanent, s.Departure = TransientFailure, permanent, s.Departure.after(err)
		if d > 0 {
			s.NextAttempt = time.Now().Add(d)
		}
		if !stable {
			s.Failures++
		}
	})
	var due <-chan time.Time
	if d > 0 {
		due = time.After(d)
	}
	select {
	case <-ctx.Done():
	case <-c.noRedial.Done():
	case <-due:
		return true
	}
	return false
}

// nextPause is zero if there shall be no other attempt.
func (c *Conn) nextPause(stable, permanent bool) time.Duration {
	switch {
	case permanent && c.endpoint.Fingerprint != "" && c.endpoint.Placement != target.Network:
		return 0 // another file has another fingerprint
	case permanent: // a container can be replaced in its pod, whose fingerprint stays
		return jitter(c.opts.Recheck)
	case stable:
		c.dials.Reset()
		return 1 + rand.N(c.opts.Backoff.Min) // soon, and different for each endpoint
	}
	return c.dials.NextBackOff()
}

// update publishes a new status. What belongs to a state ends with it.
func (c *Conn) update(change func(*Status)) {
	before := c.status.Load()
	after := *before
	after.NextAttempt = time.Time{}
	change(&after)
	after.Err, after.Warning = brief(after.Err), brief(after.Warning)
	if after.State != before.State {
		after.Since = time.Now()
	}
	switch {
	case after.State == Ready:
		after.UnreadySince, after.Departure = time.Time{}, Stays
	case before.State == Ready:
		after.UnreadySince = after.Since
	}
	if after.State != Ready {
		after.Link, after.Ejected, after.EjectedUntil = nil, false, time.Time{}
	}
	c.status.Store(&after)
	c.report(before, &after)
	if c.opts.Observe != nil {
		c.opts.Observe(c, before, &after)
	}
}

func (c *Conn) report(before, after *Status) {
	switch {
	case after.State == Ready && before.State != Ready:
		c.log.Info("plugin is ready", "protocol", after.Info.Protocol, "version", after.Info.Version, "instance", after.Info.Instance)
		if after.Warning != nil {
			c.log.Warn("plugin is not what this host expects", "warning", after.Warning)
		}
	case after.State == TransientFailure && errors.Is(after.Err, ErrGraceful):
		if before.State == Ready {
			c.log.Info("session leaves: its calls may finish", "reason", after.Err, "calls", c.InFlight())
		}
	case after.State == TransientFailure && before.State != TransientFailure:
		c.log.Log(c.level(after.Err), "plugin is not ready", "error", after.Err, "failures", after.Failures, "permanent", after.Permanent)
	case after.State == Shutdown && before.State == Ready:
		c.log.Info("endpoint was withdrawn: its calls may finish", "calls", c.InFlight())
	case after.Ejected && !before.Ejected:
		c.log.Warn("endpoint is held back from calls", "error", after.Err)
	case before.Ejected && !after.Ejected && after.State == Ready:
		c.log.Info("endpoint takes calls again", "error", after.Err)
	case after.State != before.State:
		c.log.Debug("plugin changes its state", "state", after.State)
	}
}

// maxCauses is how many causes are warnings until a session has lasted. A cause that is
// worded anew each time is then no news.
const maxCauses = 8

// level is that of a cause: a warning the first time since a session had lasted. One
// dial timeout has several texts, which come in turns.
func (c *Conn) level(cause error) hclog.Level {
	text := SteadyCause(cause.Error())
	if len(c.logged) == maxCauses || slices.Contains(c.logged, text) {
		return hclog.Debug
	}
	c.logged = append(c.logged, text)
	return hclog.Warn
}

// close ends a session that takes no calls any more, and waits until nothing of it is left.
func (c *Conn) close(l *Link) {
	const slow = 10 * time.Second
	warn := time.AfterFunc(slow, func() { c.log.Warn("session takes long to close", "after", slow.String()) })
	defer warn.Stop()
	if err := l.session.Close(); err != nil {
		c.log.Warn("session did not close well", "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.links = slices.DeleteFunc(c.links, func(o *Link) bool { return o == l })
}
