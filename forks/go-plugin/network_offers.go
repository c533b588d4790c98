// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"runtime/debug"
	"sync"

	"github.com/hashicorp/go-plugin/internal/hello"
)

// offers is what the plugin can say of itself in a handshake. It is worked out
// once, at start.
type offers struct {
	all   []hello.Offer
	kinds map[offerKey][]hello.Kind

	name, instance string
	build          *hello.Build
	maxMessage     int // bytes; zero: no bound

	// lines holds the answers that were given, by what was chosen: of that there
	// are few combinations.
	lines sync.Map // string: []byte
}

type offerKey struct {
	version  int
	protocol string
}

func newOffers(name string, served []servedVersion, opts *ServeConfig) *offers {
	o := &offers{name: name, instance: newInstance(), build: buildInfo(), kinds: make(map[offerKey][]hello.Kind)}
	for _, v := range served {
		// The protocol that the original library would choose comes first.
		if v.protocol == ProtocolGRPC {
			o.add(v.version, ProtocolGRPC, describeGRPC(v.plugins), featureGoAway, featureGRPCTunnel, featureGRPCOnDemand, featureNoOutput)
		}
		if kinds, ok := describeNetRPC(v.plugins); ok || v.protocol == ProtocolNetRPC {
			o.add(v.version, ProtocolNetRPC, kinds, featureGoAway, featureRPCMux)
		}
	}
	return o
}

func (o *offers) add(version int, protocol Protocol, kinds []hello.Kind, features ...string) {
	o.all = append(o.all, hello.Offer{Version: version, Protocol: string(protocol), Features: features})
	o.kinds[offerKey{version, string(protocol)}] = kinds
}

// line is the answer to a host whose session is the given choice.
func (o *offers) line(choice hello.Choice) ([]byte, error) {
	key := fmt.Sprint(choice)
	if line, ok := o.lines.Load(key); ok {
		return line.([]byte), nil
	}
	line, err := hello.EncodeAnswer(o.answer(choice))
	if err != nil {
		return nil, err
	}
	o.lines.Store(key, line)
	return line, nil
}

// answer is what a host is told whose session is the given choice.
func (o *offers) answer(choice hello.Choice) *hello.Answer {
	return &hello.Answer{
		Version:  choice.Version,
		Protocol: choice.Protocol,
		Features: choice.Features,
		Name:     o.name,
		Instance: o.instance,
		Kinds:    o.kinds[offerKey{choice.Version, choice.Protocol}],
		Build:    o.build,

		MaxMessage: o.maxMessage,
	}
}

// versions lists the app versions on offer, for the log.
func (o *offers) versions() []int {
	var versions []int
	for _, offer := range o.all {
		if len(versions) == 0 || versions[len(versions)-1] != offer.Version {
			versions = append(versions, offer.Version)
		}
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
