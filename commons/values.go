// SPDX-License-Identifier: MPL-2.0

package commons

import "context"

// bound gives a stub whose calls carry the values of ctx, if it can have such.
func bound[T any](ctx context.Context, stub T) T {
	if b, ok := any(stub).(interface{ WithValues(context.Context) any }); ok {
		if with, ok := b.WithValues(ctx).(T); ok {
			return with
		}
	}
	return stub
}

// valued is a context with the values of another one.
type valued struct {
	context.Context
	values context.Context
}

// Value implements context.Context.
func (v valued) Value(key any) any {
	if value := v.values.Value(key); value != nil {
		return value
	}
	return v.Context.Value(key)
}
