// SPDX-License-Identifier: MPL-2.0

package cmdrunner

import (
	"os/exec"
	"syscall"
)

// killWithParent has the kernel kill the process when the thread that starts it
// ends: SIGKILL is the only signal that no process can ignore, stopped or not.
// Another one that the command asks for stays.
func killWithParent(cmd *exec.Cmd) {
	attr := syscall.SysProcAttr{}
	if cmd.SysProcAttr != nil {
		attr = *cmd.SysProcAttr
	}
	if attr.Pdeathsig == 0 {
		attr.Pdeathsig = syscall.SIGKILL
	}
	cmd.SysProcAttr = &attr
}
