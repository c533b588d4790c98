// SPDX-License-Identifier: MPL-2.0

package shape

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// boundRow is a row of docs/bounds.md.
type boundRow struct {
	what, bound, setBy string
	file, name         string // in the code
	value              int64
}

func (r boundRow) place() string { return r.file + " " + r.name }

func boundRows(t *testing.T) []boundRow {
	t.Helper()
	place := regexp.MustCompile("^`([^`]+)` `([^`]+)`$")
	var rows []boundRow
	for line := range strings.Lines(read(t, "docs/bounds.md")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 5 || strings.HasPrefix(cells[0], "--") || strings.TrimSpace(cells[0]) == "what" {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		m := place.FindStringSubmatch(cells[4])
		if m == nil {
			t.Errorf("%s: %q names no file and constant", cells[0], cells[4])
			continue
		}
		value, err := quantity(cells[1])
		if err != nil {
			t.Errorf("%s: %v", cells[0], err)
			continue
		}
		rows = append(rows, boundRow{what: cells[0], bound: cells[1], setBy: cells[2], file: m[1], name: m[2], value: value})
	}
	if len(rows) < 40 {
		t.Errorf("%d rows were found", len(rows))
	}
	return rows
}

// quantity reads "16 KiB", "2.5 s", "300 columns" and "1024".
func quantity(text string) (int64, error) {
	number, unit, _ := strings.Cut(text, " ")
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, err
	}
	factor, ok := map[string]float64{
		"": 1, "columns": 1, "KiB": 1 << 10, "MiB": 1 << 20,
		"ms": float64(time.Millisecond), "s": float64(time.Second), "min": float64(time.Minute), "h": float64(time.Hour),
	}[unit]
	if !ok {
		return 0, fmt.Errorf("%q has no unit that is known", text)
	}
	return int64(n * factor), nil
}

// TestBoundsAreThoseOfTheCode holds each row of docs/bounds.md against the constant, or
// the default of an option, that its last column names.
func TestBoundsAreThoseOfTheCode(t *testing.T) {
	q := findQuantities(t)
	for _, r := range boundRows(t) {
		switch got, ok := q.values[r.place()]; {
		case !ok:
			t.Errorf("%s: %s has no %s", r.what, r.file, r.name)
		case got != r.value:
			t.Errorf("%s: the page says %s, which is %d, and %s in %s is %d", r.what, r.bound, r.value, r.name, r.file, got)
		}
	}
}
