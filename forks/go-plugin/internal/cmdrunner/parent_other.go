// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package cmdrunner

import "os/exec"

// killWithParent does nothing: the system cannot do so.
func killWithParent(*exec.Cmd) {}
