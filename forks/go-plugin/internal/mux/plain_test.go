// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"encoding/gob"
	"reflect"
	"strings"
	"testing"
)

type (
	namedBytes []byte
	namedByte  byte
	namedText  string
)

// Bytes and texts have the same bytes as in gob, and gob's can be decoded here.
func TestPlainIsGob(t *testing.T) {
	for _, n := range []int{maxShort + 1, 1<<17 - 1, 1 << 17, 1<<24 - 1, 1 << 24} {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i >> 8)
		}
		text := string(data)
		for _, value := range []any{data, &data, namedBytes(data), make([]namedByte, n), text, &text, namedText(text)} {
			var want bytes.Buffer
			if err := gob.NewEncoder(&want).Encode(value); err != nil {
				t.Fatal(err)
			}
			b := newBuffer()
			if !appendPlain(b, value) || !bytes.Equal(b.data, want.Bytes()) {
				t.Errorf("%T of %d bytes differs from gob's", value, n)
			}
			to := reflect.New(reflect.Indirect(reflect.ValueOf(value)).Type())
			come := piecesOf(t, b.data)
			if !decodePlain(come, to.Elem()) || !reflect.DeepEqual(to.Elem().Interface(), reflect.Indirect(reflect.ValueOf(value)).Interface()) {
				t.Errorf("%T of %d bytes was decoded to something else", value, n)
			}
			if len(come.list) != 0 {
				t.Errorf("%T of %d bytes leaves %d pieces", value, n, len(come.list))
			}
		}
	}
}

func piecesOf(t *testing.T, data []byte) *pieces {
	t.Helper()
	p := new(pieces)
	if err := p.readFrom(bytes.NewReader(data), len(data)); err != nil {
		t.Fatal(err)
	}
	return p
}

// What is something else, or malformed, is left to gob.
func TestPlainIsLeftToGob(t *testing.T) {
	long := strings.Repeat("x", maxShort+1)
	for _, value := range []any{nil, 7, "short", (*[]byte)(nil), struct{ Data string }{long}, []string{long}, &SlowBytes{}} {
		if b := newBuffer(); appendPlain(b, value) || len(b.data) > 0 {
			t.Errorf("%T is taken for bytes", value)
		}
	}
	b := newBuffer()
	if !appendPlain(b, long) {
		t.Fatal("a text is not")
	}
	for name, data := range map[string][]byte{
		"cut":     b.data[:len(b.data)-1],
		"longer":  append(bytes.Clone(b.data), 0),
		"nothing": {},
		"length":  {0x80},
		"type":    append([]byte{0xff}, b.data[1:]...),
	} {
		var text string
		p := piecesOf(t, data)
		if decodePlain(p, reflect.ValueOf(&text).Elem()) || text != "" || p.at != 0 {
			t.Errorf("%s: a malformed text was decoded", name)
		}
	}
	var wrong []byte
	if err := decodeLong(piecesOf(t, b.data), reflect.ValueOf(&wrong)); err == nil {
		t.Error("a text was decoded as bytes")
	}
	roomy := make([]byte, 0, 2*len(long))
	start := &roomy[:1][0]
	b = newBuffer()
	appendPlain(b, []byte(long))
	if err := decodeLong(piecesOf(t, b.data), reflect.ValueOf(&roomy)); err != nil || string(roomy) != long || &roomy[0] != start {
		t.Errorf("room that is there is not used: %v", err)
	}
}

// Whatever is decoded here gob decodes to the same.
func FuzzPlain(f *testing.F) {
	for _, kind := range []string{gobBytes, gobText} {
		f.Add([]byte("\x05" + kind + "\x02hi"))
		f.Add([]byte("\xff\x05" + kind + "\xff\x02hi"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var text, gobsText string
		if decodePlain(piecesOf(t, data), reflect.ValueOf(&text).Elem()) {
			if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&gobsText); err != nil || text != gobsText {
				t.Errorf("%q is %q here, and by gob %q, %v", data, text, gobsText, err)
			}
		}
		var plain, gobs []byte
		if decodePlain(piecesOf(t, data), reflect.ValueOf(&plain).Elem()) {
			if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&gobs); err != nil || !bytes.Equal(plain, gobs) {
				t.Errorf("%q is %q here, and by gob %q, %v", data, plain, gobs, err)
			}
		}
	})
}
