// SPDX-License-Identifier: MPL-2.0

//go:build unix

package stdio

import (
	"os"
	"syscall"
)

// duplicate returns a second descriptor of the same open file. It is there
// because Go ends a program that writes to a broken pipe as descriptor 1 or 2
// (os/signal, "SIGPIPE"); on any other descriptor the write is an error.
func duplicate(file *os.File) (*os.File, error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	var copied int
	var failed error
	err = raw.Control(func(fd uintptr) {
		syscall.ForkLock.RLock() // no child may start between the two calls
		defer syscall.ForkLock.RUnlock()
		if copied, failed = syscall.Dup(int(fd)); failed == nil {
			syscall.CloseOnExec(copied)
		}
	})
	if err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, os.NewSyscallError("dup", failed)
	}
	return os.NewFile(uintptr(copied), file.Name()), nil
}
