// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
)

// countedBarrier is never settled, and counts the answers that wait for it.
type countedBarrier struct{ waits *atomic.Int32 }

func (countedBarrier) Settled() bool          { return false }
func (b countedBarrier) Wait(context.Context) { b.waits.Add(1) }

// The reader of a session answers what it cannot call. It must not wait for the
// output then: nobody would read that the host has made room for it.
func TestReaderDoesNotWaitForOutput(t *testing.T) {
	here, there := net.Pipe()
	var waits atomic.Int32
	p := newPair(t, here, there, HostConfig{}, PluginConfig{
		Barrier: countedBarrier{&waits},
	})
	client := p.client(newThing())
	if err := client.Call("Plugin.Nothing", "", new(string)); err == nil {
		t.Error("a method that there is not was called")
	}
	if err := client.Call("Plugin.Upper", 1, new(string)); err == nil {
		t.Error("an argument of the wrong type was taken")
	}
	if n := waits.Load(); n != 0 {
		t.Errorf("the reader has waited %d times", n)
	}
	if err := client.Call("Plugin.Upper", "a", new(string)); err != nil {
		t.Error(err)
	}
	if n := waits.Load(); n != 1 {
		t.Errorf("the answer of a method has waited %d times, want once", n)
	}
}
