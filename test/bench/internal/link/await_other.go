// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package link

import (
	"errors"
	"time"
)

type interest struct {
	fd            int
	reads, writes bool
	readable      bool
}

func exactTimers() {}

func unblock(int) error { return errors.ErrUnsupported }

// await is there for Linux alone.
func await(*[3]interest, time.Duration) error { return errors.ErrUnsupported }
