// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/testing/protocmp"
)

// TestDurations holds what is told of durations against a histogram of client_golang.
func TestDurations(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	cases := map[string]struct {
		reason string
		took   func(i int) time.Duration
	}{
		"Short": {"buckets of the finest schema", func(int) time.Duration { return time.Duration(100e3 + random.ExpFloat64()*1e6) }},
		"Wide":  {"two buckets are shown as one", func(i int) time.Duration { return 100 << (i % 36) * time.Duration(10+i/36%10) / 10 }},
		"Bounds": {"a bound is in the bucket that it ends", func(i int) time.Duration {
			return []time.Duration{
				10 * time.Millisecond, 10*time.Millisecond + 1, 100 * time.Millisecond, 100*time.Millisecond - 1,
				time.Second, time.Second + 1, time.Second / 2, 4 * time.Second, 4*time.Second - 1,
			}[i%9]
		}},
		"One": {"a single bucket", func(int) time.Duration { return time.Millisecond }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			ours := newDurations(prometheus.NewDesc("took", "help", []string{"method"}, nil)).withLabelValues("Greet")
			theirs := prometheus.NewHistogramVec(prometheus.HistogramOpts{
				Name: "took", Buckets: []float64{.01, .1, 1},
				NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: maxNativeBuckets,
			}, []string{"method"}).WithLabelValues("Greet")
			for i := range 10_000 {
				took := tc.took(i)
				ours.observe(took, "")
				theirs.Observe(took.Seconds())
			}
			want, got := written(t, theirs.(prometheus.Metric)), written(t, ours)
			diff := cmp.Diff(want, got, protocmp.Transform(),
				protocmp.IgnoreFields(&dto.Histogram{}, "created_timestamp", "sample_sum", "positive_span", "positive_delta"))
			if diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(nativeBuckets(want.Histogram), nativeBuckets(got.Histogram)); diff != "" {
				t.Errorf("%s: native buckets (-want +got)\n%s", tc.reason, diff)
			}
			if a, b := want.Histogram.GetSampleSum(), got.Histogram.GetSampleSum(); a != b {
				t.Errorf("%s: the sum is %v, want %v", tc.reason, b, a)
			}
		})
	}
}

// TestDurationsBeyond has calls that are shorter or longer than what is told apart.
func TestDurationsBeyond(t *testing.T) {
	d := newDurations(prometheus.NewDesc("took", "help", nil, nil)).withLabelValues()
	for _, took := range []time.Duration{-time.Second, 0, 1, 1000 * time.Hour, 1<<63 - 1} {
		d.observe(took, "")
	}
	h := written(t, d).Histogram
	want := map[int]int64{firstPower << durationSchema: 3, lastPower << durationSchema: 2}
	if diff := cmp.Diff(want, nativeBuckets(h)); diff != "" || h.GetSampleCount() != 5 {
		t.Errorf("%d calls, (-want +got)\n%s", h.GetSampleCount(), diff)
	}
}

// TestDurationsTraced holds that the last trace of a bucket is its exemplar.
func TestDurationsTraced(t *testing.T) {
	d := newDurations(prometheus.NewDesc("took", "help", nil, nil)).withLabelValues()
	buckets := func() map[float64]string {
		all := make(map[float64]string)
		for _, b := range written(t, d).Histogram.Bucket {
			id := ""
			if b.Exemplar != nil {
				id = b.Exemplar.Label[0].GetValue()
			}
			all[b.GetUpperBound()] = id
		}
		return all
	}
	d.observe(time.Minute, "")
	if diff := cmp.Diff(map[float64]string{.01: "", .1: "", 1: ""}, buckets()); diff != "" {
		t.Errorf("without traces (-want +got)\n%s", diff)
	}
	d.observe(time.Millisecond, "first")
	d.observe(10*time.Millisecond, "second")
	if diff := cmp.Diff(map[float64]string{.01: "second", .1: "", 1: ""}, buckets()); diff != "" {
		t.Errorf("with a trace (-want +got)\n%s", diff)
	}
	d.observe(time.Minute, "long")
	all := written(t, d).Histogram
	if n := len(all.Bucket); n != 4 || all.Bucket[3].Exemplar.GetValue() != 60 {
		t.Errorf("the last of %d buckets is %v", n, all.Bucket[n-1])
	}
	if n := len(all.Exemplars); n != 2 || all.Exemplars[1].GetValue() != 60 {
		t.Errorf("the exemplars of the native buckets are %v", all.Exemplars)
	}
}

// BenchmarkDurations is what it takes to count one call.
func BenchmarkDurations(b *testing.B) {
	d := newDurations(prometheus.NewDesc("took", "help", nil, nil)).withLabelValues()
	for i := 0; b.Loop(); i++ {
		d.observe(time.Duration(200+i%200)*time.Microsecond, "")
	}
}

func written(t *testing.T, m prometheus.Metric) *dto.Metric {
	t.Helper()
	var to dto.Metric
	if err := m.Write(&to); err != nil {
		t.Fatal(err)
	}
	return &to
}

// nativeBuckets gives the buckets of a histogram that hold something.
func nativeBuckets(h *dto.Histogram) map[int]int64 {
	all := make(map[int]int64)
	n, count, deltas := 0, int64(0), h.PositiveDelta
	for _, span := range h.PositiveSpan {
		n += int(span.GetOffset())
		for range span.GetLength() {
			if count, deltas = count+deltas[0], deltas[1:]; count > 0 {
				all[n] = count
			}
			n++
		}
	}
	return all
}
