// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-plugin/printable"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reattach/reattach/host/target"
)

// checkGroups checks that the manager would take the groups, and people could read
// their problems.
func checkGroups(t *testing.T, groups []target.Group) {
	t.Helper()
	for _, g := range groups {
		if err := g.Validate(); err != nil {
			t.Fatal(err)
		}
		for _, p := range g.Problems {
			if len(p.Reason) > printable.MaxText+len("… (cut)") || strings.ContainsAny(p.Reason, "\x1b\n\x7f\u202e") {
				t.Fatalf("a reason of %d bytes: %.300q", len(p.Reason), p.Reason)
			}
		}
	}
}

// stripped is what the informers keep of the objects.
func stripped(t *testing.T, svc *corev1.Service, of []*discoveryv1.EndpointSlice) (*corev1.Service, []*discoveryv1.EndpointSlice) {
	t.Helper()
	kept := make([]*discoveryv1.EndpointSlice, len(of))
	for i, s := range of {
		kept[i] = stripSlice(stripSlice(s))
	}
	return stripService(stripService(svc)), kept
}

// FuzzAnnotations is a Service on which somebody wrote anything. What is not
// understood is told, and what the informers leave out is not missed.
func FuzzAnnotations(f *testing.F) {
	f.Add("7001", "", "true", "true", "ClusterIP", uint8(3))
	f.Add("grpc", "zh.internal", "maybe", "false", "ExternalName", uint8(7))
	f.Add("0", "\x1b", "", "off", "", uint8(1))
	f.Add("99999", "a b", "1", "No", "NodePort", uint8(0))
	f.Add(strings.Repeat("x\x1b", 5000), strings.Repeat("y", 5000), strings.Repeat("z\u202e", 5000), "", "ClusterIP", uint8(4))
	f.Fuzz(func(t *testing.T, port, serverName, required, label, kind string, which uint8) {
		svc := service("ns", "zh", func(s *corev1.Service) { s.Labels[DefaultSelector], s.Spec.Type = label, corev1.ServiceType(kind) })
		for i, a := range [][2]string{{AnnotationPort, port}, {AnnotationTLSServerName, serverName}, {AnnotationRequired, required}} {
			if which&(1<<i) != 0 {
				annotated(a[0], a[1])(svc)
			}
		}
		found := []*discoveryv1.EndpointSlice{slice("ns", "zh", "a", pod("10.0.0.1", "1"))}
		found[0].Ports = append(found[0].Ports, ports7000("grpc")...)
		groups := groupsOf("zh", svc, found)
		checkGroups(t, groups)
		kept, keptSlices := stripped(t, svc, found)
		if diff := cmp.Diff(groups, groupsOf("zh", kept, keptSlices)); diff != "" {
			t.Fatalf("-whole +stripped\n%s", diff)
		}
		if declines(svc) != declines(kept) {
			t.Fatal("whether it declines depends on what is kept")
		}
		told := strings.Join(reasonsOf(groups), "\n")
		want, err := strconv.ParseBool(required)
		if which&4 != 0 && (groups[0].Plugins[0].Required != (want || err != nil) || (err != nil) != strings.Contains(told, AnnotationRequired)) {
			t.Fatalf("required %q: %+v, %s", required, groups[0].Plugins, told)
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if number := err == nil && n > 0; which&1 != 0 {
			offered := len(groups[1].Endpoints) > 0
			if offered != (number || port == "plugin" || port == "grpc" || strings.Trim(port, "0123456789") == "") || !offered && !strings.Contains(told, AnnotationPort) {
				t.Fatalf("port %q: %v, %s", port, addressesOf(groups), told)
			}
			if number && addressesOf(groups)[0] != "10.0.0.1:"+strconv.FormatUint(n, 10) {
				t.Fatalf("port %q: %v", port, addressesOf(groups))
			}
		}
	})
}

func ports7000(names ...string) (all []discoveryv1.EndpointPort) {
	for i, name := range names {
		all = append(all, port(name, 7000+int32(i)))
	}
	return all
}

// drawn are EndpointSlices as data says: a few addresses, pods and conditions in every
// combination, with addresses that no cluster should have.
func drawn(data []byte) (svc *corev1.Service, all []*discoveryv1.EndpointSlice) {
	next := func() (b byte) {
		if len(data) > 0 {
			b, data = data[0], data[1:]
		}
		return b
	}
	maybe := func(b byte) *bool { return []*bool{nil, new(true), new(false)}[b%3] }
	svc = service("ns", "zh", func(s *corev1.Service) {
		b := next()
		s.Spec.PublishNotReadyAddresses = b&1 != 0
		if b&2 != 0 {
			s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol}
		}
	})
	for i := 0; len(data) > 0 && i < 8; i++ {
		head := next()
		s := slice("ns", "zh", fmt.Sprint("s", i))
		s.AddressType = []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6, discoveryv1.AddressTypeFQDN}[head%3]
		for range head >> 5 {
			one, two := next(), next()
			e := discoveryv1.Endpoint{Conditions: discoveryv1.EndpointConditions{Ready: maybe(one), Serving: maybe(one / 3), Terminating: maybe(one / 9)}}
			if address := two % 8; address < 7 {
				e.Addresses = []string{[]string{"10.0.0.1", "10.0.0.2", "fd00::1", "FD00:0::1", "zh.example", "", "a b"}[address], "10.9.9.9"}
			}
			if uid := two / 8 % 5; uid > 0 {
				e.TargetRef = &corev1.ObjectReference{Kind: []string{"Pod", "Node"}[two/40%2], UID: types.UID(fmt.Sprint("uid-", uid))}
			}
			s.Endpoints = append(s.Endpoints, e)
		}
		if head&8 != 0 {
			s.Ports = []discoveryv1.EndpointPort{{}, port("plugin", int32(next())-1), port("x", 1)}
		}
		all = append(all, s)
	}
	return svc, all
}

// FuzzSlices is a Service with any EndpointSlices. Nobody is offered who is not ready,
// each address is offered once, and the order in which slices come does not matter.
func FuzzSlices(f *testing.F) {
	f.Add([]byte{0, 0x20, 1, 8})
	f.Add([]byte{2, 0x40, 1, 8, 2, 9, 0x41, 1, 10, 20, 19, 0x62, 0, 4, 1, 5, 1, 6})
	f.Add([]byte{1, 0x28, 2, 8, 0, 0x48, 10, 8, 1, 16, 255})
	f.Add([]byte("000X\x000A\xff")) // a pod leaves by the word of an endpoint without an address
	f.Fuzz(func(t *testing.T, data []byte) {
		svc, found := drawn(data)
		groups := groupsOf("zh", svc, found)
		checkGroups(t, groups)
		kept, keptSlices := stripped(t, svc, found)
		if diff := cmp.Diff(groups, groupsOf("zh", kept, keptSlices)); diff != "" {
			t.Fatalf("-whole +stripped\n%s", diff)
		}
		mayTake := make(map[string]bool) // by fingerprint: some slice says ready, and none that it leaves
		for _, s := range found {
			for _, e := range s.Endpoints {
				uid := string(podUID(e))
				if e.Conditions.Ready == nil || *e.Conditions.Ready || svc.Spec.PublishNotReadyAddresses {
					mayTake[uid] = true
				}
			}
		}
		for _, s := range found {
			for _, e := range s.Endpoints {
				if uid := string(podUID(e)); uid != "" && leaves(e) {
					mayTake[uid] = false
				}
			}
		}
		seen := make(map[string]bool)
		for _, g := range groups {
			for _, e := range g.Endpoints {
				if seen[e.ID] {
					t.Fatalf("%s is offered twice", e.ID)
				}
				seen[e.ID] = true
				if !e.Draining && !mayTake[e.Fingerprint] {
					t.Fatalf("%s of pod %q is offered", e.ID, e.Fingerprint)
				}
			}
		}
		slices.Reverse(found)
		here, there := addressesOf(groups), addressesOf(groupsOf("zh", svc, found))
		slices.Sort(here)
		slices.Sort(there)
		if diff := cmp.Diff(here, there); diff != "" {
			t.Fatalf("the order of the slices matters (-this +reverse)\n%s", diff)
		}
	})
}
