// SPDX-License-Identifier: MPL-2.0

package kube

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/discovery/kubernetes"
	"github.com/reattach/reattach/host/fleet"
)

func TestReportOf(t *testing.T) {
	failed := func(from conn.State, err error) fleet.Event {
		return fleet.Event{
			Type: fleet.StateChanged, Plugin: "zh", Endpoint: "zh@10.0.0.1:7000",
			From: from, To: conn.TransientFailure, Cause: err.Error(), Err: fmt.Errorf("attach: %w", err),
		}
	}
	refused := func(code, message string) error {
		return conn.Permanent(&plugin.RefusedError{Code: code, Message: message})
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
			"the port of this side would make each another Event",
			failed(conn.Ready, errors.New("read tcp 10.0.0.7:41234->10.0.0.1:7000: connection reset by peer")),
			kubernetes.Report{Plugin: "zh", Reason: kubernetes.Lost, Message: "lost 10.0.0.1:7000: read tcp 10.0.0.1:7000: connection reset by peer"},
		},
		"certificate": {
			"the time and the port would make each attempt another Event",
			failed(conn.Connecting, fmt.Errorf("%w: read tcp 10.0.0.7:41234->10.0.0.1:7000: x509: certificate has expired or is not yet valid: current time 2026-01-02T03:04:05Z is after 2025-01-01T00:00:00Z", plugin.ErrTLS)),
			kubernetes.Report{Plugin: "zh", Reason: kubernetes.TLSRefused, Message: "TLS: read tcp 10.0.0.1:7000: x509: certificate has expired or is not yet valid: is after 2025-01-01T00:00:00Z"},
		},
		"version": {
			"it lasts until somebody does something",
			failed(conn.Connecting, refused(plugin.RefusedVersion, "it speaks 3")),
			kubernetes.Report{Plugin: "zh", Reason: kubernetes.VersionRefused, Message: "it speaks 3"},
		},
		"cookie": {
			"it is a plugin for other hosts, whatever words it has for that",
			failed(conn.Connecting, refused(plugin.RefusedCookie, "another version of TLS")),
			kubernetes.Report{Plugin: "zh", Reason: kubernetes.Refused, Message: "another version of TLS"},
		},
		"full": {
			"somebody has to run more replicas",
			failed(conn.Connecting, refused(plugin.RefusedBusy, "1000 hosts are attached already")),
			kubernetes.Report{Plugin: "zh", Reason: kubernetes.Refused, Message: "1000 hosts are attached already"},
		},
		"web server": {
			"a selector that matches too much",
			failed(conn.Connecting, fmt.Errorf("%w: HTTP", plugin.ErrNotPlugin)),
			kubernetes.Report{Plugin: "zh", Reason: kubernetes.Refused, Message: "the peer is not a plugin: HTTP"},
		},
		"draining":   {reason: "pods end", event: failed(conn.Connecting, refused(plugin.RefusedDraining, "the plugin is shutting down"))},
		"not up yet": {reason: "it is tried again, and readiness says so", event: failed(conn.Connecting, errors.New("dial tcp 10.0.0.1:7000: connect: connection refused"))},
		"leaves":     {reason: "a pod that ends in order is nobody's trouble", event: failed(conn.Ready, conn.ErrGraceful)},
		"found":      {reason: "nothing has happened yet", event: fleet.Event{Type: fleet.Found, Plugin: "zh", Endpoint: "zh@10.0.0.1:7000"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := reportOf(c.event)
			if ok != (c.want.Reason != "") {
				t.Fatalf("%s: reported is %t", c.reason, ok)
			}
			if ok {
				if diff := cmp.Diff(c.want, got, cmpopts.IgnoreUnexported(kubernetes.Report{})); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", c.reason, diff)
				}
			}
		})
	}
}
