// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"fmt"
	"strconv"
)

const (
	// DefaultMaxMessageBytes bounds one message of a network session in either
	// direction, in bytes: 64 MiB.
	DefaultMaxMessageBytes = 64 << 20
	// minMaxMessage is the least bound that makes sense: what this library itself
	// sends at once fits into it.
	minMaxMessage = 1 << 20
)

// checkMaxMessage says what is wrong with a bound that was given, after "NAME is ".
func checkMaxMessage(n int) error {
	if n > 0 && n < minMaxMessage {
		return fmt.Errorf("%d: want at least %d bytes, or a negative number for no bound", n, minMaxMessage)
	}
	return nil
}

func parseMaxMessage(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q, want a number of bytes, such as %d", text, DefaultMaxMessageBytes)
	}
	return n, checkMaxMessage(n)
}

// commonBound is the bound on what a side sends that has one of its own, and a peer
// that has said what it takes; zero says nothing.
func commonBound(own, peer int) int {
	if peer > 0 {
		peer = max(peer, minMaxMessage)
	}
	if own <= 0 || peer > 0 && peer < own {
		return peer
	}
	return own
}
