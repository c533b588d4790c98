// SPDX-License-Identifier: MPL-2.0

package refused

type Getter interface {
	Get(key string) (string, error)
}

type WrappedError struct { // want `WrappedError\.Err: an error travels as the last result of a method only: use its text; or mark it //reattach:local`
	Op  string
	Err error
}

func (e *WrappedError) Error() string { return e.Op }
