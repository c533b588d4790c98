// SPDX-License-Identifier: MPL-2.0

//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package listen

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockDir keeps other plugins from looking for stale sockets in a directory, until
// unlock is called: two that start at once must not take each other's for one. Where
// the file system has no locks it does nothing.
func lockDir(path string) (unlock func()) {
	dir, err := os.Open(path)
	if err != nil {
		return func() {}
	}
	for unix.Flock(int(dir.Fd()), unix.LOCK_EX) == unix.EINTR {
	}
	return func() { _ = dir.Close() }
}
