// SPDX-License-Identifier: MPL-2.0

package alerts

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/util/teststorage"
)

const (
	ruleFile = "../../deploy/components/monitoring/prometheusrule.yaml"
	runbooks = "../../docs/runbooks"
)

func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	all, err := readRules(ruleFile)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestRunbooks holds that each alert says how bad it is and what to read, and that there
// is no page without an alert.
func TestRunbooks(t *testing.T) {
	needed := make(map[string]bool)
	for _, rule := range alerts(t) {
		if s := rule.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity is %q, want critical or warning", rule.Alert, s)
		}
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%s lacks a summary or a description", rule.Alert)
		}
		page, ok := strings.CutPrefix(rule.Annotations["runbook_url"], "https://github.com/reattach/reattach/blob/main/docs/runbooks/")
		if !ok {
			t.Errorf("%s: runbook_url is %q", rule.Alert, rule.Annotations["runbook_url"])
			continue
		}
		needed[page] = true
		text, err := os.ReadFile(filepath.Join(runbooks, page))
		if err != nil {
			t.Error(err)
		} else if !strings.Contains(string(text), rule.Alert) {
			t.Errorf("%s does not speak of %s", page, rule.Alert)
		}
	}
	there, err := filepath.Glob(filepath.Join(runbooks, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range there {
		if !needed[filepath.Base(path)] {
			t.Errorf("no alert leads to %s", path)
		}
	}
}

// load stores series as promtool's tests write them, each sample after the one before by
// every.
func load(t *testing.T, series map[string]string, every time.Duration) *teststorage.TestStorage {
	t.Helper()
	text := "load " + every.String() + "\n"
	for name, values := range series {
		if values != "" {
			text += "  " + name + " " + values + "\n"
		}
	}
	return promqltest.LoadedStorage(t, text)
}

// at gives after how many minutes alerts fire.
func at(namesAndMinutes ...any) map[string]time.Duration {
	want := make(map[string]time.Duration)
	for pair := range slices.Chunk(namesAndMinutes, 2) {
		want[pair[0].(string)] = time.Duration(pair[1].(int)) * time.Minute
	}
	return want
}

// healthy is a host with a plugin of two endpoints, for two hours, as a base for
// scenarios that change some of its series.
var healthy = map[string]string{
	`up{job="basic"}`: `1x120`,
	`reattach_plugin_ready{job="basic",plugin="zh"}`:                       `1x120`,
	`reattach_endpoints{job="basic",plugin="zh",state="READY"}`:            `2x120`,
	`reattach_calls_total{job="basic",plugin="zh",error_source="none"}`:    `0+600x120`,
	`reattach_reconnects_total{job="basic",plugin="zh"}`:                   `0x120`,
	`reattach_discovery_in_step{job="basic",source="kubernetes"}`:          `1x120`,
	`reattach_plugin_method_panics_total{pod="zh-0"}`:                      `0x120`,
	`reattach_certificate_not_after_timestamp_seconds{pod="basic-0"}`:      `86400x120`,
	`reattach_certificate_not_before_timestamp_seconds{pod="basic-0"}`:     `0x120`,
	`reattach_plugin_certificate_not_after_timestamp_seconds{pod="zh-0"}`:  `86400x120`,
	`reattach_plugin_certificate_not_before_timestamp_seconds{pod="zh-0"}`: `0x120`,
}

func TestWritten(t *testing.T) {
	all := alerts(t)
	tested := make(map[string]bool)
	for name, c := range map[string]struct {
		reason string
		series map[string]string // in the place of a healthy one; empty for none
		every  time.Duration     // between samples; where it is not 0, nothing of the healthy ones is there
		want   map[string]time.Duration
	}{
		"Healthy": {reason: "nothing is wrong"},
		"Rollout": {
			reason: "new pods come before old ones leave; one is not attached to at once, and calls of the other are repeated",
			series: map[string]string{
				`reattach_endpoints{job="basic",plugin="zh",state="READY"}`:             `2x10 3 2 3 2x100`,
				`reattach_endpoints{job="basic",plugin="zh",state="CONNECTING"}`:        `_x10 1 _ 1 _x100`,
				`reattach_endpoints{job="basic",plugin="zh",state="TRANSIENT_FAILURE"}`: `_x10 1 1 _x100`,
				`reattach_attaches_total{job="basic",plugin="zh"}`:                      `2x10 3 3 4x100`,
				`reattach_call_retries_total{job="basic",plugin="zh"}`:                  `0x10 3 9x100`,
			},
		},
		"Restarts": {
			reason: "every container is restarted once, and a call is lost with each",
			series: map[string]string{
				`reattach_reconnects_total{job="basic",plugin="zh"}`:                   `0x10 1 2x110`,
				`reattach_calls_total{job="basic",plugin="zh",error_source="network"}`: `0x10 1 2x110`,
			},
		},
		"HostGone":  {"no replica is up", map[string]string{`up{job="basic"}`: `1x10 0x110`}, 0, at("ReattachHostAbsent", 16)},
		"HostNever": {"nor was there ever one", map[string]string{`up{job="basic"}`: ``}, 0, at("ReattachHostAbsent", 5)},
		"NotReady": {
			"the last endpoint is gone", map[string]string{`reattach_plugin_ready{job="basic",plugin="zh"}`: `1x10 0x110`}, 0,
			at("ReattachPluginNotReady", 13),
		},
		"NotReadyForAMoment": {reason: "a restart of the only pod", series: map[string]string{`reattach_plugin_ready{job="basic",plugin="zh"}`: `1x10 0 1x110`}},
		"NetworkFails": {
			"one call of fifty is lost on the way", map[string]string{`reattach_calls_total{job="basic",plugin="zh",error_source="network"}`: `0x10 12+12x110`}, 0,
			at("ReattachCallsFail", 18),
		},
		"HostFails": {
			"or cannot be sent", map[string]string{`reattach_calls_total{job="basic",plugin="zh",error_source="host"}`: `0x10 12+12x110`}, 0,
			at("ReattachCallsFail", 18),
		},
		"CallersGiveUp": {
			reason: "nobody else fails where one call of three is given up", series: map[string]string{
				`reattach_calls_total{job="basic",plugin="zh",error_source="caller"}`: `0x10 300+300x110`,
			},
		},
		"PluginFails": {
			"one of five is answered with an error", map[string]string{`reattach_calls_total{job="basic",plugin="zh",error_source="plugin"}`: `0x10 150+150x110`}, 0,
			at("ReattachPluginErrors", 23),
		},
		"SomeErrors": {reason: "one of thirteen is", series: map[string]string{`reattach_calls_total{job="basic",plugin="zh",error_source="plugin"}`: `0x10 50+50x110`}},
		"Unreachable": {
			"one of two is not reached", map[string]string{`reattach_endpoints{job="basic",plugin="zh",state="TRANSIENT_FAILURE"}`: `_x10 1x110`}, 0,
			at("ReattachEndpointsUnreachable", 20),
		},
		"Held": {"one does not answer", map[string]string{`reattach_endpoints_ejected{job="basic",plugin="zh"}`: `_x10 1x110`}, 0, at("ReattachEndpointsHeld", 15)},
		"Storm": {
			"each session lasts a minute", map[string]string{`reattach_reconnects_total{job="basic",plugin="zh"}`: `0x10 2+2x110`}, 0,
			at("ReattachReconnectStorm", 16),
		},
		"OutOfStep": {
			"the API server is away", map[string]string{`reattach_discovery_in_step{job="basic",source="kubernetes"}`: `1x10 0x110`}, 0,
			at("ReattachDiscoveryStuck", 16),
		},
		"Panic": {"a method panics once", map[string]string{`reattach_plugin_method_panics_total{pod="zh-0"}`: `0x10 1x110`}, 0, at("ReattachMethodPanics", 11)},
		"ShortCertificateOfHost": {
			"one of an hour is not renewed; a fifth of it is left after 48 minutes", map[string]string{
				`reattach_certificate_not_after_timestamp_seconds{pod="basic-0"}`: `3600x120`,
			}, 0,
			at("ReattachCertificateExpires", 59, "ReattachCertificateEnds", 51),
		},
		"CertificateOfPlugin": {
			"nor is one of a day; a fifth of it is left after 19.2 hours", map[string]string{
				`up{job="basic"}`: `1x120`,
				`reattach_plugin_certificate_not_after_timestamp_seconds{pod="zh-0"}`:  `86400x120`,
				`reattach_plugin_certificate_not_before_timestamp_seconds{pod="zh-0"}`: `0x120`,
			}, 15 * time.Minute,
			at("ReattachCertificateExpires", 19*60+30, "ReattachCertificateEnds", 24*60),
		},
		"CertificatesRenewed": {
			reason: "each time when a third of it is left, one of ninety days having been there before", every: time.Hour,
			series: map[string]string{
				`up{job="basic"}`: `1x120`,
				`reattach_certificate_not_after_timestamp_seconds{pod="basic-0"}`:  `7776000x15 144000x15 201600x15 259200x15 316800x15 374400x15 432000x15 489600x15`,
				`reattach_certificate_not_before_timestamp_seconds{pod="basic-0"}`: `0x15 57600x15 115200x15 172800x15 230400x15 288000x15 345600x15 403200x15`,
			},
		},
		"LongCertificate": {
			"one of 90 days is told of 18 days before its end; it is looked at every 18 hours here", map[string]string{
				`up{job="basic"}`: `1x120`,
				`reattach_certificate_not_after_timestamp_seconds{pod="basic-0"}`:  `7776000x120`,
				`reattach_certificate_not_before_timestamp_seconds{pod="basic-0"}`: `0x120`,
			}, 18 * time.Hour,
			at("ReattachCertificateExpires", 1764*60, "ReattachCertificateEnds", 90*24*60),
		},
		"FewCalls": {
			reason: "a plugin that is called once in two minutes loses one call",
			series: map[string]string{
				`reattach_calls_total{job="basic",plugin="zh",error_source="none"}`:    `0x10 1 1 2 2 3 3 4 4 5 5 6 6 7 7x97`,
				`reattach_calls_total{job="basic",plugin="zh",error_source="network"}`: `0x10 0x4 1x4 2x4 3x100`,
			},
		},
		"ScaledToNothing": {
			reason: "the endpoints go after they were attached to anew, and that is no storm", series: map[string]string{
				`reattach_plugin_ready{job="basic",plugin="zh"}`:            `1x12 _x108`,
				`reattach_endpoints{job="basic",plugin="zh",state="READY"}`: `2x12 0x108`,
				`reattach_reconnects_total{job="basic",plugin="zh"}`:        `0x8 2x112`,
			},
		},
	} {
		for alert := range c.want {
			tested[alert] = true
		}
		t.Run(name, func(t *testing.T) {
			every, series := c.every, maps.Clone(healthy)
			if every == 0 {
				every = time.Minute
			} else {
				clear(series)
			}
			maps.Copy(series, c.series)
			got, err := firing(t.Context(), promqltest.NewTestEngine(t, false, 0, 1e6), load(t, series, every), all,
				time.Unix(0, 0).UTC(), time.Unix(0, 0).UTC().Add(120*every), every)
			if err != nil {
				t.Fatal(err)
			}
			after := make(map[string]time.Duration)
			for name, alarm := range got {
				after[name] = alarm.After
			}
			if !maps.Equal(after, c.want) {
				t.Errorf("%s: %v fire, want %v", c.reason, after, c.want)
			}
		})
	}
	for _, rule := range all {
		if !tested[rule.Alert] {
			t.Errorf("%s fires in no scenario", rule.Alert)
		}
	}
}
