// SPDX-License-Identifier: MPL-2.0

//go:build unix

package cmdrunner

import (
	"errors"
	"os"
	"syscall"
)

// alive asks by signal 0, which is checked and not delivered. A process that
// we may not signal is alive all the same. Where the system has process
// handles (Linux), a new process with the old number is not taken for the old one.
func alive(process *os.Process) bool {
	err := process.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, syscall.EPERM)
}
