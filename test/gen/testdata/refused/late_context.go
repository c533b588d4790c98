// SPDX-License-Identifier: MPL-2.0

package refused

import "context"

type Late interface {
	Do(name string, ctx context.Context) error // want `a context travels as the first parameter of a method only`
}
