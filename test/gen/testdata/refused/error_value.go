// SPDX-License-Identifier: MPL-2.0

package refused

type Reporter interface {
	Report(cause error) error // want `an error travels as the last result of a method only: use its text`
}
