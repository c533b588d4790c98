// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// shutDown lets all endpoints leave and waits until they have.
func (f *Fleet) shutDown() error {
	f.mu.Lock()
	f.closing = true
	f.mu.Unlock()
	for _, p := range f.allPools() {
		p.touch()
	}
	for _, e := range f.entries {
		e.wanted = false
		e.vacate()
	}
	f.publish()
	if f.drained(f.opts.DrainTimeout) {
		return nil
	}
	for i := range f.instances {
		i.conn.Hurry()
	}
	if f.drained(f.opts.CloseTimeout) {
		return nil
	}
	var open []string
	for i := range f.instances {
		open = append(open, i.conn.Endpoint().ID)
	}
	slices.Sort(open)
	return fmt.Errorf("stop fleet: sessions did not close within %s: %s", f.opts.CloseTimeout, strings.Join(slices.Compact(open), ", "))
}

// drained reports whether every Conn has ended within d.
func (f *Fleet) drained(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for len(f.instances) > 0 {
		select {
		case <-f.inbox.signal:
			f.read()
			f.publish()
		case <-timer.C:
			return false
		}
	}
	f.conns.Wait()
	return true
}
