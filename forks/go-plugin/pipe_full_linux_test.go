// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// isFull reports whether a pipe of 16 pages holds so much that whoever floods it is
// about to block: a page takes only as many lines as fit into it.
func isFull(t *testing.T, r *os.File) bool {
	t.Helper()
	n, err := unix.IoctlGetInt(int(r.Fd()), unix.TIOCINQ)
	if err != nil {
		t.Fatal(err)
	}
	return n > 32<<10
}
