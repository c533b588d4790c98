// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/discovery/kubernetes"
	"github.com/reattach/reattach/host/fleet"
)

func TestReportOf(t *testing.T) {
	failed := func(from conn.State, cause string) fleet.Event {
		return fleet.Event{Type: fleet.StateChanged, Plugin: "zh", Endpoint: "zh@10.0.0.1:7000", From: from, To: conn.TransientFailure, Cause: cause}
	}
	cases := map[string]struct {
		reason string
		event  fleet.Event
		want   kubernetes.Report
	}{
		"attached": {
			"the first thing that people look for",
			fleet.Event{Type: fleet.StateChanged, Plugin: "zh", Endpoint: "zh@10.0.0.1:7000", From: conn.Connecting, To: conn.Ready},
			kubernetes.Report{Plugin: "zh", Reason: kubernetes.Attached, Message: "attached to 10.0.0.1:7000"},
		},
		"lost": {
			"the cause holds the port of this side, and says little",
			failed(conn.Ready, "read tcp 10.0.0.7:41234->10.0.0.1:7000: connection reset by peer"),
			kubernetes.Report{Plugin: "zh", Reason: kubernetes.Lost, Message: "lost 10.0.0.1:7000"},
		},
		"certificate": {
			"the time and the port would make each attempt another Event",
			failed(conn.Connecting, "attach 10.0.0.1:7000: TLS: read tcp 10.0.0.7:41234->10.0.0.1:7000: x509: certificate has expired or is not yet valid: current time 2026-01-02T03:04:05Z is after 2025-01-01T00:00:00Z"),
			kubernetes.Report{Plugin: "zh", Reason: kubernetes.TLSRefused, Message: "attach 10.0.0.1:7000: TLS: read tcp 10.0.0.1:7000: x509: certificate has expired or is not yet valid: is after 2025-01-01T00:00:00Z"},
		},
		"version": {
			"it lasts until somebody does something",
			failed(conn.Connecting, "the plugin at 10.0.0.1:7000 refuses: no version in common"),
			kubernetes.Report{Plugin: "zh", Reason: kubernetes.VersionRefused, Message: "the plugin at 10.0.0.1:7000 refuses: no version in common"},
		},
		"not up yet": {reason: "it is tried again, and readiness says so", event: failed(conn.Connecting, "dial tcp 10.0.0.1:7000: connect: connection refused")},
		"found":      {reason: "nothing has happened yet", event: fleet.Event{Type: fleet.Found, Plugin: "zh", Endpoint: "zh@10.0.0.1:7000"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := reportOf(c.event)
			if ok != (c.want.Reason != "") {
				t.Fatalf("%s: reported is %t", c.reason, ok)
			}
			if ok {
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", c.reason, diff)
				}
			}
		})
	}
}
