// SPDX-License-Identifier: MPL-2.0

package series

import (
	"math"
	"slices"
	"testing"
)

func TestSummarize(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		values []float64
		want   Summary
	}{
		"One":  {"of one value all is that value", []float64{7}, Summary{1, 7, 7, 7, 7}},
		"Odd":  {"the order does not matter", []float64{5, 1, 3, 2, 4}, Summary{5, 2, 3, 4, 5}},
		"Even": {"between two values the median is in the middle", []float64{4, 1, 2, 3}, Summary{4, 1.75, 2.5, 3.25, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			values := slices.Clone(c.values)
			if got := Summarize(values); got != c.want {
				t.Errorf("%s: %+v, want %+v", c.reason, got, c.want)
			}
			if !slices.Equal(values, c.values) {
				t.Error("the values were changed")
			}
		})
	}
	if got := Summarize(nil); got.Count != 0 || !math.IsNaN(got.Median) || !math.IsNaN(got.Max) {
		t.Errorf("of no values: %+v, want not a number", got)
	}
}

func TestRatios(t *testing.T) {
	of, per := Key{"fast", "time"}, Key{"slow", "time"}
	var d Data
	for _, p := range []Point{{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {4, 6}} {
		d.Add(of, p)
	}
	// Another order; round 1 is missing, round 3 divides by nothing, round 5 is alone.
	for _, p := range []Point{{4, 1}, {2, 6}, {3, 0}, {0, 4}, {5, 1}} {
		d.Add(per, p)
	}
	if got, want := d.Ratios(of, per), []float64{0.25, 0.5}; !slices.Equal(got, want) {
		t.Errorf("ratios %v, want %v: those of rounds 0 and 2", got, want)
	}
	if got := d.Ratios(of, Key{"nobody", "time"}); len(got) != 0 {
		t.Errorf("ratios %v to what was not measured, want none", got)
	}
	if got, want := d.Keys(), []Key{of, per}; !slices.Equal(got, want) {
		t.Errorf("keys %v, want %v", got, want)
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int]string{16: "16 B", 1000: "1000 B", 1 << 10: "1 KiB", 64 << 10: "64 KiB", 1 << 20: "1 MiB"} {
		if got := Size(n); got != want {
			t.Errorf("%d bytes are written %q, want %q", n, got, want)
		}
	}
}
