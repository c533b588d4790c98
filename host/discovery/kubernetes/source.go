// SPDX-License-Identifier: MPL-2.0

// Package kubernetes is the discovery source for plugins behind Services of a
// Kubernetes cluster: a Service that matches a selector is a plugin, and each
// ready address of its EndpointSlices is an endpoint of it.
//
// A plugin is named like its Service in the home namespace, and SERVICE.NAMESPACE in
// all others, so that names stay when a namespace is added. A Service whose label
// reattach.dev/plugin says no is left alone. All slices of a Service add up. An
// address that terminates is offered as draining, so that it gets no new call.
// A pod with addresses of two families is offered once, by the first family of
// its Service.
//
// What has been found stays found while the cluster does not answer, refuses
// or restarts: the Run of a [Source] reports it to its sink and tries again.
package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"

	"github.com/reattach/reattach/host/discovery"
)

// DefaultSelector is matched by Services that carry the label at all.
const DefaultSelector = "reattach.dev/plugin"

// AllNamespaces stands for every namespace in Options.Namespaces.
const AllNamespaces = "*"

// Options configures a Source. Config and Namespaces must be set.
type Options struct {
	// Config says how to reach the cluster. See Connect.
	Config *rest.Config
	// Namespaces are those to watch. AllNamespaces alone means all of them,
	// which needs a ClusterRole.
	Namespaces []string
	// Home is the namespace whose plugins are named like their Services. Empty is
	// the first of Namespaces, and none with AllNamespaces.
	Home string
	// Selector is a label selector of Services. Empty means DefaultSelector.
	Selector string
	// Service is the name of the one Service that counts, whatever its labels are. Empty
	// means those that Selector matches.
	Service string
	// Instance names this host in Events, such as the name of its pod.
	Instance string
	// Logger takes what client-go has to say. Nil discards it.
	Logger hclog.Logger

	outageGrace time.Duration
}

func (o Options) withDefaults() (Options, error) {
	if o.Config == nil {
		return o, errors.New("option Config is missing: see Connect")
	}
	if len(o.Namespaces) == 0 {
		return o, errors.New("option Namespaces is empty")
	}
	if o.Home == "" && o.Namespaces[0] != AllNamespaces {
		o.Home = o.Namespaces[0]
	}
	o.Namespaces = slices.Compact(slices.Sorted(slices.Values(o.Namespaces)))
	for _, n := range o.Namespaces {
		if n == AllNamespaces {
			if len(o.Namespaces) > 1 {
				return o, fmt.Errorf("option Namespaces %s: %q means all, and stands alone", strings.Join(o.Namespaces, ","), AllNamespaces)
			}
			continue
		}
		if faults := content.IsDNS1123Label(n); len(faults) > 0 {
			return o, fmt.Errorf("option Namespaces: %q is no namespace: %s", n, strings.Join(faults, "; "))
		}
	}
	if o.Service != "" {
		if faults := content.IsDNS1123Label(o.Service); len(faults) > 0 {
			return o, fmt.Errorf("option Service: %q is no Service: %s", o.Service, strings.Join(faults, "; "))
		}
	}
	o.Selector = cmp.Or(o.Selector, DefaultSelector)
	if _, err := labels.Parse(o.Selector); err != nil {
		return o, fmt.Errorf("option Selector %q: %w", o.Selector, err)
	}
	o.Logger = cmp.Or(o.Logger, hclog.NewNullLogger())
	o.outageGrace = cmp.Or(o.outageGrace, outageGrace)
	return o, nil
}

// Source is a discovery.Source.
type Source struct {
	opts     Options
	client   *client
	reporter *Reporter
}

// New makes a source. It does not reach the cluster yet.
func New(opts Options) (*Source, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("make Kubernetes source: %w", err)
	}
	c, err := newClient(opts.Config)
	if err != nil {
		return nil, fmt.Errorf("make Kubernetes source: %w", err)
	}
	return &Source{opts: opts, client: c, reporter: newReporter(c.core, opts)}, nil
}

// Name implements discovery.Source.
func (*Source) Name() string { return "kubernetes" }

// Reporter gives what writes Events about the Services. It is the same one
// each time, and writes while Run runs.
func (s *Source) Reporter() *Reporter { return s.reporter }

// Run implements discovery.Source. It starts two informers for each namespace
// and the writer of Events, and ends them.
func (s *Source) Run(ctx context.Context, sink discovery.Sink) error {
	w, err := newWatch(s.client, s.opts, s.reporter.Report)
	if err != nil {
		return fmt.Errorf("watch Services: %w", err)
	}
	w.run(ctx, sink, func(ctx context.Context) { s.reporter.run(ctx, w.lookup) })
	return nil
}

// namespacesOf gives the namespaces as client-go wants them.
func (o Options) namespacesOf() []string {
	if o.Namespaces[0] == AllNamespaces {
		return []string{metav1.NamespaceAll}
	}
	return o.Namespaces
}
