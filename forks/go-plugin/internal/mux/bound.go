// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// errBeyond is a peer that goes beyond a bound of the session.
var errBeyond = errors.New("a bound of the session")

// errUnread is a plugin that makes its host say more and more, and reads none of it.
var errUnread = fmt.Errorf("%w: the plugin does not read, and more than %d bytes of grants, and of what is given up, wait for it", errBeyond, maxUnread)

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

// keptError is how much is kept of the text of an error that is longer than may be
// sent, in bytes.
const keptError = 1 << 10

// ClipError gives the text of an error that is to be sent, of which at most n bytes may
// be: of a longer one it gives the beginning, and both sizes.
func ClipError(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return fmt.Sprintf("%s… (the error's text has %d bytes, at most %d are allowed: MaxMessageBytes, PLUGIN_MAX_MESSAGE)",
		strings.ToValidUTF8(text[:min(len(text), keptError)], ""), len(text), n)
}
