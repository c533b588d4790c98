// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/reattach/reattach/host/doctor"
)

// party is a pod on one side of a connection.
type party struct {
	namespace string
	labels    labels.Set
	names     labels.Set // of its namespace
}

// checkPolicy holds the policies between host and plugin against each other's pods. What
// they say is known; whether the cluster's network enforces them is not.
func (w *walk) checkPolicy(ctx context.Context) (string, error) {
	policies, err := w.from.policies(ctx, w.namespace)
	if err != nil {
		return "", w.failed(err)
	}
	if len(w.service.Spec.Selector) > 0 && !w.podsSeen {
		return "", doctor.Unseen("the pods, which policies select, are not seen")
	}
	for i := range w.pods {
		pod := &w.pods[i]
		closing := selecting(policies, networkingv1.PolicyTypeIngress, pod.Labels)
		if len(closing) == 0 {
			continue
		}
		if w.host == nil {
			return "", doctor.Unseen("policies %s select pod %s: --host NAMESPACE/NAME says whom they should admit", namesOf(closing), pod.Name)
		}
		host, err := w.party(ctx, w.host.Namespace, w.host.Labels)
		if err != nil {
			return "", w.failed(err)
		}
		if port := w.port(pod); !opens(closing, networkingv1.PolicyTypeIngress, host, w.namespace, port, pod) {
			return "", doctor.Find(doctor.PolicyIngress, "pod %s on port %d is closed to the host %s: NetworkPolicies %s select it, and none admits the host",
				pod.Name, port, w.host, namesOf(closing))
		}
	}
	return w.checkEgress(ctx)
}

// checkEgress looks at the policies of the host's namespace.
func (w *walk) checkEgress(ctx context.Context) (string, error) {
	if w.host == nil || len(w.pods) == 0 {
		return "no NetworkPolicy closes the pods", nil
	}
	policies, err := w.from.policies(ctx, w.host.Namespace)
	if err != nil {
		return "", w.failed(err)
	}
	closing := selecting(policies, networkingv1.PolicyTypeEgress, w.host.Labels)
	for i := range w.pods {
		pod := &w.pods[i]
		to, err := w.party(ctx, w.namespace, pod.Labels)
		if err != nil {
			return "", w.failed(err)
		}
		if port := w.port(pod); len(closing) > 0 && !opens(closing, networkingv1.PolicyTypeEgress, to, w.host.Namespace, port, pod) {
			return "", doctor.Find(doctor.PolicyEgress, "the host %s may not reach pod %s on port %d: NetworkPolicies %s select the host, and none lets it out",
				w.host, pod.Name, port, namesOf(closing))
		}
	}
	return "NetworkPolicies let the host in, or there are none", nil
}

// party is a pod with the labels of its namespace, of which every one has its name.
func (w *walk) party(ctx context.Context, namespace string, with labels.Set) (party, error) {
	names, err := w.from.namespace(ctx, namespace)
	if errors.Is(err, doctor.ErrUnseen) {
		names, err = nil, nil
	}
	return party{namespace, with, labels.Merge(labels.Set{corev1.LabelMetadataName: namespace}, names)}, err
}

// port is the plugin's on a pod: as the EndpointSlices have it, or as the Service and the
// pod's containers say.
func (w *walk) port(pod *corev1.Pod) int {
	for _, e := range w.endpoints {
		host, port, err := net.SplitHostPort(e.Address)
		if number, bad := strconv.Atoi(port); err == nil && bad == nil && (host == pod.Status.PodIP || pod.Status.PodIP == "") {
			return number
		}
	}
	for _, p := range w.service.Spec.Ports {
		if len(w.service.Spec.Ports) > 1 && p.Name != "plugin" {
			continue
		}
		switch {
		case p.TargetPort.Type == intstr.String:
			return numberOf(p.TargetPort.StrVal, pod)
		case p.TargetPort.IntVal != 0:
			return int(p.TargetPort.IntVal)
		}
		return int(p.Port)
	}
	return 0
}

// numberOf is the number of a container's port, or 0.
func numberOf(name string, pod *corev1.Pod) int {
	for _, c := range containersOf(pod) {
		for _, p := range c.Ports {
			if p.Name == name {
				return int(p.ContainerPort)
			}
		}
	}
	return 0
}

// selecting are the policies of a type that select a pod.
func selecting(all []networkingv1.NetworkPolicy, of networkingv1.PolicyType, pod labels.Set) []networkingv1.NetworkPolicy {
	var found []networkingv1.NetworkPolicy
	for _, p := range all {
		types := p.Spec.PolicyTypes
		if len(types) == 0 { // as the API server fills it in
			types = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
			if len(p.Spec.Egress) > 0 {
				types = append(types, networkingv1.PolicyTypeEgress)
			}
		}
		if slices.Contains(types, of) && selects(&p.Spec.PodSelector, pod) {
			found = append(found, p)
		}
	}
	return found
}

// opening is a rule of a policy: for whom it opens which ports.
type opening struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

// openings are the rules of a policy of a type.
func openings(p *networkingv1.NetworkPolicy, of networkingv1.PolicyType) []opening {
	var all []opening
	if of == networkingv1.PolicyTypeIngress {
		for _, rule := range p.Spec.Ingress {
			all = append(all, opening{rule.From, rule.Ports})
		}
		return all
	}
	for _, rule := range p.Spec.Egress {
		all = append(all, opening{rule.To, rule.Ports})
	}
	return all
}

// opens reports whether a policy of the namespace lets somebody in, or out to somebody: at
// a port of a pod.
func opens(policies []networkingv1.NetworkPolicy, of networkingv1.PolicyType, who party, namespace string, port int, pod *corev1.Pod) bool {
	return slices.ContainsFunc(policies, func(p networkingv1.NetworkPolicy) bool {
		return slices.ContainsFunc(openings(&p, of), func(o opening) bool {
			return hasPeer(o.peers, who, namespace) && hasPort(o.ports, port, pod)
		})
	})
}

// hasPeer reports whether a rule is about somebody. A block of addresses may be: which
// one a new pod of the host gets is not known.
func hasPeer(peers []networkingv1.NetworkPolicyPeer, who party, namespace string) bool {
	if len(peers) == 0 {
		return true
	}
	return slices.ContainsFunc(peers, func(p networkingv1.NetworkPolicyPeer) bool {
		switch {
		case p.IPBlock != nil:
			return true
		case p.NamespaceSelector == nil && who.namespace != namespace:
			return false
		case p.NamespaceSelector != nil && !selects(p.NamespaceSelector, who.names):
			return false
		}
		return p.PodSelector == nil || selects(p.PodSelector, who.labels)
	})
}

// hasPort reports whether a rule is about a TCP port of a pod.
func hasPort(ports []networkingv1.NetworkPolicyPort, port int, pod *corev1.Pod) bool {
	if len(ports) == 0 {
		return true
	}
	return slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		switch {
		case p.Protocol != nil && *p.Protocol != corev1.ProtocolTCP:
			return false
		case p.Port == nil:
			return true
		case p.Port.Type == intstr.String:
			return numberOf(p.Port.StrVal, pod) == port
		case p.EndPort != nil:
			return port >= int(p.Port.IntVal) && port <= int(*p.EndPort)
		}
		return int(p.Port.IntVal) == port
	})
}

// selects reports whether a selector, which the API server has taken, matches labels.
func selects(selector *metav1.LabelSelector, set labels.Set) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(set)
}

func namesOf(policies []networkingv1.NetworkPolicy) string {
	var all []string
	for _, p := range policies {
		all = append(all, p.Name)
	}
	return strings.Join(all, ", ")
}
