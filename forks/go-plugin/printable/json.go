// SPDX-License-Identifier: MPL-2.0

package printable

import (
	"bytes"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON gives the same JSON value with every character escaped that Line escapes.
// It may stand in a string only, as in all JSON, where \uXXXX means the same; line
// feeds and tabs between tokens stay. Bytes that are no UTF-8 become U+FFFD, which
// is how decoders read them.
func JSON(raw []byte) []byte {
	first := bytes.IndexFunc(raw, mustEscape)
	if first < 0 && utf8.Valid(raw) {
		return raw
	}
	var b bytes.Buffer
	b.Grow(len(raw) + 64)
	for i := 0; i < len(raw); {
		r, size := utf8.DecodeRune(raw[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\ufffd`)
		case !mustEscape(r):
			b.Write(raw[i : i+size])
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += size
	}
	return b.Bytes()
}

// mustEscape leaves the white space that JSON has between tokens: within strings
// it is escaped already.
func mustEscape(r rune) bool {
	return !visible(r) && r != '\n' && r != '\t' && r != '\r'
}
