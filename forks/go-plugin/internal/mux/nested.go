// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"encoding"
	"encoding/gob"
	"reflect"
)

// NestedTypes remembers of types whether gob describes types within the encoding
// of a value: it does so for what is in an interface.
type NestedTypes map[reflect.Type]bool

// Has reports it of a type.
func (n NestedTypes) Has(t reflect.Type) bool {
	if t == nil {
		return false
	}
	nested, known := n[t]
	if !known {
		nested = holdsInterface(t, make(map[reflect.Type]bool))
		n[t] = nested
	}
	return nested
}

// holdsInterface looks for an interface in what a type is made of. seen are types
// that were looked at: some are made of themselves.
func holdsInterface(t reflect.Type, seen map[reflect.Type]bool) bool {
	if t.Kind() == reflect.Interface {
		return true
	}
	if seen[t] || encodesItself(t) {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return holdsInterface(t.Elem(), seen)
	case reflect.Map:
		return holdsInterface(t.Key(), seen) || holdsInterface(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && holdsInterface(f.Type, seen) {
				return true
			}
		}
	}
	return false
}

// encodesItself reports whether gob leaves the encoding to the type.
func encodesItself(t reflect.Type) bool {
	return hasOneOf(t, reflect.TypeFor[gob.GobEncoder](), reflect.TypeFor[encoding.BinaryMarshaler]())
}

// decodesItself reports whether gob leaves the decoding to the type.
func decodesItself(t reflect.Type) bool {
	return hasOneOf(t, reflect.TypeFor[gob.GobDecoder](), reflect.TypeFor[encoding.BinaryUnmarshaler]())
}

// hasOneOf reports whether a value of the type, or a pointer to it, implements an
// interface of two.
func hasOneOf(t, first, second reflect.Type) bool {
	pointer := reflect.PointerTo(t)
	if t.NumMethod() == 0 && pointer.NumMethod() == 0 {
		return false // as nearly all that is sent: this is asked with every call
	}
	return t.Implements(first) || t.Implements(second) || pointer.Implements(first) || pointer.Implements(second)
}

// LosesStep reports whether a decoder whose decoding of a value into t has failed
// may be out of step: it has not read the pieces that follow.
func LosesStep(t reflect.Type) bool { return make(NestedTypes).Has(t) }
