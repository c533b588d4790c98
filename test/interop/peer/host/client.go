// SPDX-License-Identifier: MPL-2.0

package main

import (
	"crypto/sha256"
	"fmt"
	"net"
	"os/exec"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
	"github.com/reattach/reattach/test/interop/peer/store"
)

// client is one plugin.Client, or one session of the fork, with what was dispensed by it.
type client struct {
	name   string
	plugin *plugin.Client
	stdout *output
	stderr *output
	raw    *output
	logs   *logLines

	mu       sync.Mutex
	protocol plugin.ClientProtocol
	seen     []plugin.ClientProtocol
	stub     store.Stub
}

func newClient(spec hostapi.Client) (*client, error) {
	c := emptyClient(spec)
	cfg, err := c.config(spec)
	if err != nil {
		return nil, err
	}
	c.plugin = plugin.NewClient(cfg)
	return c, nil
}

func emptyClient(spec hostapi.Client) *client {
	return &client{
		name:   spec.Name,
		stdout: newOutput(spec.StallOutput),
		stderr: newOutput(spec.StallOutput),
		raw:    newOutput(false),
		logs:   &logLines{},
	}
}

func (c *client) config(spec hostapi.Client) (*plugin.ClientConfig, error) {
	cfg := &plugin.ClientConfig{
		HandshakeConfig:  store.Handshake(),
		SyncStdout:       c.stdout,
		SyncStderr:       c.stderr,
		Stderr:           c.raw,
		Managed:          spec.Managed,
		StartTimeout:     time.Duration(spec.StartTimeoutMS) * time.Millisecond,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolNetRPC, plugin.ProtocolGRPC},
		Logger: hclog.New(&hclog.LoggerOptions{
			Level: hclog.Debug, Output: c.logs, DisableTime: true,
		}),
	}
	if len(spec.Allowed) > 0 {
		cfg.AllowedProtocols = nil
		for _, p := range spec.Allowed {
			cfg.AllowedProtocols = append(cfg.AllowedProtocols, plugin.Protocol(p))
		}
	}
	for version, protocol := range spec.Versions {
		set := hostSet(protocol, spec.Multiplex)
		if version == 1 {
			cfg.Plugins = set
			continue
		}
		if cfg.VersionedPlugins == nil {
			cfg.VersionedPlugins = map[int]plugin.PluginSet{}
		}
		cfg.VersionedPlugins[version] = set
	}
	if spec.WrongCookie {
		cfg.MagicCookieValue = "not-the-cookie"
	}
	if spec.WrongChecksum {
		cfg.SecureConfig = &plugin.SecureConfig{Checksum: []byte("not the checksum"), Hash: sha256.New()}
	}
	if spec.Path != "" && !spec.Runner {
		cfg.Cmd = exec.Command(spec.Path)
		cfg.Cmd.Env = spec.Env
	}
	setRecent(cfg, spec)
	tune(cfg, spec)
	if err := setReattach(cfg, spec.Reattach); err != nil {
		return nil, err
	}
	return cfg, setTLS(cfg, spec)
}

// hostSet returns the kinds that a host can dispense in one protocol, with one
// of the other protocol among them to see how it is refused.
func hostSet(protocol string, multiplex bool) plugin.PluginSet {
	set := store.PluginSet(plugin.Protocol(protocol), nil, multiplex)
	if protocol == string(plugin.ProtocolGRPC) {
		set[store.RPCOnly] = &store.NetRPC{}
	}
	return set
}

func setReattach(cfg *plugin.ClientConfig, r *hostapi.Reattach) error {
	if r == nil {
		return nil
	}
	addr, err := resolve(r.Network, r.Address)
	if err != nil {
		return err
	}
	cfg.Reattach = &plugin.ReattachConfig{
		Protocol:        plugin.Protocol(r.Protocol),
		ProtocolVersion: r.Version,
		Addr:            addr,
		Pid:             r.Pid,
		Test:            r.Test,
	}
	return nil
}

func resolve(network, address string) (net.Addr, error) {
	if network == "unix" {
		return net.ResolveUnixAddr(network, address)
	}
	return net.ResolveTCPAddr(network, address)
}

func setTLS(cfg *plugin.ClientConfig, spec hostapi.Client) error {
	switch spec.TLS {
	case "":
		return nil
	case "auto":
		cfg.AutoMTLS = true
		return nil
	}
	name := spec.TLSName
	if name == "" {
		name = "host"
	}
	tlsConfig, err := store.TLSConfig(spec.TLS, name)
	if err != nil {
		return err
	}
	if spec.ServerName != "" {
		tlsConfig.ServerName = spec.ServerName
	}
	cfg.TLSConfig = tlsConfig
	return nil
}

// connect asks for the ClientProtocol and gives it a serial number.
func (c *client) connect() (int, error) {
	protocol, err := c.plugin.Client()
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.protocol = protocol
	for i, old := range c.seen {
		if old == protocol {
			return i, nil
		}
	}
	c.seen = append(c.seen, protocol)
	return len(c.seen) - 1, nil
}

func (c *client) session() (plugin.ClientProtocol, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.protocol == nil {
		return nil, fmt.Errorf("client %q is not connected", c.name)
	}
	return c.protocol, nil
}

func (c *client) dispensed() (store.Stub, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stub == nil {
		return nil, fmt.Errorf("client %q has dispensed nothing", c.name)
	}
	return c.stub, nil
}
