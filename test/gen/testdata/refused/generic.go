// SPDX-License-Identifier: MPL-2.0

package refused

type Store[T any] interface { // want `Store has type parameters: the wire needs types`
	Get(key string) (T, error)
}
