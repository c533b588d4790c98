// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"errors"
	"fmt"
)

var (
	// ErrIncompatible is matched by errors of starting or attaching that last
	// until one of the two programs is replaced: there is no common version or
	// protocol, or what was started is no plugin. A refusal from the network is
	// a [*RefusedError] instead.
	ErrIncompatible = errors.New("host and plugin do not fit together")

	// ErrSaidNothing is matched by the error of starting a child that closed
	// its stdout without having said where it serves. Most likely it has ended;
	// Client.Err then says how.
	ErrSaidNothing = errors.New("the child ended before it served")
)

// markedError matches a sentinel, and has a text of its own.
type markedError struct {
	mark error
	text string
}

func incompatiblef(format string, args ...any) error {
	return &markedError{mark: ErrIncompatible, text: fmt.Sprintf(format, args...)}
}

func (e *markedError) Error() string { return e.text }

func (e *markedError) Unwrap() error { return e.mark }
