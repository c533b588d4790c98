// SPDX-License-Identifier: MPL-2.0

// Package address gives tests the addresses at which they start a plugin, end it and start
// it again.
package address

import "testing"

// Hold gives an address of loopback (127.0.0.1 and a port) at which nobody listens. Until
// the test ends it is the test's own: the test, or a process that it starts, may listen
// there, close and listen again, as often as it likes, and in between connections are
// refused. Without that, the kernel gives the port of a plugin that has ended to whichever
// socket asks next, and the next start fails with "address already in use".
//
// Only on Linux can an address be held; elsewhere it is one that was free just now.
func Hold(t testing.TB) string {
	t.Helper()
	held, release, err := hold()
	if err != nil {
		t.Fatalf("hold an address of loopback: %v", err)
	}
	t.Cleanup(release)
	return held
}
