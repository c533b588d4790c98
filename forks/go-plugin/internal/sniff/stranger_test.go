// SPDX-License-Identifier: MPL-2.0

package sniff

import (
	"bufio"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin/printable"
)

func stranger(sent string) string {
	r := bufio.NewReaderSize(strings.NewReader(sent), len(sent)+16)
	_, _ = r.Peek(1)
	return Stranger(r)
}

func TestStranger(t *testing.T) {
	cases := map[string]string{
		"GET / HTTP/1.1\r\n":               "a web client",
		"OPTIONS * HTTP/1.1\r\n":           "a web client",
		"PROXY TCP4 1.2.3.4 1.2.3.5 1 2\r": "PROXY protocol",
		"SSH-2.0-OpenSSH\r\n":              "an SSH client",
		"\x03\x00\x00\x13\x1b[2J":          `"\x03\x00\x00\x13\x1b[2J"`,
		"\u202egnp":                        `"\u202egnp"`,
	}
	for sent, want := range cases {
		if got := stranger(sent); !strings.Contains(got, want) {
			t.Errorf("%q: got %s, want %s in it", sent, got, want)
		}
	}
}

func FuzzStranger(f *testing.F) {
	f.Add("GET / HTTP/1.1")
	f.Add("\x1b]0;\a\xff\u202e")
	f.Fuzz(func(t *testing.T, sent string) {
		if got := stranger(sent); len(got) > 400 || printable.Line(got) != got {
			t.Errorf("%q", got)
		}
	})
}
