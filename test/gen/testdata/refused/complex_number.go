// SPDX-License-Identifier: MPL-2.0

package refused

type Wave interface {
	Transform(samples []complex128) error // want `parameter samples\[\]: a complex128 means nothing to another process`
}
