// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"fmt"
	"slices"
	"time"

	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/conn"
)

// snapshot is what a pool knows at one time. Only next ever changes.
type snapshot struct {
	next    chan struct{} // closed when a newer one is there
	tiers   []*tier       // of one dialect each
	all     *tier
	rows    []row // ordered by ID
	known   bool  // a source knows the plugin
	synced  bool  // every source has said what it knows
	require bool
	closing bool
	// permanent: there are endpoints, and all failed for good; or there is a problem.
	permanent bool
	problem   string // what keeps the plugin from having endpoints, while it has none
	since     time.Time
	settled   bool // each endpoint is ready, or failed for good: none is on its way

	dialectOf func(conn.Info) string
}

// tier is the endpoints that speak one dialect.
type tier struct {
	dialect string // "" for those of any
	picker  *balancer.Picker[*conn.Link]
	ready   int
	holds   bool // the ejected ones are held back, as there are others
}

// arrange makes the tiers of ready endpoints.
func (s *snapshot) arrange(opts balancer.Options, ready []candidate) {
	s.all = newTier("", opts, ready)
	byDialect := make(map[string][]candidate)
	for _, c := range ready {
		byDialect[c.dialect] = append(byDialect[c.dialect], c)
	}
	for dialect, some := range byDialect {
		s.tiers = append(s.tiers, newTier(dialect, opts, some))
	}
}

// candidate is a ready endpoint's session and whether its Conn wants it held back.
type candidate struct {
	balancer.Candidate[*conn.Link]
	dialect string
	ejected bool
}

// newTier holds ejected endpoints back unless that would leave none.
func newTier(dialect string, opts balancer.Options, ready []candidate) *tier {
	t := &tier{dialect: dialect, ready: len(ready)}
	t.holds = slices.ContainsFunc(ready, func(c candidate) bool { return !c.ejected })
	list := make([]balancer.Candidate[*conn.Link], 0, len(ready))
	for _, c := range ready {
		if !c.ejected || !t.holds {
			list = append(list, c.Candidate)
		}
	}
	t.picker = balancer.New(opts, list)
	return t
}

// isOutdated reports whether discovery says something else of the plugin by now.
func (s *snapshot) isOutdated(plugin string, now *facts) bool {
	known, required := now.lookup(plugin)
	return s.known != known || s.require != required || s.synced != now.synced ||
		len(s.rows) == 0 && s.problem != now.problem(plugin)
}

// isCurrent reports whether the endpoints still are what they were when s was made, as
// far as is known: a newer snapshot is about to come otherwise.
func (s *snapshot) isCurrent() bool {
	return !slices.ContainsFunc(s.rows, func(r row) bool {
		if r.serving == nil {
			return false
		}
		now := r.serving.conn.Status()
		return !now.Permanent && (now.Link == nil || !now.Link.TakesCalls())
	})
}

// tier gives the endpoints that speak dialect, or nil.
func (s *snapshot) tier(dialect string) *tier {
	if dialect == "" {
		return s.all
	}
	for _, t := range s.tiers { // there are hardly ever two
		if t.dialect == dialect {
			return t
		}
	}
	return nil
}

// pick begins a call on an endpoint, or gives nil if there is none. One that is in tried
// is picked only if there is no other.
func (s *snapshot) pick(dialect string, tried []string) *conn.Link {
	t := s.tier(dialect)
	if t == nil {
		return nil
	}
	if len(tried) == 0 {
		if l, ok := t.picker.Pick(nil); !ok || l.Begin() {
			return l
		}
	}
	for _, avoid := range [][]string{tried, nil} {
		skip := func(l *conn.Link) bool { return !l.TakesCalls() || slices.Contains(avoid, l.Endpoint()) }
		for l, ok := t.picker.Pick(skip); ok; l, ok = t.picker.Pick(skip) {
			if l.Begin() {
				return l
			}
		}
	}
	return nil
}

// causes says of at most a few endpoints why they do not serve dialect, and
// counts the others.
func (s *snapshot) causes(dialect string) (causes []string, more int) {
	const most = 3
	for _, r := range s.rows {
		if len(causes) == most {
			more++
			continue
		}
		causes = append(causes, r.endpoint.ID+": "+s.cause(r, dialect))
	}
	if len(s.rows) == 0 {
		if s.problem != "" {
			return []string{s.problem}, 0
		}
		if s.synced {
			return []string{"it has none"}, 0
		}
		return []string{"none is found yet"}, 0
	}
	return causes, more
}

func (s *snapshot) cause(r row, dialect string) string {
	now := r.status()
	speaks := s.dialectOf(now.Info)
	switch {
	case now.State == conn.Ready && dialect != "" && speaks != dialect:
		return fmt.Sprintf("it speaks %q, not %q", speaks, dialect)
	case now.State == conn.Shutdown:
		return "it leaves"
	case now.Err != nil:
		return now.Err.Error()
	case now.State == conn.Ready:
		return "it has just ended, or begun"
	}
	return "still being attached"
}
