// SPDX-License-Identifier: MPL-2.0

package mux

import "reflect"

const (
	// estimateDepth is how deep within a value its size is looked for.
	estimateDepth = 5
	// estimateOf is of how many elements of a list or map, which stand for the others.
	estimateOf = 4
)

// looksLong estimates, without encoding it, whether a value has to be sent in parts. So the
// first one of a method is encoded beside other calls as well.
func looksLong(value any) bool {
	if n, ok := plainLen(value); ok {
		return n > maxShort
	}
	return estimate(reflect.ValueOf(value), estimateDepth) > maxShort
}

// estimate gives about how many bytes a value has in gob, or fewer. Of what is in fields that
// gob does not send it knows nothing.
func estimate(v reflect.Value, depth int) int {
	if depth == 0 || !v.IsValid() {
		return 0
	}
	if encodesItself(v.Type()) {
		return 1 // What is in it is its own, perhaps behind a lock that only it takes.
	}
	switch v.Kind() {
	case reflect.String:
		return v.Len()
	case reflect.Pointer, reflect.Interface:
		return estimate(v.Elem(), depth-1)
	case reflect.Slice, reflect.Array:
		if v.Len() == 0 || isNumber(v.Type().Elem().Kind()) {
			return v.Len()
		}
		n, size := min(v.Len(), estimateOf), 0
		for i := range n {
			size += estimate(v.Index(i), depth-1)
		}
		return v.Len() * (1 + size/n)
	case reflect.Map:
		n, size := 0, 0
		for i := v.MapRange(); n < estimateOf && i.Next(); n++ {
			size += estimate(i.Key(), depth-1) + estimate(i.Value(), depth-1)
		}
		return v.Len() * (1 + size/max(n, 1))
	case reflect.Struct:
		size := 0
		for i := range v.NumField() {
			if f := v.Field(i); f.CanInterface() { // it is exported
				size += estimate(f, depth-1)
			}
		}
		return size
	}
	return 1
}

func isNumber(k reflect.Kind) bool { return k >= reflect.Bool && k <= reflect.Complex128 }
