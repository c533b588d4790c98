// SPDX-License-Identifier: MPL-2.0

package alerts

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/util/teststorage"
)

// interval is between two scrapes, as in deploy/components/monitoring. Prometheus' clock
// runs ahead of ours: it goes on by an interval with each scrape, however long that took.
const interval = 15 * time.Second

// prometheus scrapes a host, and plugins if they are named, as far as alerts need it.
type prometheus struct {
	t          *testing.T
	pods       map[string]string // URLs by the name of a pod; the host's is basic-0
	series     *teststorage.TestStorage
	start, now time.Time
	shown      map[string]map[string]labels.Labels // the series that each pod showed last, by their text
}

func newPrometheus(t *testing.T, url string) *prometheus {
	now := time.Now()
	return &prometheus{t: t, pods: map[string]string{"basic-0": url}, series: teststorage.New(t), start: now, now: now, shown: make(map[string]map[string]labels.Labels)}
}

// scrape scrapes all once.
func (p *prometheus) scrape() {
	p.t.Helper()
	p.now = p.now.Add(interval)
	for pod, url := range p.pods {
		p.scrapePod(pod, url)
	}
}

// scrapePod notes whether a pod answered, and what.
func (p *prometheus) scrapePod(pod, url string) {
	p.t.Helper()
	job, _, _ := strings.Cut(pod, "-")
	families, err := fetch(p.t.Context(), url+"metrics")
	up := 1.0
	if err != nil {
		up = 0
	}
	appender := p.series.Appender(p.t.Context())
	before := p.shown[pod]
	p.shown[pod] = make(map[string]labels.Labels)
	appendTo := func(series labels.Labels, v float64) {
		p.t.Helper()
		if _, err := appender.Append(0, series, p.now.UnixMilli(), v); err != nil {
			p.t.Fatal(err)
		}
	}
	add := func(name string, pairs []*dto.LabelPair, v float64) {
		p.t.Helper()
		of := labels.NewBuilder(labels.FromStrings(model.MetricNameLabel, name, "job", job, "instance", pod, "pod", pod))
		for _, l := range pairs {
			of.Set(l.GetName(), l.GetValue())
		}
		series := of.Labels()
		appendTo(series, v)
		p.shown[pod][series.String()] = series
	}
	add("up", nil, up)
	for name, family := range families {
		for _, m := range family.GetMetric() {
			switch family.GetType() {
			case dto.MetricType_COUNTER:
				add(name, m.GetLabel(), m.GetCounter().GetValue())
			case dto.MetricType_GAUGE:
				add(name, m.GetLabel(), m.GetGauge().GetValue())
			}
		}
	}
	for text, series := range before { // One that is gone is stale at once.
		if _, is := p.shown[pod][text]; !is {
			appendTo(series, math.Float64frombits(value.StaleNaN))
		}
	}
	if err := appender.Commit(); err != nil {
		p.t.Fatal(err)
	}
}

// during scrapes for a time of Prometheus' clock, with something done before each.
func (p *prometheus) during(d time.Duration, do func()) {
	p.t.Helper()
	for range d / interval {
		if do != nil {
			do()
		}
		p.scrape()
	}
}

// fired gives the names of the alerts that have fired since the start, in order.
func (p *prometheus) fired() []string {
	p.t.Helper()
	fired, err := firing(p.t.Context(), promqltest.NewTestEngine(p.t, false, 0, 1e6), p.series, alerts(p.t), p.start, p.now, interval)
	if err != nil {
		p.t.Fatal(err)
	}
	var names []string
	for name := range fired {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func fetch(ctx context.Context, url string) (map[string]*dto.MetricFamily, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, answer.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(answer.Body)
}

// gauge gives a gauge of the host, in a state if one is named. One that is not there is -1.
func gauge(t *testing.T, url, name, state string) float64 {
	t.Helper()
	families, err := fetch(t.Context(), url+"metrics")
	if err != nil || families[name] == nil {
		return -1
	}
	for _, m := range families[name].GetMetric() {
		for _, l := range m.GetLabel() {
			if state == "" || l.GetValue() == state {
				return m.GetGauge().GetValue()
			}
		}
		if state == "" {
			return m.GetGauge().GetValue()
		}
	}
	return -1
}

// wantFired holds which alerts have fired since the start, and gives them.
func wantFired(t *testing.T, p *prometheus, want ...string) []string {
	t.Helper()
	if got := p.fired(); !slices.Equal(got, want) {
		t.Errorf("%v fired, want %v", got, want)
	}
	return want
}

// calls gives how many calls of the host ended with an error of that source.
func calls(t *testing.T, url, source string) (n float64) {
	t.Helper()
	families, err := fetch(t.Context(), url+"metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range families["reattach_calls_total"].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "error_source" && l.GetValue() == source {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}
