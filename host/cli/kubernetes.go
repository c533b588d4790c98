// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/discovery/kubernetes"
	"github.com/reattach/reattach/host/fleet"
)

// eventBuffer is how many events may wait to be reported to the cluster.
const eventBuffer = 1024

func (c Config) inKubernetes() bool { return c.KubeSelector != "" || len(c.KubeNamespaces) > 0 }

// cluster gives the source for Kubernetes, or nil if the environment asks for none.
func (c Config) cluster(logger hclog.Logger) (*kubernetes.Source, error) {
	if !c.inKubernetes() {
		return nil, nil
	}
	config, own, err := kubernetes.Connect(c.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("KUBE_SELECTOR, KUBE_NAMESPACES: %w", err)
	}
	namespaces := c.KubeNamespaces
	if len(namespaces) == 0 {
		namespaces = []string{own}
	}
	instance, err := os.Hostname() // a pod's name
	if err != nil {
		return nil, fmt.Errorf("find out this host's name: %w", err)
	}
	kubernetes.RedirectKlog(logger)
	source, err := kubernetes.New(kubernetes.Options{
		Config: config, Namespaces: namespaces, Selector: c.KubeSelector, Instance: instance, Logger: logger,
	})
	if err != nil {
		return nil, fmt.Errorf("KUBE_SELECTOR, KUBE_NAMESPACES: %w", err)
	}
	return source, nil
}

// reportEvents tells the cluster what becomes of its plugins. The function that it
// gives ends that.
func reportEvents(events *daemon.Subscription, to *kubernetes.Reporter) (end func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range events.C() {
			if report, ok := reportOf(e); ok {
				to.Report(report)
			}
		}
	}()
	return func() {
		events.Close()
		<-done
	}
}

// reportOf says what an event means to those who look at the plugin's Service. Most
// mean nothing: an attempt that fails and is made again is not worth an Event.
func reportOf(e fleet.Event) (kubernetes.Report, bool) {
	_, address, _ := strings.Cut(e.Endpoint, "@")
	report := kubernetes.Report{Plugin: e.Plugin}
	if e.Type != fleet.StateChanged {
		return report, false
	}
	cause := steady(e.Cause)
	switch {
	case e.To == conn.Ready:
		report.Reason, report.Message = kubernetes.Attached, "attached to "+address
	case e.To != conn.TransientFailure:
		return report, false
	case e.From == conn.Ready:
		report.Reason, report.Message = kubernetes.Lost, "lost "+address
	case strings.Contains(cause, "TLS") || strings.Contains(cause, "x509"):
		report.Reason, report.Message = kubernetes.TLSRefused, cause
	case strings.Contains(cause, "version"):
		report.Reason, report.Message = kubernetes.VersionRefused, cause
	case strings.Contains(cause, "refuse") && !strings.Contains(cause, "connection refused"):
		report.Reason, report.Message = kubernetes.Refused, cause
	default:
		return report, false
	}
	return report, true
}

// changing is what differs each time the same thing happens: the port of this side
// of a connection, and what the time was.
var changing = regexp.MustCompile(`[0-9.:\[\]a-f]+:[0-9]+->|current time [0-9TZ:.+-]+ `)

// steady leaves that out, so that equal causes are counted as one Event.
func steady(cause string) string { return changing.ReplaceAllString(cause, "") }
