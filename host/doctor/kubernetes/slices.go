// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/reattach/reattach/host/discovery/kubernetes"
	"github.com/reattach/reattach/host/doctor"
	"github.com/reattach/reattach/host/target"
)

func (w *walk) checkSlices(ctx context.Context) (string, error) {
	if err := w.checkTargetPorts(); err != nil {
		return "", err
	}
	found, err := w.from.slices(ctx, w.namespace, w.name)
	if err != nil {
		return "", w.failed(err)
	}
	addresses := 0
	for i := range found {
		w.slices = append(w.slices, &found[i])
		addresses += len(found[i].Endpoints)
	}
	slices.SortFunc(w.slices, func(a, b *discoveryv1.EndpointSlice) int { return strings.Compare(a.Name, b.Name) })
	endpoints, problems := kubernetes.Explain(w.plugin(), w.service, w.slices)
	draining := 0
	for _, e := range endpoints {
		if e.Draining {
			draining++
		} else {
			w.endpoints = append(w.endpoints, e)
		}
	}
	switch {
	case len(w.endpoints) > 0:
		return fmt.Sprintf("%d endpoints take calls: %s", len(w.endpoints), addressesOf(w.endpoints)), nil
	case len(problems) > 0:
		return "", doctor.Find(doctor.NoTargetPort, "%s; the EndpointSlices have %d addresses, and no such port", problems[0].Reason, addresses)
	case draining > 0:
		return "", doctor.Find(doctor.Leaving, "all %d endpoints are terminating", draining)
	case w.podsSeen && w.ready > 0:
		return "", doctor.Find(doctor.NotInSlices, "%d pods are ready, and no EndpointSlice of the Service has an address of theirs", w.ready)
	}
	return "", doctor.Find(doctor.NoEndpoints, "service %s has %d EndpointSlices, with %d addresses of which none is ready", w.name, len(w.slices), addresses)
}

func addressesOf(endpoints []target.Endpoint) string {
	var all []string
	for _, e := range endpoints {
		all = append(all, e.Address)
	}
	return strings.Join(all, ", ")
}

// checkTargetPorts holds the names of ports that the Service sends calls to against those
// that the pods have.
func (w *walk) checkTargetPorts() error {
	for _, p := range w.service.Spec.Ports {
		if p.TargetPort.Type != intstr.String || len(w.pods) == 0 {
			continue
		}
		var has []string
		for _, pod := range w.pods {
			for _, c := range containersOf(&pod) {
				for _, port := range c.Ports {
					if port.Name != "" && !slices.Contains(has, port.Name) {
						has = append(has, port.Name)
					}
				}
			}
		}
		if !slices.Contains(has, p.TargetPort.StrVal) {
			return doctor.Find(doctor.NoTargetPort, "port %s of the Service goes to port %q of the pods, whose containers have %s",
				p.Name, p.TargetPort.StrVal, orNone(strings.Join(has, ", ")))
		}
	}
	return nil
}

// containersOf are those whose ports a Service can name: native sidecars as well.
func containersOf(p *corev1.Pod) []corev1.Container {
	all := slices.Clone(p.Spec.Containers)
	for _, c := range p.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			all = append(all, c)
		}
	}
	return all
}

func orNone(text string) string {
	if text == "" {
		return "none with a name"
	}
	return text
}
