// SPDX-License-Identifier: MPL-2.0

package rpcmux

import (
	"fmt"
	"math"
	"strings"
)

// TooLargeError is a message that has more bytes than one side allows.
type TooLargeError struct {
	// Size and Max are in bytes.
	Size, Max uint64
}

// Error implements error.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the message has %d bytes, at most %d are allowed (MaxMessageBytes, PLUGIN_MAX_MESSAGE)", e.Size, e.Max)
}

// bound gives the bound that holds: none is given as zero.
func bound(maximum int) int {
	if maximum <= 0 || maximum > math.MaxInt32 {
		return math.MaxInt32
	}
	return maximum
}

// clipTo gives at most n bytes of a text, and says so if there are more.
func clipTo(text string, n int) string {
	const more = "… (clipped: the text is longer than a message may be)"
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:max(0, n-len(more))], "") + more
}
