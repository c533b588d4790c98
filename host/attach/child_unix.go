// SPDX-License-Identifier: MPL-2.0

//go:build unix

package attach

import (
	"os/exec"
	"syscall"
)

// ownGroup gives the process a process group of its own, that its context ends
// as a whole. What the process starts itself is in the group too, unless it
// leaves it. And a terminal's interrupt reaches the host alone, which ends its
// children in order.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return killGroup(cmd) }
}

// killGroup kills whatever is left of the process's group.
func killGroup(cmd *exec.Cmd) error {
	if cmd.Process == nil {
		return nil
	}
	return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}
