// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// strip gives an object with nothing but what the source reads, before it is
// kept. It may be called with what it has given.
func strip(obj any) (any, error) {
	switch o := obj.(type) {
	case *corev1.Service:
		return stripService(o), nil
	case *discoveryv1.EndpointSlice:
		return stripSlice(o), nil
	}
	return obj, nil
}

func stripMeta(m metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: m.Name, Namespace: m.Namespace, UID: m.UID, ResourceVersion: m.ResourceVersion}
}

func stripService(s *corev1.Service) *corev1.Service {
	out := &corev1.Service{ObjectMeta: stripMeta(s.ObjectMeta)}
	for name, value := range s.Annotations {
		if strings.HasPrefix(name, annotationPrefix) {
			metav1.SetMetaDataAnnotation(&out.ObjectMeta, name, value)
		}
	}
	if value, ok := s.Labels[DefaultSelector]; ok {
		out.Labels = map[string]string{DefaultSelector: value}
	}
	out.Spec.Type = s.Spec.Type
	out.Spec.IPFamilies = s.Spec.IPFamilies
	out.Spec.PublishNotReadyAddresses = s.Spec.PublishNotReadyAddresses
	return out
}

func stripSlice(s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	out := &discoveryv1.EndpointSlice{ObjectMeta: stripMeta(s.ObjectMeta), AddressType: s.AddressType, Ports: s.Ports}
	out.Labels = map[string]string{discoveryv1.LabelServiceName: s.Labels[discoveryv1.LabelServiceName]}
	out.Endpoints = make([]discoveryv1.Endpoint, 0, len(s.Endpoints))
	for _, e := range s.Endpoints {
		kept := discoveryv1.Endpoint{
			Addresses: e.Addresses[:min(1, len(e.Addresses))], Conditions: e.Conditions, NodeName: e.NodeName, Zone: e.Zone, Hints: e.Hints,
		}
		if uid := podUID(e); uid != "" {
			kept.TargetRef = &corev1.ObjectReference{Kind: "Pod", UID: uid}
		}
		out.Endpoints = append(out.Endpoints, kept)
	}
	return out
}
