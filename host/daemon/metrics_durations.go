// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// durations is how long the calls of one method took, as a histogram of Prometheus: a
// native one, with a few classic buckets for a scrape that does not take those. One of
// client_golang finds its native buckets in a map, which takes several times as long as
// all else that a call is counted in.
type durations struct {
	desc    *prometheus.Desc
	labels  []string // their values
	created time.Time

	counts [durationBuckets]atomic.Uint64
	sum    atomic.Uint64 // the bits of a float64: of seconds
	// traced are the last calls that a trace shows, by classic bucket.
	traced [len(classicBounds) + 1]atomic.Pointer[dto.Exemplar]
}

// durationsVec is those of all methods.
type durationsVec struct{ *prometheus.MetricVec }

func newDurations(desc *prometheus.Desc) durationsVec {
	return durationsVec{prometheus.NewMetricVec(desc, func(values ...string) prometheus.Metric {
		return &durations{desc: desc, labels: values, created: time.Now()}
	})}
}

// withLabelValues gives those of a method. As any vector of Prometheus it panics where a
// value is no UTF-8.
func (v durationsVec) withLabelValues(values ...string) *durations {
	d, err := v.GetMetricWithLabelValues(values...)
	if err != nil {
		panic(err)
	}
	return d.(*durations)
}

// observe counts a call, with the ID of the trace that shows it, or nothing. The ID fits
// an exemplar.
func (d *durations) observe(took time.Duration, traceID string) {
	at := durationBucketOf(took)
	d.counts[at].Add(1)
	for {
		sum := d.sum.Load()
		if d.sum.CompareAndSwap(sum, math.Float64bits(math.Float64frombits(sum)+took.Seconds())) {
			break
		}
	}
	if traceID != "" {
		d.traced[durationBounds[at].classic].Store(&dto.Exemplar{
			Label: []*dto.LabelPair{{Name: proto.String("trace_id"), Value: proto.String(traceID)}},
			Value: proto.Float64(took.Seconds()), Timestamp: timestamppb.Now(),
		})
	}
}

// Desc implements prometheus.Metric.
func (d *durations) Desc() *prometheus.Desc { return d.desc }

// Write implements prometheus.Metric. What it says of a call it says in all buckets, or in
// none.
func (d *durations) Write(to *dto.Metric) error {
	native, classic, counted := make(map[int]int64), [len(d.traced)]uint64{}, uint64(0)
	for i := range d.counts {
		if n := d.counts[i].Load(); n > 0 {
			native[durationBounds[i].native] += int64(n)
			classic[durationBounds[i].classic] += n
			counted += n
		}
	}
	native, schema := coarsened(native)
	h, err := prometheus.NewConstNativeHistogram(d.desc, counted, math.Float64frombits(d.sum.Load()),
		native, nil, 0, schema, prometheus.DefNativeHistogramZeroThreshold, d.created, d.labels...)
	if err == nil {
		err = h.Write(to)
	}
	if err == nil {
		to.Histogram.Bucket, to.Histogram.Exemplars = d.classic(classic[:])
	}
	return err
}

// classic gives the classic buckets, of which each holds what those before it do, and the
// exemplars of all, the oldest first. The bucket without a bound is there for its exemplar.
func (d *durations) classic(counts []uint64) (buckets []*dto.Bucket, exemplars []*dto.Exemplar) {
	below := uint64(0)
	for i, n := range counts {
		below += n
		b := &dto.Bucket{CumulativeCount: proto.Uint64(below), UpperBound: proto.Float64(math.Inf(1)), Exemplar: d.traced[i].Load()}
		if i < len(classicBounds) {
			b.UpperBound = proto.Float64(classicBounds[i].Seconds())
		} else if b.Exemplar == nil {
			break
		}
		buckets = append(buckets, b)
		if b.Exemplar != nil {
			exemplars = append(exemplars, b.Exemplar)
		}
	}
	slices.SortFunc(exemplars, func(a, b *dto.Exemplar) int { return a.Timestamp.AsTime().Compare(b.Timestamp.AsTime()) })
	return buckets, exemplars
}
