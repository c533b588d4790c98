// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/reattach/reattach/host/target"
)

// outageGrace is how long after an outage of the API server its word that no pod of a
// Service is ready is not taken for the truth. The cluster has not heard of its nodes
// meanwhile; it declares all of their pods unready as soon as the server is back, until
// it has, which takes its controllers a minute or so.
const outageGrace = 2 * time.Minute

// withGrace gives the groups of a Service as they are to be sent. sent is what was. For
// outageGrace a Service without any ready endpoint keeps those that it had and still has,
// unless they leave. Whether they answer is for their sessions to find out.
func (w *watch) withGrace(key, plugin string, svc *corev1.Service, found []*discoveryv1.EndpointSlice, sent map[string]target.Group) []target.Group {
	groups := groupsOf(plugin, svc, found)
	remaining := w.health.graceLeft(w.opts.outageGrace)
	if remaining <= 0 || slices.ContainsFunc(groups, takesCalls) {
		delete(w.held, key)
		return groups
	}
	indifferent := svc.DeepCopy()
	indifferent.Spec.PublishNotReadyAddresses = true
	kept := 0
	for i, all := range groupsOf(plugin, indifferent, found) {
		for _, e := range all.Endpoints {
			if !e.Draining && slices.ContainsFunc(sent[all.Key].Endpoints, func(s target.Endpoint) bool { return !s.Draining && s.SameInstance(e) }) {
				groups[i].Endpoints = append(groups[i].Endpoints, e)
				kept++
			}
		}
	}
	if kept == 0 {
		delete(w.held, key)
		return groups
	}
	if !w.held[key] {
		w.held[key] = true
		w.log.Warn("after an outage of its API server the cluster calls no pod ready: those that were are kept for the time being",
			"service", key, "endpoints", kept, "for", remaining.Round(time.Second).String())
	}
	if w.graceOver == nil {
		w.graceOver = time.After(remaining)
	}
	return groups
}

// takesCalls reports whether a group has an endpoint that is offered.
func takesCalls(g target.Group) bool {
	return slices.ContainsFunc(g.Endpoints, func(e target.Endpoint) bool { return !e.Draining })
}

// endGrace looks again at the Services whose endpoints were kept.
func (w *watch) endGrace() {
	w.graceOver = nil
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := range w.held {
		w.dirty[key] = true
	}
}
