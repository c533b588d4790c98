// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/reattach/reattach/test/skew/desk"
)

// callers call at the same time.
const callers = 8

// Counts is what came of the calls of a load. None is declared idempotent, so a call that
// was sent is never repeated.
type Counts struct {
	Calls, Failed int
	// Builds counts the answers of each build.
	Builds map[string]int
	// Errors are the first of those that failed.
	Errors []string
}

// load is callers that call until it ends.
type load struct {
	stop    atomic.Bool
	callers sync.WaitGroup

	mu sync.Mutex
	c  Counts
}

func start(d desk.Desk) *load {
	l := &load{c: Counts{Builds: make(map[string]int)}}
	for caller := range callers {
		l.callers.Go(func() {
			for n := 0; !l.stop.Load(); n++ {
				l.count(l.call(d, caller, n))
			}
		})
	}
	return l
}

// call greets, and at times does something that takes more: a long answer, a stream, a
// callback.
func (l *load) call(d desk.Desk, caller, n int) (build string, err error) {
	text := fmt.Sprintf("%d-%d", caller, n)
	switch n % 16 {
	case 5:
		text += strings.Repeat("x", 200<<10)
	case 9:
		sum := 0
		if err := d.Count(20, func(n int) { sum += n }); err != nil || sum != 210 {
			return "", fmt.Errorf("count came to %d: %w", sum, err)
		}
	case 13:
		said, err := d.Ask(text, func(about string) string { return "about " + about })
		if err != nil || said != "ABOUT "+text {
			return "", fmt.Errorf("ask gave %q: %w", said, err)
		}
	}
	answer, err := d.Greet(text)
	if err != nil {
		return "", err
	}
	build, got, _ := strings.Cut(answer, " ")
	if got != text {
		return "", fmt.Errorf("greeted %.40s, and got %.40s", text, got)
	}
	return build, nil
}

func (l *load) count(build string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.c.Calls++
	if err == nil {
		l.c.Builds[build]++
		return
	}
	l.c.Failed++
	if len(l.c.Errors) < 5 {
		l.c.Errors = append(l.c.Errors, err.Error())
	}
}

func (l *load) counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.c
	c.Builds = maps.Clone(l.c.Builds)
	return c
}

// end waits for the calls in flight.
func (l *load) end() Counts {
	l.stop.Store(true)
	l.callers.Wait()
	return l.counts()
}
