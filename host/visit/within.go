// SPDX-License-Identifier: MPL-2.0

package visit

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var errUnanswered = errors.New("no answer")

// unanswered reports whether err comes from within, not from what it ran.
func unanswered(err error) bool { return errors.Is(err, errUnanswered) }

// within runs do, which knows no context, and waits for it at most for timeout
// and until ctx ends. If it gives up, do goes on by itself until the session that
// it uses is left.
func within[T any](ctx context.Context, timeout time.Duration, do func() (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout,
		fmt.Errorf("%w within %v", errUnanswered, timeout))
	defer cancel()
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		value, err := do()
		done <- outcome{value, err}
	}()
	select {
	case out := <-done:
		return out.value, out.err
	case <-ctx.Done():
		var zero T
		cause := context.Cause(ctx)
		if !unanswered(cause) {
			cause = fmt.Errorf("%w: %w", errUnanswered, cause)
		}
		return zero, cause
	}
}
