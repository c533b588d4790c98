// SPDX-License-Identifier: MPL-2.0

package cmdrunner

import (
	"os"
	"syscall"
)

// alive looks whether the process's handle is signalled, which happens when it ends.
// As long as process is held, no other one gets its number.
func alive(process *os.Process) bool {
	handle, err := syscall.OpenProcess(syscall.SYNCHRONIZE, false, uint32(process.Pid))
	if err != nil {
		return false
	}
	defer syscall.CloseHandle(handle)
	state, err := syscall.WaitForSingleObject(handle, 0)
	return err == nil && state == syscall.WAIT_TIMEOUT
}
