// SPDX-License-Identifier: MPL-2.0

package model

import (
	"fmt"
	"go/types"
)

// IsByte reports whether a type is one byte of an array of bytes.
func (t *Type) IsByte() bool {
	b, ok := t.Go.Underlying().(*types.Basic)
	return ok && b.Kind() == types.Uint8
}

// Wire says how a value travels, in the words of protocol buffers: two types that say the
// same are the same to a peer.
func (t *Type) Wire() string {
	if t.Text != "" {
		return t.Text
	}
	switch t.Shape {
	case Time:
		return "google.protobuf.Timestamp"
	case Duration:
		return "google.protobuf.Duration"
	case Struct:
		return t.Message.Name
	case Array:
		if t.Elem.IsByte() {
			return fmt.Sprintf("bytes[%d]", t.Len)
		}
		return fmt.Sprintf("repeated %s[%d]", t.Elem.Single(), t.Len)
	case List:
		return "repeated " + t.Elem.Single()
	case Map:
		return "map<" + t.Key.Scalar + ", " + t.Elem.Single() + ">"
	case Pointer:
		return "optional " + t.Elem.Wire()
	case Seq, Chan:
		return "stream " + t.Elem.Single()
	case Callback:
		return "callback " + t.Service.Name
	}
	return t.Scalar
}

// Single is Wire for an element, where a list or a map is a message of its own.
func (t *Type) Single() string {
	switch {
	case t.Message != nil:
		return t.Message.Name
	case t.Shape == Pointer:
		return t.Elem.Single()
	case t.Shape == Array && t.Elem.IsByte():
		return "bytes"
	}
	return t.Wire()
}

// Source writes the type as Go does.
func (t *Type) Source() string {
	if t.Text != "" {
		return t.Text
	}
	return types.TypeString(t.Go, (*types.Package).Name)
}
