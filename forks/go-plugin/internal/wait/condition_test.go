// SPDX-License-Identifier: MPL-2.0

package wait_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/hashicorp/go-plugin/internal/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every waiter sees the change, or why it has given up, and has the lock then.
func TestConditionUntil(t *testing.T) {
	why := errors.New("given up")
	for name, tc := range map[string]struct {
		end  func(change, stop func(), cancel context.CancelCauseFunc)
		want error
		is   bool
	}{
		"changed": {end: func(change, _ func(), _ context.CancelCauseFunc) { change() }, is: true},
		"stopped": {end: func(_, stop func(), _ context.CancelCauseFunc) { stop() }},
		"given up": {
			end:  func(_, _ func(), cancel context.CancelCauseFunc) { cancel(why) },
			want: why,
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			var (
				mu      sync.Mutex
				changed wait.Condition
				is      bool
				waiters wait.Group
			)
			stop, looks := make(chan struct{}), make(chan struct{}, 100)
			for range 3 {
				waiters.Go(func() {
					mu.Lock()
					defer mu.Unlock()
					err := changed.Until(ctx, &mu, stop, func() bool {
						looks <- struct{}{}
						return is
					})
					if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) || is != tc.is {
						t.Errorf("Until = %v with %v, want %v with %v", err, is, tc.want, tc.is)
					}
				})
			}
			for range 3 {
				<-looks
			}
			mu.Lock()
			changed.Broadcast() // Nothing has changed yet.
			mu.Unlock()
			for range 3 {
				<-looks
			}
			tc.end(func() {
				mu.Lock()
				defer mu.Unlock()
				is = true
				changed.Broadcast()
			}, func() { close(stop) }, cancel)
			waiters.Wait()
		})
	}
}
