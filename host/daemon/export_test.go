// SPDX-License-Identifier: MPL-2.0

package daemon

// Sweep does at once what sweep does in time.
func Sweep(d *Daemon) { closeAll(d.release()) }

// Held counts what stands behind plugins.
func Held(d *Daemon) (stubs, values, brokers int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.brokers.mu.Lock()
	defer d.brokers.mu.Unlock()
	return len(d.stubs), len(d.dispensed), len(d.brokers.all)
}
