// SPDX-License-Identifier: MPL-2.0

package refused

type Counter interface {
	Count(result int) (int, error) // want `Count: a parameter and a result would both be result`
}
