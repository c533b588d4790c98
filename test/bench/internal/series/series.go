// SPDX-License-Identifier: MPL-2.0

// Package series holds what was measured, and says of it what a table needs: medians,
// quartiles, and ratios of what was measured in the same round.
package series

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Key names a series: a measure of a subject.
type Key struct {
	Subject string `json:"subject"`
	Measure string `json:"measure"`
}

// Point is one measurement.
type Point struct {
	Round int     `json:"round"`
	Value float64 `json:"value"`
}

// Data is all that was measured.
type Data struct{ points map[Key][]Point }

// Add adds a measurement.
func (d *Data) Add(k Key, p Point) {
	if d.points == nil {
		d.points = make(map[Key][]Point)
	}
	d.points[k] = append(d.points[k], p)
}

// Keys are the series that there are, in order.
func (d *Data) Keys() []Key {
	return slices.SortedFunc(maps.Keys(d.points), func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Measure, b.Measure), cmp.Compare(a.Subject, b.Subject))
	})
}

// Points are the measurements of a series.
func (d *Data) Points(k Key) []Point { return d.points[k] }

// Values are the measurements of a series without their rounds.
func (d *Data) Values(k Key) []float64 {
	values := make([]float64, 0, len(d.points[k]))
	for _, p := range d.points[k] {
		values = append(values, p.Value)
	}
	return values
}

// Ratios divides what was measured in the same round: of by per. A round that lacks
// one of them is left out, and so is one of which there is more than one.
func (d *Data) Ratios(of, per Key) []float64 {
	divisors := make(map[int][]float64)
	for _, p := range d.points[per] {
		divisors[p.Round] = append(divisors[p.Round], p.Value)
	}
	dividends := make(map[int][]float64)
	for _, p := range d.points[of] {
		dividends[p.Round] = append(dividends[p.Round], p.Value)
	}
	var ratios []float64
	for _, round := range slices.Sorted(maps.Keys(dividends)) {
		a, b := dividends[round], divisors[round]
		if len(a) == 1 && len(b) == 1 && b[0] != 0 {
			ratios = append(ratios, a[0]/b[0])
		}
	}
	return ratios
}

// Summary says how values lie.
type Summary struct {
	Count             int
	Low, Median, High float64 // quartiles
	Max               float64
}

// Summarize sums up values. Of none, all is NaN.
func Summarize(values []float64) Summary {
	sorted := slices.Sorted(slices.Values(values))
	return Summary{
		Count: len(sorted),
		Low:   quantile(sorted, 0.25), Median: quantile(sorted, 0.5), High: quantile(sorted, 0.75),
		Max: quantile(sorted, 1),
	}
}

// quantile lies on the line between the two values that are next to it.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (sorted[high]-sorted[low])*(at-float64(low))
}

// Size writes a number of bytes as people do.
func Size(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}
