// SPDX-License-Identifier: MPL-2.0

package cmdrunner

import (
	"os"
	"syscall"
)

// alive looks whether the process's handle is signalled, which happens when it ends.
func alive(process *os.Process) bool {
	state := uint32(syscall.WAIT_FAILED)
	err := process.WithHandle(func(handle uintptr) {
		state, _ = syscall.WaitForSingleObject(syscall.Handle(handle), 0)
	})
	return err == nil && state == syscall.WAIT_TIMEOUT
}
