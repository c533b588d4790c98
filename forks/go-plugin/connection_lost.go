// SPDX-License-Identifier: MPL-2.0

package plugin

import "errors"

// lostError is a transport's error that also matches [ErrConnectionLost].
type lostError struct{ cause error }

// connectionLost makes err match ErrConnectionLost. It returns nil for nil.
func connectionLost(err error) error {
	if err == nil || errors.Is(err, ErrConnectionLost) {
		return err
	}
	return &lostError{cause: err}
}

func (e *lostError) Error() string { return ErrConnectionLost.Error() + ": " + e.cause.Error() }

// Unwrap exposes the cause as well, so that status.FromError still finds a
// gRPC status.
func (e *lostError) Unwrap() []error { return []error{ErrConnectionLost, e.cause} }
