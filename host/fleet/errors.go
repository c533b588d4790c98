// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"errors"
	"fmt"
	"strings"
)

// ErrShutdown is matched by the errors of picks after Run was told to end.
var ErrShutdown = errors.New("the host is shutting down")

// ErrOtherDialect is matched by the errors of picks that found ready endpoints, all
// of which speak another dialect.
var ErrOtherDialect = errors.New("no other endpoint is on its way")

// NotReadyError says that a call could not be sent, as no endpoint was ready.
// It unwraps to the cause of the context that ended, or to [conn.ErrPermanent] or
// [ErrOtherDialect] if waiting would have been in vain.
type NotReadyError struct {
	// Plugin is the plugin's name.
	Plugin string
	// Causes say of each endpoint why it is not ready, ordered by its ID. There
	// are at most a few; More counts the others.
	Causes []string
	More   int
	// Err is why the pick did not wait any longer.
	Err error
}

// Error implements error. It names the cause of each endpoint in Causes, and counts the others.
func (e *NotReadyError) Error() string {
	more := ""
	if e.More > 0 {
		more = fmt.Sprintf("; and %d more", e.More)
	}
	return fmt.Sprintf("no endpoint of %s is ready: %s%s (%v)", e.Plugin, strings.Join(e.Causes, "; "), more, e.Err)
}

// Unwrap gives why the pick did not wait any longer.
func (e *NotReadyError) Unwrap() error { return e.Err }

// UnknownPluginError says that no source knows a plugin.
type UnknownPluginError struct {
	Plugin string
	// Known are the names that the sources know, ordered.
	Known []string
}

// Error implements error. It lists the first names that are known, and how many more there are.
func (e *UnknownPluginError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("plugin %q is unknown: none is known", e.Plugin)
	}
	return fmt.Sprintf("plugin %q is unknown: %s", e.Plugin, knownAre(e.Known))
}

// maxKnown is how many names of plugins an error lists: it is logged, and sent to whoever
// asked, once for each call.
const maxKnown = 10

// knownAre says in an error which names there are.
func knownAre(names []string) string {
	text := "known are " + strings.Join(names[:min(len(names), maxKnown)], ", ")
	if more := len(names) - maxKnown; more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}
