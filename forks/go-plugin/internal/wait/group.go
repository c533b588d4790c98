// SPDX-License-Identifier: MPL-2.0

// Package wait has what package sync lacks: that of go 1.24, the oldest that this module
// is built with, or of any.
package wait

import "sync"

// Group is a [sync.WaitGroup] that starts the goroutines it waits for.
type Group struct{ sync.WaitGroup }

// Go runs f in a goroutine that Wait waits for. f must not panic.
func (g *Group) Go(f func()) {
	g.Add(1)
	go func() {
		defer g.Done()
		f()
	}()
}
