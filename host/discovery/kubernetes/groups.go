// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reattach/reattach/host/target"
)

// groupsOf gives one group that declares the plugin, and one for each slice,
// so that the slices add up. An address that several slices hold, as while a
// pod moves from one to another, is in the first of their groups only. A pod that
// one of them calls terminating leaves, whatever the others still say of it.
func groupsOf(plugin string, svc *corev1.Service, slices []*discoveryv1.EndpointSlice) []target.Group {
	s := settingsOf(plugin, svc)
	groups := make([]target.Group, len(slices)+1)
	type place struct{ group, index int }
	places := make(map[string]place)
	ending := endingOf(slices)
	duplicates := s.duplicatesOf(slices, ending)
	for i, slice := range slices {
		group := &groups[i+1]
		group.Key = "endpointslice/" + serviceKey(slice.Namespace, slice.Name)
		if len(slice.Endpoints) == 0 {
			continue // it has no ports yet, as while the first pod is being made
		}
		port, ok := s.portOf(slice)
		if !ok {
			continue
		}
		for _, e := range slice.Endpoints {
			if !s.offers(e, ending) || duplicates.have(slice, e) {
				continue
			}
			found := s.endpoint(e, port)
			found.Draining = ending[instanceOf(e)]
			if at, taken := places[found.ID]; taken {
				prefer(&groups[at.group].Endpoints[at.index], found)
				continue
			}
			places[found.ID] = place{i + 1, len(group.Endpoints)}
			group.Endpoints = append(group.Endpoints, found)
		}
	}
	groups[0] = target.Group{
		Key:      "service/" + serviceKey(svc.Namespace, svc.Name),
		Plugins:  []target.Plugin{{Name: plugin, Required: s.required}},
		Problems: s.problems,
	}
	return groups
}

// prefer replaces kept by found if only found takes new calls: a new pod may
// have the address of one that leaves.
func prefer(kept *target.Endpoint, found target.Endpoint) {
	if kept.Draining && !found.Draining {
		*kept = found
	}
}

// offers reports whether an endpoint is ready, or leaves and so drains.
func (s *settings) offers(e discoveryv1.Endpoint, ending map[instance]bool) bool {
	if len(e.Addresses) == 0 || e.Addresses[0] == "" {
		return false
	}
	return e.Conditions.Ready == nil || *e.Conditions.Ready || s.notReady || ending[instanceOf(e)]
}

// leaves reports whether the pod has been told to end. Whether it still serves
// does not matter, as it gets no new call either way.
func leaves(e discoveryv1.Endpoint) bool {
	return e.Conditions.Terminating != nil && *e.Conditions.Terminating
}

func (s *settings) endpoint(e discoveryv1.Endpoint, port uint16) target.Endpoint {
	host := e.Addresses[0]
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.String() // one way to write each IPv6 address
	}
	address := net.JoinHostPort(host, strconv.Itoa(int(port)))
	found := target.Endpoint{
		ID: target.MakeID(s.plugin, address), Plugin: s.plugin,
		Placement: target.Network, Address: address,
		Fingerprint: string(podUID(e)), ServerName: s.serverName,
	}
	if e.Zone != nil {
		found.Zone = *e.Zone
	}
	if e.NodeName != nil {
		found.Node = *e.NodeName
	}
	found.ForZones, found.ForNodes = hintsOf(e)
	return found
}

// hintsOf gives the zones and the nodes that the cluster means an endpoint for, as
// trafficDistribution of a Service asks it to.
func hintsOf(e discoveryv1.Endpoint) (zones, nodes string) {
	if e.Hints == nil {
		return "", ""
	}
	var forZones, forNodes []string
	for _, z := range e.Hints.ForZones {
		forZones = append(forZones, z.Name)
	}
	for _, n := range e.Hints.ForNodes {
		forNodes = append(forNodes, n.Name)
	}
	return strings.Join(forZones, ","), strings.Join(forNodes, ",")
}

// instance is what may be in several slices at once: a pod, or an address
// without one.
type instance struct {
	pod     types.UID
	address string
}

func instanceOf(e discoveryv1.Endpoint) instance {
	if uid := podUID(e); uid != "" {
		return instance{pod: uid}
	}
	if len(e.Addresses) == 0 {
		return instance{}
	}
	return instance{address: e.Addresses[0]}
}

// endingOf gives the instances that any slice calls terminating. A pod never comes
// back from that, so a slice that says otherwise is an old one.
func endingOf(slices []*discoveryv1.EndpointSlice) map[instance]bool {
	ending := make(map[instance]bool)
	for _, slice := range slices {
		for _, e := range slice.Endpoints {
			if leaves(e) {
				ending[instanceOf(e)] = true
			}
		}
	}
	return ending
}

// podUID gives the UID of the pod behind an endpoint, or nothing.
func podUID(e discoveryv1.Endpoint) types.UID {
	if e.TargetRef == nil || e.TargetRef.Kind != "Pod" {
		return ""
	}
	return e.TargetRef.UID
}

// duplicates tells which addresses of the second family belong to what the first
// one has already. All endpoints without a pod have the UID "".
type duplicates struct {
	family discoveryv1.AddressType
	first  map[types.UID]bool
}

func (s *settings) duplicatesOf(slices []*discoveryv1.EndpointSlice, ending map[instance]bool) duplicates {
	d := duplicates{family: s.family, first: make(map[types.UID]bool)}
	for _, slice := range slices {
		if slice.AddressType != s.family {
			continue
		}
		for _, e := range slice.Endpoints {
			if s.offers(e, ending) {
				d.first[podUID(e)] = true
			}
		}
	}
	return d
}

// have reports whether e is a second address of something.
func (d duplicates) have(slice *discoveryv1.EndpointSlice, e discoveryv1.Endpoint) bool {
	switch slice.AddressType {
	case discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6:
		return slice.AddressType != d.family && d.first[podUID(e)]
	}
	return false
}
