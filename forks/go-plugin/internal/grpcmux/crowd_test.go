// SPDX-License-Identifier: MPL-2.0

package grpcmux_test

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin/internal/wait"
)

// Hundreds of callers at once, whose requests do not leave in one frame, and so come after the
// beginnings of all others: they are no streams that nobody takes.
func TestCrowdOfMiddlingRequests(t *testing.T) {
	bothWays(t, func(t *testing.T, w way) {
		s := newSession(t, w, &service{unary: func(_ context.Context, in *Text) (*Text, error) { return in, nil }})
		for _, size := range []int{5 << 10, 20 << 10} {
			text := &Text{Value: strings.Repeat("a", size)}
			var callers wait.Group
			for range 500 {
				callers.Go(func() {
					reply := new(Text)
					if err := s.Invoke(t.Context(), unaryMethod, text, reply); err != nil {
						t.Errorf("%d bytes: %v", size, err)
					}
				})
			}
			callers.Wait()
		}
	})
}
