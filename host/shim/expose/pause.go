// SPDX-License-Identifier: MPL-2.0

package expose

import (
	"fmt"
	"slices"
	"time"
)

const (
	// firstPause and lastPause are between an attempt that has failed and the next, but
	// for the first of a row, which is tried again at once.
	firstPause = 250 * time.Millisecond
	lastPause  = 30 * time.Second
	// maxMistakes bounds the hosts' mistakes that have pauses, to the latest.
	maxMistakes = 16
)

// pause is the time after attempts that have failed in a row.
type pause struct {
	failures int
	next     time.Time
	last     error
}

func (p *pause) failed(err error) {
	if p.last = err; p.failures > 0 {
		p.next = time.Now().Add(min(firstPause<<min(p.failures-1, 10), lastPause))
	}
	p.failures++
}

// left is how much of it is still to come.
func (p *pause) left() time.Duration { return time.Until(p.next) }

// err says when the next attempt is, and why not now.
func (p *pause) err() error {
	return fmt.Errorf("the next attempt to start it is in %v: %w", p.left().Round(time.Second/10), p.last)
}

// mistakes are the pauses of what hosts have asked for and the executable does not have, the
// latest last. Each is a pause of its own: one of all would keep the right host waiting, and
// none would have a process started as often as the wrong one comes.
type mistakes []*mistake

type mistake struct {
	pause
	asked asked
}

// of returns the pause of what was asked for, or nil.
func (m mistakes) of(a asked) *pause {
	if i := m.index(a); i >= 0 {
		return &m[i].pause
	}
	return nil
}

func (m mistakes) index(a asked) int {
	return slices.IndexFunc(m, func(one *mistake) bool { return one.asked.equal(a) })
}

// failed takes another mistake. Of too many the one made longest ago is forgotten.
func (m *mistakes) failed(a asked, err error) {
	one := &mistake{asked: a}
	if i := m.index(a); i >= 0 {
		one = (*m)[i]
		*m = slices.Delete(*m, i, i+1)
	}
	one.failed(err)
	if *m = append(*m, one); len(*m) > maxMistakes {
		*m = slices.Delete(*m, 0, 1)
	}
}

// forget is for what was no mistake this time.
func (m *mistakes) forget(a asked) {
	if i := m.index(a); i >= 0 {
		*m = slices.Delete(*m, i, i+1)
	}
}
