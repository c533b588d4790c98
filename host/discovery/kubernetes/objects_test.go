// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// service makes a Service that the default selector matches.
func service(namespace, name string, change ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name, UID: types.UID("service-" + name),
		Labels: map[string]string{DefaultSelector: "true"},
	}}
	for _, c := range change {
		c(s)
	}
	return s
}

func annotated(name, value string) func(*corev1.Service) {
	return func(s *corev1.Service) {
		if s.Annotations == nil {
			s.Annotations = make(map[string]string)
		}
		s.Annotations[name] = value
	}
}

// slice makes an EndpointSlice of a Service with one port named plugin.
func slice(namespace, service, name string, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: types.UID("slice-" + name),
			Labels: map[string]string{discoveryv1.LabelServiceName: service},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{port("plugin", 7000)},
		Endpoints:   endpoints,
	}
}

func port(name string, number int32) discoveryv1.EndpointPort {
	return discoveryv1.EndpointPort{Name: &name, Port: &number}
}

// pod makes a ready endpoint.
func pod(address, uid string, change ...func(*discoveryv1.Endpoint)) discoveryv1.Endpoint {
	e := discoveryv1.Endpoint{
		Addresses:  []string{address},
		Conditions: discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true), Terminating: new(false)},
	}
	if uid != "" {
		e.TargetRef = &corev1.ObjectReference{Kind: "Pod", UID: types.UID(uid)}
	}
	for _, c := range change {
		c(&e)
	}
	return e
}

func unready(e *discoveryv1.Endpoint) {
	e.Conditions.Ready, e.Conditions.Serving = new(false), new(false)
}

// terminating is a pod that still serves.
func terminating(e *discoveryv1.Endpoint) {
	e.Conditions.Ready, e.Conditions.Terminating = new(false), new(true)
}

// pods makes ready endpoints, numbered from first.
func pods(first, count int) []discoveryv1.Endpoint {
	var out []discoveryv1.Endpoint
	for i := first; i < first+count; i++ {
		out = append(out, pod(fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255), fmt.Sprintf("uid-%d", i)))
	}
	return out
}
