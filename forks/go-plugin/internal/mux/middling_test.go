// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"encoding/gob"
	"io"
	"reflect"
	"strings"
	"testing"
)

// Texts and bytes of one frame that are not all there are read to where they shall be.
func TestMiddling(t *testing.T) {
	for _, n := range []int{shortRead, readSize, maxShort - shortHead} {
		text := strings.Repeat("abcdefg", n)[:n]
		for _, value := range []any{text, []byte(text)} {
			b := newBuffer()
			appendShort(b, value)
			to := reflect.New(reflect.TypeOf(value))
			in := inboxOf(t, b.data)
			if done, err := in.decodeMiddling(to.Interface()); !done || err != nil || in.left != 0 || !reflect.DeepEqual(to.Elem().Interface(), value) {
				t.Errorf("%T of %d bytes: %v, %v, %d bytes left", value, n, done, err, in.left)
			}
		}
	}
}

// A body that has come is decoded as gob does it, and is copied unless nobody else has it.
func TestBodies(t *testing.T) {
	for _, n := range []int{0, 1, 200, maxShort - shortHead} {
		text := strings.Repeat("abcdefg", n)[:n]
		for _, value := range []any{text, []byte(text)} {
			for _, owned := range []bool{false, true} {
				b := newBuffer()
				appendShort(b, value)
				to, gobs := reflect.New(reflect.TypeOf(value)), reflect.New(reflect.TypeOf(value))
				if err := gob.NewDecoder(bytes.NewReader(b.data)).DecodeValue(gobs); err != nil {
					t.Fatal(err)
				}
				body := bytes.Clone(b.data)
				if !decodeBody(body, owned, to.Interface()) || !reflect.DeepEqual(to.Elem().Interface(), gobs.Elem().Interface()) {
					t.Errorf("%T of %d bytes was decoded to something else", value, n)
				}
				if body[len(body)-1]++; n > 0 && !owned && !reflect.DeepEqual(to.Elem().Interface(), value) {
					t.Errorf("%T of %d bytes is not its caller's own", value, n)
				}
			}
		}
	}
	if decodeBody(nil, true, new(string)) || decodeBody([]byte{3, gobText[0], 0, 1, 'x'}, true, new(string)) || decodeBody(nil, true, nil) {
		t.Error("a body that is malformed was decoded")
	}
}

// What is shorter, something else or malformed is left to others, as it is.
func TestMiddlingIsLeftToOthers(t *testing.T) {
	b := newBuffer()
	appendShort(b, strings.Repeat("x", 2*shortRead))
	short := newBuffer()
	appendShort(short, "text")
	var text string
	var wrong []byte
	var named namedText
	for name, try := range map[string]struct {
		data []byte
		into any
	}{
		"short": {short.data, &text}, "bytes": {b.data, &wrong}, "named": {b.data, &named}, "no value": {b.data, nil},
		"no text": {b.data, (*string)(nil)}, "no bytes": {b.data, (*[]byte)(nil)},
		"longer": {append(bytes.Clone(b.data), 0), &text}, "shorter": {b.data[:len(b.data)-1], &text},
	} {
		if in := inboxOf(t, try.data); true {
			if done, err := in.decodeMiddling(try.into); done || err != nil || in.left != len(try.data) || text != "" {
				t.Errorf("%s: %v, %v", name, done, err)
			}
		}
	}
	in := inboxOf(t, b.data[:shortRead+1])
	in.left = len(b.data)
	if done, err := in.decodeMiddling(&text); !done || err != io.ErrUnexpectedEOF || text != "" {
		t.Errorf("a text that does not come as a whole: %v, %v, %d bytes", done, err, len(text))
	}
	roomy := make([]byte, 0, 10*shortRead)
	start := &roomy[:1][0]
	b = newBuffer()
	appendShort(b, make([]byte, 2*shortRead))
	if done, err := inboxOf(t, b.data).decodeMiddling(&roomy); !done || err != nil || len(roomy) != 2*shortRead || &roomy[0] != start {
		t.Errorf("room that is there is not used: %v, %v", done, err)
	}
}
