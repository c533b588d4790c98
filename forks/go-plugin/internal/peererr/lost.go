// SPDX-License-Identifier: MPL-2.0

package peererr

import (
	"errors"
	"io"
)

// lostError is a transport's error that also matches [ErrConnectionLost].
type lostError struct{ cause error }

// Lost makes err match ErrConnectionLost. It returns nil for nil. An
// end that comes in the middle of something is unexpected, as net/rpc has it:
// nobody should take a lost connection for the end of what was to be read.
func Lost(err error) error {
	if err == nil || errors.Is(err, ErrConnectionLost) {
		return err
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return &lostError{cause: err}
}

// Error implements error: that the connection was lost, and by what.
func (e *lostError) Error() string { return ErrConnectionLost.Error() + ": " + e.cause.Error() }

// Unwrap exposes the cause as well, so that status.FromError still finds a
// gRPC status.
func (e *lostError) Unwrap() []error { return []error{ErrConnectionLost, e.cause} }
