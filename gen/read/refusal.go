// SPDX-License-Identifier: MPL-2.0

package read

import (
	"fmt"
	"go/token"
	"slices"
	"strings"
)

// Refusal is something in the source that cannot travel: where, what and why.
type Refusal struct {
	Pos    token.Position
	Reason string
	cause  error // what more than one refusal may come from
}

// Error gives file, line and reason.
func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s", r.Pos, r.Reason) }

// Refusals are all that was refused, by file and line.
type Refusals []*Refusal

// Error gives one line for each.
func (r Refusals) Error() string {
	lines := make([]string, len(r))
	for i, one := range r {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

func (r *Refusals) add(pos token.Position, format string, args ...any) {
	*r = append(*r, &Refusal{pos, fmt.Sprintf(format, args...), nil})
}

// addOnce adds what is wrong with a type: at the first place that has it.
func (r *Refusals) addOnce(pos token.Position, err error) {
	*r = append(*r, &Refusal{pos, err.Error(), err})
}

// err gives the refusals in order, or nil if there are none.
func (r Refusals) err() error {
	if len(r) == 0 {
		return nil
	}
	slices.SortStableFunc(r, func(a, b *Refusal) int {
		return strings.Compare(fmt.Sprintf("%s:%08d", a.Pos.Filename, a.Pos.Line), fmt.Sprintf("%s:%08d", b.Pos.Filename, b.Pos.Line))
	})
	said := make(map[error]bool)
	return slices.DeleteFunc(r, func(one *Refusal) bool {
		again := one.cause != nil && said[one.cause]
		said[one.cause] = true
		return again
	})
}
