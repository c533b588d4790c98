// SPDX-License-Identifier: MPL-2.0

package peer

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"
)

// cpuOf is the processor time of another process, by the clock that the kernel keeps of it.
func cpuOf(pid int) (time.Duration, error) {
	const ofProcess = 2 // what a clock counts is in its lowest bits, and whose it is above
	clock := ^pid<<3 | ofProcess
	var now syscall.Timespec
	if _, _, failed := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&now)), 0); failed != 0 {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, failed)
	}
	return time.Duration(now.Nano()), nil
}
