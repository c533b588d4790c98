// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/admission"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// RelayConfig says how [ServeRelay] serves hosts.
type RelayConfig struct {
	// TLSProvider returns the TLS configuration to serve with. It wins over files.
	TLSProvider func() (*tls.Config, error)

	// Network configures network mode; nil has the defaults. DefaultVersion and
	// OneServer mean nothing here.
	Network *NetworkConfig

	// Logger is used by the library. Nil logs JSON to stderr.
	Logger hclog.Logger

	// Around, if not nil, runs each call over gRPC that a host makes, as ServeConfig.Around
	// does: what it runs hands the call on to the child, with the outgoing metadata of the
	// context in the place of those of the same names. Calls over net/rpc are not looked into.
	Around Around

	// Choose returns the child that serves a host, once for each session. It is called
	// in a goroutine of the session, while the host waits for an answer, and may block
	// until ctx ends. An error refuses the host; a [*RefusedError] reaches it as it is,
	// any other one as one that may pass. For a gRPC host that does not shake hands it
	// is called with the first call that is for the plugin, and again with the next after
	// an error: probes of its health alone need no child.
	Choose func(ctx context.Context, host *RelayHost) (*Relayed, error)
}

// RelayHost is a host that wants a session with a relay.
type RelayHost struct {
	// Hello says that the host shakes hands. Any other is served as the original library
	// would, and the three fields below are empty for it.
	Hello bool
	// Cookie are the magic cookie's key and value.
	Cookie HandshakeConfig
	// Versions are the app versions that the host has.
	Versions []int
	// Name is what the host calls itself. Nothing vouches for it.
	Name string

	// Protocols are what the host speaks, the preferred one first.
	Protocols []Protocol
	// Addr is the host's address.
	Addr net.Addr
	// Done is closed when the session has ended, or did not begin.
	Done <-chan struct{}
}

// CheckCookie returns the refusal of a host whose cookie is not want's, and nil
// for a host that does not shake hands: it has none to show.
func (h *RelayHost) CheckCookie(want HandshakeConfig) error {
	if !h.Hello {
		return nil
	}
	got := hello.Cookie{Key: h.Cookie.MagicCookieKey, Value: h.Cookie.MagicCookieValue}
	if refusal := hello.CheckCookie(got, hello.Cookie{Key: want.MagicCookieKey, Value: want.MagicCookieValue}); refusal != nil {
		return refusal
	}
	return nil
}

// ServeRelay serves hosts of the network on lis as a network plugin does, with plugins
// that are children of this process and that it knows nothing of: their traffic is
// passed on as it is. Quit and Shutdown end the session that they come on. It closes
// lis, and returns like [ServeListener]. The children remain the caller's.
func ServeRelay(ctx context.Context, lis net.Listener, config *RelayConfig) error {
	if config.Choose == nil {
		return errors.Join(errors.New("RelayConfig.Choose must be set"), lis.Close())
	}
	opts := &ServeConfig{TLSProvider: config.TLSProvider, Network: config.Network, Logger: config.Logger, Around: config.Around}
	p, err := newNetworkPlugin(opts, opts.logger(), stdio.NewHub(outputBuffer), nil)
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	return newServerOf(p, admission.Config{Choose: chooser(config.Choose).choose}).serve(ctx, lis)
}

// chooser is RelayConfig.Choose.
type chooser func(context.Context, *RelayHost) (*Relayed, error)

// relayedHost is a host with the child that serves it.
type relayedHost struct {
	choose chooser
	host   *RelayHost
	child  *Relayed // nil: not chosen yet
}

// choose is what a host is offered: the one version and protocol of its child.
func (c chooser) choose(ctx context.Context, asked admission.Asked) (admission.Served, error) {
	h := &relayedHost{choose: c, host: relayHostOf(asked)}
	served := admission.Served{Partial: true, For: h}
	if asked.Request == nil && asked.Protocol == hello.GRPC {
		return served, nil
	}
	child, err := c(ctx, h.host)
	if err != nil {
		return served, err
	}
	h.child = child
	protocol, version := child.client.plugin.negotiated()
	served.Versions = []admission.Version{{
		Number: version, Protocol: string(protocol), NetRPC: func() bool { return false }, Relayed: true,
	}}
	served.Default = version
	return served, nil
}

func relayHostOf(asked admission.Asked) *RelayHost {
	h := &RelayHost{Addr: asked.Conn.RemoteAddr(), Done: asked.Life.Done(), Protocols: []Protocol{Protocol(asked.Protocol)}}
	if r := asked.Request; r != nil {
		h.Hello, h.Versions, h.Name = true, r.Versions, r.Host
		h.Cookie = HandshakeConfig{MagicCookieKey: r.Cookie.Key, MagicCookieValue: r.Cookie.Value}
		h.Protocols = nil
		for _, p := range r.Protocols {
			h.Protocols = append(h.Protocols, Protocol(p))
		}
	}
	return h
}
