// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"context"
	"maps"
	"time"
)

// sweepEvery is how often what stands behind plugins that are gone is looked for. It is
// closed at the next time, when no call that began before is under way.
const sweepEvery = 30 * time.Second

// sweep releases the stubs and brokers of plugins that no source knows any more, and of
// which no endpoint is left, until ctx ends. Names come and go in a cluster, and each
// would cost goroutines for ever.
func (d *Daemon) sweep(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var ending []func()
	defer func() { closeAll(ending) }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			closeAll(ending)
			ending = d.release()
		}
	}
}

func closeAll(all []func()) {
	for _, end := range all {
		end()
	}
}

// release forgets what stands behind plugins that are gone, and gives what ends it.
func (d *Daemon) release() (ending []func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	gone := make(map[string]bool)
	for key := range d.stubs {
		if _, looked := gone[key.plugin]; !looked {
			gone[key.plugin] = d.gone(key.plugin)
		}
	}
	for key, v := range d.dispensed {
		if gone[key.plugin] && !v.kept {
			delete(d.dispensed, key)
			delete(d.keepsTo, key)
		}
	}
	held := make(map[string]bool) // plugins that have stubs still
	for key, r := range d.stubs {
		if v := d.dispensed[dispensedKey{key.plugin, key.kind}]; gone[key.plugin] && (v == nil || !v.kept) {
			delete(d.stubs, key)
			r.released.Store(true)
			ending = append(ending, r.close)
		} else {
			held[key.plugin] = true
		}
	}
	maps.DeleteFunc(d.speaks, func(name, _ string) bool { return !held[name] })
	// Plugins that nobody has called have brokers too.
	for _, broker := range d.brokers.take(func(name string) bool { return !held[name] && d.gone(name) }) {
		ending = append(ending, broker.Close)
	}
	return ending
}

// gone reports whether no source knows a plugin, and no endpoint of it is left.
func (d *Daemon) gone(name string) bool {
	_, known := d.fleet.Plugin(name)
	return !known
}
