// SPDX-License-Identifier: MPL-2.0

package refused

import (
	"context"
	"iter"
)

type Tail interface {
	// Follow follows.
	//reattach:idempotent repeats=2
	Follow(ctx context.Context, name string) (iter.Seq2[string, error], error) // want `a call with a stream or an interface is not repeated`
}
