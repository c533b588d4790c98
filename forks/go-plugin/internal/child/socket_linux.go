// SPDX-License-Identifier: MPL-2.0

package child

import (
	"os"

	"golang.org/x/sys/unix"
)

// takeSocket removes the name of a socket and returns a handle by which it can
// still be reached, or nil if that cannot be done: then nothing was changed.
func takeSocket(path string) *os.File {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	handle := os.NewFile(uintptr(fd), path)
	named, err := os.Lstat(path)
	if err == nil && named.Mode().Type() == os.ModeSocket {
		// A system without /proc has no way to the socket but its name.
		var held os.FileInfo
		if held, err = os.Stat(handleName(handle)); err == nil && os.SameFile(named, held) && os.Remove(path) == nil {
			return handle
		}
	}
	_ = handle.Close()
	return nil
}
