// SPDX-License-Identifier: MPL-2.0

// Package panics turns a panic of a plugin's method into an error of its caller, and
// puts what a program has panicked with into words that a peer may be told.
package panics

import (
	"fmt"
	"strings"

	"github.com/hashicorp/go-plugin/printable"
)

// MaxText bounds a text, in bytes, without the note that it was longer.
const MaxText = 256

// Of returns the first line of a recovered value, in visible characters. It never
// panics: package fmt recovers a panic of a value's own method, but not the panic
// of what that one has panicked with.
func Of(value any) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("a value of type %T, which cannot be shown", value)
		}
	}()
	return Line(fmt.Sprint(value))
}

// Line returns the first line of a text, or its beginning, in visible characters.
func Line(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	return printable.Line(printable.Clip(text, MaxText))
}
