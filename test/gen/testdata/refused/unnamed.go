// SPDX-License-Identifier: MPL-2.0

package refused

type Setter interface {
	Set(string, int) error // want `Set: parameter 1 has no name` `Set: parameter 2 has no name`
}
