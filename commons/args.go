// SPDX-License-Identifier: MPL-2.0

package commons

import "fmt"

// args are the arguments of a net/rpc call, by name. They come from a peer that may
// be older, newer or broken, so nothing about them is taken for granted.
type args map[string]interface{}

// required gives the argument called name of method. It is an error, naming both,
// when the argument is missing or of another type than T.
func required[T any](method string, a args, name string) (T, error) {
	if _, ok := a[name]; !ok {
		var zero T
		return zero, fmt.Errorf("%s: argument %q is missing", method, name)
	}
	return optional[T](method, a, name)
}

// optional is required for an argument that was added to the contract later: peers
// that do not know it leave it out, which means T's zero value.
func optional[T any](method string, a args, name string) (T, error) {
	var zero T
	value, ok := a[name]
	if !ok {
		return zero, nil
	}
	typed, ok := value.(T)
	if !ok {
		return zero, fmt.Errorf("%s: argument %q: want %T, got %s", method, name, zero, typeName(value))
	}
	return typed, nil
}

func typeName(value interface{}) string {
	if value == nil {
		return "nil"
	}
	return fmt.Sprintf("%T", value)
}
