// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package attach

import "os/exec"

// ownGroup does nothing: there are no process groups. The process itself is
// killed by its context.
func ownGroup(*exec.Cmd) {}

// killGroup does nothing.
func killGroup(*exec.Cmd) error { return nil }
