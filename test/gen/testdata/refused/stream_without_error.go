// SPDX-License-Identifier: MPL-2.0

package refused

import "iter"

type Numbers interface {
	All() (iter.Seq2[int, string], error) // want `a stream may break off: it is iter\.Seq2\[int, error\]`
}
