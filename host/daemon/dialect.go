// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/conn"
)

// A dialect is what a stub speaks: a protocol, and versions in which the kinds have
// the same glue. It is named by the protocol and the lowest of the versions, as in
// "grpc v2".

// dialects knows the versions of each dialect.
type dialects struct {
	versions map[int]plugin.PluginSet
	lowest   map[int]int              // by version: the lowest one whose kinds have the same glue
	names    map[spokenVersion]string // of all, as they are asked for often
}

// spokenVersion is what a session says of itself.
type spokenVersion struct {
	protocol string
	version  int
}

func newDialects(versions map[int]plugin.PluginSet) dialects {
	d := dialects{versions, make(map[int]int, len(versions)), make(map[spokenVersion]string)}
	for _, v := range slices.Sorted(maps.Keys(versions)) {
		d.lowest[v] = v
		for _, low := range slices.Sorted(maps.Values(d.lowest)) {
			if low < v && d.like(low, v) {
				d.lowest[v] = low
				break
			}
		}
		for _, p := range []plugin.Protocol{plugin.ProtocolGRPC, plugin.ProtocolNetRPC} {
			d.names[spokenVersion{string(p), v}] = fmt.Sprintf("%s v%d", p, d.lowest[v])
		}
	}
	return d
}

// like reports whether v has the same glue as every version that goes by low, for
// the kinds that both have.
func (d dialects) like(low, v int) bool {
	for other, to := range d.lowest {
		if to != low || other == v {
			continue
		}
		for name, glue := range d.versions[v] {
			if theirs, both := d.versions[other][name]; both && !reflect.DeepEqual(glue, theirs) {
				return false
			}
		}
	}
	return true
}

// of names the dialect of a session.
func (d dialects) of(info conn.Info) string {
	return d.names[spokenVersion{info.Protocol, info.Version}]
}

// each gives the contract of every dialect, by name: c without what belongs to others.
func (d dialects) each(c attach.Contract) map[string]attach.Contract {
	all := make(map[string]attach.Contract)
	for _, protocol := range d.protocols() {
		for version, kinds := range d.versions {
			name := d.names[spokenVersion{string(protocol), version}]
			one, begun := all[name]
			if !begun {
				one = c
				one.Protocols, one.Versions = []plugin.Protocol{protocol}, make(map[int]plugin.PluginSet)
				all[name] = one
			}
			one.Versions[version] = kinds
		}
	}
	return all
}

// protocols are those that this host can speak, best first: gRPC only where some
// kind can.
func (d dialects) protocols() []plugin.Protocol {
	for _, kinds := range d.versions {
		for _, glue := range kinds {
			if _, ok := glue.(plugin.GRPCPlugin); ok {
				return []plugin.Protocol{plugin.ProtocolGRPC, plugin.ProtocolNetRPC}
			}
		}
	}
	return []plugin.Protocol{plugin.ProtocolNetRPC}
}

// check refuses kinds that would need a switch: their versions differ in protocol or
// glue, and a value of such a kind reaches one of them only.
func (d dialects) check(kinds []Kind) error {
	var errs []error
	for _, k := range kinds {
		spoken := make(map[string]bool)
		for v, kinds := range d.versions {
			if kinds[k.name] != nil {
				spoken[d.names[spokenVersion{string(protocolOf(kinds)), v}]] = true
			}
		}
		if k.route != nil || len(spoken) < 2 {
			continue
		}
		errs = append(errs, fmt.Errorf("option Versions: kind %q is spoken as %s, and a value of it knows one of them: "+
			"make the kind with daemon.WithSwitch, or leave versions out", k.name, strings.Join(slices.Sorted(maps.Keys(spoken)), " and as ")))
	}
	return errors.Join(errs...)
}

// protocolOf is what go-plugin speaks in a version of this host, where the plugin
// has been built like it.
func protocolOf(kinds plugin.PluginSet) plugin.Protocol {
	for _, glue := range kinds {
		if _, ok := glue.(plugin.GRPCPlugin); !ok {
			return plugin.ProtocolNetRPC
		}
	}
	return plugin.ProtocolGRPC
}
