// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
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
