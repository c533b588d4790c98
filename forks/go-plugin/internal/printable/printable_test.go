// SPDX-License-Identifier: MPL-2.0

package printable

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	cases := map[string]string{
		"Hello, 您好 é ✓ 🙂":  "Hello, 您好 é ✓ 🙂",
		"a\x1b[31mb":       `a\x1b[31mb`,
		"bell\a del\x7f":   `bell\x07 del\x7f`,
		"c1 \u009b":        `c1 \u009b`,
		"\u202egnp":        `\u202egnp`,
		"zero\u200bwidth":  `zero\u200bwidth`,
		"\u2028\u2029":     `\u2028\u2029`,
		"bad \xff\xc0":     `bad \xff\xc0`,
		"tag \U000e0041":   `tag \U000e0041`,
		"new\nline\tr\r":   `new\nline\tr\r`,
		"nbsp\u00a0":       `nbsp\u00a0`,
		"bom\ufeff":        `bom\ufeff`,
		"\ufffd":           "\ufffd",
		"您\u3000好 ⚠\ufe0f": "您\u3000好 ⚠\ufe0f",
	}
	for in, want := range cases {
		if got := Line(in); got != want {
			t.Errorf("Line(%q) = %s, want %s", in, got, want)
		}
	}
	if got := Text("a\n\tb\r\x1b"); got != "a\n\tb\\r\\x1b" {
		t.Errorf("Text = %q", got)
	}
	if got := Clip(strings.Repeat("好", 500), 10); got != "好好好… (1500 bytes in all)" {
		t.Errorf("Clip = %q", got)
	}
}

func FuzzLine(f *testing.F) {
	for _, seed := range []string{"", "plain", "\x1b]0;t\a", "\u202e\u2066\u200f", "\xff\xfe", "\U000e0001\ufe0f", "a\nb\tc\r"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, shown := range []string{Line(s), strings.NewReplacer("\n", "", "\t", "").Replace(Text(s))} {
			if !utf8.ValidString(shown) {
				t.Fatalf("%q is no UTF-8", shown)
			}
			for _, r := range shown {
				if r != ' ' && r != '\u3000' && (!unicode.IsPrint(r) || unicode.Is(unicode.Cf, r)) {
					t.Fatalf("%q has %U", shown, r)
				}
			}
			if Line(shown) != shown {
				t.Fatalf("%q is not left alone", shown)
			}
		}
		if clipped := Clip(Line(s), 64); len(clipped) > 64+40 {
			t.Fatalf("%d bytes of %d", len(clipped), len(s))
		}
	})
}
