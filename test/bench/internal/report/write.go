// SPDX-License-Identifier: MPL-2.0

package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/reattach/reattach/test/bench/internal/bounds"
	"github.com/reattach/reattach/test/bench/internal/plan"
	"github.com/reattach/reattach/test/bench/internal/series"
)

// Names of the files that Write writes.
const (
	TextFile     = "bench.txt"
	MarkdownFile = "bench.md"
	DataFile     = "bench.json"
	PlotFile     = "latency.svg"
)

// Write writes the report into a directory, and as text to w as well.
func Write(dir string, w io.Writer, m Machine, d *series.Data, sections []plan.Section, results []bounds.Result) error {
	var text, markdown bytes.Buffer
	fmt.Fprintf(&text, "%s\n", m)
	fmt.Fprintf(&markdown, "%s\n", m)
	for _, t := range Tables(d, sections, results) {
		t.Text(&text)
		t.Markdown(&markdown)
	}
	raw, err := rawData(m, d)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	_, err = w.Write(text.Bytes())
	err = errors.Join(err, plotLatency(d, filepath.Join(dir, PlotFile)),
		os.WriteFile(filepath.Join(dir, TextFile), text.Bytes(), 0o644),
		os.WriteFile(filepath.Join(dir, MarkdownFile), markdown.Bytes(), 0o644),
		os.WriteFile(filepath.Join(dir, DataFile), raw, 0o644))
	return err
}

// rawData is every measurement, in JSON.
func rawData(m Machine, d *series.Data) ([]byte, error) {
	type one struct {
		series.Key
		Points []series.Point `json:"points"`
	}
	all := struct {
		Machine Machine `json:"machine"`
		Series  []one   `json:"series"`
	}{Machine: m}
	for _, k := range d.Keys() {
		all.Series = append(all.Series, one{k, d.Points(k)})
	}
	return json.Marshal(all)
}
