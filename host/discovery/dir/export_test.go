// SPDX-License-Identifier: MPL-2.0

package dir

import (
	"context"
	"time"
)

// Looker gives a function that looks at the directory once.
func Looker(opts Options) (func(context.Context) error, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	v := newInventory(opts)
	return func(ctx context.Context) error { return v.look(ctx, time.Now()) }, nil
}
