// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package peer

import (
	"errors"
	"time"
)

func cpuOf(int) (time.Duration, error) { return 0, errors.ErrUnsupported }
