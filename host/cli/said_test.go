// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSaid(t *testing.T) {
	for name, c := range map[string]struct {
		write []string
		err   error
		want  []string
	}{
		"Nothing":    {},
		"Lines":      {write: []string{"greet: 您好\nhi", ": 2\n"}, want: []string{"greet: 您好", "hi: 2"}},
		"Errors":     {write: []string{"a"}, err: errors.Join(errors.New("b"), errors.New("c\nd")), want: []string{"a", "error: b", "error: c d"}},
		"ALongLine":  {write: []string{strings.Repeat("x", 2*maxColumns)}, want: []string{strings.Repeat("x", maxColumns-1) + "…"}},
		"JustWithin": {write: []string{"a\n", strings.Repeat("x", maxSaid-2)}, want: []string{"a", strings.Repeat("x", maxColumns-1) + "…"}},
		"TooMuch":    {write: []string{"a\n", strings.Repeat("x", maxSaid), "b\n"}, err: io.EOF, want: []string{"a", strings.Repeat("x", maxColumns-1) + "…", "… (cut)", "error: EOF"}},
	} {
		t.Run(name, func(t *testing.T) {
			var s said
			for _, text := range c.write {
				if n, err := io.WriteString(&s, text); n != len(text) || err != nil {
					t.Errorf("Write of %d bytes: %d, %v", len(text), n, err)
				}
			}
			if diff := cmp.Diff(c.want, s.lines(c.err)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestSaidIsBounded has a program print an answer as large as a message may be.
func TestSaidIsBounded(t *testing.T) {
	answer := []byte(strings.Repeat("\x01", 64<<20))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var s said
	for range 10 {
		_, _ = s.Write(answer)
	}
	lines := s.lines(fmt.Errorf("%s", answer[:maxSaid]))
	runtime.ReadMemStats(&after)
	if len(lines) != 3 {
		t.Errorf("%d lines", len(lines))
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 2<<20 {
		t.Errorf("640 MiB were written, and %d bytes allocated", got)
	}
}
