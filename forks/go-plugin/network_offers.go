// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/hashicorp/go-plugin/internal/hello"
)

// offers is what the plugin can say of itself in a handshake. Of its own code it runs
// nothing before a host asks: a gRPC version is described by what its first session
// has registered.
type offers struct {
	served []servedVersion
	netRPC map[int]func() ([]hello.Kind, bool) // by version, see describeNetRPC

	name, instance string
	build          *hello.Build
	maxMessage     int // bytes; zero: no bound
}

func newOffers(name string, served []servedVersion) *offers {
	o := &offers{
		served: served,
		netRPC: make(map[int]func() ([]hello.Kind, bool)),
		name:   name, instance: newInstance(), build: buildInfo(),
	}
	for _, v := range served {
		o.netRPC[v.version] = sync.OnceValues(func() ([]hello.Kind, bool) { return describeNetRPC(v.plugins) })
	}
	return o
}

// forHost lists the ways in which the plugin can serve a host that takes these
// protocols, the preferred one first. Whether a version of gRPC can be served over
// net/rpc as well is only asked for a host that would get that.
func (o *offers) forHost(protocols []string) []hello.Offer {
	var all []hello.Offer
	add := func(version int, protocol Protocol, features ...string) {
		all = append(all, hello.Offer{Version: version, Protocol: string(protocol), Features: features})
	}
	prefersGRPC := prefers(protocols, ProtocolGRPC, ProtocolNetRPC)
	for _, v := range o.served {
		// The protocol that the original library would choose comes first.
		if v.protocol == ProtocolGRPC {
			add(v.version, ProtocolGRPC, hello.FeatureGoAway, hello.FeatureGRPCTunnel, hello.FeatureGRPCOnDemand, hello.FeatureNoOutput)
			if prefersGRPC {
				continue
			}
			if _, ok := o.netRPC[v.version](); !ok {
				continue
			}
		}
		add(v.version, ProtocolNetRPC, hello.FeatureGoAway, hello.FeatureRPCMux)
	}
	return all
}

// prefers reports whether a is listed, and before b.
func prefers(protocols []string, a, b Protocol) bool {
	first, second := slices.Index(protocols, string(a)), slices.Index(protocols, string(b))
	return first >= 0 && (second < 0 || first < second)
}

// line is the answer to a host with which a is agreed.
func (o *offers) line(a hello.Agreement, kinds []hello.Kind) ([]byte, error) {
	return hello.EncodeAnswer(&hello.Answer{
		Version:  a.Version,
		Protocol: a.Protocol,
		Features: a.Features,
		Name:     o.name,
		Instance: o.instance,
		Kinds:    kinds,
		Build:    o.build,

		MaxMessage: o.maxMessage,
	})
}

// versions lists the app versions on offer, for the log.
func (o *offers) versions() []int {
	var versions []int
	for _, v := range o.served {
		versions = append(versions, v.version)
	}
	return versions
}

// newInstance names this run of the plugin: hosts tell by it that what answers
// at an address is no longer the process that they knew.
func newInstance() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// buildInfo is what the executable was built from, or nil if it does not know.
func buildInfo() *hello.Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	build := &hello.Build{Go: info.GoVersion, Module: info.Main.Path, Version: info.Main.Version}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			build.Revision = setting.Value
		case "vcs.modified":
			build.Modified = setting.Value == "true"
		}
	}
	for _, dep := range info.Deps {
		if dep.Path == modulePath {
			build.Fork = dep.Version
		}
	}
	return build
}

// modulePath is this module's own path.
const modulePath = "github.com/hashicorp/go-plugin"

// line is what a network plugin prints for whoever reads its stdout.
func (s *networkServer) line(addr net.Addr) childLine {
	v := s.announced
	return childLine{version: v.version, network: "tcp", address: addr.String(), protocol: v.protocol}
}
