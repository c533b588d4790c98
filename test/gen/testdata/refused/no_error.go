// SPDX-License-Identifier: MPL-2.0

package refused

type Namer interface {
	Name() string // want `Name: a call can fail on its way: give it an error as the last result, or say //reattach:panics`
}
