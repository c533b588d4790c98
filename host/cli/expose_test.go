// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/reattach/reattach/host/shim/expose"
)

// TestExposeExitCodes has each error of expose end the program as its page says.
func TestExposeExitCodes(t *testing.T) {
	cases := map[string]struct {
		err  error
		code int // 0: not a failure with a code of its own
	}{
		"none":               {nil, 0},
		"options":            {fmt.Errorf("%w: no executable is named", expose.ErrOptions), exitUsage},
		"no start":           {fmt.Errorf("%w: exec format error", expose.ErrNotStarted), exitUnreachable},
		"calls cut off":      {errors.New("drain: 1 calls did not finish within 1s and were cut off"), exitFailed},
		"no more hosts":      {errors.New("accept: too many open files"), exitFailed},
		"ended at its start": {context.Canceled, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			code, err := 0, exposeFailure(tc.err)
			if failed, ok := errors.AsType[*failure](err); ok {
				code = failed.code
			}
			if code != tc.code || !errors.Is(err, tc.err) {
				t.Errorf("code %d of %v, want %d", code, err, tc.code)
			}
		})
	}
}
