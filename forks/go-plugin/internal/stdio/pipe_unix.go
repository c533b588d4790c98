// SPDX-License-Identifier: MPL-2.0

//go:build unix

package stdio

import (
	"os"
	"syscall"
)

// readWaiting reads what waits in a pipe, whose reads have deadlines and do not
// block the system's way therefore. It returns zero when nothing waits.
func readWaiting(file *os.File, b []byte) (n int) {
	raw, err := file.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		for {
			if n, err = syscall.Read(int(fd), b); err != syscall.EINTR {
				break
			}
		}
	})
	return max(n, 0)
}
