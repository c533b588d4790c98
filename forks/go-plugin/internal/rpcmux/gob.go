// SPDX-License-Identifier: MPL-2.0

package rpcmux

import (
	"encoding/gob"
	"errors"
	"reflect"

	"github.com/hashicorp/go-plugin/internal/panics"
)

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
