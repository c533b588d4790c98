// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"encoding/gob"
	"errors"
	"reflect"
	"unsafe"

	"github.com/hashicorp/go-plugin/internal/panics"
)

// values is the gob stream of one direction of a channel. Long values are no part of it:
// they are sent in parts, and must hold back nothing that comes after them.
type values struct {
	enc   *gob.Encoder // nil: the stream has described no types
	begun bool         // a value of the stream was sent
	to    *buffer      // the frame that is being made
	apart *apart       // nil: in use, or not needed yet
	// inPlace says that what is sent in parts may be where it is.
	inPlace bool
}

// Write implements io.Writer for enc.
func (v *values) Write(p []byte) (int, error) {
	v.to.data = append(v.to.data, p...)
	return len(p), nil
}

// add appends a value to the frame in b, which says all that goes before it. It returns
// the frame that is to be sent, sealed, and a message that is to be sent in parts behind it
// if the value is long.
func (v *values) add(b *buffer, value any, maximum int) (first *buffer, long *sending, err error) {
	start := len(b.data)
	if appendShort(b, value) {
		return v.inStream(b), nil, nil
	}
	if v.enc == nil {
		v.enc = gob.NewEncoder(v)
	}
	v.to = b
	err = Encode(v.enc, value)
	v.to = nil
	begun := v.begun
	if err != nil || len(b.data)-start > maxShort {
		v.enc, v.begun = nil, false // It believes that it has described types.
	}
	switch {
	case err != nil:
		return nil, nil, err
	case len(b.data)-start <= maxShort:
		return v.inStream(b), nil, nil
	case begun: // What it needs of the stream may be anywhere before it.
		b.data = b.data[:start]
		return new(apart).add(b, value, maximum)
	}
	return inParts(b, start, maximum)
}

// inStream seals a frame whose value is the stream's next.
func (v *values) inStream(b *buffer) *buffer {
	if !v.begun {
		b.data[lengthSize] |= byte(flagFresh)
		v.begun = true
	}
	b.finish(0)
	return b
}

// apart encodes values of one type that each go without the stream. It is kept from one
// to the next for its memory.
type apart struct {
	enc   *gob.Encoder
	of    reflect.Type
	types []byte // the descriptions that enc has written
	to    *buffer
	value int // where in it the last message of gob begins
	// inPlace is that of values.
	inPlace bool
}

// Write implements io.Writer for enc, which writes each message of gob by one call: types
// that are new, then the value.
func (a *apart) Write(p []byte) (int, error) {
	a.value = len(a.to.data)
	a.to.data = append(a.to.data, p...)
	return len(p), nil
}

// takeApart returns an encoder for a value that is likely to be long. The caller holds the
// lock of v, and need not while it encodes. keepApart gives it back.
func (v *values) takeApart() *apart {
	a := v.apart
	if v.apart = nil; a == nil {
		a = &apart{inPlace: v.inPlace}
	}
	return a
}

func (v *values) keepApart(a *apart, size int) {
	if size <= keepBuffer {
		v.apart = a
	}
}

// add is that of values for a value that goes without the stream.
func (a *apart) add(head *buffer, value any, maximum int) (first *buffer, long *sending, err error) {
	if a.inPlace {
		if text := longText(value); text != "" {
			start := len(head.data)
			head.data = appendPlainHead(head.data, gobText, len(text))
			return textInParts(head, start, text, maximum)
		}
	}
	b := fromPool(&longs)
	b.data = append(b.data, head.data...)
	head.recycle()
	start := len(b.data)
	if appendPlain(b, value) {
		return inParts(b, start, maximum)
	}
	t := reflect.TypeOf(value)
	if a.enc == nil || t != a.of {
		a.enc, a.of, a.types = gob.NewEncoder(a), t, nil
	}
	b.data = append(b.data, a.types...)
	known := len(b.data)
	a.to = b
	err = Encode(a.enc, value)
	a.to = nil
	switch {
	case err != nil:
		a.enc = nil
		return nil, nil, err
	case make(NestedTypes).Has(t): // what enc has described may be within the value
		a.enc = nil
	case a.value > known:
		a.types = append(a.types, b.data[known:a.value]...)
	}
	return inParts(b, start, maximum)
}

// inParts makes a long message of what b holds from start on.
func inParts(b *buffer, start, maximum int) (*buffer, *sending, error) {
	// There is more before start than a part's head needs.
	return (&sending{buffer: b, at: start}).begins(start, maximum)
}

// textInParts does so with a text behind that, which is sent from where it is: nobody can
// write to it.
func textInParts(b *buffer, start int, text string, maximum int) (*buffer, *sending, error) {
	m := &sending{buffer: b, at: start, text: unsafe.Slice(unsafe.StringData(text), len(text))}
	return m.begins(start, maximum)
}

// begins makes the first frame of a message, which is what goes before start.
func (m *sending) begins(start, maximum int) (*buffer, *sending, error) {
	if m.left() > bound(maximum) {
		return nil, nil, &TooLargeError{Size: uint64(m.left()), Max: uint64(bound(maximum))}
	}
	first := newBuffer()
	first.data = append(first.data, m.buffer.data[:start]...)
	first.data[lengthSize] |= byte(flagMore)
	first.number(uint64(m.left()))
	first.finish(0)
	return first, m, nil
}

// likelyLong predicts whether the next value of a method is long: after one that was, for
// some time. A wrong guess costs a little time.
type likelyLong int32

// guessLong is how many values are guessed to be long after one that was.
const guessLong = 16

// after gives the prediction for the next one.
func (l likelyLong) after(size int) likelyLong {
	if size > maxShort {
		return guessLong
	}
	return max(l-1, 0)
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
