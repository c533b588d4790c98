// SPDX-License-Identifier: MPL-2.0

// Package peererr makes the errors that concern the other side: the two that callers
// branch on, and texts of a peer in a form that may be shown.
package peererr

import (
	"errors"
	"fmt"
)

var (
	// ErrConnectionLost is documented where it is public, in the root package.
	ErrConnectionLost = errors.New("connection to plugin lost")

	// ErrIncompatible is documented where it is public, in the root package.
	ErrIncompatible = errors.New("host and plugin do not fit together")
)

// markedError matches a sentinel, and has a text of its own.
type markedError struct {
	mark error
	text string
}

// Marked returns an error of that text which matches mark.
func Marked(mark error, text string) error { return &markedError{mark, text} }

// Incompatiblef returns an error of that text which matches [ErrIncompatible].
func Incompatiblef(format string, args ...any) error {
	return &markedError{mark: ErrIncompatible, text: fmt.Sprintf(format, args...)}
}

func (e *markedError) Error() string { return e.text }

func (e *markedError) Unwrap() error { return e.mark }
