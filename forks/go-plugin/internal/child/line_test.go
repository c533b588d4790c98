// SPDX-License-Identifier: MPL-2.0

package child_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/printable"
)

// checkShown checks that a text, which holds words of a peer, is one that a terminal
// can show, and no longer than what a text of a peer may be and what is said beside it.
func checkShown(t *testing.T, text string) {
	t.Helper()
	if printable.Text(text) != text || len(text) > 2*printable.MaxText {
		t.Fatalf("%d bytes are not fit to be shown: %.200q", len(text), text)
	}
}

// FuzzLine is the first line that a child prints. What is read of it is what its
// own kind would have written.
func FuzzLine(f *testing.F) {
	cert := strings.Repeat("MIIB", 20)
	for _, line := range []string{
		"1|1|unix|/tmp/plugin1|netrpc|", "1|2|tcp|127.0.0.1:10000|grpc|" + cert + "|true", "1|5|tcp|[::1]:1", "1|1|unix|/s|grpc||false|more ",
		"2|1|unix|/s|netrpc", "x|1|unix|/s", "1|" + strings.Repeat("9", 2500) + "|unix|/s", "1|1|\x1b[2J|/s|\u202e", "1|1|tcp|\u0085:1", "Hello", "",
		"1|1|tcp|127.0.0.1:" + strings.Repeat("z", 2500), "1|1|unix|" + strings.Repeat("/long", 500) + "|grpc||" + strings.Repeat("x", 2500),
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		line, err := child.ParseLine(text)
		if err != nil {
			checkShown(t, err.Error())
			return
		}
		again, err := child.ParseLine(line.String())
		if err != nil {
			t.Fatalf("%q was read of %q, and is not read: %v", line.String(), text, err)
		}
		// Spaces at the end of a line are no part of it.
		line.Cert, line.Multiplex, again.Cert = strings.TrimSpace(line.Cert), strings.TrimSpace(line.Multiplex), strings.TrimSpace(again.Cert)
		if len(line.Cert) > 50 && line != again {
			t.Fatalf("%+v became %+v", line, again)
		}
		if line.Version != again.Version || line.Network != again.Network || line.Address != again.Address || line.Protocol != again.Protocol {
			t.Fatalf("%+v became %+v", line, again)
		}
	})
}
