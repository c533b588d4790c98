// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"encoding/gob"
	"errors"
	"reflect"

	"github.com/hashicorp/go-plugin/internal/panics"
)

// values is the gob stream of one direction of a channel, each value of which ends a
// message.
type values struct {
	enc *gob.Encoder // nil: the next value begins a new stream
	to  *buffer      // the message that is being made
}

// Write implements io.Writer for enc.
func (v *values) Write(p []byte) (int, error) {
	v.to.data = append(v.to.data, p...)
	return len(p), nil
}

// newMessage begins a message that ends with add.
func (v *values) newMessage(k kind, numbers ...uint64) *buffer {
	if v.enc == nil {
		v.enc = gob.NewEncoder(v)
		k |= flagFresh
	}
	return newMessage(k, numbers...)
}

// add appends the value and seals the message.
func (v *values) add(b *buffer, value any, maximum int) error {
	v.to = b
	err := Encode(v.enc, value)
	v.to = nil
	if err == nil {
		err = b.seal(maximum)
	}
	if err != nil {
		v.enc = nil // It may believe that it has described types.
	}
	return err
}

// Encode writes a value of gob. What a type that encodes itself panics with is an error.
func Encode(enc *gob.Encoder, value any) (err error) {
	defer recovered(&err)
	return enc.Encode(value)
}

// Decode reads a value of gob into what into points to; nil drops it. What a type
// that decodes itself panics with is an error.
func Decode(dec *gob.Decoder, into any) (err error) {
	return DecodeValue(dec, reflect.ValueOf(into))
}

// DecodeValue is Decode for a reflect.Value, of which the zero one drops it.
func DecodeValue(dec *gob.Decoder, into reflect.Value) (err error) {
	defer restoreMap(&err, giveMap(into))
	defer recovered(&err)
	return dec.DecodeValue(into)
}

// giveMap sees to it that a map is decoded into one that is there: for a nil one gob
// makes room for as many entries as the peer says will come, without a bound. It
// returns the map that was nil, or the zero Value.
func giveMap(into reflect.Value) (given reflect.Value) {
	if into.Kind() != reflect.Pointer || into.IsNil() {
		return reflect.Value{}
	}
	m := into.Elem()
	if m.Kind() != reflect.Map || !m.IsNil() {
		return reflect.Value{}
	}
	m.Set(reflect.MakeMap(m.Type()))
	return m
}

// restoreMap makes a map nil again of which gob has decoded nothing.
func restoreMap(err *error, given reflect.Value) {
	if *err != nil && given.IsValid() && given.Len() == 0 {
		given.SetZero()
	}
}

// recovered turns a panic into an error. gob panics at a nil pointer, and at
// some of what a peer can make up; types that encode and decode themselves may
// at anything.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = errors.New(panics.Of(p))
	}
}
