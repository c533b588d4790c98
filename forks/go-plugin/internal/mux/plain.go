// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"encoding/gob"
	"io"
	"reflect"
	"strings"
	"unsafe"
)

// A long value that is nothing but bytes or a text is encoded and decoded here, to the same
// bytes as by gob. gob copies the whole of it several times, each time into memory that is new:
// 10 to 60 ms for 64 MiB, in which neither Go's scheduler nor its garbage collector can stop it,
// and which calls beside it wait for. Here it is copied once, a piece at a time.

// What gob has for the two types, as a type's number and the mark of a value that is no struct.
const (
	gobBytes = "\x0a\x00"
	gobText  = "\x0c\x00"
)

// appendPlain appends a value to b if it is one of those, and reports whether it was.
func appendPlain(b *buffer, value any) bool {
	v := reflect.ValueOf(value)
	for v.Kind() == reflect.Pointer && !encodesItself(v.Type()) {
		v = v.Elem()
	}
	kind := plainKind(v)
	if kind == "" || v.Len() <= maxShort {
		return false
	}
	start := appendPlainHead(nil, kind, v.Len())
	if need := len(b.data) + len(start) + v.Len(); need > cap(b.data) {
		b.data = append(make([]byte, 0, need), b.data...)
	}
	b.data = append(b.data, start...)
	if kind == gobText {
		b.data = appendPieces(b.data, v.String())
	} else {
		b.data = appendPieces(b.data, v.Bytes())
	}
	return true
}

// appendPlainHead appends what goes before the n bytes of such a value.
func appendPlainHead(to []byte, kind string, n int) []byte {
	to = appendUint(to, len(kind)+uintSize(n)+n)
	return appendUint(append(to, kind...), n)
}

// longText returns a value that is a long text and nothing else, or "".
func longText(value any) string {
	v := reflect.ValueOf(value)
	for v.Kind() == reflect.Pointer && !encodesItself(v.Type()) {
		v = v.Elem()
	}
	if plainKind(v) != gobText || v.Len() <= maxShort {
		return ""
	}
	return v.String()
}

// plainKind gives what gob has for a value, or "" if it is neither bytes nor a text.
func plainKind(v reflect.Value) string {
	switch {
	case !v.IsValid() || encodesItself(v.Type()):
	case v.Kind() == reflect.String:
		return gobText
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		return gobBytes
	}
	return ""
}

// appendPieces appends a piece at a time: Go stops no copy in the middle.
func appendPieces[T []byte | string](to []byte, from T) []byte {
	for len(from) > 0 {
		n := min(len(from), pieceSize)
		to = append(to, from[:n]...)
		from = from[n:]
	}
	return to
}

// appendUint appends a number as gob does.
func appendUint(to []byte, n int) []byte {
	if n < 0x80 {
		return append(to, byte(n))
	}
	size := 1
	for n>>(8*size) > 0 {
		size++
	}
	to = append(to, byte(-size))
	for size--; size >= 0; size-- {
		to = append(to, byte(n>>(8*size)))
	}
	return to
}

// cutUint takes a number from data. ok is false if it is not there as a whole.
func cutUint(data []byte) (n int, rest []byte, ok bool) {
	if len(data) == 0 {
		return 0, nil, false
	}
	if data[0] < 0x80 {
		return int(data[0]), data[1:], true
	}
	size := -int(int8(data[0]))
	if data = data[1:]; size > 4 || len(data) < size {
		return 0, nil, false // No message has as many bytes.
	}
	for _, b := range data[:size] {
		n = n<<8 | int(b)
	}
	return n, data[size:], true
}

// decodeLong decodes a long value, all of which has come, into what into points to.
func decodeLong(from *pieces, into reflect.Value) error {
	if into.Kind() == reflect.Pointer && !into.IsNil() && decodePlain(from, into.Elem()) {
		return nil
	}
	return DecodeValue(gob.NewDecoder(from), into)
}

// cutPlain tells how many bytes go before those of a value of a kind, and how many it has. data
// is the beginning of it all, which has size bytes. ok is false if there is anything that gob
// has to judge.
func cutPlain(data []byte, kind string, size int) (head, n int, ok bool) {
	length, rest, ok := cutUint(data)
	if !ok || length != size-(len(data)-len(rest)) || !strings.HasPrefix(string(rest[:min(len(rest), len(kind))]), kind) {
		return 0, 0, false
	}
	n, rest, ok = cutUint(rest[len(kind):])
	head = len(data) - len(rest)
	return head, n, ok && n == size-head
}

// decodePlain decodes bytes or a text. It reports false, and has done nothing, if the value or
// what it is to become is something else, or if there is anything that gob has to judge.
func decodePlain(from *pieces, into reflect.Value) bool {
	kind := plainKind(into)
	if kind == "" || decodesItself(into.Type()) || len(from.list) == 0 {
		return false
	}
	head, n, ok := cutPlain(from.list[0], kind, from.size)
	if !ok {
		return false
	}
	if from.at = head; head == len(from.list[0]) {
		from.freeFirst()
	}
	value := from.takeValue() // Nobody else knows of it.
	switch {
	case kind == gobText && value != nil:
		into.SetString(unsafe.String(unsafe.SliceData(value), n))
		return true
	case kind == gobText:
		into.SetString(from.text(n))
		return true
	case value != nil && into.Cap() < n:
		into.SetBytes(value)
		return true
	case value != nil:
		from.list = append(from.list, value)
	}
	if into.Cap() < n {
		into.Set(reflect.MakeSlice(into.Type(), n, n))
	}
	into.SetLen(n)
	_, _ = io.ReadFull(from, into.Bytes()) // from memory
	return true
}
