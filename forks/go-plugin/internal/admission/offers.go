// SPDX-License-Identifier: MPL-2.0

package admission

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net"
	"runtime/debug"
	"slices"

	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/sniff"
)

// Version is an app version that the plugin serves.
type Version struct {
	Number int
	// Protocol is what the original library would serve it over: [hello.NetRPC] or
	// [hello.GRPC].
	Protocol string
	// NetRPC reports whether it can be served over net/rpc. It runs code of the
	// plugin's, and is only called for a version of gRPC and a host that would get that.
	NetRPC func() bool
	// Relayed says that another process serves it, whose net/rpc goes over yamux.
	Relayed bool
}

// offers lists the ways in which the plugin can serve a host that takes these
// protocols, the preferred one first.
func (s *Served) offers(protocols []string) []hello.Offer {
	var all []hello.Offer
	prefersGRPC := prefers(protocols, hello.GRPC, hello.NetRPC)
	for _, v := range s.Versions {
		features := []string{hello.FeatureGoAway, hello.FeatureMux}
		// The protocol that the original library would choose comes first.
		if v.Protocol == hello.GRPC {
			all = append(all, hello.Offer{Version: v.Number, Protocol: hello.GRPC, Features: features})
			if prefersGRPC || !v.NetRPC() {
				continue
			}
		}
		if v.Relayed {
			features = features[:1]
		}
		all = append(all, hello.Offer{Version: v.Number, Protocol: hello.NetRPC, Features: features})
	}
	return all
}

// prefers reports whether a is listed, and before b.
func prefers(protocols []string, a, b string) bool {
	first, second := slices.Index(protocols, a), slices.Index(protocols, b)
	return first >= 0 && (second < 0 || first < second)
}

// answer is what a host is told with which a is agreed.
func (h *Handshaker) answer(a hello.Agreement, kinds []hello.Kind, partial bool) *hello.Answer {
	return &hello.Answer{
		Version: a.Version, Protocol: a.Protocol, Features: a.Features, MaxMessage: h.cfg.MaxMessage,
		Name: h.cfg.Name, Instance: h.instance, Kinds: kinds, Partial: partial, Build: h.build,
	}
}

// withoutHandshake takes a peer that starts a protocol without a hello: a host built
// with the original library, or any gRPC client. It gets what the original library
// would have served. Over gRPC it may be a version that the plugin does not have: there
// is still its health to be asked for.
func (c *Candidate) withoutHandshake(ctx context.Context, conn net.Conn, r *bufio.Reader, proto sniff.Proto) error {
	switch proto {
	case sniff.Yamux:
		c.Agreed.Protocol = hello.NetRPC
	case sniff.HTTP2:
		c.Agreed.Protocol = hello.GRPC
	default:
		_ = refuse(conn, hello.RefuseStranger())
		return errors.New("what it sent is no handshake, no yamux and no HTTP/2: " + sniff.Stranger(r))
	}
	if err := c.choose(ctx, Asked{Protocol: c.Agreed.Protocol, Life: ctx, Conn: conn}); err != nil {
		return err
	}
	var ok bool
	c.Agreed.Version, ok = c.served.defaultVersion(c.Agreed.Protocol)
	if !ok && proto == sniff.Yamux {
		return errors.New("it speaks net/rpc, but no version of this plugin does")
	}
	return nil
}

// defaultVersion is what a host is given that names no version: Default if that is
// served over p, else the lowest that is.
func (s *Served) defaultVersion(p string) (version int, ok bool) {
	for _, v := range s.Versions { // the lowest is the last
		if v.Protocol == p {
			version, ok = v.Number, true
		}
		if ok && version == s.Default {
			break
		}
	}
	return version, ok
}

// newInstance names this run of the plugin: hosts tell by it that what answers
// at an address is no longer the process that they knew.
func newInstance() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// modulePath is this module's own path.
const modulePath = "github.com/hashicorp/go-plugin"

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
