// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	entry := `{"@level":"info","@message":"x"}` + "\n"
	cases := map[string]struct {
		reason string
		writes []string
		log    string
		out    string
	}{
		"Entry":  {"hosts read entries from the log", []string{entry}, entry, ""},
		"Text":   {"all else is output", []string{"hello\n"}, "", "hello\n"},
		"Mixed":  {"in one write", []string{"a\n" + entry + "b"}, entry, "a\nb"},
		"Pieces": {"an entry may come in pieces", []string{"{", `"@lev`, "el\":1}\nrest"}, "{\"@level\":1}\n", "rest"},
		"Prompt": {"what does not end is not held back", []string{"name? "}, "", "name? "},
		"JSON":   {"other JSON is output", []string{`{"a":1}` + "\n"}, "", `{"a":1}` + "\n"},
		"Brace":  {"and so is less than a beginning", []string{"{\n"}, "", "{\n"},
		"Long":   {"what is too long for an entry is output", []string{logEntry + strings.Repeat("x", maxLogLine)}, "", logEntry + strings.Repeat("x", maxLogLine)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var log, out bytes.Buffer
			s := &split{log: &log, out: &out}
			for _, w := range tc.writes {
				if n, err := s.Write([]byte(w)); n != len(w) || err != nil {
					t.Fatalf("Write = %d, %v", n, err)
				}
			}
			if diff := cmp.Diff([]string{tc.log, tc.out}, []string{log.String(), out.String()}); diff != "" {
				t.Errorf("%s: log and output (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}

// TestOutputWaits holds that nothing comes before the handshake line, and what may wait.
func TestOutputWaits(t *testing.T) {
	var o output
	for _, text := range []string{"early ", strings.Repeat("x", maxEarly)} {
		if n, err := o.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	var host bytes.Buffer
	o.start(&host)
	_, _ = o.Write([]byte("late"))
	if want := ("early " + strings.Repeat("x", maxEarly))[:maxEarly] + "late"; host.String() != want {
		t.Errorf("the host got %d bytes, want %d", host.Len(), len(want))
	}
}
