// SPDX-License-Identifier: MPL-2.0

// Package bounds says how fast is fast enough: the table of what the benchmark must
// show, and how a run is held against it.
package bounds

import (
	"math"

	"github.com/reattach/reattach/test/bench/internal/series"
)

// Bound is one promise.
type Bound struct {
	// Text says what is promised, without the number.
	Text string
	// Of is divided by Per, round by round. Without a subject Per is 1.
	Of, Per series.Key
	// Throughput turns times into calls: Per is divided by Of.
	Throughput bool
	// Limit is what the median may reach: from above, or from below with AtLeast.
	Limit   float64
	AtLeast bool
	// Known, if not zero, is the ratio up to which the bound is missed for reasons
	// that docs/performance.md gives. Beyond that it is judged like any other.
	Known float64
	// Unit is what a value without a Per is.
	Unit Unit
	// Maximum holds the largest value against Limit, instead of the median.
	Maximum bool
}

// Unit is what is counted.
type Unit int

// Units.
const (
	// Time is nanoseconds.
	Time Unit = iota
	// Bytes are bytes.
	Bytes
	// Share is a part of one processor.
	Share
	// Count is how many there are.
	Count
)

// Verdict says how a run kept a bound.
type Verdict int

// Verdicts.
const (
	// Missing: it was not measured.
	Missing Verdict = iota
	// Pass: it was kept.
	Pass
	// Over: it was not kept, by what noise could explain.
	Over
	// Far: it was not kept by more than half.
	Far
	// Known: it was not kept, and is known not to be.
	Known
)

func (v Verdict) String() string {
	return [...]string{"not measured", "PASS", "over", "FAR OVER", "known"}[v]
}

// noise is by how much a busy machine may miss a bound.
const noise = 1.5

// Result is a bound and how it was kept.
type Result struct {
	Bound
	Summary series.Summary
	Verdict Verdict
	// CPU is the ratio of what both sides take in processor time, where the bound is one of
	// how long calls take: what else the machine does changes that less.
	CPU series.Summary
}

// Value is what was held against the limit.
func (r Result) Value() float64 {
	if r.Maximum {
		return r.Summary.Max
	}
	return r.Summary.Median
}

// Judge holds what was measured against bounds.
func Judge(d *series.Data, all []Bound) []Result {
	results := make([]Result, 0, len(all))
	for _, b := range all {
		r := Result{Bound: b, Summary: series.Summarize(b.values(d)), CPU: series.Summarize(b.cpu(d))}
		r.Verdict = b.judge(r.Value())
		results = append(results, r)
	}
	return results
}

func (b Bound) values(d *series.Data) []float64 {
	switch {
	case b.Per.Subject == "":
		return d.Values(b.Of)
	case b.Throughput:
		return d.Ratios(b.Per, b.Of)
	}
	return d.Ratios(b.Of, b.Per)
}

// cpu gives the ratios of processor time, if there are any.
func (b Bound) cpu(d *series.Data) []float64 {
	of, per := b.Of, b.Per
	var ok [2]bool
	of.Measure, ok[0] = series.CPUOf(of.Measure)
	per.Measure, ok[1] = series.CPUOf(per.Measure)
	if !ok[0] || !ok[1] {
		return nil
	}
	return d.Ratios(of, per)
}

// times is how many times worse than the limit a value is.
func (b Bound) times(value float64) float64 {
	switch {
	case value == b.Limit: // which may be nothing at all
		return 1
	case b.AtLeast:
		return b.Limit / value
	}
	return value / b.Limit
}

func (b Bound) judge(value float64) Verdict {
	worse := b.times(value)
	switch {
	case math.IsNaN(worse):
		return Missing
	case worse <= 1:
		return Pass
	case b.Known != 0 && worse <= b.times(b.Known)*noise:
		return Known
	case worse <= noise:
		return Over
	}
	return Far
}
