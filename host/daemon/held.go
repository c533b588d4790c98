// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"context"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/stub"
)

// held is what the daemon has made for one plugin. It is released once no source knows
// the plugin any more. Daemon.mu guards it.
type held struct {
	// broker is for the callbacks of all sessions.
	broker *plugin.SharedBroker
	stubs  map[stubKey]*routed
	values map[string]*dispensed  // by kind
	states map[string]*stub.State // by dialect
	// misdeclared are the declaredProblems that were logged.
	misdeclared []string
	// dialect is what the sessions shall speak: that of the first value which knows
	// no other. Empty means any.
	dialect string
}

// hold gives what is held for a plugin. The caller holds mu.
func (d *Daemon) hold(name string) *held {
	h := d.plugins[name]
	if h == nil {
		h = &held{
			broker: plugin.NewSharedBroker(d.opts.CallTimeout, nil),
			stubs:  make(map[stubKey]*routed), values: make(map[string]*dispensed), states: make(map[string]*stub.State),
		}
		h.broker.MaxMessageBytes = d.opts.MaxMessageBytes
		if t, ok := d.opts.Tracer.(CallbackTracer); ok {
			h.broker.Around = t.Callbacks()
		}
		d.plugins[name] = h
	}
	return h
}

// heldNow gives what is held for a plugin, to be read alone. The caller holds mu.
func (d *Daemon) heldNow(name string) held {
	if h := d.plugins[name]; h != nil {
		return *h
	}
	return held{}
}

// broker gives the broker of a plugin. While plugins are released nobody gets one, as a
// session does that is being made.
func (d *Daemon) broker(name string) *plugin.SharedBroker {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hold(name).broker
}

// value finds the value for a plugin and a kind, or nil. With keep it is released no
// more.
func (d *Daemon) value(name, kind string, keep bool) *dispensed {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.heldNow(name).values[kind]
	if v != nil {
		v.kept = v.kept || keep
	}
	return v
}

// releaseEvery is how often plugins are looked for that no source knows any more. What
// was held for them is closed at the next time, when no call that began before is under
// way.
const releaseEvery = 30 * time.Second

// releaseUnknown releases what is held for plugins that no source knows any more, and of
// which no endpoint is left, until ctx ends. Names come and go in a cluster, and each
// would cost goroutines for ever.
func (d *Daemon) releaseUnknown(ctx context.Context) error {
	tick := time.NewTicker(releaseEvery)
	defer tick.Stop()
	var released []func()
	closeAll := func() {
		for _, end := range released {
			end()
		}
	}
	defer func() { closeAll() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			closeAll()
			released = d.release()
		}
	}
}

// release forgets what is held for plugins that are not known, but for values that a
// caller keeps, and gives what ends it.
func (d *Daemon) release() (ending []func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, h := range d.plugins {
		if _, known := d.fleet.Plugin(name); known {
			continue
		}
		for kind, v := range h.values {
			if !v.kept {
				delete(h.values, kind)
			}
		}
		for key, r := range h.stubs {
			if h.values[key.kind] == nil {
				delete(h.stubs, key)
				r.released.Store(true)
				ending = append(ending, r.close)
			}
		}
		if len(h.stubs) == 0 { // plugins that nobody has called have a broker too
			ending = append(ending, h.close)
			delete(d.plugins, name)
		}
	}
	return ending
}

// stopped reports whether Run has returned.
func (d *Daemon) stopped() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ended
}

// releaseAll ends every stub and broker; calls fail from then on with ErrStopped.
func (d *Daemon) releaseAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	for _, h := range d.plugins {
		for _, r := range h.stubs {
			r.closeWith(ErrStopped)
		}
		clear(h.stubs)
		h.close()
	}
}

// close ends what the stubs share. They have been closed.
func (h *held) close() {
	for _, s := range h.states {
		s.Close()
	}
	h.broker.Close()
}
