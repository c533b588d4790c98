// SPDX-License-Identifier: MPL-2.0

package bounds

import (
	"testing"

	"github.com/reattach/reattach/test/bench/internal/series"
)

func TestJudge(t *testing.T) {
	ours, theirs := series.Key{Subject: "ours", Measure: "time"}, series.Key{Subject: "theirs", Measure: "time"}
	relative := Bound{Of: ours, Per: theirs, Limit: 1}
	faster := Bound{Of: ours, Per: theirs, Throughput: true, AtLeast: true, Limit: 2}
	absolute := Bound{Of: ours, Limit: 10}
	nothing := Bound{Of: ours, Unit: Count}
	longest := Bound{Of: ours, Limit: 10, Maximum: true}
	known := relative
	known.Known = 2
	for name, c := range map[string]struct {
		reason       string
		bound        Bound
		ours, theirs []float64
		value        float64
		want         Verdict
	}{
		"Kept":         {"the median of 1/2, 3/2 and 1 is 1", relative, []float64{1, 3, 2}, []float64{2, 2, 2}, 1, Pass},
		"Over":         {"a little over is over", relative, []float64{5}, []float64{4}, 1.25, Over},
		"Half":         {"half more is not yet more than half", relative, []float64{3}, []float64{2}, 1.5, Over},
		"Far":          {"twice the limit is far", relative, []float64{4}, []float64{2}, 2, Far},
		"Known":        {"a miss that has its reasons is no failure", known, []float64{4}, []float64{2}, 2, Known},
		"KnownFar":     {"what has become much worse is not what is known", known, []float64{8}, []float64{2}, 4, Far},
		"KnownKept":    {"nor is it a miss when it was kept", known, []float64{1}, []float64{2}, 0.5, Pass},
		"SameRound":    {"only rounds that have both count", relative, []float64{1, 100}, []float64{2}, 0.5, Pass},
		"Throughput":   {"half the time is twice the calls", faster, []float64{1}, []float64{2}, 2, Pass},
		"TooFew":       {"as many calls are too few, by more than half", faster, []float64{1}, []float64{1}, 1, Far},
		"AlmostEnough": {"a little less is over", faster, []float64{2}, []float64{3}, 1.5, Over},
		"Absolute":     {"without a reference the value counts", absolute, []float64{9, 11, 10}, nil, 10, Pass},
		"Nothing":      {"nothing is what a bound of nothing wants", nothing, []float64{0}, nil, 0, Pass},
		"Something":    {"and anything more is far from it", nothing, []float64{1}, nil, 1, Far},
		"Maximum":      {"or the largest one", longest, []float64{9, 11, 10}, nil, 11, Over},
	} {
		t.Run(name, func(t *testing.T) {
			var d series.Data
			for i, v := range c.ours {
				d.Add(ours, series.Point{Round: i, Value: v})
			}
			for i, v := range c.theirs {
				d.Add(theirs, series.Point{Round: i, Value: v})
			}
			r := Judge(&d, []Bound{c.bound})[0]
			if r.Verdict != c.want || r.Value() != c.value {
				t.Errorf("%s: %v is %q, want %v and %q", c.reason, r.Value(), r.Verdict, c.value, c.want)
			}
		})
	}
}

func TestNotMeasured(t *testing.T) {
	for _, r := range Judge(&series.Data{}, Table()) {
		if r.Verdict != Missing {
			t.Errorf("%s: %q of nothing, want %q", r.Text, r.Verdict, Missing)
		}
	}
}
