// SPDX-License-Identifier: MPL-2.0

package stdio

import (
	"os"
	"syscall"
)

// duplicate returns a second handle of the same open file, which can be closed
// without closing the caller's.
func duplicate(file *os.File) (*os.File, error) {
	self, err := syscall.GetCurrentProcess()
	if err != nil {
		return nil, os.NewSyscallError("GetCurrentProcess", err)
	}
	var copied syscall.Handle
	err = syscall.DuplicateHandle(self, syscall.Handle(file.Fd()), self, &copied, 0, false, syscall.DUPLICATE_SAME_ACCESS)
	if err != nil {
		return nil, os.NewSyscallError("DuplicateHandle", err)
	}
	return os.NewFile(uintptr(copied), file.Name()), nil
}
