// SPDX-License-Identifier: MPL-2.0

package alerts

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/util/teststorage"

	"github.com/reattach/reattach/test/kit"
)

// interval is between two scrapes, as in deploy/overlays/monitoring. Prometheus' clock
// runs ahead of ours: it goes on by an interval with each scrape, however long that took.
const interval = 15 * time.Second

// prometheus scrapes a host, and plugins if they are named, as far as alerts need it.
type prometheus struct {
	t          *testing.T
	pods       map[string]string // URLs by the name of a pod; the host's is basic-0
	series     *teststorage.TestStorage
	start, now time.Time
}

func newPrometheus(t *testing.T, url string) *prometheus {
	now := time.Now()
	return &prometheus{t: t, pods: map[string]string{"basic-0": url}, series: teststorage.New(t), start: now, now: now}
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
	add := func(name string, pairs []*dto.LabelPair, value float64) {
		p.t.Helper()
		of := labels.NewBuilder(labels.FromStrings(model.MetricNameLabel, name, "job", job, "instance", pod, "pod", pod))
		for _, l := range pairs {
			of.Set(l.GetName(), l.GetValue())
		}
		if _, err := appender.Append(0, of.Labels(), p.now.UnixMilli(), value); err != nil {
			p.t.Fatal(err)
		}
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

func wantFired(t *testing.T, p *prometheus, want ...string) {
	t.Helper()
	if got := p.fired(); !slices.Equal(got, want) {
		t.Errorf("%v fired, want %v", got, want)
	}
}

// TestRolloutIsSilent replaces every replica under calls, more slowly than a cluster does,
// as Prometheus sees it.
func TestRolloutIsSilent(t *testing.T) {
	list := kit.Addresses(t, 2)
	replicas := []*kit.Process{replica(t, list[0]), replica(t, list[1])}
	h := host(t, "NETWORK_PLUGIN=zh="+list[0]+",zh="+list[1])
	p := newPrometheus(t, h.url)
	work := func() {
		for range 20 {
			greet(t, h.url)
		}
	}
	p.during(10*time.Minute, work)
	for i, r := range replicas {
		r.End(syscall.SIGTERM)
		p.during(30*time.Second, work)
		replicas[i] = replica(t, list[i])
		until(t, "both are ready", func() error { return attached(t, h.url, 2) })
		p.during(5*time.Minute, work)
	}
	p.during(10*time.Minute, work)
	wantFired(t, p)
}

// TestKilled: every replica is gone for good, then the host as well.
func TestKilled(t *testing.T) {
	list := kit.Addresses(t, 2)
	replicas := []*kit.Process{replica(t, list[0]), replica(t, list[1])}
	h := host(t, "CALL_TIMEOUT=2s", "NETWORK_PLUGIN=zh="+list[0]+",zh="+list[1])
	p := newPrometheus(t, h.url)
	p.during(6*time.Minute, func() { greet(t, h.url) })
	replicas[0].End(syscall.SIGKILL)
	p.during(12*time.Minute, func() { greet(t, h.url) })
	wantFired(t, p, "ReattachEndpointsUnreachable")
	replicas[1].End(syscall.SIGKILL)
	for range 12 { // each call takes until its timeout
		greet(t, h.url)
		p.during(time.Minute, nil)
	}
	wantFired(t, p, "ReattachCallsFail", "ReattachEndpointsUnreachable", "ReattachPluginNotReady")
	h.End(syscall.SIGKILL)
	p.during(6*time.Minute, nil)
	wantFired(t, p, "ReattachCallsFail", "ReattachEndpointsUnreachable", "ReattachHostAbsent", "ReattachPluginNotReady")
}

// TestFrozen: one of two replicas is stopped. It is held back until its session is given
// up; from then on attempts alternate with pauses.
func TestFrozen(t *testing.T) {
	list := kit.Addresses(t, 2)
	frozen := replica(t, list[0])
	replica(t, list[1])
	h := host(t, "NETWORK_PLUGIN=zh="+list[0]+",zh="+list[1])
	until(t, "both are ready", func() error { return attached(t, h.url, 2) })
	p := newPrometheus(t, h.url)
	p.during(2*time.Minute, nil)
	frozen.Signal(t, syscall.SIGSTOP)
	t.Cleanup(func() { frozen.Signal(t, syscall.SIGCONT) })
	until(t, "the frozen one is held back", func() error {
		if gauge(t, h.url, "reattach_endpoints_ejected", "") != 1 {
			return errors.New("no endpoint is")
		}
		return nil
	})
	// Every state that it is in from now on is seen, in whatever order.
	for _, state := range []string{"TRANSIENT_FAILURE", "CONNECTING"} {
		until(t, "the frozen one is given up, and tried again", func() error {
			if gauge(t, h.url, "reattach_endpoints", state) != 1 {
				return fmt.Errorf("none is %s", state)
			}
			return nil
		})
		p.during(6*time.Minute, nil)
	}
	wantFired(t, p, "ReattachEndpointsUnreachable")
}

// TestNameUnknown: a source of plugins has no answer.
func TestNameUnknown(t *testing.T) {
	h := host(t, "NETWORK_PLUGIN=zh=dns:///zh.invalid:7000")
	p := newPrometheus(t, h.url)
	p.during(6*time.Minute, nil)
	wantFired(t, p, "ReattachDiscoveryStuck", "ReattachPluginNotReady")
}

// TestCertificateEnds: the host's and the plugin's certificates end in nine minutes.
func TestCertificateEnds(t *testing.T) {
	authority := kit.NewAuthority(t)
	file := func(name string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		kit.Replace(t, path, content)
		return path
	}
	pair := func(name, prefix, ca string) []string {
		certificate, key := kit.PEM(t, authority.Issue(&x509.Certificate{
			DNSNames: []string{name}, NotAfter: time.Now().Add(9 * time.Minute),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}))
		return []string{
			prefix + "TLS_CERT_FILE=" + file("tls.crt", certificate), prefix + "TLS_KEY_FILE=" + file("tls.key", key),
			prefix + ca + "=" + file("ca.crt", authority.PEM()),
		}
	}
	list := kit.Addresses(t, 3)
	replica(t, list[0], append(pair("zh", "PLUGIN_", "TLS_CLIENT_CA_FILE"), "PLUGIN_HEALTH_ADDR="+list[1])...)
	h := host(t, append(pair("basic", "HOST_", "TLS_CA_FILE"), "NETWORK_PLUGIN=zh="+list[0])...)
	until(t, "it is ready", func() error { return attached(t, h.url, 1) })
	p := newPrometheus(t, h.url)
	p.pods["zh-0"] = "http://" + list[1] + "/"
	p.during(time.Minute, nil)
	wantFired(t, p, "ReattachCertificateEnds")
	for url, name := range map[string]string{
		h.url:          "reattach_certificate_not_after_timestamp_seconds",
		p.pods["zh-0"]: "reattach_plugin_certificate_not_after_timestamp_seconds",
	} {
		if left := gauge(t, url, name, "") - float64(time.Now().Unix()); left < 0 || left > 540 {
			t.Errorf("%s is %v s from now, want at most 540", name, left)
		}
	}
}
