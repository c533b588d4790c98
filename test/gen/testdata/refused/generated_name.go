// SPDX-License-Identifier: MPL-2.0

package refused

type Version struct{ Major int } // want `Version is what a generated file declares`

const TellerKind = 1 // want `TellerKind is what a generated file declares`

type Teller interface {
	Tell() (Version, error)
}
