// SPDX-License-Identifier: MPL-2.0

package refused

import "io"

type Copier interface {
	Copy(from io.Reader) (int64, error) // want `io\.Reader is not of this package`
}
