// SPDX-License-Identifier: MPL-2.0

package refused

type Point struct{ X, Y int }

type Board interface {
	Put(stones map[Point]bool) error // want `keys of maps are texts, integers or truth values, not Point`
}
