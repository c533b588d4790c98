// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"encoding"
	"encoding/gob"
	"reflect"
)

// nestedTypes remembers of types whether gob describes types within the encoding
// of a value: it does so for what is in an interface.
type nestedTypes map[reflect.Type]bool

func (n nestedTypes) has(t reflect.Type) bool {
	if t == nil {
		return false
	}
	nested, known := n[t]
	if known {
		return nested
	}
	n[t] = false // unless what it is made of says otherwise
	switch {
	case encodesItself(t):
	case t.Kind() == reflect.Interface:
		nested = true
	case t.Kind() == reflect.Pointer, t.Kind() == reflect.Slice, t.Kind() == reflect.Array:
		nested = n.has(t.Elem())
	case t.Kind() == reflect.Map:
		nested = n.has(t.Key()) || n.has(t.Elem())
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && n.has(f.Type) {
				nested = true
				break
			}
		}
	}
	n[t] = nested
	return nested
}

// encodesItself reports whether gob leaves the encoding to the type.
func encodesItself(t reflect.Type) bool {
	for _, i := range [...]reflect.Type{reflect.TypeFor[gob.GobEncoder](), reflect.TypeFor[encoding.BinaryMarshaler]()} {
		if t.Implements(i) || t.Kind() != reflect.Interface && reflect.PointerTo(t).Implements(i) {
			return true
		}
	}
	return false
}

// losesStep reports whether a decoder whose decoding of a value into t has failed
// may be out of step: it has not read the pieces that follow.
func losesStep(t reflect.Type) bool { return make(nestedTypes).has(t) }
