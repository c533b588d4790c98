// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
)

// Reason is the reason of an Event, as kubectl shows it.
type Reason string

// The reasons of Events. All but Attached are warnings.
const (
	// Attached: a session with an endpoint is ready.
	Attached Reason = "Attached"
	// Lost: a session ended that the host did not end.
	Lost Reason = "Lost"
	// VersionRefused: the plugin and the host have no version in common.
	VersionRefused Reason = "VersionRefused"
	// TLSRefused: one side does not accept the other's certificate, or does
	// not speak TLS.
	TLSRefused Reason = "TLSRefused"
	// Misconfigured: the Service does not say what the source needs to know.
	Misconfigured Reason = "Misconfigured"
	// Refused: the endpoint answers, and is no plugin for this host.
	Refused Reason = "Refused"
)

// Report is one thing for people who look at a Service.
type Report struct {
	// Plugin is the name of the plugin, as the source named it. A plugin
	// that no Service stands behind is left out.
	Plugin string
	Reason Reason
	// Message must not hold what differs each time it happens, such as a
	// time or the port of a client: equal messages are counted as one Event.
	Message string

	at time.Time // when it happened
}

// Reporter writes Events about Services, so that "kubectl describe service"
// says how the host fares with a plugin. Make one with New.
type Reporter struct {
	events *eventWriter
	// queue has room for warnings when all else, which may come in hundreds, finds none.
	queue chan Report

	dropped atomic.Uint64
	log     hclog.Logger
}

// reportBacklog is how many reports may wait to be written, and as many warnings.
const reportBacklog = 256

func newReporter(core rest.Interface, opts Options) *Reporter {
	return &Reporter{
		events: newEventWriter(core, opts.Instance),
		queue:  make(chan Report, 2*reportBacklog),
		log:    opts.Logger,
	}
}

// Report queues r. It never blocks: what does not fit is dropped and counted.
// Any goroutine may call it at any time; only while the Source runs is
// anything written.
func (r *Reporter) Report(report Report) {
	report.at = time.Now()
	if !report.Reason.warns() && len(r.queue) >= reportBacklog {
		r.dropped.Add(1)
		return
	}
	select {
	case r.queue <- report:
	default:
		r.dropped.Add(1)
	}
}

// Dropped counts the reports that did not fit in the queue, or came faster
// than Events may be written about one Service: ten at once, then one in ten
// seconds, with a budget for warnings and one for all else.
func (r *Reporter) Dropped() uint64 { return r.dropped.Load() }

// run writes until ctx ends. lookup finds the Service of a plugin.
func (r *Reporter) run(ctx context.Context, lookup func(plugin string) (*corev1.Service, bool)) {
	refused := ""
	for {
		var report Report
		select {
		case <-ctx.Done():
			return
		case report = <-r.queue:
		}
		svc, known := lookup(report.Plugin)
		if !known {
			continue
		}
		written, err := r.events.write(ctx, svc, report)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && err.Error() != refused:
			refused = err.Error()
			r.log.Warn("cannot write an Event about a Service", "service", serviceKey(svc.Namespace, svc.Name), "error", err)
		case err == nil && !written:
			r.dropped.Add(1)
		}
	}
}
