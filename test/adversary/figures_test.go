// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// figures are what was measured in one case, each beside its bound. They are one line
// of the test's log, also when a bound was exceeded.
type figures struct {
	t     *testing.T
	parts []string
}

// measure begins a case. What was done to the victim is its title.
func measure(t *testing.T, title string, args ...any) *figures {
	t.Helper()
	f := &figures{t: t, parts: []string{fmt.Sprintf(title, args...) + ":"}}
	t.Cleanup(func() { t.Log(f.parts[0], strings.Join(f.parts[1:], ", ")) })
	return f
}

// count holds that there are no more than bound.
func (f *figures) count(what string, got, bound int) {
	f.t.Helper()
	f.note(got <= bound, "%s %d of %d", what, got, bound)
}

// bytes does so for a size.
func (f *figures) bytes(what string, got, bound int64) {
	f.t.Helper()
	f.note(got <= bound, "%s %s of %s", what, size(got), size(bound))
}

// within does so for a time.
func (f *figures) within(what string, got, bound time.Duration) {
	f.t.Helper()
	f.note(got <= bound, "%s %v of %v", what, got.Round(time.Millisecond), bound)
}

// served holds that an honest peer was served at least once, and promptly each time.
func (f *figures) served(who string, h *honest) {
	f.t.Helper()
	h.stop()
	if h.err != nil || h.times == 0 {
		f.t.Errorf("%s was served %d times, then: %v", who, h.times, h.err)
	}
	f.within(fmt.Sprintf("%s served %d times, the slowest in", who, h.times), h.slowest, promptly)
}

func (f *figures) note(ok bool, format string, args ...any) {
	f.t.Helper()
	text := fmt.Sprintf(format, args...)
	f.parts = append(f.parts, text)
	if !ok {
		f.t.Errorf("beyond the bound: %s", text)
	}
}

func size(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// honest is a peer that is served again and again until it is stopped.
type honest struct {
	ending, ended chan struct{}
	asked         chan struct{} // gets an item for each time that somebody waits for

	// What follows is to be read after stop.
	times   int
	slowest time.Duration
	err     error
}

// keepAsking runs ask again and again. It ends at the first error.
func keepAsking(t *testing.T, ask func() error) *honest {
	h := &honest{ending: make(chan struct{}), ended: make(chan struct{}), asked: make(chan struct{})}
	go func() {
		defer close(h.ended)
		for h.err == nil {
			began := time.Now()
			h.err = ask()
			h.slowest = max(h.slowest, time.Since(began))
			h.times++
			select {
			case h.asked <- struct{}{}:
			default:
			}
			select {
			case <-h.ending:
				return
			case <-time.After(10 * time.Millisecond): // leaves the machine to others
			}
		}
	}()
	t.Cleanup(h.stop)
	return h
}

// awaitOneMore waits until the peer was served once more, from its asking on. What happens
// between two such waits happens beside two times of asking at most.
func (h *honest) awaitOneMore(t *testing.T) {
	t.Helper()
	for range 2 { // The first may have been asked for before.
		select {
		case <-h.asked:
		case <-h.ended: // Its error is told at the end.
			return
		}
	}
}

// stop waits for the last answer. It may be called again.
func (h *honest) stop() {
	select {
	case <-h.ending:
	default:
		close(h.ending)
	}
	<-h.ended
}
