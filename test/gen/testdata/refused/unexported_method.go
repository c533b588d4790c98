// SPDX-License-Identifier: MPL-2.0

package refused

type Sealed interface {
	Open() error
	seal() // want `seal is not exported: no other package can implement it`
}
