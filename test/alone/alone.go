// SPDX-License-Identifier: MPL-2.0

//go:build unix

// Package alone lets packages of tests that fill the machine run one after the other,
// where go test runs packages side by side: one floods the ports and the processors by
// which another measures how soon something happens.
package alone

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Wait returns when no other process holds the machine. It holds it until the process
// ends, however that comes about.
func Wait() error {
	path := filepath.Join(os.TempDir(), "reattach-tests.lock")
	// A descriptor that no finalizer closes, and that no child inherits.
	fd, err := syscall.Open(path, syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("wait for other tests, open %s: %w", path, err)
	}
	if err := syscall.Flock(fd, syscall.LOCK_EX); err != nil {
		return fmt.Errorf("wait for other tests, lock %s: %w", path, err)
	}
	return nil
}
