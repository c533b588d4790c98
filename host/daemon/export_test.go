// SPDX-License-Identifier: MPL-2.0

package daemon

// Release does at once what releaseUnknown does in time.
func Release(d *Daemon) {
	for _, end := range d.release() {
		end()
	}
}

// Held counts what stands behind plugins.
func Held(d *Daemon) (stubs, values, brokers int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range d.plugins {
		stubs += len(h.stubs)
		values += len(h.values)
	}
	return stubs, values, len(d.plugins)
}
