// SPDX-License-Identifier: MPL-2.0

// Package stub has the names that generated code has as well: of packages, of its variables,
// and of what Go declares itself.
package stub

import "context"

// Renamer has parameters of such names.
type Renamer interface {
	Rename(ctx context.Context, old, new string) (string, error)
	Scale(ctx context.Context, f float64, len int8) (byte float64, err error)
	Pick(ctx context.Context, pickStub, wireErrors string, int32 int16) (nil []string, err error)
	// Follow calls back interfaces of such names.
	Follow(ctx context.Context, id Watcher, end Watcher) error
}

// Watcher is called back.
type Watcher interface {
	Seen(m string, opening bool) error
}
