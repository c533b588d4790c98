// SPDX-License-Identifier: MPL-2.0

// Package history keeps how calls fared within the last hour: how many there were, how
// many failed and on whose side, and how long they took, by plugin and method. It is for
// people who look at a daemon; what is kept for longer belongs into a database, which
// reads the metrics.
package history

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// Step is how long one slot lasts.
	Step = 30 * time.Second
	// Slots is how many slots are kept besides the one in progress: an hour.
	Slots = 120
	// maxMethods is how many methods are kept, of all plugins together. Each costs
	// 2 KiB, or 4 KiB once one of its calls has failed.
	maxMethods = 4096
)

// History keeps the last hour of calls. All its methods may be called from any
// goroutine.
type History struct {
	mu      sync.Mutex
	slot    uint64    // the number of the slot in progress
	began   time.Time // when it did
	all     ring
	plugins map[string]*plugin
	kept    int // methods
	omitted int // those for which there was no room
}

// plugin is what is kept of one plugin.
type plugin struct {
	ring
	methods map[methodName]*Method
}

type methodName struct{ kind, method string }

// New makes an empty history whose first slot begins now. Run moves it on.
func New() *History {
	return &History{began: time.Now(), plugins: make(map[string]*plugin)}
}

// Method gives what counts the calls of a method, until its plugin is forgotten. It is
// nil where there is no room for another one; to count with it does nothing.
func (h *History) Method(name, kind, method string) *Method {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, key := h.plugins[name], methodName{kind, method}
	if p != nil && p.methods[key] != nil {
		return p.methods[key]
	}
	if h.kept >= maxMethods {
		h.omitted++
		return nil
	}
	if p == nil {
		p = &plugin{methods: make(map[methodName]*Method)}
		h.plugins[name] = p
	}
	m := &Method{}
	p.methods[key] = m
	h.kept++
	return m
}

// Forget drops what is kept of a plugin. What its methods count from then on is lost.
func (h *History) Forget(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.plugins[name]; p != nil {
		h.kept -= len(p.methods)
		delete(h.plugins, name)
	}
}

// Run ends each slot when its time has come, until ctx ends.
func (h *History) Run(ctx context.Context) error {
	tick := time.NewTicker(Step)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			h.advance(time.Now())
		}
	}
}

// advance ends the slots whose time has passed. A process that was stopped for a while
// has several of them: what was counted belongs to the first.
func (h *History) advance(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	// A tick comes late, and the next one in time.
	due := min(int((now.Sub(h.began)+Step/2)/Step), Slots)
	for range due {
		var all tally
		for _, p := range h.plugins {
			var sum tally
			for _, m := range p.methods {
				counted := m.counted(true)
				m.put(h.slot, &counted)
				sum.add(&counted)
			}
			p.put(h.slot, &sum)
			all.add(&sum)
		}
		h.all.put(h.slot, &all)
		h.slot++
		h.began = now
	}
}

// Overview is how the calls of all plugins fared.
type Overview struct {
	Window
	All Series `json:"all"`
	// Plugins are ordered by name. Those of which nothing was called are left out. The
	// times are of the last two slots only.
	Plugins []PluginSeries `json:"plugins"`
	// Omitted counts how often a method was not kept, as there was no room for it.
	Omitted int `json:"omitted"`
}

// Window says which time a list is of. The last element of a list is of the slot in
// progress, the one before it of the slot before; what a list is too short for is zero.
type Window struct {
	// StepSeconds is how long a slot lasts.
	StepSeconds float64 `json:"stepSeconds"`
	// Slot is the number of the slot in progress. Slots are counted from the start of
	// the daemon.
	Slot uint64 `json:"slot"`
	// ElapsedSeconds is for how long the slot in progress has lasted.
	ElapsedSeconds float64 `json:"elapsedSeconds"`
}

// PluginSeries is how the calls of one plugin fared, all methods together.
type PluginSeries struct {
	Name string `json:"name"`
	Series
}

// MethodSeries is how the calls of one method fared.
type MethodSeries struct {
	Kind   string `json:"kind"`
	Method string `json:"method"`
	Series
}

// PluginHistory is how the calls of one plugin fared.
type PluginHistory struct {
	Window
	All Series `json:"all"`
	// Methods are ordered by kind and name. Those that were not called are left out.
	Methods []MethodSeries `json:"methods"`
}

// Overview gives what is known of all plugins in the slots from since on, which may have
// been the one in progress when somebody asked before; 0 is for all that is kept.
func (h *History) Overview(since uint64) Overview {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := Overview{Window: h.window(), Plugins: make([]PluginSeries, 0, len(h.plugins)), Omitted: h.omitted}
	var all tally
	for name, p := range h.plugins {
		sum := p.counted()
		all.add(&sum)
		s := p.series(since, h.slot, &sum)
		s.P50, s.P99 = s.P50[max(0, len(s.P50)-2):], s.P99[max(0, len(s.P99)-2):]
		o.Plugins = append(o.Plugins, PluginSeries{name, s})
	}
	slices.SortFunc(o.Plugins, func(a, b PluginSeries) int { return strings.Compare(a.Name, b.Name) })
	o.All = h.all.series(since, h.slot, &all)
	return o
}

// Plugin gives what is known of one plugin in the slots from since on. There is no
// method in it before one was called.
func (h *History) Plugin(name string, since uint64) PluginHistory {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := PluginHistory{Window: h.window(), Methods: []MethodSeries{}}
	p := h.plugins[name]
	if p == nil {
		p = &plugin{}
	}
	sum := p.counted()
	found.All = p.series(since, h.slot, &sum)
	for key, m := range p.methods {
		counted := m.counted(false)
		found.Methods = append(found.Methods, MethodSeries{key.kind, key.method, m.series(since, h.slot, &counted)})
	}
	slices.SortFunc(found.Methods, func(a, b MethodSeries) int {
		return strings.Compare(a.Kind+"\x00"+a.Method, b.Kind+"\x00"+b.Method)
	})
	return found
}

// window describes the slot in progress. h.mu is held.
func (h *History) window() Window {
	return Window{Step.Seconds(), h.slot, time.Since(h.began).Round(time.Millisecond).Seconds()}
}

// counted adds up what the methods have counted in the slot in progress.
func (p *plugin) counted() tally {
	var sum tally
	for _, m := range p.methods {
		counted := m.counted(false)
		sum.add(&counted)
	}
	return sum
}
