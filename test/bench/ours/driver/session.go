// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/bench/internal/glue"
	"github.com/reattach/reattach/test/bench/internal/greet"
	"github.com/reattach/reattach/test/bench/internal/peer"
)

func clientConfig(protocol plugin.Protocol) (*plugin.ClientConfig, error) {
	set, err := workers(protocol, nil)
	return &plugin.ClientConfig{
		HandshakeConfig: glue.Handshake(), Plugins: set,
		AllowedProtocols: []plugin.Protocol{protocol},
		Logger:           hclog.NewNullLogger(),
	}, err
}

// child gives a subject whose plugin is a child process, for each session one.
func child(protocol plugin.Protocol, multiplex bool) func(*peer.Servers) (peer.Target, error) {
	return func(s *peer.Servers) (peer.Target, error) {
		config, err := clientConfig(protocol)
		if err != nil {
			return nil, err
		}
		config.GRPCBrokerMultiplex = multiplex
		return peer.AttachFunc(func() (peer.Session, error) {
			config := *config
			if config.Cmd, err = s.Command(string(protocol), plain); err != nil {
				return nil, err
			}
			client := plugin.NewClient(&config)
			end := func() error {
				client.Kill()
				return nil
			}
			dispenser, err := client.Client()
			if err != nil {
				return nil, errors.Join(err, end())
			}
			return dispense(dispenser, end)
		}), nil
	}
}

// unix gives a subject whose plugin runs by itself, and is reached by a unix socket.
func unix(protocol plugin.Protocol) func(*peer.Servers) (peer.Target, error) {
	return func(s *peer.Servers) (peer.Target, error) {
		server, err := s.Start(nil, string(protocol), plain, s.Dir())
		if err != nil {
			return nil, err
		}
		return attachTo(protocol, &net.UnixAddr{Net: "unix", Name: server.Line}, nil)
	}
}

// dispense makes a session of what end ends.
func dispense(from plugin.ClientProtocol, end func() error) (peer.Session, error) {
	raw, err := from.Dispense(greet.Kind)
	if err != nil {
		return nil, errors.Join(err, end())
	}
	return peer.NewSession(raw.(greet.Greeter), end), nil
}

// network gives a subject whose plugin runs by itself.
func network(protocol plugin.Protocol) func(*peer.Servers) (peer.Target, error) {
	return func(s *peer.Servers) (peer.Target, error) { return serveNetwork(s, protocol, nil, nil) }
}

// mutual is network where both sides show certificates.
func mutual(protocol plugin.Protocol) func(*peer.Servers) (peer.Target, error) {
	return func(s *peer.Servers) (peer.Target, error) {
		p, err := makePair(s.Dir())
		if err != nil {
			return nil, err
		}
		return serveNetwork(s, protocol, p.env(), p.host)
	}
}

// serveNetwork starts a plugin in network mode, and attaches to it.
func serveNetwork(s *peer.Servers, protocol plugin.Protocol, env []string, tlsConfig *tls.Config) (peer.Target, error) {
	address, err := startNetwork(s, protocol, env)
	if err != nil {
		return nil, err
	}
	return attachTo(protocol, address, tlsConfig)
}

// startNetwork starts a plugin in network mode, and gives its address.
func startNetwork(s *peer.Servers, protocol plugin.Protocol, env []string) (net.Addr, error) {
	cookie := glue.Handshake()
	env = append(env, "PLUGIN_HOST=127.0.0.1", cookie.MagicCookieKey+"="+cookie.MagicCookieValue)
	server, err := s.Start(env, string(protocol), plain)
	if err != nil {
		return nil, err
	}
	// CORE|APP|NETWORK|ADDRESS|PROTOCOL|CERT
	fields := strings.Split(server.Line, "|")
	if len(fields) < 4 {
		return nil, fmt.Errorf("the plugin said %q", server.Line)
	}
	return net.ResolveTCPAddr("tcp", fields[3])
}

func attachTo(protocol plugin.Protocol, address net.Addr, tlsConfig *tls.Config) (peer.Target, error) {
	config, err := clientConfig(protocol)
	if err != nil {
		return nil, err
	}
	config.Reattach, config.TLSConfig = &plugin.ReattachConfig{Addr: address}, tlsConfig
	return attached(config), nil
}

// attached gives the target of a session.
func attached(config *plugin.ClientConfig) peer.Target {
	return peer.AttachFunc(func() (peer.Session, error) {
		session, err := plugin.Attach(context.Background(), config)
		if err != nil {
			return nil, err
		}
		return dispense(session, session.Close)
	})
}
