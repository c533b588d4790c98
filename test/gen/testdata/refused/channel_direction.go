// SPDX-License-Identifier: MPL-2.0

package refused

import "context"

type Bus interface {
	Subscribe(ctx context.Context, to chan string) error // want `a channel travels in one direction: write <-chan string`
}
