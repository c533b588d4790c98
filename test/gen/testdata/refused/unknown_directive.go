// SPDX-License-Identifier: MPL-2.0

package refused

type Typo interface {
	// Get gets.
	//reattach:idempotant
	Get(key string) (string, error) // want `//reattach:idempotant is not known here`
}
