// SPDX-License-Identifier: MPL-2.0

// Package printable makes text of the other side fit to be shown to a person: what
// a terminal obeys and what hides or reorders other characters is written out as
// Go writes it in a string, and what is too long is cut.
package printable

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxText is how much of a text of the other side is kept in an error or a
// status, in bytes.
const MaxText = 1 << 10

// Text escapes what is no visible character, but for line feeds and tabs.
func Text(s string) string { return escape(s, "\n\t") }

// Line escapes what is no visible character, so that nothing begins a new line.
func Line(s string) string { return escape(s, "") }

// cut is the end of a text that was clipped.
const cut = "… (cut)"

// Clip keeps the beginning of a text of more than limit bytes, and says that it was
// cut. What it gives is at most 8 bytes longer than limit.
func Clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + cut
}

// Cell is one line of at most width columns of a terminal. What was cut ends with
// "…".
func Cell(s string, width int) string {
	s = Line(s[:min(len(s), 4*width+utf8.UTFMax)])
	used, end := 0, 0 // end is where the text ends that leaves a column for "…"
	for i, r := range s {
		if used < width {
			end = i
		}
		if used += columns(r); used > width {
			return s[:end] + "…"
		}
	}
	return s
}

// Width is how many columns of a terminal a text needs, at most.
func Width(s string) int {
	width := 0
	for _, r := range s {
		width += columns(r)
	}
	return width
}

// columns takes two for what is beyond the alphabets of Europe and the Near East.
func columns(r rune) int {
	if r >= 0x1100 && r != '…' {
		return 2
	}
	return 1
}

func escape(s, keep string) string {
	first := strings.IndexFunc(s, func(r rune) bool { return !visible(r) && !strings.ContainsRune(keep, r) })
	if first < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case visible(r) || strings.ContainsRune(keep, r):
			b.WriteString(s[i : i+size])
		default:
			b.WriteString(quoted(r))
		}
		i += size
	}
	return b.String()
}

// visible reports whether a terminal shows r as a character of its own. Format
// characters (category Cf: bidirectional controls, zero-width joiners, tags) and
// the separators of lines and paragraphs are not; neither are other blanks than
// the space, which look like it, and that of Chinese and Japanese, which does not.
func visible(r rune) bool {
	if ' ' <= r && r <= '~' { // The tables of Unicode take twenty times as long.
		return true
	}
	return r == '\u3000' || unicode.IsPrint(r) && !unicode.In(r, unhelpful)
}

// unhelpful are characters that are printable by category and show nothing:
// fillers, and the selectors of rare forms of the character before.
var unhelpful = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x034f, Hi: 0x034f, Stride: 1}, // combining grapheme joiner
		{Lo: 0x115f, Hi: 0x1160, Stride: 1}, // Hangul fillers
		{Lo: 0x17b4, Hi: 0x17b5, Stride: 1}, // Khmer inherent vowels
		{Lo: 0x180b, Hi: 0x180f, Stride: 1}, // Mongolian selectors
		{Lo: 0x3164, Hi: 0x3164, Stride: 1}, // Hangul filler
		{Lo: 0xfe00, Hi: 0xfe0d, Stride: 1}, // variation selectors, but for those of emoji
		{Lo: 0xffa0, Hi: 0xffa0, Stride: 1}, // halfwidth Hangul filler
	},
	R32: []unicode.Range32{
		{Lo: 0xe0000, Hi: 0xe0fff, Stride: 1}, // tags and selectors
	},
}

// quoted writes r as Go does in a string.
func quoted(r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r < 0x80:
		return fmt.Sprintf(`\x%02x`, r)
	case r > 0xffff:
		return fmt.Sprintf(`\U%08x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}
