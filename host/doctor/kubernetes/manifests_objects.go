// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/reattach/reattach/host/doctor"
)

func (m *Manifests) services(_ context.Context, namespace, name string) ([]corev1.Service, error) {
	return slices.DeleteFunc(slices.Clone(m.allServices), func(s corev1.Service) bool {
		return s.Namespace != namespace || name != "" && s.Name != name
	}), nil
}

// slices gives those that the manifests have, and one that the cluster will make of the
// pods.
func (m *Manifests) slices(ctx context.Context, namespace, service string) ([]discoveryv1.EndpointSlice, error) {
	found := slices.DeleteFunc(slices.Clone(m.allSlices), func(s discoveryv1.EndpointSlice) bool {
		return s.Namespace != namespace || s.Labels[discoveryv1.LabelServiceName] != service
	})
	all, err := m.services(ctx, namespace, service)
	if err != nil || len(all) == 0 || len(all[0].Spec.Selector) == 0 {
		return found, err
	}
	pods, err := m.pods(ctx, namespace, all[0].Spec.Selector)
	if err != nil {
		return nil, err
	}
	for i := range pods {
		made := discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4}
		made.Name, made.Namespace = pods[i].Name, namespace
		made.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{fmt.Sprintf("192.0.2.%d", i+1)}}} // for documentation (RFC 5737)
		for _, p := range all[0].Spec.Ports {
			number := p.Port
			switch {
			case p.TargetPort.Type == intstr.String:
				number = int32(numberOf(p.TargetPort.StrVal, &pods[i]))
			case p.TargetPort.IntVal != 0:
				number = p.TargetPort.IntVal
			}
			if number != 0 {
				made.Ports = append(made.Ports, discoveryv1.EndpointPort{Name: &p.Name, Port: &number})
			}
		}
		found = append(found, made)
	}
	return found, nil
}

func (m *Manifests) pods(_ context.Context, namespace string, with labels.Set) ([]corev1.Pod, error) {
	selector := with.AsSelector()
	return slices.DeleteFunc(slices.Clone(m.allPods), func(p corev1.Pod) bool {
		return p.Namespace != namespace || !selector.Matches(labels.Set(p.Labels))
	}), nil
}

func (m *Manifests) makers(_ context.Context, namespace string) []deployment {
	return slices.DeleteFunc(slices.Clone(m.podless), func(d deployment) bool { return d.Metadata.Namespace != namespace })
}

func (m *Manifests) policies(_ context.Context, namespace string) ([]networkingv1.NetworkPolicy, error) {
	return slices.DeleteFunc(slices.Clone(m.allPolicies), func(p networkingv1.NetworkPolicy) bool { return p.Namespace != namespace }), nil
}

func (m *Manifests) namespace(_ context.Context, name string) (labels.Set, error) {
	if found, ok := m.names[name]; ok {
		return found, nil
	}
	return nil, doctor.Unseen("the manifests do not have namespace %s", name)
}
