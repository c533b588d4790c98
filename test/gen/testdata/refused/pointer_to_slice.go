// SPDX-License-Identifier: MPL-2.0

package refused

type Sorter interface {
	Sort(items *[]string) error // want `a pointer to a \[\]string: leave the pointer out`
}
