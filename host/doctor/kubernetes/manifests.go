// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
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

// checkListens looks whether the plugin's pods listen where the Service leads.
func (w *walk) checkListens(context.Context) (string, error) {
	for i := range w.pods {
		pod := &w.pods[i]
		env := variablesOf(pod)
		switch host := strings.ToLower(env["PLUGIN_HOST"]); host {
		case "localhost", "127.0.0.1", "::1":
			return "", doctor.Find(doctor.ConnectionRefused, "pod %s listens on loopback only: PLUGIN_HOST=%s", pod.Name, host)
		}
		first, last, port := env["PLUGIN_MIN_PORT"], env["PLUGIN_MAX_PORT"], fmt.Sprint(w.port(pod))
		if first != "" && first == last && first != port {
			return "", doctor.Find(doctor.ConnectionRefused, "pod %s listens on port %s (PLUGIN_MIN_PORT, PLUGIN_MAX_PORT), and the Service leads to %s", pod.Name, first, port)
		}
	}
	return "nothing in the manifests is against it", nil
}

// checkSecrets looks whether host and plugin both mean to speak TLS.
func (w *walk) checkSecrets(context.Context) (string, error) {
	if w.host == nil {
		return "", doctor.Unseen("the manifests have no host, which a variable KUBE_SELECTOR or KUBE_NAMESPACES makes")
	}
	pod := corev1.Pod{Spec: w.host.template.Spec}
	host := variablesOf(&pod)
	_, asks := host["HOST_TLS_CA_FILE"]
	_, shows := host["HOST_TLS_CERT_FILE"]
	if slices.Contains(strings.Split(strings.ReplaceAll(host["HOST_TLS_PLAIN_PLUGINS"], " ", ""), ","), w.plugin()) {
		asks, shows = false, false
	}
	for i := range w.pods {
		env := variablesOf(&w.pods[i])
		_, speaks := env["PLUGIN_TLS_CERT_FILE"]
		_, wants := env["PLUGIN_TLS_CLIENT_CA_FILE"]
		name := w.pods[i].Name
		switch {
		case asks && !speaks:
			return "", doctor.Find(doctor.PluginWithoutTLS, "the host %s has HOST_TLS_CA_FILE, and pod %s has no PLUGIN_TLS_CERT_FILE", w.host, name)
		case speaks && !asks:
			return "", doctor.Find(doctor.PluginWantsTLS, "pod %s has PLUGIN_TLS_CERT_FILE, and the host %s has no HOST_TLS_CA_FILE for it", name, w.host)
		case wants && !shows:
			return "", doctor.Find(doctor.HostTurnedDown, "pod %s has PLUGIN_TLS_CLIENT_CA_FILE, and the host %s has no HOST_TLS_CERT_FILE", name, w.host)
		}
	}
	return "host and plugin mean the same", nil
}

// variablesOf has those of all containers of a pod; one that is not given by value is
// empty.
func variablesOf(pod *corev1.Pod) map[string]string {
	all := make(map[string]string)
	for _, c := range containersOf(pod) {
		for _, e := range c.Env {
			all[e.Name] = e.Value
		}
	}
	return all
}
