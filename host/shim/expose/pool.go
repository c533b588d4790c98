// SPDX-License-Identifier: MPL-2.0

package expose

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/attach"
)

// stableAfter is how long a child has to live for its end to be no failed start.
const stableAfter = 10 * time.Second

// pool has the children, and gives each session the one that it shares with others, or
// with nobody.
type pool struct {
	opts    Options
	starter *starter
	// fail is called when no child can ever be started.
	fail context.CancelCauseFunc

	life context.Context // ends when no more children are to be started
	stop context.CancelFunc
	work sync.WaitGroup

	mu       sync.Mutex
	cookie   plugin.HandshakeConfig // empty: not known yet
	slots    map[string]*slot       // by whom they are shared
	sessions uint64                 // so far
	spare    *child                 // started for whoever comes next; nil: none
	warming  bool                   // it is being started
}

// slot is the place of one child, from before its start.
type slot struct {
	key     string
	asked   asked         // what it is filled for
	settled chan struct{} // closed when child or err is there
	child   *child
	pid     string // the child's, also when it has ended
	err     error
	given   bool // given up: its end is meant
	hosts   int  // sessions that have it or wait for it
}

func newPool(o Options, fail context.CancelCauseFunc) *pool {
	p := &pool{opts: o, starter: newStarter(o), fail: fail, cookie: o.Cookie, slots: map[string]*slot{}}
	p.life, p.stop = context.WithCancel(context.Background())
	return p
}

// choose is plugin.RelayConfig.Choose.
func (p *pool) choose(ctx context.Context, host *plugin.RelayHost) (*plugin.Relayed, error) {
	a, err := p.askedBy(host)
	if err != nil {
		return nil, err
	}
	for {
		s, err := p.enter(host, a)
		if err != nil {
			return nil, err
		}
		if err = s.await(ctx); err == nil {
			p.work.Go(func() {
				<-host.Done
				p.leave(s)
			})
			return s.child.Relayed, host.CheckCookie(s.child.asked.cookie)
		}
		p.leave(s)
		if s.asked.equal(a) || !p.opts.isHostsMistake(err) {
			return nil, err
		}
		// The mistake is that of the host for which the slot was filled.
	}
}

// await waits until the slot has its child.
func (s *slot) await(ctx context.Context) error {
	select {
	case <-s.settled:
		return s.err
	case <-ctx.Done():
		return errors.New("the plugin is being started: try again")
	}
}

// enter finds the slot that a host shares, or makes one.
func (p *pool) enter(host *plugin.RelayHost, a asked) (*slot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life.Err() != nil {
		return nil, &plugin.RefusedError{Code: plugin.RefusedDraining, Message: "the plugin is shutting down"}
	}
	key := p.keyOf(host)
	s := p.slots[key]
	if s != nil && s.child != nil && s.child.ended() {
		p.forgetLocked(s) // Whoever follows it has not come to that yet.
		s = nil
	}
	if s == nil {
		if len(p.slots) >= p.opts.MaxChildren {
			return nil, &plugin.RefusedError{Code: plugin.RefusedBusy, Message: fmt.Sprintf("%d children serve already; raise --max-children", len(p.slots))}
		}
		if err := p.starter.refuse(a); err != nil {
			return nil, err
		}
		s = p.fillLocked(key, a)
	}
	s.hosts++
	return s, nil
}

// keyOf names those who share a child with the host.
func (p *pool) keyOf(host *plugin.RelayHost) string {
	switch {
	case p.opts.Share == All:
		return ""
	case p.opts.Share == Host && host.Name != "":
		address := host.Addr.String()
		if ip, _, err := net.SplitHostPort(address); err == nil {
			address = ip
		}
		return host.Name + " at " + address
	}
	p.sessions++
	return "session " + strconv.FormatUint(p.sessions, 10)
}

// fillLocked makes a slot, and has it filled in the background.
func (p *pool) fillLocked(key string, a asked) *slot {
	s := &slot{key: key, asked: a, settled: make(chan struct{})}
	p.slots[key] = s
	if c := p.spare; c != nil && c.asked.equal(a) && !c.ended() {
		p.spare = nil
		p.settleLocked(s, c, nil)
		return s
	}
	p.work.Go(func() {
		c, err := p.starter.start(p.life, a)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.settleLocked(s, c, err)
	})
	return s
}

// settleLocked says what has come of filling a slot.
func (p *pool) settleLocked(s *slot, c *child, err error) {
	defer close(s.settled)
	if err != nil {
		p.forgetLocked(s)
		s.err = err
		p.opts.Logger.Error("no child", "error", err)
		if p.isHopeless(err) {
			p.fail(err)
		}
		return
	}
	s.child, s.pid = c, c.id()
	p.cookie = c.asked.cookie
	p.opts.Logger.Info("child serves", "pid", s.pid, "for", s.key, "version", c.Client().NegotiatedVersion(), "protocol", c.Client().Protocol())
	p.work.Go(func() { p.follow(s) })
	if p.opts.Share != All {
		p.warmLocked(c.asked)
	}
}

// isHopeless reports whether no child can ever be started, whatever hosts come. A cookie or
// versions that one host has named are that host's mistake.
func (p *pool) isHopeless(err error) bool {
	named := p.opts.Cookie != (plugin.HandshakeConfig{})
	if errors.Is(err, plugin.ErrIncompatible) {
		named = named && len(p.opts.Versions) > 0
	}
	return named && attach.Lasts(err)
}

// admit takes in a child that was started before any host has come.
func (p *pool) admit(c *child) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opts.Share != All {
		p.spare = c
		return
	}
	s := &slot{asked: c.asked, settled: make(chan struct{})}
	p.slots[s.key] = s
	p.settleLocked(s, c, nil)
}

func (p *pool) forgetLocked(s *slot) {
	if p.slots[s.key] == s {
		delete(p.slots, s.key)
	}
}

// leave counts a session out. Its child ends with the last one, unless all hosts share it.
func (p *pool) leave(s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.hosts--; s.hosts > 0 || p.opts.Share == All {
		return
	}
	s.given = true
	p.forgetLocked(s)
	p.work.Go(func() {
		if <-s.settled; s.child != nil {
			s.child.Kill()
		}
	})
}

// warmLocked has a spare child started, if there is none, so that the next host need not
// wait.
func (p *pool) warmLocked(a asked) {
	if p.warming || p.spare != nil && !p.spare.ended() || p.life.Err() != nil {
		return
	}
	p.warming = true
	p.work.Go(func() {
		c, err := p.starter.start(p.life, a)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.warming = false
		switch {
		case err != nil:
			p.opts.Logger.Warn("no spare child", "error", err)
		case p.life.Err() != nil:
			p.work.Go(c.Kill)
		default:
			p.spare = c
		}
	})
}

// close ends all children. No session is left.
func (p *pool) close() {
	p.stop()
	p.mu.Lock()
	var children []*child
	if p.spare != nil {
		children = append(children, p.spare)
		p.spare = nil
	}
	slots := make([]*slot, 0, len(p.slots))
	for _, s := range p.slots {
		slots = append(slots, s)
	}
	p.mu.Unlock()
	for _, s := range slots {
		if <-s.settled; s.child != nil {
			children = append(children, s.child)
		}
	}
	for _, c := range children {
		p.work.Go(c.Kill)
	}
	p.work.Wait()
}
