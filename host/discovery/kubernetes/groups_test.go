// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/reattach/reattach/host/target"
)

func ports(ports ...discoveryv1.EndpointPort) func(*discoveryv1.EndpointSlice) {
	return func(s *discoveryv1.EndpointSlice) { s.Ports = ports }
}

func ofFamily(f discoveryv1.AddressType) func(*discoveryv1.EndpointSlice) {
	return func(s *discoveryv1.EndpointSlice) { s.AddressType = f }
}

func with(s *discoveryv1.EndpointSlice, change ...func(*discoveryv1.EndpointSlice)) *discoveryv1.EndpointSlice {
	for _, c := range change {
		c(s)
	}
	return s
}

// addressesOf gives what the groups offer, with a mark for what drains.
func addressesOf(groups []target.Group) []string {
	var out []string
	for _, g := range groups {
		for _, e := range g.Endpoints {
			mark := ""
			if e.Draining {
				mark = " drains"
			}
			out = append(out, e.Address+mark)
		}
	}
	return out
}

func reasonsOf(groups []target.Group) []string {
	var out []string
	for _, g := range groups {
		for _, p := range g.Problems {
			out = append(out, p.String())
		}
	}
	return out
}

func TestWhatAServiceOffers(t *testing.T) {
	nothingKnown := func(e *discoveryv1.Endpoint) { e.Conditions = discoveryv1.EndpointConditions{} }
	cases := map[string]struct {
		reason   string
		service  *corev1.Service
		slices   []*discoveryv1.EndpointSlice
		want     []string
		problems []string
	}{
		"ready, not ready, unknown": {
			reason:  "only what is ready is offered, and what says nothing counts as ready",
			service: service("ns", "zh"),
			slices:  []*discoveryv1.EndpointSlice{slice("ns", "zh", "a", pod("10.0.0.1", "1"), pod("10.0.0.2", "2", unready), pod("10.0.0.3", "3", nothingKnown))},
			want:    []string{"10.0.0.1:7000", "10.0.0.3:7000"},
		},
		"terminating": {
			reason:  "a pod that leaves drains, whether it still serves or not",
			service: service("ns", "zh"),
			slices:  []*discoveryv1.EndpointSlice{slice("ns", "zh", "a", pod("10.0.0.1", "1", terminating), pod("10.0.0.2", "2", unready, terminating))},
			want:    []string{"10.0.0.1:7000 drains", "10.0.0.2:7000 drains"},
		},
		"publishNotReadyAddresses": {
			reason:  "the Service says that readiness does not count; leaving still does",
			service: service("ns", "zh", func(s *corev1.Service) { s.Spec.PublishNotReadyAddresses = true }),
			slices:  []*discoveryv1.EndpointSlice{slice("ns", "zh", "a", pod("10.0.0.1", "1", unready), pod("10.0.0.2", "2", terminating))},
			want:    []string{"10.0.0.1:7000", "10.0.0.2:7000 drains"},
		},
		"slices add up": {
			reason:  "a Service has as many slices as it needs",
			service: service("ns", "zh"),
			slices:  []*discoveryv1.EndpointSlice{slice("ns", "zh", "a", pod("10.0.0.1", "1")), slice("ns", "zh", "b", pod("10.0.0.2", "2"))},
			want:    []string{"10.0.0.1:7000", "10.0.0.2:7000"},
		},
		"one pod in two slices": {
			reason:  "an endpoint may be in two slices while it moves",
			service: service("ns", "zh"),
			slices:  []*discoveryv1.EndpointSlice{slice("ns", "zh", "a", pod("10.0.0.1", "1")), slice("ns", "zh", "b", pod("10.0.0.1", "1"))},
			want:    []string{"10.0.0.1:7000"},
		},
		"an address used again": {
			reason:  "the new pod counts, whichever slice is first",
			service: service("ns", "zh"),
			slices:  []*discoveryv1.EndpointSlice{slice("ns", "zh", "a", pod("10.0.0.1", "old", terminating)), slice("ns", "zh", "b", pod("10.0.0.1", "new"))},
			want:    []string{"10.0.0.1:7000"},
		},
		"terminating in one slice, ready in another": {
			reason:  "terminating wins, whichever slice is first, since a pod never comes back from it",
			service: service("ns", "zh"),
			slices: []*discoveryv1.EndpointSlice{
				slice("ns", "zh", "a", pod("10.0.0.1", "1", terminating), pod("10.0.0.2", "2")),
				slice("ns", "zh", "b", pod("10.0.0.1", "1"), pod("10.0.0.2", "2", unready, terminating)),
			},
			want: []string{"10.0.0.1:7000 drains", "10.0.0.2:7000 drains"},
		},
		"terminating in one slice, unready in another": {
			reason:  "its calls may finish all the same",
			service: service("ns", "zh"),
			slices: []*discoveryv1.EndpointSlice{
				slice("ns", "zh", "a", pod("10.0.0.1", "1", unready)), slice("ns", "zh", "b", pod("10.0.0.1", "1", unready, terminating)),
			},
			want: []string{"10.0.0.1:7000 drains"},
		},
		"unready in one slice, ready in another": {
			reason:  "either may be the old one, and its session finds out whether it answers",
			service: service("ns", "zh"),
			slices:  []*discoveryv1.EndpointSlice{slice("ns", "zh", "a", pod("10.0.0.1", "1", unready)), slice("ns", "zh", "b", pod("10.0.0.1", "1"))},
			want:    []string{"10.0.0.1:7000"},
		},
		"twice in one slice": {
			reason:  "terminating wins there too, also for what is no pod",
			service: service("ns", "zh"),
			slices: []*discoveryv1.EndpointSlice{slice("ns", "zh", "a",
				pod("10.0.0.1", "1"), pod("10.0.0.1", "1", terminating), pod("10.0.0.2", ""), pod("10.0.0.2", "", terminating))},
			want: []string{"10.0.0.1:7000 drains", "10.0.0.2:7000 drains"},
		},
		"terminating on another port": {
			reason:  "it is the pod that leaves, with all of its ports",
			service: service("ns", "zh"),
			slices: []*discoveryv1.EndpointSlice{
				slice("ns", "zh", "a", pod("10.0.0.1", "1")),
				with(slice("ns", "zh", "b", pod("10.0.0.1", "1", terminating)), ports(port("plugin", 7001))),
			},
			want: []string{"10.0.0.1:7000 drains", "10.0.0.1:7001 drains"},
		},
		"terminating, and readiness does not count": {
			reason:  "leaving counts",
			service: service("ns", "zh", func(s *corev1.Service) { s.Spec.PublishNotReadyAddresses = true }),
			slices:  []*discoveryv1.EndpointSlice{slice("ns", "zh", "a", pod("10.0.0.1", "1")), slice("ns", "zh", "b", pod("10.0.0.1", "1", terminating))},
			want:    []string{"10.0.0.1:7000 drains"},
		},
		"terminating in one family, ready in the other": {
			reason:  "both are addresses of the pod that leaves",
			service: service("ns", "zh"),
			slices: []*discoveryv1.EndpointSlice{
				slice("ns", "zh", "4", pod("10.0.0.1", "1"), pod("10.0.0.2", "2", unready), pod("10.0.0.3", "3", terminating)),
				with(slice("ns", "zh", "6", pod("fd00::1", "1", terminating), pod("fd00::2", "2", terminating), pod("fd00::3", "3")),
					ofFamily(discoveryv1.AddressTypeIPv6)),
			},
			want: []string{"10.0.0.1:7000 drains", "10.0.0.2:7000 drains", "10.0.0.3:7000 drains"},
		},
		"dual-stack": {
			reason:  "each pod is offered once, by the first family of the Service; one without it, by the other",
			service: service("ns", "zh", func(s *corev1.Service) { s.Spec.IPFamilies = []corev1.IPFamily{"IPv6", "IPv4"} }),
			slices: []*discoveryv1.EndpointSlice{
				slice("ns", "zh", "4", pod("10.0.0.1", "1"), pod("10.0.0.2", "2")),
				with(slice("ns", "zh", "6", pod("fd00:0::1", "1")), ofFamily(discoveryv1.AddressTypeIPv6)),
			},
			want: []string{"10.0.0.2:7000", "[fd00::1]:7000"},
		},
		"dual-stack without pods": {
			reason:  "addresses that somebody wrote down cannot be told to be one thing, so that the first family is taken",
			service: service("ns", "zh"),
			slices: []*discoveryv1.EndpointSlice{
				slice("ns", "zh", "4", pod("10.0.0.1", ""), pod("10.0.0.2", "")),
				with(slice("ns", "zh", "6", pod("fd00::1", "")), ofFamily(discoveryv1.AddressTypeIPv6)),
			},
			want: []string{"10.0.0.1:7000", "10.0.0.2:7000"},
		},
		"host names": {
			reason:  "slices of names are offered as they are",
			service: service("ns", "zh"),
			slices:  []*discoveryv1.EndpointSlice{with(slice("ns", "zh", "a", pod("zh.example.org", "")), ofFamily(discoveryv1.AddressTypeFQDN))},
			want:    []string{"zh.example.org:7000"},
		},
		"the port named plugin": {
			reason:  "it is taken among several",
			service: service("ns", "zh"),
			slices:  []*discoveryv1.EndpointSlice{with(slice("ns", "zh", "a", pod("10.0.0.1", "1")), ports(port("health", 8080), port("plugin", 7001)))},
			want:    []string{"10.0.0.1:7001"},
		},
		"the only port": {
			reason:  "it need not have a name, as kubectl expose gives none",
			service: service("ns", "zh"),
			slices:  []*discoveryv1.EndpointSlice{with(slice("ns", "zh", "a", pod("10.0.0.1", "1")), ports(port("", 7002)))},
			want:    []string{"10.0.0.1:7002"},
		},
		"the only TCP port": {
			reason:  "plugins speak TCP",
			service: service("ns", "zh"),
			slices: []*discoveryv1.EndpointSlice{with(slice("ns", "zh", "a", pod("10.0.0.1", "1")), ports(
				discoveryv1.EndpointPort{Name: new("dns"), Port: new(int32(53)), Protocol: new(corev1.ProtocolUDP)}, port("rpc", 7003)))},
			want: []string{"10.0.0.1:7003"},
		},
		"several ports": {
			reason:   "nobody guesses among them",
			service:  service("ns", "zh"),
			slices:   []*discoveryv1.EndpointSlice{with(slice("ns", "zh", "a", pod("10.0.0.1", "1")), ports(port("a", 1), port("b", 2))), with(slice("ns", "zh", "b"), ports(port("a", 1), port("b", 2)))},
			problems: []string{`service ns/zh: 2 TCP ports, none of them named "plugin": name one so, or say which in annotation reattach.dev/port`},
		},
		"no port": {
			reason:   "a headless Service may have none",
			service:  service("ns", "zh"),
			slices:   []*discoveryv1.EndpointSlice{with(slice("ns", "zh", "a", pod("10.0.0.1", "1")), ports())},
			problems: []string{"service ns/zh: no TCP port: give the Service one, or its number in annotation reattach.dev/port"},
		},
		"annotated name": {
			reason:  "the annotation wins over the port named plugin",
			service: service("ns", "zh", annotated(AnnotationPort, "other")),
			slices:  []*discoveryv1.EndpointSlice{with(slice("ns", "zh", "a", pod("10.0.0.1", "1")), ports(port("plugin", 7000), port("other", 7004)))},
			want:    []string{"10.0.0.1:7004"},
		},
		"annotated name that is not there": {
			reason:   "what was asked for is not replaced by something else",
			service:  service("ns", "zh", annotated(AnnotationPort, "other")),
			slices:   []*discoveryv1.EndpointSlice{slice("ns", "zh", "a", pod("10.0.0.1", "1"))},
			problems: []string{`service ns/zh: annotation reattach.dev/port: no TCP port of the Service is named "other"`},
		},
		"annotated number": {
			reason:  "a port of the pods that the Service does not list",
			service: service("ns", "zh", annotated(AnnotationPort, "7005")),
			slices:  []*discoveryv1.EndpointSlice{with(slice("ns", "zh", "a", pod("10.0.0.1", "1")), ports())},
			want:    []string{"10.0.0.1:7005"},
		},
		"annotated nonsense": {
			reason:   "it is reported, and the plugin is found all the same",
			service:  service("ns", "zh", annotated(AnnotationPort, "70000"), annotated(AnnotationRequired, "perhaps")),
			slices:   []*discoveryv1.EndpointSlice{slice("ns", "zh", "a", pod("10.0.0.1", "1"))},
			want:     []string{"10.0.0.1:7000"},
			problems: []string{`service ns/zh: annotation reattach.dev/required is "perhaps": want true or false; it is taken for true`, `service ns/zh: annotation reattach.dev/port is "70000": want the name of a port or a number from 1 to 65535`},
		},
		"no pod yet": {
			reason:  "a slice without endpoints has no ports either, which says nothing of the Service",
			service: service("ns", "zh"),
			slices:  []*discoveryv1.EndpointSlice{with(slice("ns", "zh", "a"), ports())},
		},
		"ExternalName": {
			reason:   "it never has slices, and people are told",
			service:  service("ns", "zh", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName }),
			problems: []string{"service ns/zh: a Service of type ExternalName has no endpoints: name the address in NETWORK_PLUGIN"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			groups := groupsOf("zh", c.service, c.slices)
			if diff := cmp.Diff(c.want, addressesOf(groups)); diff != "" {
				t.Errorf("%s: addresses (-want +got)\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(c.problems, reasonsOf(groups)); diff != "" {
				t.Errorf("%s: problems (-want +got)\n%s", c.reason, diff)
			}
			for _, g := range groups {
				if err := g.Validate(); err != nil {
					t.Error(err)
				}
			}
			if len(groups) != len(c.slices)+1 {
				t.Errorf("%d groups for %d slices: want one each and one for the Service", len(groups), len(c.slices))
			}
		})
	}
}

func TestWhatAnEndpointSays(t *testing.T) {
	placed := func(e *discoveryv1.Endpoint) {
		e.Zone, e.NodeName = new("west"), new("node-1")
		e.Hints = &discoveryv1.EndpointHints{
			ForZones: []discoveryv1.ForZone{{Name: "west"}, {Name: "east"}}, ForNodes: []discoveryv1.ForNode{{Name: "node-1"}},
		}
	}
	svc := service("ns", "zh", annotated(AnnotationTLSServerName, "greeter.example.org"), annotated(AnnotationRequired, "true"))
	got := groupsOf("zh.ns", svc, []*discoveryv1.EndpointSlice{slice("ns", "zh", "a", pod("10.0.0.1", "uid-1", placed))})
	want := []target.Group{
		{Key: "service/ns/zh", Plugins: []target.Plugin{{Name: "zh.ns", Required: true}}},
		{Key: "endpointslice/ns/a", Endpoints: []target.Endpoint{{
			ID: "zh.ns@10.0.0.1:7000", Plugin: "zh.ns", Placement: target.Network, Address: "10.0.0.1:7000",
			Fingerprint: "uid-1", ServerName: "greeter.example.org", Zone: "west", Node: "node-1",
			ForZones: "west,east", ForNodes: "node-1",
		}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("groups (-want +got)\n%s", diff)
	}
}

// TestThreeSlices shows that a change of one slice touches no other: where each
// slice replaces the whole, endpoints past the first hundred are lost.
func TestThreeSlices(t *testing.T) {
	svc := service("ns", "zh")
	all := []*discoveryv1.EndpointSlice{
		slice("ns", "zh", "a", pods(0, 100)...), slice("ns", "zh", "b", pods(100, 100)...), slice("ns", "zh", "c", pods(200, 50)...),
	}
	before := groupsOf("zh", svc, all)
	if n := len(addressesOf(before)); n != 250 {
		t.Fatalf("%d endpoints, want 250", n)
	}
	changed := slices.Clone(all)
	changed[1] = slice("ns", "zh", "b", pods(101, 99)...)
	after := groupsOf("zh", svc, changed)
	if n := len(addressesOf(after)); n != 249 {
		t.Errorf("%d endpoints after one left, want 249", n)
	}
	for i, g := range after {
		if same := g.Equal(before[i]); same != (i != 2) {
			t.Errorf("group %s: unchanged is %t", g.Key, same)
		}
	}
}

// TestStrip shows that a stripped object says the same, and that stripping it again changes nothing.
func TestStrip(t *testing.T) {
	svc := service("ns", "zh", annotated(AnnotationPort, "plugin"), annotated("other", "x"), func(s *corev1.Service) {
		s.Spec.IPFamilies = []corev1.IPFamily{"IPv6"}
		s.Spec.ClusterIP = "10.96.0.1"
	})
	whole := slice("ns", "zh", "a", pod("10.0.0.1", "1", func(e *discoveryv1.Endpoint) {
		e.Hostname, e.Zone, e.Addresses = new("zh-0"), new("west"), append(e.Addresses, "10.0.0.9")
	}), discoveryv1.Endpoint{})
	keep := func(o any) any {
		t.Helper()
		once, err := strip(o)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := strip(once)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(once, twice); diff != "" {
			t.Errorf("stripped twice (-once +twice)\n%s", diff)
		}
		return once
	}
	lean, thin := keep(svc).(*corev1.Service), keep(whole).(*discoveryv1.EndpointSlice)
	want := groupsOf("zh", svc, []*discoveryv1.EndpointSlice{whole})
	if diff := cmp.Diff(want, groupsOf("zh", lean, []*discoveryv1.EndpointSlice{thin})); diff != "" {
		t.Errorf("groups of what is kept (-whole +kept)\n%s", diff)
	}
	if got := fmt.Sprintf("%v %q %d %t", lean.Annotations, lean.Spec.ClusterIP, len(thin.Endpoints), thin.Endpoints[0].Hostname == nil); got != `map[reattach.dev/port:plugin] "" 2 true` {
		t.Errorf("kept too much: %s", got)
	}
}
