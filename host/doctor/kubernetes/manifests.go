// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/reattach/reattach/host/doctor"
)

// Manifests is a reader of objects that are not in a cluster yet: as if all of them were
// there, and every pod were ready.
type Manifests struct {
	usual string // namespace of what names none

	allServices []corev1.Service
	allSlices   []discoveryv1.EndpointSlice
	allPods     []corev1.Pod
	podless     []deployment // those that make no pods
	allPolicies []networkingv1.NetworkPolicy
	names       map[string]labels.Set // of namespaces
	rules       []rule
	hosts       []*Host
}

// NewManifests is empty. Objects that name no namespace are in usual.
func NewManifests(usual string) *Manifests {
	return &Manifests{usual: cmp.Or(usual, metav1.NamespaceDefault), names: make(map[string]labels.Set)}
}

// Planned gives the ways that manifests describe, which are texts by their names.
func Planned(q doctor.Question, manifests map[string][]byte) ([]doctor.Way, error) {
	m := NewManifests(q.Namespace)
	for _, name := range slices.Sorted(maps.Keys(manifests)) {
		if err := m.Read(manifests[name]); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return m.Ways(q)
}

// head is what every object begins with.
type head struct {
	Kind     string            `json:"kind"`
	Metadata metav1.ObjectMeta `json:"metadata"`
	Items    []json.RawMessage `json:"items"`
}

// Read adds the objects of a YAML or JSON text. The errors name the document.
func (m *Manifests) Read(text []byte) error {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), len(text)+1)
	for n := 1; ; n++ {
		var raw json.RawMessage
		err := decoder.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = m.add(raw)
		}
		if err != nil {
			return fmt.Errorf("document %d: %w", n, err)
		}
	}
}

// add adds an object, or those of a List. Kinds that no hop is about are left out.
func (m *Manifests) add(raw json.RawMessage) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var h head
	if err := json.Unmarshal(raw, &h); err != nil {
		return err
	}
	place := cmp.Or(h.Metadata.Namespace, m.usual)
	switch h.Kind {
	case "List":
		for _, item := range h.Items {
			if err := m.add(item); err != nil {
				return err
			}
		}
	case "Kustomization":
		return errors.New(`a kustomization is no object yet: "kubectl kustomize DIR" makes manifests of it, which --pre - reads`)
	case "Service":
		return addTo(&m.allServices, raw, func(s *corev1.Service) { s.Namespace = place })
	case "EndpointSlice":
		return addTo(&m.allSlices, raw, func(s *discoveryv1.EndpointSlice) { s.Namespace = place })
	case "NetworkPolicy":
		return addTo(&m.allPolicies, raw, func(p *networkingv1.NetworkPolicy) { p.Namespace = place })
	case "Namespace":
		m.names[h.Metadata.Name] = h.Metadata.Labels
	case "Pod":
		return addTo(&m.allPods, raw, func(p *corev1.Pod) { p.Namespace, p.Status = place, ready() })
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job":
		return m.addWorkload(raw, place)
	case "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding":
		return m.addRule(raw, place)
	}
	return nil
}

// addTo adds an object to those of its kind.
func addTo[T any](all *[]T, raw json.RawMessage, complete func(*T)) error {
	var one T
	if err := json.Unmarshal(raw, &one); err != nil {
		return err
	}
	complete(&one)
	*all = append(*all, one)
	return nil
}

// ready is the status of a pod that nobody has made yet.
func ready() corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
}

// addWorkload adds a pod for what makes pods, and a host, if it is one.
func (m *Manifests) addWorkload(raw json.RawMessage, place string) error {
	var d deployment
	if err := json.Unmarshal(raw, &d); err != nil {
		return err
	}
	d.Metadata.Namespace = place
	host := d.host()
	if host.looks() {
		m.hosts = append(m.hosts, host)
	}
	if d.makesNone() != "" {
		m.podless = append(m.podless, d)
		return nil
	}
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: d.Metadata.Name, Namespace: place, Labels: d.Spec.Template.Labels}, Spec: d.Spec.Template.Spec, Status: ready()}
	m.allPods = append(m.allPods, pod)
	return nil
}

// Ways gives those to the plugins in the manifests: to the Services that the host looks
// for, and to those that seem to be meant, as they have a port named plugin.
func (m *Manifests) Ways(q doctor.Question) ([]doctor.Way, error) {
	host := m.host(q)
	var looks scope
	if host != nil {
		looks = host.scope()
	}
	var ways []doctor.Way
	for _, s := range m.allServices {
		matches, err := looks.matches(&s)
		if err != nil {
			return nil, err
		}
		is := func(p corev1.ServicePort) bool { return p.Name == "plugin" }
		switch {
		case q.Service != "" && q.Service != s.Name, q.Service != "" && q.Namespace != "" && q.Namespace != s.Namespace:
			continue
		case q.Service == "" && !matches && !slices.ContainsFunc(s.Spec.Ports, is):
			continue
		}
		ways = append(ways, m.way(host, looks, s.Namespace, s.Name))
	}
	if len(ways) == 0 && q.Service != "" {
		ways = append(ways, m.way(host, looks, cmp.Or(q.Namespace, m.usual), q.Service))
	}
	return ways, nil
}

func (m *Manifests) way(host *Host, looks scope, namespace, name string) doctor.Way {
	w := &walk{from: m, host: host, scope: looks, namespace: namespace, name: name}
	way := w.way()
	way.Endpoints = nil
	way.Hops = append(way.Hops, doctor.Hop{Name: doctor.HopConnect, Check: w.checkListens}, doctor.Hop{Name: doctor.HopTLS, Check: w.checkSecrets})
	return way
}

// host is the one that is asked for, that is named like the program, or the first.
func (m *Manifests) host(q doctor.Question) *Host {
	for _, name := range []string{q.Host, q.Program} {
		for _, h := range m.hosts {
			if name != "" && (h.Name == name || h.String() == name) {
				return h
			}
		}
	}
	if len(m.hosts) == 0 {
		return nil
	}
	return m.hosts[0]
}
