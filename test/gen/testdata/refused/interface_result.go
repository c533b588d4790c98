// SPDX-License-Identifier: MPL-2.0

package refused

type Session interface{ Close() error }

type Opener interface {
	Open(name string) (Session, error) // want `an interface as a result would be bound to one instance`
}
