// SPDX-License-Identifier: MPL-2.0

package printable

import (
	"bytes"
	"io"
	"strings"
)

// NewWriter returns a writer to a terminal: what is written to w is fit to be shown,
// whatever was forgotten before. Each Write is whole text.
func NewWriter(w io.Writer) io.Writer { return writer{w} }

type writer struct{ to io.Writer }

// Write implements io.Writer. It reports the length of what it was given.
func (w writer) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.to, Text(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// MaxRecord is the longest record that NewRecordWriter writes, in bytes.
const MaxRecord = 4 << 10

// NewRecordWriter returns a writer for a log of which each Write is a record, as
// hclog makes it. A record is fit to be shown and has at most MaxRecord bytes, and
// its lines but the first are indented, so that none looks like another record.
func NewRecordWriter(w io.Writer) io.Writer { return recordWriter{w} }

type recordWriter struct{ to io.Writer }

// Write implements io.Writer. It reports the length of what it was given.
func (w recordWriter) Write(p []byte) (int, error) {
	const room = 64 // for the note that it was cut
	record := string(bytes.TrimRight(p, "\n"))
	whole := len(record)
	record = Text(record[:min(whole, MaxRecord)])
	lines := strings.Split(record, "\n")
	for i, line := range lines[1:] {
		if !strings.HasPrefix(line, "  ") {
			lines[i+1] = "  | " + line
		}
	}
	record = strings.Join(lines, "\n")
	if whole > MaxRecord || len(record) >= MaxRecord {
		record = Clip(record, MaxRecord-room)
		record = strings.TrimRight(strings.TrimSuffix(record, cut), " |\n\t") + cut // on a line that has begun
	}
	if _, err := io.WriteString(w.to, record+"\n"); err != nil {
		return 0, err
	}
	return len(p), nil
}
