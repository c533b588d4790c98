// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package mux

import "syscall"

// newSocketWriter returns nil: a goroutine writes.
func newSocketWriter(syscall.Conn) nonblockingWriter { return nil }
