// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/reattach/reattach/host/target"
)

// Explain gives what a Source makes of a Service and its EndpointSlices: the endpoints,
// those that drain included, and what is wrong with the Service. It is for those who say
// why a plugin is not found.
func Explain(plugin string, svc *corev1.Service, slices []*discoveryv1.EndpointSlice) (endpoints []target.Endpoint, problems []target.Problem) {
	for _, g := range groupsOf(plugin, svc, slices) {
		endpoints = append(endpoints, g.Endpoints...)
		problems = append(problems, g.Problems...)
	}
	return endpoints, problems
}

// Declines reports whether a Service says by the value of its label that it is no plugin.
func Declines(svc *corev1.Service) bool { return declines(svc) }

// PluginName gives the name of the plugin that a Service is, for a host whose home is
// that namespace.
func PluginName(home string, svc *corev1.Service) string {
	if svc.Namespace == home {
		return svc.Name
	}
	return svc.Name + "." + svc.Namespace // the name of a Service has no dot
}
