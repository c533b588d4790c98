// SPDX-License-Identifier: MPL-2.0

// Package kube lets a program with the command line of package cli find plugins in a
// Kubernetes cluster, and tell those who look at the cluster what becomes of them.
package kube

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/kubernetes"
	"github.com/reattach/reattach/host/fleet"
)

// Finder is a cli.Finder of the plugins in a cluster.
type Finder struct {
	// Selector and Namespaces turn it on, if either is set. Kubeconfig alone does not,
	// as many have it for other programs.
	Selector   string   `envconfig:"KUBE_SELECTOR" desc:"label selector of Services whose pods are plugins, such as reattach.dev/plugin"`
	Namespaces []string `envconfig:"KUBE_NAMESPACES" desc:"comma list of the namespaces of those Services, or * for all; empty is the host's own. Plugins of the first are named like their Services, others SERVICE.NAMESPACE"`
	Kubeconfig string   `envconfig:"KUBECONFIG" desc:"file that says how to reach the cluster; empty is the cluster that the host runs in, and outside of a pod that of ~/.kube/config"`

	source *kubernetes.Source
}

// eventBuffer is how many events may wait to be reported to the cluster: a thousand
// endpoints that are found at once have some of each.
const eventBuffer = 8 << 10

// Wanted implements cli.Finder.
func (f *Finder) Wanted() bool { return f.Selector != "" || len(f.Namespaces) > 0 }

// Source implements cli.Finder.
func (f *Finder) Source(logger hclog.Logger) (discovery.Source, error) {
	config, own, err := kubernetes.Connect(f.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("KUBE_SELECTOR, KUBE_NAMESPACES: %w", err)
	}
	namespaces, home := f.Namespaces, ""
	switch {
	case len(namespaces) == 0:
		namespaces = []string{own}
	case namespaces[0] == kubernetes.AllNamespaces:
		home = own
	}
	instance, err := os.Hostname() // a pod's name
	if err != nil {
		return nil, fmt.Errorf("find out this host's name: %w", err)
	}
	kubernetes.RedirectKlog(logger)
	f.source, err = kubernetes.New(kubernetes.Options{
		Config: config, Namespaces: namespaces, Home: home, Selector: f.Selector, Instance: instance, Logger: logger,
	})
	if err != nil {
		return nil, fmt.Errorf("KUBE_SELECTOR, KUBE_NAMESPACES: %w", err)
	}
	return f.source, nil
}

// targetScheme begins a target that is a Service of the cluster.
const targetScheme = "k8s:///"

// Target implements cli.TargetFinder: k8s:///NAMESPACE/SERVICE is that one Service, whatever
// its labels are.
func (f *Finder) Target(text string, logger hclog.Logger) (discovery.Source, string, bool, error) {
	place, ok := strings.CutPrefix(text, targetScheme)
	if !ok {
		return nil, "", false, nil
	}
	namespace, service, _ := strings.Cut(place, "/")
	if namespace == "" || service == "" {
		return nil, "", true, fmt.Errorf("write %sNAMESPACE/SERVICE", targetScheme)
	}
	config, _, err := kubernetes.Connect(f.Kubeconfig)
	if err != nil {
		return nil, "", true, err
	}
	kubernetes.RedirectKlog(logger)
	source, err := kubernetes.New(kubernetes.Options{
		Config: config, Namespaces: []string{namespace}, Service: service, Logger: logger,
	})
	return source, service, true, err
}

// Follow implements cli.Finder: it makes Events of what becomes of the plugins, until end
// is called.
func (f *Finder) Follow(d *daemon.Daemon, metrics prometheus.Registerer) (end func()) {
	events, to, done := d.Subscribe(eventBuffer), f.source.Reporter(), make(chan struct{})
	metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: "reattach", Name: "kubernetes_events_dropped_total",
		Help: "Events about Services that were not written, as there were too many.",
	}, func() float64 { return float64(events.Dropped() + to.Dropped()) }))
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
	cause := conn.SteadyCause(e.Cause) // so that equal causes are counted as one Event
	switch reason, refused := refusal(e.Err); {
	case e.To == conn.Ready:
		report.Reason, report.Message = kubernetes.Attached, "attached to "+address
	case e.To != conn.TransientFailure:
		return report, false
	case errors.Is(e.Err, conn.ErrGraceful):
		return report, false
	case e.From == conn.Ready:
		report.Reason, report.Message = kubernetes.Lost, "lost "+address+": "+cause
	case refused:
		report.Reason, report.Message = reason, cause
	default:
		return report, false
	}
	return report, true
}

// refusal says whether an attach failed because one side will not have the other, and
// on what ground.
func refusal(err error) (kubernetes.Reason, bool) {
	refused, ok := errors.AsType[*plugin.RefusedError](err)
	switch {
	case ok && refused.Code == plugin.RefusedVersion, errors.Is(err, plugin.ErrIncompatible):
		return kubernetes.VersionRefused, true
	case ok && refused.Code == plugin.RefusedDraining:
		return "", false // it leaves, as pods do
	case errors.Is(err, plugin.ErrTLS):
		return kubernetes.TLSRefused, true
	case ok, errors.Is(err, plugin.ErrNotPlugin):
		return kubernetes.Refused, true
	}
	return "", false
}
