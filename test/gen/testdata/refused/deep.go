// SPDX-License-Identifier: MPL-2.0

package refused

type Leaf struct{ Close func() }

type Branch struct{ Leaves []*Leaf }

type Tree interface {
	Grow(tree Branch) error // want `parameter tree: Branch\.Leaves\[\]: Leaf\.Close: a function cannot leave its process`
}
