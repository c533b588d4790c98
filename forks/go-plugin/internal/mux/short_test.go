// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"encoding/gob"
	"reflect"
	"strings"
	"testing"
)

// inboxOf is one whose message has data left, all of which has come.
func inboxOf(t *testing.T, data []byte) *inbox {
	t.Helper()
	in := newInbox(bytes.NewReader(data), nil)
	if _, err := in.r.Peek(min(len(data), shortRead)); err != nil {
		t.Fatal(err)
	}
	in.left = len(data)
	return &in
}

// Short bytes and texts have the same bytes as in a stream of gob, and gob's can be decoded here.
func TestShortIsGob(t *testing.T) {
	for _, n := range []int{0, 1, 2, 124, 125, 126, 127, 128, 252, 253, 254, 255, 256, 4000, 5000, maxShort - shortHead} {
		text := strings.Repeat("x", n)
		data := []byte(text)
		for _, value := range []any{data, &data, text, &text} {
			var want bytes.Buffer
			if err := gob.NewEncoder(&want).Encode(value); err != nil {
				t.Fatal(err)
			}
			b := newBuffer()
			if !appendShort(b, value) || !bytes.Equal(b.data, want.Bytes()) {
				t.Errorf("%T of %d bytes differs from gob's", value, n)
			}
			to := reflect.New(reflect.Indirect(reflect.ValueOf(value)).Type())
			in := inboxOf(t, b.data)
			if small := len(b.data) <= shortRead; in.decodeShort(to.Interface()) != small {
				t.Errorf("%T of %d bytes was not decoded, or too soon", value, n)
			} else if small && (in.left != 0 || to.Elem().Len() != n) {
				t.Errorf("%T of %d bytes became one of %d, with %d bytes left", value, n, to.Elem().Len(), in.left)
			}
		}
	}
}

// What is something else, malformed, or not there as a whole is left to gob.
func TestShortIsLeftToGob(t *testing.T) {
	for _, value := range []any{
		nil, 7, (*string)(nil), (*[]byte)(nil), namedText("x"), namedBytes("x"), struct{ Text string }{"x"}, []string{"x"},
		strings.Repeat("x", maxShort-shortHead+1),
	} {
		if b := newBuffer(); appendShort(b, value) || len(b.data) > 0 {
			t.Errorf("%T is taken for a short one", value)
		}
	}
	b := newBuffer()
	if !appendShort(b, "text") {
		t.Fatal("a text is not")
	}
	for name, data := range map[string][]byte{
		"cut":     b.data[:len(b.data)-1],
		"longer":  append(bytes.Clone(b.data), 0),
		"nothing": {},
		"number":  {0x80},
		"type":    append([]byte{b.data[0], 0xff}, b.data[2:]...),
		"no body": {1, gobText[0]},
	} {
		var text string
		if in := inboxOf(t, data); in.decodeShort(&text) || text != "" || in.left != len(data) {
			t.Errorf("%s: a malformed text was decoded", name)
		}
	}
	var text string
	var wrong []byte
	var named namedText
	for _, into := range []any{nil, &wrong, &named, (*string)(nil), (*[]byte)(nil), text} {
		if in := inboxOf(t, b.data); in.decodeShort(into) || in.left != len(b.data) {
			t.Errorf("a text was decoded as %T", into)
		}
	}
	in := inboxOf(t, b.data[:3])
	if in.left = len(b.data); in.decodeShort(&text) {
		t.Error("a text was decoded before it came")
	}
	roomy := make([]byte, 0, 10)
	if b = newBuffer(); !appendShort(b, []byte("text")) || !inboxOf(t, b.data).decodeShort(&roomy) || string(roomy[:10][:4]) != "text" || cap(roomy) != 10 {
		t.Error("room that is there is not used")
	}
}

// FuzzShort holds that whatever is decoded here gob decodes to the same.
func FuzzShort(f *testing.F) {
	for _, kind := range []string{gobBytes, gobText} {
		f.Add([]byte("\x05" + kind + "\x02hi"))
		f.Add([]byte("\xff\x05" + kind + "\xff\x02hi"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || len(data) > shortRead {
			return
		}
		var text, gobsText string
		if inboxOf(t, data).decodeShort(&text) {
			if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&gobsText); err != nil || text != gobsText {
				t.Errorf("%q is %q here, and by gob %q, %v", data, text, gobsText, err)
			}
		}
		var short, gobs []byte
		if inboxOf(t, data).decodeShort(&short) {
			if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&gobs); err != nil || !bytes.Equal(short, gobs) {
				t.Errorf("%q is %q here, and by gob %q, %v", data, short, gobs, err)
			}
		}
	})
}
