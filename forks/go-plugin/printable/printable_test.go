// SPDX-License-Identifier: MPL-2.0

package printable

import (
	"bytes"
	"encoding/json"
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
	if got := Clip(strings.Repeat("好", 500), 10); got != "好好好… (cut)" {
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
		if clipped := Clip(Line(s), 64); len(clipped) > 64+len(cut) {
			t.Fatalf("%d bytes of %d", len(clipped), len(s))
		}
	})
}

func TestCell(t *testing.T) {
	cases := []struct {
		in    string
		width int
		want  string
	}{
		{"short", 5, "short"},
		{"longer", 5, "long…"},
		{"您好世界", 8, "您好世界"},
		{"您好世界", 7, "您好世…"},
		{"您好世界", 6, "您好…"},
		{"a\nb\x1b", 20, `a\nb\x1b`},
		{strings.Repeat("x", 5<<20), 4, "xxx…"},
		{strings.Repeat("\U0001f642", 1000), 5, "\U0001f642\U0001f642…"},
	}
	for _, tc := range cases {
		if got := Cell(tc.in, tc.width); got != tc.want {
			t.Errorf("Cell(%.20q, %d) = %q, want %q", tc.in, tc.width, got, tc.want)
		}
	}
}

func TestJSON(t *testing.T) {
	in := []string{"plain 您好", "\x1b\x7f\u009b\u202e\u200b\u2028\U000e0041\ufeff", "<&>\n\t\"\\"}
	raw, err := json.MarshalIndent(in, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	shown := JSON(raw)
	if Text(string(shown)) != string(shown) {
		t.Errorf("%s can still be improved", shown)
	}
	var out []string
	if err := json.Unmarshal(shown, &out); err != nil || strings.Join(out, "|") != strings.Join(in, "|") {
		t.Errorf("%s reads %q, %v", shown, out, err)
	}
	if got := string(JSON([]byte("\"a\xff\""))); got != `"a\ufffd"` {
		t.Errorf("no UTF-8: %s", got)
	}
}

func TestRecordWriter(t *testing.T) {
	cases := map[string]struct{ in, want string }{
		"as ever":  {"[INFO]  host: said: a=1\n", "[INFO]  host: said: a=1\n"},
		"lines":    {"[INFO]  host:\n  a=\n  | 1\n  | 2\n  \n", "[INFO]  host:\n  a=\n  | 1\n  | 2\n  \n"},
		"forged":   {"[INFO]  said: x\n2026-01-01 [ERROR] host: gone\r\x1b[A\n", "[INFO]  said: x\n  | 2026-01-01 [ERROR] host: gone\\r\\x1b[A\n"},
		"no bytes": {"", "\n"},
	}
	for name, tc := range cases {
		var out bytes.Buffer
		if n, err := NewRecordWriter(&out).Write([]byte(tc.in)); n != len(tc.in) || err != nil || out.String() != tc.want {
			t.Errorf("%s: got %q, %d, %v", name, out.String(), n, err)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{"a":["\u202e",1e5,null]}`, "\"\xff\"", `"\\\"`, "[\n\t\"\u0085\"\r]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return
		}
		shown := JSON(raw)
		var before, after any
		if err := json.Unmarshal(raw, &before); err != nil {
			return // a number beyond float64
		}
		if err := json.Unmarshal(shown, &after); err != nil {
			t.Fatalf("%q became %q: %v", raw, shown, err)
		}
		a, _ := json.Marshal(before)
		b, _ := json.Marshal(after)
		if !bytes.Equal(a, b) {
			t.Fatalf("%q became %q", raw, shown)
		}
		if plain := strings.ReplaceAll(string(shown), "\r", ""); Text(plain) != plain {
			t.Fatalf("%q is not fit to be shown", shown)
		}
	})
}

func FuzzRecordWriter(f *testing.F) {
	f.Add("[INFO] a\nb\x1b\n", 1)
	f.Add("\u202e", 5000)
	f.Fuzz(func(t *testing.T, s string, times int) {
		record := strings.Repeat(s, min(max(times, 0), 8<<10))
		if len(record) > 1<<20 {
			return
		}
		var out bytes.Buffer
		if _, err := NewRecordWriter(&out).Write([]byte(record)); err != nil {
			t.Fatal(err)
		}
		shown := out.String()
		if len(shown) > MaxRecord || Text(shown) != shown || !strings.HasSuffix(shown, "\n") {
			t.Fatalf("%d bytes: %.100q", len(shown), shown)
		}
		for i, line := range strings.Split(strings.TrimSuffix(shown, "\n"), "\n") {
			if i > 0 && !strings.HasPrefix(line, "  ") {
				t.Fatalf("line %d of %q", i, shown)
			}
		}
		if cell := Cell(s, 20); len([]rune(cell)) > 20 || Line(cell) != cell {
			t.Fatalf("cell %q", cell)
		}
	})
}
