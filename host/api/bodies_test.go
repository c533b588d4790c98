// SPDX-License-Identifier: MPL-2.0

package api

import (
	"net"
	"testing"
)

// TestBodyDroppedAtItsEnd holds that a body which was given up for another one is not
// used, though all of it had been read: its bytes count no more.
func TestBodyDroppedAtItsEnd(t *testing.T) {
	all := &connections{max: 2, maxBodies: 3 * smallBody}
	open := func() *body {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
		return &body{from: all.add(ours)}
	}
	old, young := open(), open()
	if !old.grow(3*smallBody) || !young.grow(3*smallBody) {
		t.Fatal("there was no room, nor made any")
	}
	if old.whole() {
		t.Error("a body that was given up is taken")
	}
	if !young.whole() {
		t.Error("the body for which there was room is not taken")
	}
	old.release()
	young.release()
	if all.bodies != 0 {
		t.Errorf("%d bytes count, and none are held", all.bodies)
	}
}
