// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"strings"

	"github.com/hashicorp/go-plugin/printable"
)

// maxSaid is how much is kept of what Options.OnceReady writes about one plugin. It may
// write whatever the plugin answers, and no line of it is shown beyond maxColumns.
const maxSaid = 64 << 10

// said is what OnceReady has written about one plugin. It keeps the first maxSaid bytes.
type said struct {
	text strings.Builder
	cut  bool
}

// Write implements io.Writer. It takes all, so that OnceReady need not know of the bound.
func (s *said) Write(p []byte) (int, error) {
	kept := p[:min(len(p), maxSaid-s.text.Len())]
	s.text.Write(kept)
	s.cut = s.cut || len(kept) < len(p)
	return len(p), nil
}

// lines gives it line by line, and then each of the errors that are joined in err.
func (s *said) lines(err error) []string {
	var lines []string
	for line := range strings.Lines(s.text.String()) {
		lines = append(lines, printable.Cell(strings.TrimSuffix(line, "\n"), maxColumns))
	}
	if s.cut {
		lines = append(lines, "… (cut)")
	}
	errs := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		errs = joined.Unwrap()
	}
	for _, err := range errs {
		if err != nil {
			lines = append(lines, "error: "+oneLine(err.Error()))
		}
	}
	return lines
}
