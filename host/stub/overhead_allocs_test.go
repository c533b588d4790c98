// SPDX-License-Identifier: MPL-2.0

//go:build !race

package stub

import "testing"

// TestGRPCCallAllocatesNothing holds what a routed call adds to what its session allocates. The
// race detector allocates on its own account.
func TestGRPCCallAllocatesNothing(t *testing.T) {
	call := instantGRPC(t)
	allocated := testing.AllocsPerRun(1000, func() {
		if err := call(); err != nil {
			t.Error(err)
		}
	})
	if allocated != 0 {
		t.Errorf("a routed call allocates %v times", allocated)
	}
}
