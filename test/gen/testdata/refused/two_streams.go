// SPDX-License-Identifier: MPL-2.0

package refused

import (
	"context"
	"iter"
)

type Mixer interface {
	Mix(ctx context.Context, a, b iter.Seq2[[]byte, error]) (iter.Seq2[[]byte, error], error) // want `Mix: a call carries one stream to the plugin, and b would be the second`
}
