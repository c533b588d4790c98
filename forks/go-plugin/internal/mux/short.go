// SPDX-License-Identifier: MPL-2.0

package mux

// A short text, or a few bytes, is what many calls have for arguments or reply. It is encoded
// and decoded here, to the same bytes as by gob, whose way of finding out what a value is
// takes longer than the rest of what is done with the call's frame.

// shortHead is what such a value has at most before its own bytes.
const shortHead = 12

// plainLen gives the length of a value that is encoded so.
func plainLen(value any) (n int, ok bool) {
	switch v := value.(type) {
	case string:
		return len(v), true
	case *string:
		if v != nil {
			return len(*v), true
		}
	case []byte:
		return len(v), true
	case *[]byte:
		if v != nil {
			return len(*v), true
		}
	}
	return 0, false
}

// appendShort appends a value to b if it is one of those and short, and reports whether it was.
func appendShort(b *buffer, value any) bool {
	if n, ok := plainLen(value); !ok || n > maxShort-shortHead {
		return false
	} else if n >= largeAnswer {
		b.grow() // An append would make new memory for each.
	}
	switch v := value.(type) {
	case string:
		b.data = appendShortOf(b.data, gobText, v)
	case *string:
		b.data = appendShortOf(b.data, gobText, *v)
	case []byte:
		b.data = appendShortOf(b.data, gobBytes, v)
	case *[]byte:
		b.data = appendShortOf(b.data, gobBytes, *v)
	}
	return true
}

func appendShortOf[T []byte | string](to []byte, kind string, value T) []byte {
	return append(appendPlainHead(to, kind, len(value)), value...)
}

// uintSize is how many bytes appendUint appends.
func uintSize(n int) (size int) {
	if n < 0x80 {
		return 1
	}
	for size = 1; n > 0; n >>= 8 {
		size++
	}
	return size
}

// decodeShort decodes what is left of the message into what into points to, if it has come and
// is a text, or bytes, as into wants it. Otherwise it reports false and has read nothing: gob
// has to judge.
func (in *inbox) decodeShort(into any) bool {
	text, isText := into.(*string)
	bytes, isBytes := into.(*[]byte)
	if in.left > min(in.r.Buffered(), shortRead) || (!isText || text == nil) && (!isBytes || bytes == nil) {
		return false
	}
	kind := gobBytes
	if isText {
		kind = gobText
	}
	data, err := in.r.Peek(in.left)
	if err != nil {
		return false
	}
	value, ok := cutShort(data, kind)
	if !ok {
		return false
	}
	if isText {
		*text = string(value)
	} else {
		*bytes = append((*bytes)[:0], value...)
	}
	_ = in.skip() // It is there.
	return true
}

// cutShort gives the bytes of a value that data has, and nothing else.
func cutShort(data []byte, kind string) (value []byte, ok bool) {
	size, rest, ok := cutUint(data)
	if !ok || size != len(rest) || size < len(kind) || string(rest[:len(kind)]) != kind {
		return nil, false
	}
	n, value, ok := cutUint(rest[len(kind):])
	return value, ok && n == len(value)
}
